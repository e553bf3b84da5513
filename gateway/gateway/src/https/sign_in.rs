//! `/sign-in`: everybody in a browser, with both factors at once: staff for pages, researchers for a
//! desktop. A desktop's page calls the same endpoints to unlock.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Json};
use kekkai_policy_api::SignInRefusal;
use kekkai_signin::{PublicKeyCredential, Refused};
use kekkai_types::Timestamp;
use maud::html;
use serde::Deserialize;

use super::approve::{Done, proved};
use super::guard::At;
use super::page::{self, Told};
use crate::gateway::{Chain, Gateway};

/// Where a sign-in may lead. A page that isn't listed here is nowhere: no link can lead out of the house.
const NEXT: [&str; 3] = ["/", "/desktop", "/watch"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    person: String,
    /// The form's other fields; looked at in the second call.
    #[serde(default, rename = "token_code")]
    _token_code: String,
    #[serde(default, rename = "next")]
    _next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finish {
    person: String,
    credential: PublicKeyCredential,
    token_code: String,
    /// One of [`NEXT`], or the first of them.
    #[serde(default)]
    next: String,
}

fn listed(next: &str) -> &'static str {
    NEXT.into_iter().find(|page| *page == next).unwrap_or("/")
}

pub(crate) async fn page(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    RawQuery(query): RawQuery,
) -> Response {
    let lang = at.lang;
    let next = query
        .iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("next="));
    let title = lang.pick("サインイン", "Sign in");
    let body = html! {
        form data-ceremony="get" data-begin="/sign-in/begin" data-finish="/sign-in/finish"
            data-waiting=(lang.pick("認証器の操作を待っています…", "Waiting for your authenticator…"))
            data-cancelled=(lang.pick("認証器の操作が取り消されたか、時間切れです。", "The authenticator was cancelled or timed out.")) {
            label {
                (lang.pick("ユーザー ID", "User name"))
                input name="person" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false";
            }
            label {
                (lang.pick("トークンのコード（6 桁）", "Token code (6 digits)"))
                input.code name="token_code" required maxlength="16" inputmode="numeric" autocomplete="one-time-code";
            }
            input type="hidden" name="next" value=(listed(next.unwrap_or_default()));
            button type="submit" { (lang.pick("認証器でサインインする", "Sign in with the authenticator")) }
            p role="status" aria-live="polite" {}
        }
    };
    page::page(&gateway, lang, title, at.browser.as_ref(), &body).into_response()
}

pub(crate) async fn begin(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    body: Result<Json<Begin>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return Told::Malformed.answer(at.lang);
    };
    let proved = match proved(&gateway, &at, &body.person) {
        Ok(proved) => proved,
        Err(told) => return told.answer(at.lang),
    };
    let options = gateway
        .check(move |signin| (signin.begin_browser(&proved, Timestamp::now()), proved))
        .await;
    match options {
        Ok((Ok(options), _)) => Json(options).into_response(),
        Ok((Err(error), proved)) => {
            let closed = gateway.closed(error, proved.terminal(), &at.address).await;
            Told::from(&closed).answer(at.lang)
        }
        Err(_) => Told::Unavailable.answer(at.lang),
    }
}

pub(crate) async fn finish(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    headers: HeaderMap,
    body: Result<Json<Finish>, JsonRejection>,
) -> Response {
    let Ok(Json(Finish {
        person,
        credential,
        token_code,
        next,
    })) = body
    else {
        return Told::Malformed.answer(at.lang);
    };
    let proved = match proved(&gateway, &at, &person) {
        Ok(proved) => proved,
        Err(told) => return told.answer(at.lang),
    };
    let terminal = proved.terminal().clone();
    let signed_in = gateway
        .check(move |signin| {
            signin.finish_browser(proved, &credential, &token_code, Timestamp::now())
        })
        .await;
    let signed_in = match signed_in {
        Ok(Ok(signed_in)) => signed_in,
        Ok(Err(error)) => {
            let closed = gateway.closed(error, &terminal, &at.address).await;
            return Told::from(&closed).answer(at.lang);
        }
        Err(_) => return Told::Unavailable.answer(at.lang),
    };
    let known = match gateway.person(signed_in.person()).await {
        Ok(Some(known)) => known,
        Ok(None) => {
            // Credentials without a person: removed since.
            let refused = Refused {
                person: Some(signed_in.person().clone()),
                reason: SignInRefusal::Policy,
                failures: 0,
                locked_now: false,
            };
            gateway
                .record_refusal(&refused, Some(&terminal), &at.address)
                .await;
            return Told::Refused.answer(at.lang);
        }
        Err(_) => return Told::Unavailable.answer(at.lang),
    };
    // Record before effect: nobody is in before the ledger says so.
    if let Err(error) = gateway.record_sign_in(&signed_in, &at.address).await {
        tracing::error!(error = %Chain(&error), "sign-in not recorded, so refused");
        return Told::Unavailable.answer(at.lang);
    }
    let cookie = gateway
        .browsers
        .enter(signed_in, known.name, known.lang, at.spki, &headers);
    let Some(cookie) = cookie else {
        return Told::Busy.answer(at.lang);
    };
    let done = Done {
        message: at.lang.pick("サインインしました。", "Signed in."),
        next: Some(listed(&next)),
    };
    ([(header::SET_COOKIE, cookie)], Json(done)).into_response()
}

/// `SameSite=Strict` and the checked origin make this our own page's form. A desktop that this browser
/// shows is locked.
pub(crate) async fn sign_out(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let (cookie, desktop) = gateway.browsers.leave(&headers);
    let live = desktop.and_then(|session| gateway.sessions.desktop(&session));
    if let Some(desk) = live.as_ref().and_then(|live| live.desk.as_ref()) {
        desk.lock();
    }
    ([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_leads_to_listed_pages_only() {
        for page in NEXT {
            assert_eq!(listed(page), page);
        }
        for other in [
            "",
            "desktop",
            "/desktop/",
            "//evil.example",
            "https://evil.example/desktop",
            "/\\evil.example",
            "/review/",
            "%2Fdesktop",
        ] {
            assert_eq!(listed(other), "/", "{other}");
        }
    }
}
