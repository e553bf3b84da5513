//! `/enrol/TICKET`: a person brings an authenticator and a token, once.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use kekkai_policy_api::{Event, Factor};
use kekkai_signin::{EnrolmentError, RegisterPublicKeyCredential};
use kekkai_types::Timestamp;
use maud::html;
use serde::Deserialize;

use super::approve::Done;
use super::guard::At;
use super::page::{self, Told};
use crate::gateway::{Chain, Gateway};

/// The token's kind, for the ledger.
const TOKEN_MODEL: &str = "OATH TOTP, SHA-1, 6 digits, 30 s";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finish {
    credential: RegisterPublicKeyCredential,
    token_code: String,
}

pub(crate) async fn page(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    Path(ticket): Path<String>,
) -> Response {
    let lang = at.lang;
    let title = lang.pick(
        "認証器とトークンの登録",
        "Enrol your authenticator and token",
    );
    let owner = {
        let (ticket, terminal) = (ticket.clone(), at.terminal.clone());
        gateway
            .check(move |signin| signin.ticket_owner(&ticket, &terminal, Timestamp::now()))
            .await
    };
    let person = match owner {
        Ok(Ok(person)) => person,
        Ok(Err(EnrolmentError::NoTicket)) => {
            let body = html! { p { (lang.pick(
                "この登録票は無効です。期限切れか使用済みか、別の端末のためのものです。",
                "This ticket opens nothing: it is used, expired, or for another terminal.",
            )) } };
            let page = page::page(&gateway, lang, title, None, &body);
            return (StatusCode::NOT_FOUND, page).into_response();
        }
        _ => return super::guard::unavailable(&gateway, lang),
    };
    let begin = format!("/enrol/{ticket}/begin");
    let finish = format!("/enrol/{ticket}/finish");
    let body = html! {
        p { (lang.pick("登録する人: ", "Enrolling: ")) strong { (person) } }
        p { (lang.pick(
            "手元のトークンに表示されているコードを入力し、認証器を登録してください。以前の認証器とトークンは使えなくなります。",
            "Type the code that your token shows, then register your authenticator. Earlier ones stop working.",
        )) }
        form data-ceremony="create" data-begin=(begin) data-finish=(finish)
            data-waiting=(lang.pick("認証器の操作を待っています…", "Waiting for your authenticator…"))
            data-cancelled=(lang.pick("認証器の操作が取り消されたか、時間切れです。", "The authenticator was cancelled or timed out.")) {
            label {
                (lang.pick("トークンのコード（6 桁）", "Token code (6 digits)"))
                input.code name="token_code" required maxlength="16" inputmode="numeric" autocomplete="one-time-code";
            }
            button type="submit" { (lang.pick("認証器を登録する", "Register the authenticator")) }
            p role="status" aria-live="polite" {}
        }
    };
    page::page(&gateway, lang, title, at.browser.as_ref(), &body).into_response()
}

pub(crate) async fn begin(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    Path(ticket): Path<String>,
) -> Response {
    if !gateway.rate.allows(&at.terminal.terminal) {
        return Told::Busy.answer(at.lang);
    }
    let terminal = at.terminal.clone();
    let options = gateway
        .check(move |signin| signin.begin_enrolment(&ticket, &terminal, Timestamp::now()))
        .await;
    match options {
        Ok(Ok(options)) => Json(options).into_response(),
        Ok(Err(error)) => problem(&gateway, &at, error).await,
        Err(_) => Told::Unavailable.answer(at.lang),
    }
}

pub(crate) async fn finish(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
    Path(ticket): Path<String>,
    body: Result<Json<Finish>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return Told::Malformed.answer(at.lang);
    };
    if !gateway.rate.allows(&at.terminal.terminal) {
        return Told::Busy.answer(at.lang);
    }
    let terminal = at.terminal.clone();
    let checked = gateway
        .check(move |signin| {
            signin.check_enrolment(
                &ticket,
                &terminal,
                &body.credential,
                &body.token_code,
                Timestamp::now(),
            )
        })
        .await;
    let enrolment = match checked {
        Ok(Ok(enrolment)) => enrolment,
        Ok(Err(error)) => return problem(&gateway, &at, error).await,
        Err(_) => return Told::Unavailable.answer(at.lang),
    };
    // Record before effect: a credential that the ledger doesn't know opens nothing.
    let events = [
        (Factor::Biometric, enrolment.model().to_owned()),
        (Factor::Token, TOKEN_MODEL.to_owned()),
    ];
    for (factor, model) in events {
        let event = Event::CredentialEnrolled {
            person: enrolment.person().clone(),
            factor,
            model,
            by: enrolment.made_by().clone(),
        };
        if let Err(error) = gateway.record(event).await {
            tracing::error!(error = %Chain(&error), "enrolment not recorded, so not made");
            return Told::Unavailable.answer(at.lang);
        }
    }
    let stored = gateway
        .check(move |signin| signin.store_enrolment(enrolment))
        .await;
    match stored {
        Ok(Ok(())) => Json(Done {
            message: at.lang.pick(
                "登録しました。次のコードからサインインに使えます。",
                "Enrolled. Sign in with the next code that your token shows.",
            ),
            next: None,
        })
        .into_response(),
        Ok(Err(error)) => problem(&gateway, &at, error).await,
        Err(_) => Told::Unavailable.answer(at.lang),
    }
}

async fn problem(gateway: &Gateway, at: &At, error: EnrolmentError) -> Response {
    match error {
        EnrolmentError::NoTicket => Told::NoTicket.answer(at.lang),
        EnrolmentError::Busy => Told::Busy.answer(at.lang),
        EnrolmentError::Storage(error) => {
            tracing::error!(error = %Chain(&error), "sign-in state failed");
            Told::Unavailable.answer(at.lang)
        }
        EnrolmentError::Refused { person, reason } => {
            let refused = kekkai_signin::Refused {
                person: Some(person),
                reason,
                failures: 0,
                locked_now: false,
            };
            gateway
                .record_refusal(&refused, Some(&at.terminal.terminal), &at.address)
                .await;
            Told::Refused.answer(at.lang)
        }
    }
}
