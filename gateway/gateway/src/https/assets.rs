//! The static files.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// A desktop's page is these files and the shell in `desktop.rs`: name, kind, contents.
const DESKTOP: [(&str, &str, &str); 6] = [
    ("main.js", JAVASCRIPT, include_str!("../../web/main.js")),
    ("frames.js", JAVASCRIPT, include_str!("../../web/frames.js")),
    ("input.js", JAVASCRIPT, include_str!("../../web/input.js")),
    ("signin.js", JAVASCRIPT, include_str!("../../web/signin.js")),
    ("words.js", JAVASCRIPT, include_str!("../../web/words.js")),
    ("desktop.css", CSS, include_str!("../../web/desktop.css")),
];

pub(crate) async fn desktop(Path(name): Path<String>) -> Response {
    match DESKTOP.into_iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(crate) async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, JAVASCRIPT)],
        include_str!("../../assets/kekkai.js"),
    )
}

pub(crate) async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, CSS)],
        include_str!("../../assets/kekkai.css"),
    )
}

/// Browsers ask for it unasked, at every page: without one their consoles fill with errors.
pub(crate) async fn icon() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "image/svg+xml")],
        include_str!("../../assets/kekkai.svg"),
    )
}
