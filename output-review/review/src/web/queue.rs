//! `/review/`: what waits, what the visitor has voted on, what is decided.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kekkai_policy_api::{Action, Resource};
use kekkai_types::Lang;
use maud::{Markup, html};

use super::fault::Fault;
use super::layout::{self, Part, when};
use super::text::{self, T};
use super::tool;
use super::visitor::Visitor;
use crate::model::Listed;
use crate::review::Review;
use crate::store::OUTPUTS_WAITING_MAX;
use crate::tool::{ListedTool, takes_votes};

/// Decided outputs that the queue still shows.
const DECIDED_SHOWN_MAX: u32 = 50;

pub(super) async fn show(State(review): State<Arc<Review>>, visitor: Visitor) -> Response {
    match body(&review, &visitor).await {
        Ok(body) => {
            let title = text::QUEUE_TITLE.get(visitor.lang);
            layout::page(&visitor, Part::Review, StatusCode::OK, title, &body)
        }
        Err(fault) => fault.page(&visitor, Part::Review),
    }
}

async fn body(review: &Review, visitor: &Visitor) -> Result<Markup, Fault> {
    review
        .policy()
        .allow(&visitor.actor, Action::SeeQueue, Resource::Queue)
        .await?;
    let (open, decided, tools) = review
        .store()
        .run(|store| {
            Ok((
                store.list(true, OUTPUTS_WAITING_MAX)?,
                store.list(false, DECIDED_SHOWN_MAX)?,
                store.tools(None)?,
            ))
        })
        .await?;
    let lang = visitor.lang;
    let me = &visitor.actor.person;
    let (own, others): (Vec<&Listed>, Vec<&Listed>) = open
        .outputs
        .iter()
        .partition(|listed| listed.head.author == *me);
    let (voted, waiting): (Vec<&Listed>, Vec<&Listed>) = others
        .into_iter()
        .partition(|listed| listed.vote_of(me).is_some());
    let decided_outputs: Vec<&Listed> = decided.outputs.iter().collect();
    let altered: Vec<&String> = open
        .altered
        .iter()
        .chain(&decided.altered)
        .chain(&tools.altered)
        .collect();
    let (tools_waiting, tools_decided): (Vec<&ListedTool>, Vec<&ListedTool>) = tools
        .tools
        .iter()
        .partition(|listed| takes_votes(listed.state));
    Ok(html! {
        p.lead { (text::QUEUE_LEAD.get(lang)) }
        @if !altered.is_empty() {
            div.notice.bad role="alert" {
                p { (text::ALTERED_ROWS.get(lang)) }
                ul { @for id in altered { li { code { (id) } } } }
            }
        }
        (section(lang, text::QUEUE_WAITING, &waiting, true))
        (section(lang, text::QUEUE_VOTED, &voted, true))
        @if !own.is_empty() { (section(lang, text::QUEUE_OWN, &own, false)) }
        (tool::section(lang, text::TOOLS_WAITING, &tools_waiting, me))
        (section(lang, text::QUEUE_DECIDED, &decided_outputs, true))
        (tool::section(lang, text::TOOLS_DECIDED, &tools_decided, me))
    })
}

fn section(lang: Lang, title: T, outputs: &[&Listed], linked: bool) -> Markup {
    html! {
        section {
            h2 { (title.get(lang)) span.count { (outputs.len()) } }
            @if outputs.is_empty() {
                p.empty { (text::NONE.get(lang)) }
            } @else {
                div.scroll tabindex="0" {
                    table.list {
                        thead { tr {
                            @for column in [text::COL_TITLE, text::COL_AGREEMENT, text::COL_AUTHOR, text::COL_SUBMITTED, text::COL_CHECKS, text::COL_STATE] {
                                th scope="col" { (column.get(lang)) }
                            }
                        } }
                        tbody { @for listed in outputs { (row(lang, listed, linked)) } }
                    }
                }
            }
        }
    }
}

fn row(lang: Lang, listed: &Listed, linked: bool) -> Markup {
    let head = &listed.head;
    html! {
        tr {
            th scope="row" {
                @if linked {
                    a href={ "/review/output/" (head.output) } { (head.title) }
                } @else {
                    (head.title)
                }
            }
            td { (head.agreement) }
            td { (head.author) }
            td { (when(head.submitted, lang)) }
            td { (verdict_badge(lang, head.report.verdict)) }
            td { (state_badge(lang, listed)) }
        }
    }
}

pub(super) fn verdict_badge(lang: Lang, verdict: kekkai_checks::Verdict) -> Markup {
    let class = match verdict {
        kekkai_checks::Verdict::Pass => "badge good",
        kekkai_checks::Verdict::Review => "badge warn",
        kekkai_checks::Verdict::Fail => "badge bad",
    };
    html! { span class=(class) { (text::verdict(verdict).get(lang)) } }
}

pub(super) fn state_badge(lang: Lang, listed: &Listed) -> Markup {
    use kekkai_review_api::OutputState as S;
    let class = match listed.state {
        S::Waiting | S::HalfVoted => "badge",
        S::Released => "badge good",
        S::Returned => "badge warn",
        S::Rejected | S::FailedChecks => "badge bad",
    };
    html! { span class=(class) { (text::state(listed.state).get(lang)) } }
}
