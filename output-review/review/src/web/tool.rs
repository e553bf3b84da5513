//! `/review/tool/ID`: a request to bring a tool in, and the vote on it.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use kekkai_policy_api::Action;
use kekkai_types::{Digest, Lang, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::fault::Fault;
use super::layout::{self, Part, when};
use super::poll::{self, Choice, Poll};
use super::text::{self, T};
use super::visitor::Visitor;
use crate::review::{Review, ToolBallot, tool_resource};
use crate::tool::{ListedTool, takes_votes};

/// The vote form. `csrf` is checked by the gateway before it forwards.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VoteForm {
    #[allow(
        dead_code,
        reason = "the gateway has checked it; here it only may be there"
    )]
    csrf: String,
    digest: Digest,
    vote: Choice,
    #[serde(default)]
    comment: String,
}

pub(super) async fn show(
    State(review): State<Arc<Review>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Response {
    match body(&review, &visitor, &id).await {
        Ok((title, body)) => layout::page(&visitor, Part::Review, StatusCode::OK, &title, &body),
        Err(fault) => fault.page(&visitor, Part::Review),
    }
}

async fn body(review: &Review, visitor: &Visitor, id: &str) -> Result<(String, Markup), Fault> {
    let id: Digest = id.parse().map_err(|_| Fault::NOT_FOUND)?;
    let listed = review
        .store()
        .run(move |store| store.find_tool(&id))
        .await?
        .ok_or(Fault::NOT_FOUND)?;
    review
        .policy()
        .allow(
            &visitor.actor,
            Action::SeeQueue,
            tool_resource(&listed.head),
        )
        .await?;
    let title = listed.head.manifest.name.to_string();
    Ok((title, render(visitor, &listed)))
}

pub(super) async fn vote(
    State(review): State<Arc<Review>>,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<VoteForm>, FormRejection>,
) -> Response {
    let (Ok(request), Ok(Form(form))) = (id.parse::<Digest>(), form) else {
        return Fault::FORM.page(&visitor, Part::Review);
    };
    let ballot = ToolBallot {
        request,
        shown: form.digest,
        accept: form.vote == Choice::Accept,
        comment: form.comment,
    };
    match review
        .vote_on_tool(&visitor.actor, ballot, Timestamp::now())
        .await
    {
        Ok(_) => {
            let back = format!("/review/tool/{request}");
            layout::guard(Redirect::to(&back).into_response())
        }
        Err(error) => Fault::from(error).page(&visitor, Part::Review),
    }
}

fn render(visitor: &Visitor, listed: &ListedTool) -> Markup {
    let lang = visitor.lang;
    let head = &listed.head;
    let manifest = &head.manifest;
    html! {
        p.badges {
            span {
                span.label { (text::COL_STATE.get(lang)) }
                (badge(lang, listed))
            }
            a href="#vote" { (text::TO_VOTE.get(lang)) }
        }
        dl.facts {
            dt { (text::TOOL_DESCRIPTION.get(lang)) } dd { (manifest.description) }
            dt { (text::TOOL_VERSION.get(lang)) } dd { (head.version) }
            dt { (text::COL_AUTHOR.get(lang)) } dd { (manifest.author) }
            dt { (text::COL_AGREEMENT.get(lang)) } dd { (manifest.agreement) }
            dt { (text::COL_SUBMITTED.get(lang)) } dd { (when(head.submitted, lang)) }
            dt { (text::COL_SIGNER.get(lang)) } dd { code.digest { (head.fingerprint) } }
            dt { (text::TOOL_TERMINAL.get(lang)) } dd { (head.terminal) }
            dt { (text::TOOL_BY.get(lang)) } dd { (head.by) }
            dt { (text::COL_SIZE.get(lang)) } dd { (manifest.component_bytes) }
            dt { (text::TOOL_DIGEST.get(lang)) } dd { code.digest { (manifest.component_sha256) } }
            dt { (text::TOOL_REQUEST.get(lang)) } dd { code.digest { (manifest.digest()) } }
        }
        section {
            h2 { (text::TOOL_IMPORTS.get(lang)) span.count { (head.imports.len()) } }
            p.note { (text::TOOL_IMPORTS_LEAD.get(lang)) }
            ul { @for import in &head.imports { li { code { (import) } } } }
        }
        section {
            h2 { (text::TOOL_SBOM.get(lang)) span.count { (head.parts.len()) } }
            p.note { (text::TOOL_SBOM_LEAD.get(lang)) }
            @if head.parts.is_empty() {
                p.notice.warn { (text::TOOL_SBOM_EMPTY.get(lang)) }
            } @else {
                (parts(lang, listed))
            }
        }
        section {
            h2 { (text::TOOL_SIGNED_TEXT.get(lang)) }
            pre tabindex="0" { code { (manifest.signed_text()) } }
        }
        (poll::show(visitor, &Poll {
            author: &manifest.author,
            votes: &listed.votes,
            is_over: !takes_votes(listed.state),
            action: format!("/review/tool/{}/vote", manifest.digest()),
            hidden: vec![("digest", manifest.digest().to_string())],
            texts: &poll::TOOL,
        }))
    }
}

fn parts(lang: Lang, listed: &ListedTool) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.list {
                thead { tr {
                    @for column in [text::NAME, text::TOOL_VERSION, text::PURL] {
                        th scope="col" { (column.get(lang)) }
                    }
                } }
                tbody {
                    @for part in &listed.head.parts {
                        tr {
                            th scope="row" { (part.name) }
                            td { (part.version) }
                            td { code { (part.purl) } }
                        }
                    }
                }
            }
        }
    }
}

/// A list of tools, for the queue.
pub(super) fn section(
    lang: Lang,
    title: T,
    tools: &[&ListedTool],
    me: &kekkai_types::PersonId,
) -> Markup {
    html! {
        section {
            h2 { (title.get(lang)) span.count { (tools.len()) } }
            @if tools.is_empty() {
                p.empty { (text::NONE.get(lang)) }
            } @else {
                div.scroll tabindex="0" {
                    table.list {
                        thead { tr {
                            @for column in [text::COL_TOOL, text::COL_AGREEMENT, text::COL_AUTHOR, text::COL_SUBMITTED, text::COL_STATE] {
                                th scope="col" { (column.get(lang)) }
                            }
                        } }
                        tbody { @for listed in tools { (row(lang, listed, me)) } }
                    }
                }
            }
        }
    }
}

fn row(lang: Lang, listed: &ListedTool, me: &kekkai_types::PersonId) -> Markup {
    let manifest = &listed.head.manifest;
    html! {
        tr {
            th scope="row" {
                @if manifest.author == *me {
                    (manifest.name)
                } @else {
                    a href={ "/review/tool/" (manifest.digest()) } { (manifest.name) }
                }
            }
            td { (manifest.agreement) }
            td { (manifest.author) }
            td { (when(listed.head.submitted, lang)) }
            td { (badge(lang, listed)) }
        }
    }
}

fn badge(lang: Lang, listed: &ListedTool) -> Markup {
    use kekkai_review_api::ToolState as S;
    let class = match listed.state {
        S::Waiting | S::HalfVoted => "badge",
        S::Admitted => "badge good",
        S::Replaced | S::Withdrawn => "badge warn",
        S::Rejected => "badge bad",
    };
    html! { span class=(class) { (text::tool_state(listed.state).get(lang)) } }
}
