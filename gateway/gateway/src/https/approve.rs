//! `/approve`: the finger for a terminal that waits on SSH.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use kekkai_signin::{PublicKeyCredential, TerminalProved};
use kekkai_types::{PersonId, Timestamp};
use maud::html;
use serde::{Deserialize, Serialize};

use super::guard::At;
use super::page::{self, Told};
use crate::gateway::Gateway;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    person: String,
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finish {
    person: String,
    code: String,
    credential: PublicKeyCredential,
}

/// What a script is told when it worked.
#[derive(Serialize)]
pub(crate) struct Done {
    pub(crate) message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<&'static str>,
}

pub(crate) async fn page(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
) -> Response {
    let lang = at.lang;
    let title = lang.pick("接続の承認", "Approve a connection");
    let body = html! {
        p { (lang.pick(
            "この端末の SSH 画面に表示された接続コードを入力し、認証器で本人確認をしてください。",
            "Type the connection code that this terminal's SSH window shows, and verify yourself with your authenticator.",
        )) }
        p { strong { (lang.pick(
            "自分で始めた接続でなければ承認しないでください。",
            "Don't approve a connection that you did not begin.",
        )) } }
        form data-ceremony="get" data-begin="/approve/begin" data-finish="/approve/finish"
            data-waiting=(lang.pick("認証器の操作を待っています…", "Waiting for your authenticator…"))
            data-cancelled=(lang.pick("認証器の操作が取り消されたか、時間切れです。", "The authenticator was cancelled or timed out.")) {
            label {
                (lang.pick("ユーザー ID", "User name"))
                input name="person" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false";
            }
            label {
                (lang.pick("接続コード", "Connection code"))
                input.code name="code" required maxlength="32" autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="XXXX-XXXX";
            }
            button type="submit" { (lang.pick("認証器で承認する", "Approve with the authenticator")) }
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
        .check(move |signin| {
            (
                signin.begin_approval(&proved, &body.code, Timestamp::now()),
                proved,
            )
        })
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
    body: Result<Json<Finish>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return Told::Malformed.answer(at.lang);
    };
    let proved = match proved(&gateway, &at, &body.person) {
        Ok(proved) => proved,
        Err(told) => return told.answer(at.lang),
    };
    let terminal = proved.terminal().clone();
    let approved = gateway
        .check(move |signin| {
            signin.finish_approval(&proved, &body.code, &body.credential, Timestamp::now())
        })
        .await;
    match approved {
        Ok(Ok(())) => Json(Done {
            message: at.lang.pick(
                "承認しました。SSH の画面に戻り、トークンのコードを入力してください。",
                "Approved. Go back to your terminal and type the token's code.",
            ),
            next: None,
        })
        .into_response(),
        Ok(Err(error)) => {
            let closed = gateway.closed(error, &terminal, &at.address).await;
            Told::from(&closed).answer(at.lang)
        }
        Err(_) => Told::Unavailable.answer(at.lang),
    }
}

/// An attempt of the named person at this terminal, within its rate.
pub(crate) fn proved(gateway: &Gateway, at: &At, person: &str) -> Result<TerminalProved, Told> {
    if !gateway.rate.allows(&at.terminal.terminal) {
        return Err(Told::Busy);
    }
    // Nobody has such a name: the shape of names is no secret.
    let person = PersonId::new(person.trim()).map_err(|_| Told::Refused)?;
    TerminalProved::new(person, &at.terminal).map_err(|_| Told::Unavailable)
}
