//! The frame of every page, and the answers that scripts get.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kekkai_types::Lang;
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;

use super::browser::Browser;
use crate::gateway::{Closed, Gateway};

/// A whole page.
pub(crate) fn page(
    gateway: &Gateway,
    lang: Lang,
    title: &str,
    browser: Option<&Browser>,
    body: &Markup,
) -> Markup {
    let other = match lang {
        Lang::Ja => ("en", "English"),
        Lang::En => ("ja", "日本語"),
    };
    html! {
        (DOCTYPE)
        html lang=(lang.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Kekkai" }
                link rel="stylesheet" href="/static/kekkai.css";
                script type="module" src="/static/kekkai.js" {}
            }
            body {
                @if gateway.config.demo {
                    p #demo role="alert" { (lang.pick(
                        "デモ環境です。認証器と TPM は模擬であり、本人確認やハードウェアによる信頼の効力はありません。",
                        "Demonstration: authenticators and TPM are emulated. They prove nobody's identity and give no hardware trust.",
                    )) }
                }
                header {
                    a.name href="/" { (lang.pick("結界", "Kekkai")) }
                    nav {
                        @if let Some(browser) = browser {
                            span #person { (browser.name) }
                            form method="post" action="/sign-out" {
                                button type="submit" { (lang.pick("サインアウト", "Sign out")) }
                            }
                        }
                        a href={ "?lang=" (other.0) } hreflang=(other.0) { (other.1) }
                    }
                }
                main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

/// Why a script's request went wrong: a stable code, and a text for the person.
#[derive(Serialize)]
struct Problem {
    error: &'static str,
    message: &'static str,
}

/// What a person is told, which is less than the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Refused,
    NoTicket,
    Busy,
    Unavailable,
    Malformed,
}

impl Told {
    pub(crate) fn answer(self, lang: Lang) -> Response {
        let (status, error, ja, en) = match self {
            Self::Refused => (
                StatusCode::FORBIDDEN,
                "refused",
                "認められませんでした。氏名 ID、接続コード、認証器、トークンのコードを確かめてやり直してください。繰り返し失敗するとロックされ、解除には運用担当者への連絡が必要です。",
                "Refused. Check the name, the connection code, the authenticator and the token's code, and begin again. After repeated failures an account is locked until the operator unlocks it.",
            ),
            Self::NoTicket => (
                StatusCode::NOT_FOUND,
                "no-ticket",
                "この登録票は無効です。期限切れか使用済みか、別の端末のためのものです。運用担当者に再発行を依頼してください。",
                "This ticket opens nothing: it is used, expired, or for another terminal. Ask the operator for a new one.",
            ),
            Self::Busy => (
                StatusCode::TOO_MANY_REQUESTS,
                "busy",
                "要求が多すぎます。1 分ほど待ってからやり直してください。",
                "Too many requests. Wait a minute and begin again.",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "必要なサービスが応答しません。しばらくしてからやり直してください。",
                "A service that must answer does not. Try again later.",
            ),
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "malformed",
                "要求の形式が正しくありません。ページを読み込み直してください。",
                "The request is malformed. Load the page again.",
            ),
        };
        let message = lang.pick(ja, en);
        (status, Json(Problem { error, message })).into_response()
    }
}

impl From<&Closed> for Told {
    fn from(closed: &Closed) -> Self {
        match closed {
            Closed::Refused => Self::Refused,
            Closed::Busy => Self::Busy,
            Closed::Unavailable(_) | Closed::Storage(_) => Self::Unavailable,
        }
    }
}
