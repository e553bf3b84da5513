//! The other side of a researcher's story, whatever they work at: what the ledger says of them, and the
//! reviewers' part.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kekkai_demo::{sign_in, vote};
use kekkai_policy_api::Event;
use kekkai_types::SessionId;

use crate::{TestWorld, repository};

/// An output that was handed in is in the ledger within this time.
const SUBMISSION_LIMIT: Duration = Duration::from_secs(30);

/// The folder for a test's pictures: below `artefacts`, or `$KEKKAI_ARTEFACTS`.
pub fn artefacts(name: &str) -> PathBuf {
    let folder = std::env::var_os("KEKKAI_ARTEFACTS")
        .map_or_else(|| repository().join("artefacts"), PathBuf::from)
        .join(name);
    std::fs::create_dir_all(&folder).expect("the pictures' folder");
    folder
}

/// The sessions that were opened for a person, in their order.
pub fn sessions(world: &TestWorld, who: &str) -> Vec<SessionId> {
    let opened = |event| match event {
        Event::SessionOpened {
            session, person, ..
        } => (person.as_str() == who).then_some(session),
        _ => None,
    };
    world.events().into_iter().filter_map(opened).collect()
}

/// Waits until a person has submitted an output beyond the first `before`, and names it.
pub async fn submitted(world: &TestWorld, who: &str, before: usize) -> String {
    let start = Instant::now();
    loop {
        let by_them = |event| match event {
            Event::OutputSubmitted { output, author, .. } => {
                (author.as_str() == who).then(|| output.to_string())
            }
            _ => None,
        };
        let output = world.events().into_iter().filter_map(by_them).nth(before);
        if let Some(output) = output {
            return output;
        }
        assert!(start.elapsed() < SUBMISSION_LIMIT, "nothing was submitted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One reviewer accepts, the other doesn't: the output goes back to its author.
pub async fn return_it(world: &TestWorld, output: &str) {
    let info = world.facts();
    for (who, accepts) in [("ito", true), ("watanabe", false)] {
        let person = info.person(who).expect("a reviewer");
        let mut web = sign_in(&info, person).await.expect("a reviewer's session");
        vote(&mut web, output, accepts).await.expect("a vote");
    }
    let returned = |event: &Event| matches!(event, Event::OutputReturned { output: known, .. } if known.as_str() == output);
    world.wait_for_event("the return", returned).await;
}

/// Waits until a person's statement with this text in it was started, and gives all of its text.
pub async fn statement(world: &TestWorld, who: &str, has: &str) -> String {
    let sessions = sessions(world, who);
    let started = |event: &Event| {
        matches!(event, Event::QueryStarted { session, sql, .. }
            if sql.contains(has) && sessions.contains(session))
    };
    match world.wait_for_event("the statement", started).await {
        Event::QueryStarted { sql, .. } => sql,
        _ => unreachable!("the event that was waited for"),
    }
}
