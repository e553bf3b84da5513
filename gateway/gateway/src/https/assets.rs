//! The static files.

use axum::http::header;
use axum::response::IntoResponse;

pub(crate) async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("../../assets/kekkai.js"),
    )
}

pub(crate) async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
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
