//! The native client, as its window shows it on a display of its own (Xvfb), against all services: a
//! researcher's afternoon (issue 3, Shows 1), and a line whose packets are lost (Shows 6). What is seen is
//! read off the picture, what was done is read in the ledger.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod cut;
mod line;
mod rows;
mod terminal;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "each crate's tests use a part of it"
)]
#[path = "../../../../gateway/vdi/tests/common/xvfb.rs"]
mod xvfb;

use std::time::Duration;

use kekkai_e2e::story::{return_it, sessions, statement, submitted};
use kekkai_e2e::world_with;
use terminal::{ALT, CONTROL, ENTER, TAB, Terminal};

/// The fields of a submission, in a window of the client's own size.
const FIRST_RESULT: (i16, i16) = (152, 117);
const TITLE: (i16, i16) = (430, 149);
const PURPOSE: (i16, i16) = (430, 246);
const SUBMIT: (i16, i16) = (175, 453);
/// What a click changes is drawn long before.
const DRAWN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn researcher_works_at_the_native_client_from_sign_in_to_resubmission() {
    let world = world_with(|options| options.desktop = true).await;
    let who = "kimura";
    let mut terminal = Terminal::of(&world, who, None, "work");
    terminal.sign_in_by_name().await;
    terminal.see("脳卒中治療").await;
    terminal.shoot("first");

    terminal.chord(ALT, '2');
    terminal.write("SELECT disease_name, sum(points) AS total FROM dp");
    terminal.see("dpc").await;
    terminal.key(TAB);
    terminal.write(" GROUP BY disease_name ORDER BY total DESC LIMIT 8");
    terminal.press(CONTROL, ENTER);
    let sql = statement(&world, who, "FROM dpc").await;
    assert!(sql.contains("FROM dpc GROUP BY"), "completed: {sql}");
    terminal.see("持ち出しを申請").await;
    terminal.shoot("result");
    terminal.click("図にする").await;
    // The chart's own controls, and the statement's axis.
    terminal.see("disease_name").await;
    terminal.shoot("chart");

    terminal.chord(ALT, '2');
    terminal.see("整形").await;
    terminal.click("持ち出しを申請").await;
    // Hints in grey and words on dark buttons are beyond tesseract, not beyond people.
    tokio::time::sleep(DRAWN).await;
    terminal.click_at(TITLE);
    terminal.write("Points by disease");
    terminal.click_at(PURPOSE);
    terminal.write("Table 1 of the study");
    terminal.shoot("described");
    terminal.click_at(SUBMIT);
    let first = submitted(&world, who, 0).await;
    terminal.shoot("submitted");
    return_it(&world, &first).await;

    terminal.chord(ALT, '7');
    terminal.click("差戻し").await;
    terminal.see("checked").await;
    terminal.shoot("returned");
    // The button is below what says the same.
    terminal.click_last("直して再申請").await;
    tokio::time::sleep(DRAWN).await;
    terminal.click_at(FIRST_RESULT);
    terminal.shoot("revising");
    terminal.click_at(SUBMIT);
    let second = submitted(&world, who, 1).await;
    assert_ne!(first, second);
    terminal.shoot("resubmitted");
    assert_eq!(sessions(&world, who).len(), 1, "all of it in one session");
}
