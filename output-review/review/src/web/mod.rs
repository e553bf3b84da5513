//! Pages: server-rendered, without scripts. The gateway forwards them and says who looks.

mod fault;
mod layout;
mod output;
mod poll;
mod program;
mod queue;
mod release;
mod table;
mod text;
mod tool;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::review::Review;
use layout::Part;
use visitor::{FromGateway, Visitor};

/// The largest form, in bytes: a comment of 2,000 characters, percent-encoded, and three ids.
const FORM_MAX: usize = 32 * 1024;

/// The pages of the service.
pub(crate) fn router(review: Arc<Review>) -> Router {
    Router::new()
        .route(
            "/review",
            get(|| async { Redirect::permanent(Part::Review.home()) }),
        )
        .route(
            "/release",
            get(|| async { Redirect::permanent(Part::Release.home()) }),
        )
        .route(Part::Review.home(), get(queue::show))
        .route(Part::Review.style(), get(style))
        .route("/review/output/{id}", get(output::show))
        .route(
            "/review/output/{id}/vote",
            post(output::vote).layer(DefaultBodyLimit::max(FORM_MAX)),
        )
        .route("/review/tool/{id}", get(tool::show))
        .route(
            "/review/tool/{id}/vote",
            post(tool::vote).layer(DefaultBodyLimit::max(FORM_MAX)),
        )
        .route("/review/{*rest}", get(no_review_page))
        .route(Part::Release.home(), get(release::list))
        .route(Part::Release.style(), get(style))
        .route("/release/{id}/bundle", get(release::bundle))
        .route("/release/{id}", get(no_release_page))
        .with_state(review)
}

async fn style(_: FromGateway) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    let mut response = layout::guard((headers, include_str!("style.css")).into_response());
    // The same for everybody: may be kept by the browser.
    let hour = header::HeaderValue::from_static("private, max-age=3600");
    response.headers_mut().insert(header::CACHE_CONTROL, hour);
    response
}

async fn no_review_page(visitor: Visitor) -> Response {
    layout::error(
        &visitor,
        Part::Review,
        StatusCode::NOT_FOUND,
        text::E_NOT_FOUND,
    )
}

async fn no_release_page(visitor: Visitor) -> Response {
    layout::error(
        &visitor,
        Part::Release,
        StatusCode::NOT_FOUND,
        text::E_NOT_FOUND,
    )
}
