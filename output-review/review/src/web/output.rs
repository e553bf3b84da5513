//! `/review/output/ID`: everything that a reviewer needs, and the vote.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use kekkai_checks::Finding;
use kekkai_output::{Content, Lineage, OutputDigest};
use kekkai_policy_api::Action;
use kekkai_types::{Lang, OutputId, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::fault::Fault;
use super::layout::{self, Part, when};
use super::poll::{self, Choice, Poll};
use super::program;
use super::queue::{state_badge, verdict_badge};
use super::table::{self, View};
use super::text;
use super::visitor::Visitor;
use crate::model::{Head, Listed, Stored};
use crate::review::{Ballot, Review, resource};
use crate::state::takes_votes;

#[derive(Debug, Deserialize)]
pub(super) struct ViewQuery {
    page: Option<usize>,
    counts: Option<u8>,
}

/// The vote form. `csrf` is checked by the gateway before it forwards.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VoteForm {
    #[allow(
        dead_code,
        reason = "the gateway has checked it; here it only may be there"
    )]
    csrf: String,
    digest: OutputDigest,
    round: u32,
    vote: Choice,
    #[serde(default)]
    comment: String,
}

pub(super) async fn show(
    State(review): State<Arc<Review>>,
    visitor: Visitor,
    Path(id): Path<String>,
    query: Result<Query<ViewQuery>, QueryRejection>,
) -> Response {
    let (page, counts) = query.map_or((1, false), |Query(query)| {
        (query.page.unwrap_or(1), query.counts == Some(1))
    });
    match body(&review, &visitor, id, View { page, counts }).await {
        Ok((title, body)) => layout::page(&visitor, Part::Review, StatusCode::OK, &title, &body),
        Err(fault) => fault.page(&visitor, Part::Review),
    }
}

async fn body(
    review: &Review,
    visitor: &Visitor,
    id: String,
    view: View,
) -> Result<(String, Markup), Fault> {
    let output = OutputId::new(id).map_err(|_| Fault::NOT_FOUND)?;
    let stored = review
        .store()
        .run(move |store| store.load(&output))
        .await?
        .ok_or(Fault::NOT_FOUND)?;
    let head = &stored.listed.head;
    // Authors who are staff learn where their output stands at their own desk, not here.
    review
        .policy()
        .allow(&visitor.actor, Action::SeeQueue, resource(head))
        .await?;
    let title = head.title.clone();
    let neighbours = neighbours(review, head).await?;
    Ok((title, render(visitor, &stored, &neighbours, view)))
}

/// The outputs before and after this one, where it is one of several attempts.
#[derive(Default)]
struct Neighbours {
    before: Option<Listed>,
    after: Option<OutputId>,
}

async fn neighbours(review: &Review, head: &Head) -> Result<Neighbours, Fault> {
    let (output, replaces) = (head.output.clone(), head.replaces.clone());
    let found = review
        .store()
        .run(move |store| {
            let before = match &replaces {
                Some(replaced) => store.find(replaced)?,
                None => None,
            };
            let after = store.replacement(&output)?.map(|listed| listed.head.output);
            Ok(Neighbours { before, after })
        })
        .await?;
    Ok(found)
}

pub(super) async fn vote(
    State(review): State<Arc<Review>>,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<VoteForm>, FormRejection>,
) -> Response {
    let (Ok(output), Ok(Form(form))) = (OutputId::new(id), form) else {
        return Fault::FORM.page(&visitor, Part::Review);
    };
    let back = format!("/review/output/{output}");
    let ballot = Ballot {
        output,
        digest: form.digest,
        round: form.round,
        accept: form.vote == Choice::Accept,
        comment: form.comment,
    };
    match review.vote(&visitor.actor, ballot, Timestamp::now()).await {
        Ok(_) => layout::guard(Redirect::to(&back).into_response()),
        Err(error) => Fault::from(error).page(&visitor, Part::Review),
    }
}

fn render(visitor: &Visitor, stored: &Stored, neighbours: &Neighbours, view: View) -> Markup {
    let lang = visitor.lang;
    let listed = &stored.listed;
    html! {
        (summary(lang, listed, neighbours))
        (findings(lang, listed))
        @match &stored.content {
            Content::Table(table) => {
                (table::show(lang, table, &listed.head.report, view))
                (lineage(lang, stored, &table.lineage))
            }
            Content::Program(output) => {
                (program::body(lang, &output.body, &listed.head.report, view))
                (program::lineage(lang, &listed.head, &output.lineage))
            }
        }
        (poll::show(visitor, &Poll {
            author: &listed.head.author,
            votes: &listed.votes,
            is_over: !takes_votes(listed.state),
            action: format!("/review/output/{}/vote", listed.head.output),
            hidden: vec![
                ("digest", listed.head.digest.0.to_string()),
                ("round", listed.round.to_string()),
            ],
            texts: &poll::OUTPUT,
        }))
    }
}

fn summary(lang: Lang, listed: &Listed, neighbours: &Neighbours) -> Markup {
    let head = &listed.head;
    html! {
        p.badges {
            span {
                span.label { (text::COL_STATE.get(lang)) }
                (state_badge(lang, listed))
            }
            span {
                span.label { (text::COL_CHECKS.get(lang)) }
                (verdict_badge(lang, head.report.verdict))
            }
            a href="#vote" { (text::TO_VOTE.get(lang)) }
        }
        dl.facts {
            dt { (text::COL_AUTHOR.get(lang)) } dd { (head.author) }
            dt { (text::COL_AGREEMENT.get(lang)) } dd { (head.agreement) }
            dt { (text::COL_SUBMITTED.get(lang)) } dd { (when(head.submitted, lang)) }
            dt { (text::OUTPUT_ID.get(lang)) } dd { code { (head.output) } }
            dt { (text::DIGEST.get(lang)) } dd { code.digest { (head.digest.0) } }
            dt { (text::ROUND.get(lang)) } dd { (listed.round) }
            @if let Some(after) = &neighbours.after {
                dt { (text::REPLACED_BY.get(lang)) }
                dd { a href={ "/review/output/" (after) } { code { (after) } } }
            }
        }
        section {
            h2 { (text::PURPOSE.get(lang)) }
            p.prose { (head.purpose) }
        }
        @if !head.method.is_empty() {
            section {
                h2 { (text::HOW_MADE.get(lang)) }
                p.prose { (head.method) }
            }
        }
        @if let Some(before) = &neighbours.before { (earlier(lang, before)) }
    }
}

/// What became of the output that this one is in place of, and what reviewers wrote then.
fn earlier(lang: Lang, before: &Listed) -> Markup {
    let output = &before.head.output;
    html! {
        section #earlier {
            h2 { (text::REPLACES.get(lang)) }
            p {
                a href={ "/review/output/" (output) } { (before.head.title) }
                " " code { (output) } " "
                (state_badge(lang, before))
            }
            @for vote in before.votes.iter().filter(|vote| !vote.comment.is_empty()) {
                p.note { (vote.reviewer) " (" (when(vote.at, lang)) ")" }
                p.prose { (vote.comment) }
            }
        }
    }
}

fn findings(lang: Lang, listed: &Listed) -> Markup {
    let report = &listed.head.report;
    html! {
        section {
            h2 { (text::FINDINGS.get(lang)) span.count { (report.findings.len()) } }
            p.note {
                (text::PROFILE.get(lang)) ": " (report.profile.title(lang))
                " v" (report.profile_version) " "
                code.digest { (report.profile_hash) }
            }
            @if report.findings.is_empty() {
                p.notice.good { (text::NO_FINDINGS.get(lang)) }
            } @else {
                div.scroll tabindex="0" {
                    table.list {
                        thead { tr {
                            @for column in [text::SEVERITY, text::RULE, text::PLACE, text::DETAIL] {
                                th scope="col" { (column.get(lang)) }
                            }
                        } }
                        tbody { @for finding in &report.findings { (finding_row(lang, finding)) } }
                    }
                }
            }
        }
    }
}

fn finding_row(lang: Lang, finding: &Finding) -> Markup {
    html! {
        tr {
            td { (verdict_badge(lang, finding.verdict)) }
            th scope="row" { (finding.rule.title(lang)) }
            td { (finding.place.describe(lang)) }
            td.prose { (finding.text.get(lang)) }
        }
    }
}

fn lineage(lang: Lang, stored: &Stored, lineage: &Lineage) -> Markup {
    let head = &stored.listed.head;
    html! {
        section {
            h2 { (text::LINEAGE.get(lang)) }
            h3 { (text::SQL.get(lang)) }
            pre tabindex="0" { code { (lineage.sql) } }
            dl.facts {
                dt { (text::DATASETS.get(lang)) }
                dd {
                    @for (dataset, version) in &lineage.datasets {
                        span.item { (dataset) " v" (version) }
                    }
                }
                dt { (text::ENGINE.get(lang)) } dd { (lineage.engine) }
                dt { (text::THRESHOLD.get(lang)) } dd { (lineage.threshold) }
                dt { (text::SERVER.get(lang)) } dd { (head.server) }
                dt { (text::SESSION.get(lang)) } dd { code { (head.session) } " / " (head.job) }
            }
        }
    }
}
