//! `/review/…` and `/release/…`: handed on to the review service, with who asks.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use kekkai_review_api::header as kekkai_header;

use super::guard::{At, unavailable};
use super::{BODY_BYTES_MAX, browser::Browser};
use crate::gateway::{Chain, Gateway};

const FORM: &str = "application/x-www-form-urlencoded";
/// Headers of a request that mean something to pages. All others stay here, `x-kekkai-…` first of all.
const REQUEST_HEADERS: [header::HeaderName; 2] = [header::ACCEPT, header::CONTENT_TYPE];
/// Headers of an answer that pass; the rest is ours to set.
const ANSWER_HEADERS: [header::HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    header::CACHE_CONTROL,
    header::LOCATION,
];

pub(crate) async fn forward(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    request: Request,
) -> Response {
    let Some(browser) = &at.browser else {
        return Redirect::to("/sign-in").into_response();
    };
    let (parts, body) = request.into_parts();
    if parts.method != Method::GET && parts.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if parts.method == Method::POST && !is_own_form(&parts.headers, &body, browser) {
        return (StatusCode::FORBIDDEN, "csrf").into_response();
    }
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", axum::http::uri::PathAndQuery::as_str);
    let mut handed_on = axum::http::Request::builder()
        .method(parts.method)
        .uri(path)
        .header(header::HOST, kekkai_service::tls::SERVICE_NAME)
        .header(kekkai_header::PERSON, browser.person.as_str())
        .header(kekkai_header::TERMINAL, at.terminal.terminal.as_str())
        .header(kekkai_header::LANG, at.lang.as_str())
        .header(kekkai_header::CSRF, &browser.csrf);
    if gateway.config.demo {
        handed_on = handed_on.header(kekkai_header::DEMO, "1");
    }
    for name in REQUEST_HEADERS {
        if let Some(value) = parts.headers.get(&name) {
            handed_on = handed_on.header(name, value);
        }
    }
    let Ok(handed_on) = handed_on.body(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match gateway.review.forward(handed_on).await {
        Ok(answer) => handed_back(answer),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "review service unavailable");
            unavailable(&gateway, at.lang)
        }
    }
}

fn handed_back(answer: axum::http::Response<Bytes>) -> Response {
    let (parts, body) = answer.into_parts();
    let mut response = (parts.status, body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for name in ANSWER_HEADERS {
        let Some(value) = parts.headers.get(&name) else {
            continue;
        };
        // A redirection stays in this house.
        if name == header::LOCATION && !is_local(value) {
            continue;
        }
        response.headers_mut().insert(name, value.clone());
    }
    response
}

fn is_local(location: &HeaderValue) -> bool {
    location
        .to_str()
        .is_ok_and(|to| to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'))
}

/// A form with exactly one `csrf` field, which holds this browser's token.
pub(crate) fn is_own_form(headers: &axum::http::HeaderMap, body: &[u8], browser: &Browser) -> bool {
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == FORM)
        });
    if !is_form {
        return false;
    }
    let mut tokens = body
        .split(|byte| *byte == b'&')
        .filter_map(|pair| pair.strip_prefix(b"csrf="));
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => {
            std::str::from_utf8(token).is_ok_and(|token| browser.csrf_fits(token))
        }
        _ => false,
    }
}
