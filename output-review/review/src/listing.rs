//! Which outputs a person of the user organisation sees: their own, or, for whoever answers for the
//! project, all of it.

use std::collections::{BTreeMap, BTreeSet};

use kekkai_checks::{Rule, Verdict};
use kekkai_policy_api::{Action, Resource};
use kekkai_review_api::{ListOutputs, OutputDetail, OutputState, OutputSummary, SessionOutputs};
use kekkai_types::{AgreementId, Lang, OutputId, Refusal, Role};

use crate::model::Listed;
use crate::policy::{Actor, PolicyError};
use crate::review::{Review, VoteError, resource};
use crate::said;
use crate::state::takes_votes;
use crate::store::OUTPUTS_WAITING_MAX;

/// Decided outputs that lists reach back to.
const DECIDED_LISTED_MAX: u32 = 300;
/// A person's own outputs that their desktop lists.
const OWN_LISTED_MAX: u32 = 300;
/// Projects that one page asks the policy service about.
const PROJECTS_ASKED_MAX: usize = 50;

/// What a person may see.
#[derive(Debug, Default)]
pub struct Visible {
    /// The newest decided ones first, then what waits.
    pub outputs: Vec<Listed>,
    /// Projects that the person answers for: may fetch their releases.
    pub answers_for: BTreeSet<AgreementId>,
}

/// Everything that a person may see, over all projects.
pub async fn visible_to(review: &Review, actor: &Actor) -> Result<Visible, VoteError> {
    let all = everything(review).await?;
    let known = review.policy().person(&actor.person).await?;
    let Some(known) = known else {
        return Ok(Visible::default());
    };
    let is_leader = known.roles.contains(&Role::PrincipalInvestigator);
    // A principal investigator need not be on the roster: each project with outputs is asked about.
    let projects: BTreeSet<AgreementId> = all
        .iter()
        .map(|listed| &listed.head.agreement)
        .filter(|project| is_leader || known.agreements.contains(project))
        .cloned()
        .collect();
    let mut visible = Visible::default();
    for project in projects.into_iter().take(PROJECTS_ASKED_MAX) {
        let outputs = all
            .iter()
            .filter(|l| l.head.agreement == project)
            .cloned()
            .collect();
        match in_project(review, actor, &project, outputs, is_leader).await {
            Ok((mut outputs, answers)) => {
                visible.outputs.append(&mut outputs);
                if answers {
                    visible.answers_for.insert(project);
                }
            }
            Err(PolicyError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(visible)
}

/// Answers the console.
pub async fn list(review: &Review, call: ListOutputs) -> Result<Vec<OutputSummary>, Refusal> {
    let actor = Actor {
        person: call.person,
        terminal: call.terminal,
    };
    let answer = |error: PolicyError| match error {
        PolicyError::Refused(_) => Refusal::not_found(call.agreement.as_str()),
        PolicyError::NoAnswer(cause) => cause.into_refusal(),
    };
    let known = review
        .policy()
        .person(&actor.person)
        .await
        .map_err(answer)?;
    let Some(known) = known else {
        return Err(Refusal::not_found(call.agreement.as_str()));
    };
    let all = everything(review).await.map_err(|error| {
        tracing::error!(%error, "list");
        Refusal::new("internal", "review")
    })?;
    let outputs = all
        .into_iter()
        .filter(|l| l.head.agreement == call.agreement)
        .collect();
    let is_leader = known.roles.contains(&Role::PrincipalInvestigator);
    let (outputs, _) = in_project(review, &actor, &call.agreement, outputs, is_leader)
        .await
        .map_err(answer)?;
    Ok(outputs
        .into_iter()
        .map(|listed| OutputSummary {
            comments: comments(&listed, known.lang),
            title: title(&listed),
            output: listed.head.output,
            submitted: listed.head.submitted,
            state: listed.state,
        })
        .collect())
}

/// Whether a program chose the words of an output that nobody has let out. A program that has read rows
/// could write them there, and whoever runs it would read them without any vote.
fn is_withheld(listed: &Listed) -> bool {
    let findings = &listed.head.report.findings;
    let is_program = findings.iter().any(|f| f.rule == Rule::Uncounted);
    is_program && listed.state != OutputState::Released
}

/// Answers an analysis server: what a session's person submitted under its agreement.
pub async fn own(review: &Review, call: SessionOutputs) -> Result<Vec<OutputDetail>, Refusal> {
    let found = review
        .store()
        .run(move |store| store.own(&call.agreement, &call.author, OWN_LISTED_MAX))
        .await
        .map_err(|error| {
            tracing::error!(%error, "own outputs");
            Refusal::new("internal", "review")
        })?;
    let replaced_by: BTreeMap<OutputId, OutputId> = found
        .outputs
        .iter()
        .filter_map(|l| Some((l.head.replaces.clone()?, l.head.output.clone())))
        .collect();
    Ok(found
        .outputs
        .into_iter()
        .map(|listed| detail(listed, &replaced_by))
        .collect())
}

fn detail(listed: Listed, replaced_by: &BTreeMap<OutputId, OutputId>) -> OutputDetail {
    let report = &listed.head.report;
    // What a program wrote in its purpose comes back no sooner than its title.
    let (findings, purpose) = match is_withheld(&listed) {
        true => (said::of_program(report), String::new()),
        false => (said::all(report), listed.head.purpose.clone()),
    };
    OutputDetail {
        findings,
        purpose,
        method: listed.head.method.clone(),
        replaced_by: replaced_by.get(&listed.head.output).cloned(),
        summary: OutputSummary {
            title: title(&listed),
            submitted: listed.head.submitted,
            state: listed.state,
            // What failed is among the findings.
            comments: match takes_votes(listed.state) {
                true => Vec::new(),
                false => reviewers_comments(&listed),
            },
            output: listed.head.output,
        },
        replaces: listed.head.replaces,
    }
}

/// What an author may read of a title: a program's own once it is released, its number until then.
pub fn title(listed: &Listed) -> String {
    match is_withheld(listed) {
        true => listed.head.output.to_string(),
        false => listed.head.title.clone(),
    }
}

/// What an author may read: comments once both have voted; what failed, without counts, and of a
/// program's output without places, which the program chooses.
pub fn comments(listed: &Listed, lang: Lang) -> Vec<String> {
    match listed.state {
        OutputState::Waiting | OutputState::HalfVoted => Vec::new(),
        OutputState::FailedChecks if is_withheld(listed) => {
            let failed = listed.head.report.findings.iter();
            let rules: BTreeSet<Rule> = failed
                .filter(|finding| finding.verdict == Verdict::Fail)
                .map(|finding| finding.rule)
                .collect();
            let name = |rule: &Rule| rule.title(lang).to_owned();
            rules.iter().map(name).collect()
        }
        OutputState::FailedChecks => listed
            .head
            .report
            .findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Fail)
            .map(|finding| {
                let place = finding.place.describe(lang);
                format!("{place}: {}", finding.text.get(lang))
            })
            .collect(),
        OutputState::Released | OutputState::Rejected | OutputState::Returned => {
            reviewers_comments(listed)
        }
    }
}

fn reviewers_comments(listed: &Listed) -> Vec<String> {
    listed
        .votes
        .iter()
        .map(|vote| vote.comment.clone())
        .filter(|comment| !comment.is_empty())
        .collect()
}

async fn everything(review: &Review) -> Result<Vec<Listed>, VoteError> {
    let (open, decided) = review
        .store()
        .run(|store| {
            Ok((
                store.list(true, OUTPUTS_WAITING_MAX)?,
                store.list(false, DECIDED_LISTED_MAX)?,
            ))
        })
        .await?;
    let mut outputs = decided.outputs;
    outputs.extend(open.outputs);
    Ok(outputs)
}

/// A project's outputs as far as the person may see them, and whether the person answers for it.
async fn in_project(
    review: &Review,
    actor: &Actor,
    project: &AgreementId,
    mut outputs: Vec<Listed>,
    may_be_leader: bool,
) -> Result<(Vec<Listed>, bool), PolicyError> {
    let policy = review.policy();
    policy
        .allow(
            actor,
            Action::SeeOutputs,
            Resource::Agreement(project.clone()),
        )
        .await?;
    // Only whoever answers for the project may see another's output: one of them tells.
    let answers_for = match outputs.iter().find(|l| l.head.author != actor.person) {
        Some(foreign) if may_be_leader => {
            match policy
                .allow(actor, Action::SeeOutputs, resource(&foreign.head))
                .await
            {
                Ok(()) => true,
                Err(PolicyError::Refused(_)) => false,
                Err(error) => return Err(error),
            }
        }
        // Nothing but own outputs: fetching is decided when it is asked for.
        _ => may_be_leader,
    };
    if !answers_for {
        outputs.retain(|listed| listed.head.author == actor.person);
    }
    Ok((outputs, answers_for))
}
