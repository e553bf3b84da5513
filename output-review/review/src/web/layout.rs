//! What every page has: head, banner, navigation, and headers that leave a browser no room.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kekkai_types::Lang;
use maud::{DOCTYPE, Markup, html};

use super::text::{self, T};
use super::visitor::Visitor;

/// Which part of the service a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// For reviewers.
    Review,
    /// For principal investigators.
    Release,
}

impl Part {
    pub(super) const fn home(self) -> &'static str {
        match self {
            Self::Review => "/review/",
            Self::Release => "/release/",
        }
    }

    /// A person of one part may not be let through to the other by the gateway.
    pub(super) const fn style(self) -> &'static str {
        match self {
            Self::Review => "/review/style.css",
            Self::Release => "/release/style.css",
        }
    }

    const fn name(self) -> T {
        match self {
            Self::Review => text::NAV_QUEUE,
            Self::Release => text::NAV_RELEASES,
        }
    }
}

/// No script, no frame, no foreign resource; forms go back to where they come from.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// The headers of every answer.
pub(super) fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), clipboard-read=(), clipboard-write=(), display-capture=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A whole page.
pub(super) fn page(
    visitor: &Visitor,
    part: Part,
    status: StatusCode,
    title: &str,
    body: &Markup,
) -> Response {
    let lang = visitor.lang;
    let other = match lang {
        Lang::Ja => ("en", "English"),
        Lang::En => ("ja", "日本語"),
    };
    let markup = html! {
        (DOCTYPE)
        html lang=(lang.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - " (text::PRODUCT.get(lang)) }
                link rel="stylesheet" href=(part.style());
            }
            body {
                a.skip href="#content" { (text::SKIP.get(lang)) }
                @if visitor.demo {
                    p.demo role="note" { (text::DEMO.get(lang)) }
                }
                header.top {
                    // The gateway's own first page, where one signs out.
                    a.brand href="/" {
                        span.mark aria-hidden="true" { "結" }
                        span { (text::PRODUCT.get(lang)) }
                    }
                    nav { a href=(part.home()) { (part.name().get(lang)) } }
                    p.who { (text::SIGNED_IN.get(lang)) " " strong { (visitor.actor.person) } }
                    // The gateway reads it on any page and remembers.
                    a href={ "?lang=" (other.0) } hreflang=(other.0) lang=(other.0) { (other.1) }
                }
                main #content tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    guard((status, markup).into_response())
}

/// A page that says what did not work, and what to do.
pub(super) fn error(visitor: &Visitor, part: Part, status: StatusCode, what: T) -> Response {
    let lang = visitor.lang;
    let body = html! {
        div.notice.bad role="alert" { p { (what.get(lang)) } }
        p { a.button href=(part.home()) { (text::BACK.get(lang)) } }
    };
    page(visitor, part, status, text::ERROR_TITLE.get(lang), &body)
}

/// A date and time as people of the language read it, in Japan's time.
pub(super) fn when(at: kekkai_types::Timestamp, lang: Lang) -> String {
    let form = lang.pick("%Y年%-m月%-d日 %H:%M", "%Y-%m-%d %H:%M JST");
    at.in_japan().strftime(form).to_string()
}
