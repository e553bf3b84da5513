//! A line that is cut for 60 s, and one that is cut while its person's right to be there ends.

use std::time::{Duration, Instant};

use kekkai_demo::Admin;
use kekkai_e2e::story::sessions;
use kekkai_e2e::{TestWorld, world_with};
use kekkai_policy_api::{EndReason, Event, RemoveHandler};
use kekkai_types::{AgreementId, PersonId, SessionId};

use crate::line::Line;
use crate::terminal::{ALT, ENTER, Terminal};

const WHO: &str = "kimura";
/// What the issue asks for.
const CUT: Duration = Duration::from_secs(60);
/// From a revocation to the end of what rested on it.
const REVOCATION_LIMIT: Duration = Duration::from_secs(5);
/// Typed and never run: it is nowhere but in the running session.
const UNSENT: &str = "SELECT 271828 FROM patients";

/// How often the ledger has what happened to the person or their session.
fn count(world: &TestWorld, is_it: impl Fn(&Event) -> bool) -> usize {
    world.events().iter().filter(|event| is_it(event)).count()
}

fn signed_in(world: &TestWorld) -> usize {
    count(
        world,
        |event| matches!(event, Event::SignInAccepted { person, .. } if person.as_str() == WHO),
    )
}

fn attached(world: &TestWorld, to: &SessionId) -> usize {
    count(
        world,
        |event| matches!(event, Event::ScreenAttached { session, .. } if session == to),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn session_outlives_a_line_cut_for_60_s_and_no_revocation_while_it_is_cut() {
    let world = world_with(|options| options.desktop = true).await;
    let line = Line::to(&world);
    let mut terminal = Terminal::of(&world, WHO, Some(&line), "cut");
    terminal.sign_in_by_name().await;
    terminal.see("脳卒中治療").await;
    terminal.chord(ALT, '2');
    terminal.write(UNSENT);
    terminal.see("271828").await;
    terminal.shoot("before-the-cut");
    let opened = sessions(&world, WHO);
    assert_eq!(opened.len(), 1);
    let session = &opened[0];
    let before = signed_in(&world);
    assert_eq!(attached(&world, session), 1);

    line.cut();
    let since = Instant::now();
    // The client finds out by itself, and shows nothing of the session any longer.
    terminal.see("line was cut").await;
    assert!(
        since.elapsed() < CUT,
        "found out after {:?}",
        since.elapsed()
    );
    assert!(!terminal.page(0).await.shows("271828"));
    terminal.shoot("cut");
    tokio::time::sleep(CUT.saturating_sub(since.elapsed())).await;
    assert!(line.mend() > 0, "the control: packets were lost");

    terminal.key(ENTER);
    terminal.give_code().await;
    // What was never sent anywhere is there again: it is the same process.
    terminal.see("271828").await;
    terminal.shoot("back");
    assert_eq!(sessions(&world, WHO), opened, "no other session");
    assert_eq!(signed_in(&world), before + 1, "with both factors, anew");
    assert_eq!(attached(&world, session), 2);
    let is_over = |event: &Event| matches!(event, Event::SessionEnded { session: ended, .. } if ended == session);
    assert_eq!(
        count(&world, is_over),
        0,
        "the control: it ran all the time"
    );

    line.cut();
    let since = Instant::now();
    let revocation = RemoveHandler {
        agreement: AgreementId::new("sample-2026").unwrap(),
        person: PersonId::new(WHO).unwrap(),
    };
    let admin = Admin::connect(&world.facts()).unwrap();
    admin.policy.call(&revocation).await.unwrap();
    let end = world.wait_for_event("the session's end", is_over).await;
    assert!(since.elapsed() < REVOCATION_LIMIT, "{:?}", since.elapsed());
    assert!(
        matches!(
            end,
            Event::SessionEnded {
                reason: EndReason::NotOnRoster,
                ..
            }
        ),
        "{end:?}"
    );
    // The packet that says so, and the client's own questions, are lost.
    terminal.see("line was cut").await;
    assert!(line.mend() > 0, "the control: packets were lost");
    terminal.key(ENTER);
    terminal.give_code().await;
    let refused = |event: &Event| matches!(event, Event::SessionRefused { person, .. } if person.as_str() == WHO);
    world.wait_for_event("the refused session", refused).await;
    assert_eq!(sessions(&world, WHO), opened, "no other session");
    assert_eq!(attached(&world, session), 2, "and no screen of the old one");
    assert!(!terminal.page(0).await.shows("271828"));
    terminal.shoot("gone");
}
