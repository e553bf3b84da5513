//! `/desktop`: a researcher's desktop in a browser. The page is a canvas and a line that says how the
//! connection is; no text of a result is ever in it.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use kekkai_console::message;
use kekkai_types::{AgreementId, EndReason, Lang, PersonId, Refusal, SessionId, TerminalClass};
use maud::{DOCTYPE, Markup, html};
use serde::{Deserialize, Serialize};

use super::guard::{At, is_own_origin, unavailable};
use super::{page, socket};
use crate::gateway::{Chain, Gateway};
use crate::screen::{self, Area};
use crate::sessions::SessionError;

/// Stricter than other pages': no form goes anywhere, pictures come from memory or are our icon.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; connect-src 'self'; img-src 'self' blob:; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

/// The page around a screen. Its script draws everything in it; `watch` is the WebSocket's path for staff
/// who look, and `beside` what they have beside it.
pub(super) fn shell(
    lang: Lang,
    title: &str,
    person: &PersonId,
    watch: Option<&str>,
    beside: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(lang.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Kekkai" }
                link rel="stylesheet" href="/static/desktop/desktop.css";
                script type="module" src="/static/desktop/main.js" {}
            }
            body {
                main #desktop data-person=(person) data-watch=[watch] {}
                (beside)
                noscript { p { (lang.pick(
                    "このページには JavaScript が必要です。",
                    "This page needs JavaScript.",
                )) } }
            }
        }
    }
}

pub(crate) async fn page(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(browser) = &at.browser else {
        return Redirect::to("/sign-in?next=/desktop").into_response();
    };
    let lang = at.lang;
    let title = lang.pick("デスクトップ", "Desktop");
    let agreements = match gateway.person(&browser.person).await {
        Ok(known) => known.map_or_else(Vec::new, |known| known.agreements),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "person not looked up");
            return unavailable(&gateway, lang);
        }
    };
    let is_named = query
        .iter()
        .flat_map(|query| query.split('&'))
        .any(|pair| pair.starts_with("agreement="));
    // Asked before the sign-in is spent on one that wasn't meant.
    if agreements.len() > 1 && !is_named {
        let body = html! {
            p { (lang.pick("どの取決めで利用するか選んでください。", "Choose the agreement to work under.")) }
            ul { @for agreement in &agreements {
                li { a href={ "/desktop?agreement=" (agreement) } { (agreement) } }
            } }
        };
        return page::page(&gateway, lang, title, Some(browser), &body).into_response();
    }
    let page = shell(lang, title, &browser.person, None, &html! {});
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    (policy, page).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    agreement: Option<AgreementId>,
}

/// A desktop that runs; its screen may be attached once.
#[derive(Serialize)]
struct Opened {
    session: SessionId,
    title: String,
    emulated: bool,
}

/// Why not, for the page's script and for the person.
#[derive(Serialize)]
struct NotOpened {
    code: String,
    detail: String,
    text: String,
}

fn not_opened(status: StatusCode, refusal: Refusal, lang: Lang) -> Response {
    let text = message::refusal(&refusal, lang);
    let Refusal { code, detail } = refusal;
    (status, Json(NotOpened { code, detail, text })).into_response()
}

pub(crate) async fn open(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    body: Result<Json<Open>, JsonRejection>,
) -> Response {
    let Ok(Json(open)) = body else {
        let refusal = Refusal::new("request-malformed", "");
        return not_opened(StatusCode::BAD_REQUEST, refusal, at.lang);
    };
    let Some(browser) = &at.browser else {
        return not_opened(StatusCode::UNAUTHORIZED, sign_in_needed(), at.lang);
    };
    if !shows_desktops(at.terminal.class) {
        let refusal = Refusal::new(&screen::kebab(EndReason::DesktopOff), "");
        return not_opened(StatusCode::FORBIDDEN, refusal, at.lang);
    }
    // Spent whatever comes of it: each try costs both factors.
    let Some(signed_in) = gateway.browsers.spend(browser) else {
        return not_opened(StatusCode::UNAUTHORIZED, sign_in_needed(), at.lang);
    };
    let opening = gateway.open_desktop(signed_in, open.agreement, at.address.clone());
    let admission = match opening.await {
        Ok(admission) => admission,
        Err(SessionError::Refused(refusal)) => {
            return not_opened(StatusCode::FORBIDDEN, refusal, at.lang);
        }
        Err(SessionError::Unavailable) => {
            let refusal = Refusal::new("service-unavailable", "");
            return not_opened(StatusCode::SERVICE_UNAVAILABLE, refusal, at.lang);
        }
        Err(SessionError::Busy) => {
            let refusal = Refusal::new("too-many-sessions", "");
            return not_opened(StatusCode::TOO_MANY_REQUESTS, refusal, at.lang);
        }
    };
    let live = admission.live();
    let opened = Opened {
        session: live.opened.session.clone(),
        title: live.opened.title.clone(),
        emulated: live.launched.emulated || gateway.config.demo,
    };
    // Signed out meanwhile: the desktop waits for its person like any other.
    if !gateway.browsers.admit(browser, admission) {
        return not_opened(StatusCode::UNAUTHORIZED, sign_in_needed(), at.lang);
    }
    Json(opened).into_response()
}

fn sign_in_needed() -> Refusal {
    Refusal::new("sign-in-needed", "")
}

/// Terminals of these classes show a desktop in their browser; what it may show is the policy service's.
fn shows_desktops(class: TerminalClass) -> bool {
    matches!(
        class,
        TerminalClass::Browser | TerminalClass::Vdi | TerminalClass::Onsite
    )
}

/// The browser's area: width and height in pixels, pixels per point in percent.
#[derive(Deserialize)]
pub(crate) struct Asked {
    w: u16,
    h: u16,
    scale: u16,
}

pub(crate) async fn screen(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    socket: WebSocketUpgrade,
) -> Response {
    let Some(browser) = &at.browser else {
        return (StatusCode::UNAUTHORIZED, "sign-in-needed").into_response();
    };
    if let Some(problem) = not_our_page(&gateway, &headers) {
        return problem;
    }
    let Some(area) = Area::new(asked.w, asked.h, asked.scale) else {
        return (StatusCode::BAD_REQUEST, "size").into_response();
    };
    let Some(admission) = gateway.browsers.take_admission(browser) else {
        return (StatusCode::FORBIDDEN, "open-first").into_response();
    };
    socket::bounded(socket).on_upgrade(move |socket| async move {
        let (mut from, mut to) = socket::carrier(socket);
        screen::show(&gateway, admission, area, &at.address, &mut from, &mut to).await;
        from.drain().await;
    })
}

/// Browsers let any page open a WebSocket to anywhere, cookies included: the origin is asked here.
pub(super) fn not_our_page(gateway: &Gateway, headers: &HeaderMap) -> Option<Response> {
    if !is_own_origin(gateway, headers) {
        return Some((StatusCode::FORBIDDEN, "another origin").into_response());
    }
    if !socket::names_protocol(headers) {
        return Some((StatusCode::BAD_REQUEST, "subprotocol").into_response());
    }
    None
}
