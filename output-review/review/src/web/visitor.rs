//! Who looks at a page: only the gateway can say.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use kekkai_review_api::header;
use kekkai_service::From;
use kekkai_types::{Lang, Peer, PersonId, TerminalId};

use super::layout;
use crate::policy::Actor;

/// Characters of a form token; a longer one is none of the gateway's.
const CSRF_MAX: usize = 256;

/// A person whom the gateway signed in.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) actor: Actor,
    pub(super) lang: Lang,
    pub(super) csrf: String,
    pub(super) demo: bool,
}

/// The peer is the gateway; there may be nobody behind it (style sheets).
pub(super) struct FromGateway;

impl<S: Send + Sync> FromRequestParts<S> for FromGateway {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // Headers say who the person is, so only the peer that checked it may send them.
        match parts.extensions.get::<From>() {
            Some(From {
                peer: Peer::Gateway,
                ..
            }) => Ok(Self),
            other => {
                let peer = other.map(|from| from.peer.to_uri());
                tracing::warn!(
                    peer,
                    path = parts.uri.path(),
                    "page refused: not the gateway"
                );
                Err(refuse(StatusCode::FORBIDDEN))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        FromGateway::from_request_parts(parts, state).await?;
        let headers = &parts.headers;
        let person = one(headers, header::PERSON).and_then(|text| PersonId::new(text).ok());
        let terminal = one(headers, header::TERMINAL).and_then(|text| TerminalId::new(text).ok());
        let (Some(person), Some(terminal)) = (person, terminal) else {
            return Err(refuse(StatusCode::UNAUTHORIZED));
        };
        let csrf = one(headers, header::CSRF).unwrap_or_default();
        if csrf.len() > CSRF_MAX {
            return Err(refuse(StatusCode::BAD_REQUEST));
        }
        Ok(Self {
            actor: Actor { person, terminal },
            lang: one(headers, header::LANG)
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            csrf: csrf.to_owned(),
            demo: one(headers, header::DEMO) == Some("1"),
        })
    }
}

/// A header that is there exactly once: two persons are nobody.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn refuse(status: StatusCode) -> Response {
    layout::guard((status, status.canonical_reason().unwrap_or_default()).into_response())
}
