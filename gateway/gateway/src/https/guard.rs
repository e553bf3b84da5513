//! What every request passes: the terminal's certificate, the origin, the headers of the answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use kekkai_policy_api::{KnownTerminal, LookUpTerminal};
use kekkai_types::{Digest, Lang};
use maud::html;

use super::browser::{Browser, cookie};
use super::{Visitor, page};
use crate::gateway::{Chain, Gateway};

/// No origin but our own, nothing inline, nobody frames us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";
const LANG_COOKIE: &str = "__Host-kekkai-lang";

/// A request at a registered terminal.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) terminal: KnownTerminal,
    pub(crate) spki: Digest,
    pub(crate) address: String,
    pub(crate) lang: Lang,
    pub(crate) browser: Option<Browser>,
}

/// Lets a request through whose terminal is registered, not revoked, and shows its own key.
pub(crate) async fn terminal(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Response {
    let lang = lang(&request);
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Some((id, spki)) = visitor.certificate else {
        return explanation(&gateway, lang);
    };
    let known = match gateway.terminal(&LookUpTerminal::Id(id)).await {
        Ok(known) => known.filter(|known| known.certificate_spki == Some(spki)),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "terminal not looked up");
            return unavailable(&gateway, lang);
        }
    };
    let Some(terminal) = known else {
        return explanation(&gateway, lang);
    };
    if request.method() != Method::GET && !is_own_origin(&gateway, request.headers()) {
        return (StatusCode::FORBIDDEN, "another origin").into_response();
    }
    let browser = gateway
        .browsers
        .find(request.headers(), &terminal.terminal, &spki);
    let asked = asked_lang(&request);
    let at = At {
        lang: asked
            .or_else(|| kept_lang(request.headers()))
            .or_else(|| browser.as_ref().map(|b| b.lang))
            .unwrap_or(lang),
        terminal,
        spki,
        address: visitor.address,
        browser,
    };
    request.extensions_mut().insert(at);
    let mut response = next.run(request).await;
    if let Some(lang) = asked {
        let kept = format!(
            "{LANG_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict",
            lang.as_str()
        );
        if let Ok(value) = HeaderValue::try_from(kept) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// Sets the headers of every answer.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // Not "no-referrer": browsers then send `Origin: null` with our own forms.
    set(header::REFERRER_POLICY, "same-origin");
    set(
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=63072000; includeSubDomains",
    );
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), \
         microphone=(), display-capture=(), clipboard-read=(), clipboard-write=(), geolocation=(), \
         usb=(), serial=(), hid=(), midi=(), payment=(), local-fonts=(), \
         picture-in-picture=(), screen-wake-lock=(), fullscreen=(self)",
    );
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

pub(crate) async fn not_found(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(at): axum::Extension<At>,
) -> Response {
    let text = at
        .lang
        .pick("そのページはありません。", "There is no such page.");
    let body = html! { p { (text) } };
    let page = page::page(&gateway, at.lang, text, at.browser.as_ref(), &body);
    (StatusCode::NOT_FOUND, page).into_response()
}

/// Of the same page or nobody's: browsers send `Origin` with every request that isn't a GET.
pub(crate) fn is_own_origin(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.as_bytes() == gateway.config.origin().as_bytes(),
        _ => false,
    }
}

fn explanation(gateway: &Gateway, lang: Lang) -> Response {
    let title = lang.pick("登録端末が必要です", "A registered terminal is needed");
    let body = html! {
        p { (lang.pick(
            "このゲートウェイは、登録された端末の証明書を示すブラウザだけに応答します。",
            "This gateway answers only browsers that show the certificate of a registered terminal.",
        )) }
        p { (lang.pick(
            "端末の証明書が導入されていない、または失効している場合は、運用担当者に連絡してください。",
            "If this terminal's certificate is missing or revoked, ask the operator.",
        )) }
    };
    (
        StatusCode::FORBIDDEN,
        page::page(gateway, lang, title, None, &body),
    )
        .into_response()
}

pub(crate) fn unavailable(gateway: &Gateway, lang: Lang) -> Response {
    let title = lang.pick("応答がありません", "No answer");
    let body = html! {
        p { (lang.pick(
            "必要なサービスが応答しません。しばらくしてからやり直してください。",
            "A service that must answer does not. Try again later.",
        )) }
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        page::page(gateway, lang, title, None, &body),
    )
        .into_response()
}

fn asked_lang(request: &Request) -> Option<Lang> {
    request
        .uri()
        .query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix("lang="))?
        .parse()
        .ok()
}

fn kept_lang(headers: &HeaderMap) -> Option<Lang> {
    cookie(headers, LANG_COOKIE)?.parse().ok()
}

/// The first of the browser's languages that there is here.
fn lang(request: &Request) -> Lang {
    asked_lang(request)
        .or_else(|| {
            request
                .headers()
                .get(header::ACCEPT_LANGUAGE)?
                .to_str()
                .ok()?
                .split(',')
                .find_map(|lang| lang.trim().parse().ok())
        })
        .unwrap_or_default()
}
