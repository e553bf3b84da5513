//! `/watch`: staff look at running desktops, and end them (R8). The researcher sees that they look.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use kekkai_console::message;
use kekkai_policy_api::{Action, Decide, Decided, EndReason, LookUpTerminal, Resource};
use kekkai_types::{Role, SessionId};
use maud::html;

use super::browser::Browser;
use super::desktop::{CONTENT_SECURITY_POLICY, not_our_page, shell};
use super::guard::{self, At, unavailable};
use super::proxy::is_own_form;
use super::{page, socket};
use crate::gateway::{Chain, Gateway};
use crate::screen::{self, Guest};
use crate::sessions::LiveSession;

/// How often it is asked whether a watcher is signed in still, at a terminal that isn't revoked.
const RECHECK: Duration = Duration::from_secs(5);

/// The desktops that run. What may be done to each is asked of the policy service when it is done: asking
/// for a list would write a line to the ledger for each of them.
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
) -> Response {
    let browser = match operator(&gateway, &at).await {
        Ok(browser) => browser,
        Err(response) => return *response,
    };
    let lang = at.lang;
    let mut running = gateway.sessions.desktops(|_| true);
    running.sort_by_key(|live| live.started);
    let title = lang.pick("利用中のデスクトップ", "Running desktops");
    let body = html! {
        @if running.is_empty() {
            p { (lang.pick("利用中のデスクトップはありません。", "No desktop is running.")) }
        } @else {
            table {
                thead { tr {
                    th { (lang.pick("利用者", "Person")) }
                    th { (lang.pick("取決め", "Agreement")) }
                    th { (lang.pick("端末", "Terminal")) }
                    th { (lang.pick("開始", "Since")) }
                    th { (lang.pick("画面", "Screen")) }
                } }
                tbody {
                    @for live in &running {
                        tr {
                            td { (live.person.name) " (" (live.person.person) ")" }
                            td { (live.opened.title) " (" (live.opened.agreement) ")" }
                            td { (live.terminal) }
                            td { (live.started.in_japan().strftime("%Y-%m-%d %H:%M")) }
                            td { a href={ "/watch/" (live.opened.session) } {
                                (lang.pick("閲覧", "Watch"))
                            } }
                        }
                    }
                }
            }
        }
    };
    page::page(&gateway, lang, title, Some(browser), &body).into_response()
}

/// One desktop: its screen, and the way to end it.
pub(crate) async fn page(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    Path(session): Path<String>,
) -> Response {
    let browser = match operator(&gateway, &at).await {
        Ok(browser) => browser,
        Err(response) => return *response,
    };
    let Some(live) = find(&gateway, &session) else {
        return not_found(gateway, at).await;
    };
    let lang = at.lang;
    let end = format!("/watch/{}/end", live.opened.session);
    let beside = html! {
        header .staff {
            a href="/watch" { (lang.pick("一覧へ戻る", "Back to the list")) }
            span { (live.person.name) " · " (live.opened.title) " · " (live.opened.session) }
            details {
                summary { (lang.pick("セッションを終了させる", "End this session")) }
                form method="post" action=(end) {
                    p { (lang.pick(
                        "利用者の作業は直ちに止まります。保存していない内容は失われます。この操作は記録されます。",
                        "The researcher's work stops at once, and what is not saved is lost. This is recorded.",
                    )) }
                    input type="hidden" name="csrf" value=(browser.csrf);
                    label {
                        input type="checkbox" name="confirm" value="yes" required;
                        (lang.pick("終了させることを確認しました", "I am sure"))
                    }
                    button type="submit" { (lang.pick("終了させる", "End it")) }
                }
            }
        }
    };
    let screen = format!("/watch/{}/screen", live.opened.session);
    let title = lang.pick("画面の閲覧", "Watching a desktop");
    let page = shell(lang, title, &browser.person, Some(&screen), &beside);
    let policy = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'");
    ([(header::CONTENT_SECURITY_POLICY, policy)], page).into_response()
}

pub(crate) async fn screen(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    Path(session): Path<String>,
    headers: HeaderMap,
    socket: WebSocketUpgrade,
) -> Response {
    let browser = match operator(&gateway, &at).await {
        Ok(browser) => browser.clone(),
        Err(response) => return *response,
    };
    if let Some(problem) = not_our_page(&gateway, &headers) {
        return problem;
    }
    let Some(live) = find(&gateway, &session) else {
        return not_found(gateway, at).await;
    };
    if let Err(response) = decided(&gateway, &at, &browser, &live, Action::WatchSession).await {
        return *response;
    }
    socket::bounded(socket).on_upgrade(move |socket| async move {
        let (mut from, mut to) = socket::carrier(socket);
        let guest = Guest {
            person: browser.person.clone(),
            terminal: at.terminal.terminal.clone(),
        };
        let is_over = no_longer_in(&gateway, &at, &browser);
        screen::watch(&gateway, &live, guest, is_over, &mut from, &mut to).await;
        from.drain().await;
    })
}

pub(crate) async fn end(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    Path(session): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let browser = match operator(&gateway, &at).await {
        Ok(browser) => browser,
        Err(response) => return *response,
    };
    if !is_own_form(&headers, &body, browser) {
        return (StatusCode::FORBIDDEN, "csrf").into_response();
    }
    if !body
        .split(|byte| *byte == b'&')
        .any(|pair| pair == b"confirm=yes")
    {
        return (StatusCode::BAD_REQUEST, "confirm").into_response();
    }
    let Some(live) = find(&gateway, &session) else {
        return not_found(gateway, at).await;
    };
    if let Err(response) = decided(&gateway, &at, browser, &live, Action::EndSession).await {
        return *response;
    }
    gateway.close_session(&live, EndReason::EndedByStaff).await;
    Redirect::to("/watch").into_response()
}

/// Operators, signed in. To others this place doesn't exist.
async fn operator<'a>(gateway: &Arc<Gateway>, at: &'a At) -> Result<&'a Browser, Box<Response>> {
    let Some(browser) = &at.browser else {
        return Err(Box::new(
            Redirect::to("/sign-in?next=/watch").into_response(),
        ));
    };
    match gateway.person(&browser.person).await {
        Ok(Some(known)) if known.roles.contains(&Role::Operator) => Ok(browser),
        Ok(_) => Err(Box::new(not_found(gateway.clone(), at.clone()).await)),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "person not looked up");
            Err(Box::new(unavailable(gateway, at.lang)))
        }
    }
}

fn find(gateway: &Gateway, session: &str) -> Option<Arc<LiveSession>> {
    let session = SessionId::new(session).ok()?;
    gateway.sessions.desktop(&session)
}

async fn not_found(gateway: Arc<Gateway>, at: At) -> Response {
    guard::not_found(State(gateway), Extension(at)).await
}

/// Asks the policy service, which records its answer.
async fn decided(
    gateway: &Gateway,
    at: &At,
    browser: &Browser,
    live: &LiveSession,
    action: Action,
) -> Result<(), Box<Response>> {
    let decide = Decide {
        person: browser.person.clone(),
        terminal: at.terminal.terminal.clone(),
        action,
        resource: Resource::Session {
            session: live.opened.session.clone(),
            agreement: live.opened.agreement.clone(),
            person: live.person.person.clone(),
        },
    };
    match gateway.policy.call(&decide).await {
        Ok(Decided::Allowed) => Ok(()),
        Ok(Decided::Refused(reason)) => {
            let lang = at.lang;
            let title = lang.pick("認められません", "Refused");
            let body = html! { p { (message::end_reason(reason, lang)) } };
            let page = page::page(gateway, lang, title, Some(browser), &body);
            Err(Box::new((StatusCode::FORBIDDEN, page).into_response()))
        }
        Err(error) => {
            tracing::error!(error = %Chain(&error), "not decided, so refused");
            Err(Box::new(unavailable(gateway, at.lang)))
        }
    }
}

/// Resolves when a watcher signed out, was signed out, or their terminal was revoked. Nobody's lease
/// watches over staff.
async fn no_longer_in(gateway: &Gateway, at: &At, browser: &Browser) {
    let id = LookUpTerminal::Id(at.terminal.terminal.clone());
    loop {
        tokio::time::sleep(RECHECK).await;
        let is_known = matches!(
            gateway.terminal(&id).await,
            Ok(Some(known)) if known.certificate_spki == Some(at.spki)
        );
        if !is_known || !gateway.browsers.is_in(browser) {
            return;
        }
    }
}
