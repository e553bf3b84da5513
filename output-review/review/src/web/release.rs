//! `/release/`: what was released, for those who answer for the project.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kekkai_review_api::OutputState;
use kekkai_types::{Lang, OutputId};
use maud::{Markup, html};

use super::fault::Fault;
use super::layout::{self, Part, when};
use super::queue::state_badge;
use super::text;
use super::visitor::Visitor;
use crate::listing;
use crate::model::Listed;
use crate::review::Review;

pub(super) async fn list(State(review): State<Arc<Review>>, visitor: Visitor) -> Response {
    match body(&review, &visitor).await {
        Ok(body) => {
            let title = text::RELEASES_TITLE.get(visitor.lang);
            layout::page(&visitor, Part::Release, StatusCode::OK, title, &body)
        }
        Err(fault) => fault.page(&visitor, Part::Release),
    }
}

async fn body(review: &Review, visitor: &Visitor) -> Result<Markup, Fault> {
    let visible = listing::visible_to(review, &visitor.actor).await?;
    let lang = visitor.lang;
    let projects: BTreeSet<_> = visible
        .outputs
        .iter()
        .map(|listed| &listed.head.agreement)
        .collect();
    Ok(html! {
        p.lead { (text::RELEASES_LEAD.get(lang)) }
        p.note { (text::VERIFY_HINT.get(lang)) }
        @if projects.is_empty() { p.empty { (text::NONE.get(lang)) } }
        @for project in projects {
            section {
                h2 { (text::COL_AGREEMENT.get(lang)) ": " (project) }
                div.scroll tabindex="0" {
                    table.list {
                        thead { tr {
                            @for column in [text::COL_TITLE, text::COL_AUTHOR, text::COL_SUBMITTED, text::COL_STATE, text::COMMENTS, text::COL_BUNDLE] {
                                th scope="col" { (column.get(lang)) }
                            }
                        } }
                        tbody {
                            @for listed in visible.outputs.iter().filter(|l| l.head.agreement == *project) {
                                (row(lang, listed, visible.answers_for.contains(project)))
                            }
                        }
                    }
                }
            }
        }
    })
}

fn row(lang: Lang, listed: &Listed, may_fetch: bool) -> Markup {
    let head = &listed.head;
    html! {
        tr {
            th scope="row" { (listing::title(listed)) }
            td { (head.author) }
            td { (when(head.submitted, lang)) }
            td { (state_badge(lang, listed)) }
            td.prose {
                @for comment in listing::comments(listed, lang) { p { (comment) } }
            }
            td {
                @if listed.state == OutputState::Released && may_fetch {
                    a.button href={ "/release/" (head.output) "/bundle" } { (text::FETCH.get(lang)) }
                }
            }
        }
    }
}

pub(super) async fn bundle(
    State(review): State<Arc<Review>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Response {
    let Ok(output) = OutputId::new(id) else {
        return Fault::NOT_FOUND.page(&visitor, Part::Release);
    };
    match review.fetch(&visitor.actor, &output).await {
        Ok(bytes) => {
            // An id's alphabet leaves nothing to escape.
            let name = format!("attachment; filename=\"{output}.kekkai-release.json\"");
            let headers = [
                (header::CONTENT_TYPE, "application/json".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            layout::guard((headers, bytes).into_response())
        }
        Err(error) => Fault::from(error).page(&visitor, Part::Release),
    }
}
