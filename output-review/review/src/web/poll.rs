//! The vote form, or what became of the votes: of an output, of a tool.

use kekkai_types::{Lang, PersonId};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::when;
use super::text::{self, T};
use super::visitor::Visitor;
use crate::model::Vote;
use crate::review::COMMENT_MAX;

/// What a form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Choice {
    Accept,
    Refuse,
}

/// Something that two reviewers vote on.
pub(super) struct Poll<'a> {
    /// May not vote.
    pub(super) author: &'a PersonId,
    /// So far, in their order.
    pub(super) votes: &'a [Vote],
    /// Nothing is left to decide.
    pub(super) is_over: bool,
    /// Where the form goes.
    pub(super) action: String,
    /// What the form sends back: what the page showed.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// How it is spoken of.
    pub(super) texts: &'static Texts,
}

/// How the thing voted on is spoken of.
pub(super) struct Texts {
    lead: T,
    accept_hint: T,
    own: T,
    decided: T,
}

/// An output.
pub(super) const OUTPUT: Texts = Texts {
    lead: text::VOTE_LEAD,
    accept_hint: text::ACCEPT_HINT,
    own: text::OWN_NOTE,
    decided: text::DECIDED_NOTE,
};

/// A tool.
pub(super) const TOOL: Texts = Texts {
    lead: text::TOOL_VOTE_LEAD,
    accept_hint: text::TOOL_ACCEPT_HINT,
    own: text::TOOL_OWN_NOTE,
    decided: text::TOOL_DECIDED_NOTE,
};

/// The vote form, or what became of the votes.
pub(super) fn show(visitor: &Visitor, poll: &Poll<'_>) -> Markup {
    let lang = visitor.lang;
    let me = &visitor.actor.person;
    let mine = poll.votes.iter().find(|vote| vote.reviewer == *me);
    html! {
        section #vote {
            @if poll.is_over {
                h2 { (text::VOTES.get(lang)) }
                p.notice { (poll.texts.decided.get(lang)) }
                @if !poll.votes.is_empty() { (votes(lang, poll.votes)) }
            } @else if me == poll.author {
                h2 { (text::VOTE.get(lang)) }
                p.notice.warn { (poll.texts.own.get(lang)) }
            } @else if let Some(mine) = mine {
                h2 { (text::YOUR_VOTE.get(lang)) }
                @let note = if poll.votes.len() > 1 { text::CONCLUDING_NOTE } else { text::VOTED_NOTE };
                p.notice { (note.get(lang)) }
                // Blind until both have voted: only the visitor's own.
                (votes(lang, std::slice::from_ref(mine)))
            } @else if poll.votes.len() > 1 {
                h2 { (text::VOTES.get(lang)) }
                p.notice { (text::CONCLUDING_NOTE.get(lang)) }
            } @else {
                h2 { (text::VOTE.get(lang)) }
                (form(visitor, poll))
            }
        }
    }
}

fn votes(lang: Lang, votes: &[Vote]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.list {
                thead { tr {
                    @for column in [text::REVIEWER, text::VOTE, text::VOTED_AT, text::COMMENT] {
                        th scope="col" { (column.get(lang)) }
                    }
                } }
                tbody {
                    @for vote in votes {
                        tr {
                            th scope="row" { (vote.reviewer) }
                            td {
                                @if vote.accept {
                                    span.badge.good { (text::ACCEPTED.get(lang)) }
                                } @else {
                                    span.badge.bad { (text::REFUSED.get(lang)) }
                                }
                            }
                            td { (when(vote.at, lang)) }
                            td.prose { (vote.comment) }
                        }
                    }
                }
            }
        }
    }
}

fn form(visitor: &Visitor, poll: &Poll<'_>) -> Markup {
    let lang = visitor.lang;
    html! {
        form.vote method="post" action=(poll.action) {
            p.note { (poll.texts.lead.get(lang)) }
            input type="hidden" name="csrf" value=(visitor.csrf);
            @for (name, value) in &poll.hidden {
                input type="hidden" name=(name) value=(value);
            }
            fieldset {
                legend { (text::VOTE.get(lang)) }
                label.choice {
                    input type="radio" name="vote" value="accept" required;
                    span { strong { (text::ACCEPT.get(lang)) } " " small { (poll.texts.accept_hint.get(lang)) } }
                }
                label.choice {
                    input type="radio" name="vote" value="refuse" required;
                    span { strong { (text::REFUSE.get(lang)) } " " small { (text::REFUSE_HINT.get(lang)) } }
                }
            }
            label.field for="comment" { (text::COMMENT.get(lang)) }
            p.note #comment-hint { (text::COMMENT_HINT.get(lang)) }
            textarea #comment name="comment" rows="4" maxlength=(COMMENT_MAX) aria-describedby="comment-hint" {}
            button type="submit" { (text::SEND.get(lang)) }
        }
    }
}
