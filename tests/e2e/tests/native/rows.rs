//! Rows at a screen that may show them, through all services: the agreement's bounds, and use that the past
//! does not explain (issue 5, R8).

use std::time::{Duration, SystemTime};

use kekkai_demo::{Admin, Kind};
use kekkai_e2e::story::sessions;
use kekkai_e2e::{TestWorld, world_with};
use kekkai_policy_api::{AddHandler, EndReason, Entry, Event};
use kekkai_types::{AgreementId, PersonId, SessionId, TerminalClass, Timestamp};

use crate::terminal::{ALT, CONTROL, ENTER, SHIFT, Terminal};

/// In a minute and in a day.
const BOUNDED: &str = "rows_per_minute = 30\nrows_per_day = 50\n";
/// Nothing but the past bounds these.
const WIDE: &str = "rows_per_minute = 10000000\nrows_per_day = 10000000\n";
/// More rows than are shown.
const SOME: &str = "SELECT sex FROM patients";
/// More rows than a screen keeps.
const MANY: &str = "SELECT a.sex FROM patients a CROSS JOIN patients b";
const STATISTIC: &str = "SELECT sex, count(*) FROM patients GROUP BY sex";
/// Rows of one statement, at most.
const STATEMENT_ROWS: u64 = 200_000;
/// What the policy service makes them wait who use more than usual.
const SLOWED_MS: i64 = 2_000;

/// On-site terminals of `r1` and `r2`, and agreements that show rows there.
async fn rows_world() -> TestWorld {
    let world = world_with(|options| {
        options.desktop = true;
        options.extra_researchers = 2;
        options.extra_terminals = TerminalClass::Onsite;
    })
    .await;
    for (id, bounds) in [("bounded-2026", BOUNDED), ("wide-2026", WIDE)] {
        let desktop = format!("[desktop]\n{bounds}");
        world
            .register_like("sample-2026", id, &[("[desktop]\n", &desktop)])
            .await;
    }
    world
}

fn entries(world: &TestWorld) -> Vec<Entry> {
    let entries = kekkai_ledger::entries(&world.facts().ledger.dir).unwrap();
    let entry = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
    entries.map(|found| entry(found.unwrap().1)).collect()
}

/// When rows were allowed to a person, and how many.
fn allowed(world: &TestWorld, who: &str) -> Vec<(Timestamp, u64)> {
    let sessions = sessions(world, who);
    let of = |entry: &Entry| match &entry.event {
        Event::RowsShown {
            session, rows_max, ..
        } if sessions.contains(session) => Some((entry.at, *rows_max)),
        _ => None,
    };
    entries(world).iter().filter_map(of).collect()
}

/// When rows of a person ended, and how many were shown.
fn shown(world: &TestWorld, who: &str) -> Vec<(Timestamp, u64)> {
    let sessions = sessions(world, who);
    let of = |entry: &Entry| match &entry.event {
        Event::QueryEnded { session, rows, .. } if sessions.contains(session) => {
            Some((entry.at, *rows))
        }
        _ => None,
    };
    entries(world).iter().filter_map(of).collect()
}

/// Signs in and writes a statement.
async fn at_work<'a>(world: &'a TestWorld, who: &str, agreement: &str, sql: &str) -> Terminal<'a> {
    let mut terminal = Terminal::of(world, who, None, "rows");
    terminal.sign_in_to(agreement).await;
    terminal.see("Stroke treatment").await;
    terminal.chord(ALT, '2');
    terminal.write(sql);
    terminal
}

/// Asks for the rows of the statement that stands there.
fn ask(terminal: &Terminal<'_>) {
    terminal.press_both([CONTROL, SHIFT], ENTER);
}

/// Waits until so many statements of rows are over.
async fn until_shown(world: &TestWorld, who: &str, count: usize) -> Vec<(Timestamp, u64)> {
    loop {
        let shown = shown(world, who);
        if shown.len() >= count {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Bounds are of clock minutes: begins one that has time for two statements.
async fn early_in_a_minute() {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let second = since.unwrap().as_secs() % 60;
    if second > 15 {
        tokio::time::sleep(Duration::from_secs(60 - second)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_at_a_screen_end_with_the_minutes_and_the_days_bound_also_after_a_restart() {
    let world = rows_world().await;
    let who = "r1";
    let mut terminal = at_work(&world, who, "bounded-2026", SOME).await;

    early_in_a_minute().await;
    ask(&terminal);
    assert_eq!(until_shown(&world, who, 1).await[0].1, 30);
    terminal.see("leave no more for now").await;
    terminal.shoot("cut-at-the-minute");
    ask(&terminal);
    terminal.see("in this minute are used up").await;
    terminal.see("wait for the seconds given").await;
    terminal.shoot("minute-used");

    tokio::time::sleep(Duration::from_secs(60)).await;
    ask(&terminal);
    assert_eq!(until_shown(&world, who, 2).await[1].1, 20);
    terminal.see("leave no more for now").await;
    ask(&terminal);
    terminal.see("today are used up").await;
    terminal.see("after midnight in Japan").await;
    terminal.shoot("day-used");
    drop(terminal);

    world.kill_daemon(Kind::Policy).unwrap();
    world.start_daemon(Kind::Policy).unwrap();
    let mut terminal = at_work(&world, who, "bounded-2026", STATISTIC).await;
    ask(&terminal);
    terminal.see("today are used up").await;
    terminal.shoot("day-used-after-a-restart");
    let allowed: Vec<u64> = allowed(&world, who).iter().map(|(_, rows)| *rows).collect();
    assert_eq!(allowed, [30, 20], "no rows but these");
    // Statistics go on, as was said.
    terminal.press(CONTROL, ENTER);
    let is_done =
        |event: &Event| matches!(event, Event::QueryEnded { outcome, .. } if outcome == "done");
    world.wait_for_event("a statistic", is_done).await;
}

fn over(world: &TestWorld, session: &SessionId) -> Option<EndReason> {
    world.events().into_iter().find_map(|event| match event {
        Event::SessionEnded {
            session: ended,
            reason,
        } if ended == *session => Some(reason),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn use_far_beyond_the_usual_is_recorded_slowed_and_suspended_until_staff_lifts_it() {
    let world = rows_world().await;
    let who = "r2";
    let mut terminal = at_work(&world, who, "wide-2026", MANY).await;
    let is_unusual = |event: &Event| matches!(event, Event::UseUnusual { .. });
    assert!(!world.events().iter().any(is_unusual));

    for statement in 1..=2 {
        ask(&terminal);
        until_shown(&world, who, statement).await;
        terminal.see(&format!("Job {statement} is done")).await;
    }
    terminal.shoot("many");
    let unusual: Vec<Event> = world.events().into_iter().filter(is_unusual).collect();
    let [
        Event::UseUnusual {
            person,
            measure,
            now,
            usual,
            ..
        },
    ] = unusual.as_slice()
    else {
        panic!("told once: {unusual:?}");
    };
    let person = person.as_ref().map(PersonId::as_str);
    assert_eq!((person, measure.as_str()), (Some(who), "rows-per-day"));
    assert!(
        *now >= STATEMENT_ROWS && *usual < STATEMENT_ROWS,
        "{unusual:?}"
    );
    let (allowed, shown) = (allowed(&world, who), shown(&world, who));
    assert_eq!((allowed.len(), shown.len()), (2, 2));
    for ((begun, rows), (ended, _)) in allowed.iter().zip(&shown) {
        assert_eq!(*rows, STATEMENT_ROWS);
        assert!(
            ended.0 - begun.0 >= SLOWED_MS,
            "not slowed: {begun:?} to {ended:?}"
        );
    }

    // One more is far beyond it: nothing is shown, and the session is over.
    let opened = sessions(&world, who);
    ask(&terminal);
    let suspended = |event: &Event| {
        matches!(event, Event::UseSuspended { person, session, .. }
            if person.as_str() == who && *session == opened[0])
    };
    world.wait_for_event("the suspension", suspended).await;
    terminal.see("The session is over").await;
    terminal.see("contact the operator").await;
    terminal.shoot("suspended");
    assert_eq!(over(&world, &opened[0]), Some(EndReason::NotOnRoster));
    drop(terminal);

    // Nobody gets in by signing in again, nor by a restart.
    world.kill_daemon(Kind::Policy).unwrap();
    world.start_daemon(Kind::Policy).unwrap();
    let mut terminal = Terminal::of(&world, who, None, "refused");
    terminal.sign_in_to("wide-2026").await;
    let refused = |event: &Event| matches!(event, Event::SessionRefused { person, .. } if person.as_str() == who);
    world.wait_for_event("the refused session", refused).await;
    terminal.see("contact the operator").await;
    terminal.shoot("refused");
    drop(terminal);
    assert_eq!(sessions(&world, who), opened);
    assert_eq!(self::allowed(&world, who).len(), 2);

    let call = AddHandler {
        agreement: AgreementId::new("wide-2026").unwrap(),
        person: PersonId::new(who).unwrap(),
    };
    let admin = Admin::connect(&world.facts()).unwrap();
    admin.policy.call(&call).await.unwrap();
    let mut terminal = at_work(&world, who, "wide-2026", SOME).await;
    ask(&terminal);
    assert!(until_shown(&world, who, 3).await[2].1 > 0);
    terminal.shoot("lifted");
}
