//! `/`: where to go.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::guard::At;
use super::page;
use crate::gateway::Gateway;

pub(crate) async fn page(
    State(gateway): State<Arc<Gateway>>,
    Extension(at): Extension<At>,
) -> Response {
    let Some(browser) = &at.browser else {
        return Redirect::to("/sign-in").into_response();
    };
    let lang = at.lang;
    let title = lang.pick("ビジティング環境", "Visiting environment");
    let body = html! {
        ul {
            li { a href="/desktop" { (lang.pick("デスクトップ（取扱者）", "Desktop (researchers)")) } }
            li { a href="/approve" { (lang.pick("SSH 接続の承認", "Approve an SSH connection")) } }
            li { a href="/review/" { (lang.pick("成果物の審査（審査担当者）", "Review outputs (reviewers)")) } }
            li { a href="/release/" { (lang.pick("持出し許可された成果物（研究開発責任者）", "Released outputs (principal investigators)")) } }
            li { a href="/watch" { (lang.pick("利用中のデスクトップ（運用担当者）", "Running desktops (operators)")) } }
        }
    };
    page::page(&gateway, lang, title, Some(browser), &body).into_response()
}
