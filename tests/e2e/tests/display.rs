//! What a screen may show is the policy's to say (issue 3, Shows 7): the same person's question, the same
//! data, two classes of terminal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::Duration;

use kekkai_e2e::ocr::Page;
use kekkai_e2e::seat::{Door, Seat};
use kekkai_e2e::world_with;
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_policy_api::Event;

const ALT: Modifiers = Modifiers {
    shift: false,
    ctrl: false,
    alt: true,
};
const CTRL_SHIFT: Modifiers = Modifiers {
    shift: true,
    ctrl: true,
    alt: false,
};

/// Asks for rows as a person does: the pane, the statement, Ctrl Shift Enter.
async fn ask_for_rows(seat: &mut Seat) -> Page {
    let rest = Duration::from_millis(700);
    seat.settle(rest).await;
    seat.press(Key::Num2, ALT);
    seat.settle(rest).await;
    // Not faster than people type: what comes faster is held.
    for letter in "SELECT sex, prefecture FROM patients LIMIT 5".chars() {
        seat.send(Input::Text(letter.to_string()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seat.press(Key::Enter, CTRL_SHIFT);
    tokio::time::sleep(Duration::from_secs(3)).await;
    seat.settle(rest).await;
    let picture = seat.picture();
    tokio::task::spawn_blocking(move || Page::read(&picture, "jpn+eng"))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_shown_at_an_on_site_terminal_and_refused_in_a_browser_by_policy_alone() {
    let world = world_with(|options| options.desktop = true).await;
    let door = Door::of(&world);
    let shown = |world: &kekkai_e2e::TestWorld, seat: &Seat| {
        world
            .events()
            .iter()
            .filter(|event| matches!(event, Event::RowsShown { session, .. } if *session == seat.session))
            .count()
    };

    let mut browser = door.sit(&world, "smith", "sample-2026", (1280, 800)).await;
    let page = ask_for_rows(&mut browser).await;
    assert_eq!(shown(&world, &browser), 0, "{}", page.text());
    // What is needed instead is said.
    assert!(page.shows("on-site"), "{}", page.text());

    let mut onsite = door.sit(&world, "ogawa", "sample-2026", (1280, 800)).await;
    let page = ask_for_rows(&mut onsite).await;
    assert_eq!(shown(&world, &onsite), 1, "{}", page.text());
    assert!(page.shows("prefecture"), "{}", page.text());
    browser.leave().await;
    onsite.leave().await;
}
