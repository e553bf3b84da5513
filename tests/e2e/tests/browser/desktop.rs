//! A researcher's desktop in a real browser, tried as a new user would (issue 3, Shows 1 and 2): what is
//! seen is read off the picture, what was done is read in the ledger. Pictures are kept beside the others.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Decompress, FlushDecompress};
use kekkai_e2e::story::{return_it, statement, submitted};
use kekkai_e2e::{TestWorld, world_with};
use kekkai_policy_api::Event;
use serde_json::json;

use crate::chromium::{Chromium, Reads};
use crate::desk::{ALT, CTRL, Desk};
use crate::{code, enrol, with_allowed_model};

/// Signs in and opens the desktop.
async fn open_desktop<'a>(
    chromium: &'a mut Chromium,
    world: &TestWorld,
    who: &str,
    reads: Reads,
) -> Desk<'a> {
    chromium.go("/desktop").await;
    assert!(
        chromium.path().await.starts_with("/sign-in"),
        "nobody is signed in yet"
    );
    chromium.write("input[name=person]", who).await;
    let token = code(world, who);
    chromium.write("input[name=token_code]", &token).await;
    chromium.click("main form button").await;
    chromium.find("#desktop canvas").await;
    Desk::at(chromium, reads).await
}

/// Nothing that the page offers takes a value along.
async fn nothing_can_be_taken(desk: &Desk<'_>) {
    let tried = desk
        .chromium
        .script(
            "const canvas = document.querySelector('#desktop canvas'); \
             const stopped = (name, event) => !canvas.dispatchEvent(event); \
             const made = { \
               contextmenu: new MouseEvent('contextmenu', { bubbles: true, cancelable: true }), \
               copy: new ClipboardEvent('copy', { bubbles: true, cancelable: true }), \
               cut: new ClipboardEvent('cut', { bubbles: true, cancelable: true }), \
               paste: new ClipboardEvent('paste', { bubbles: true, cancelable: true }), \
               dragstart: new DragEvent('dragstart', { bubbles: true, cancelable: true }), \
               drop: new DragEvent('drop', { bubbles: true, cancelable: true }) }; \
             document.execCommand('selectAll'); \
             return { stopped: Object.entries(made).map(([name, event]) => [name, stopped(name, event)]), \
               selected: getSelection().toString(), links: document.querySelectorAll('a[download], a[href^=\"blob:\"]').length }",
        )
        .await;
    for pair in tried["stopped"].as_array().unwrap() {
        assert_eq!(pair[1], json!(true), "{pair}");
    }
    assert_eq!(tried["selected"].as_str().unwrap().trim(), "");
    assert_eq!(tried["links"], json!(0));
    // What is printed has no picture of the session: a printed page shows nothing at all.
    let print = json!({ "media": "print" });
    desk.chromium
        .command("Emulation.setEmulatedMedia", print)
        .await;
    let shown = desk
        .chromium
        .script("return getComputedStyle(document.querySelector('#desktop')).display")
        .await;
    assert_eq!(shown, json!("none"));
    let screen = json!({ "media": "" });
    desk.chromium
        .command("Emulation.setEmulatedMedia", screen)
        .await;
}

/// Everything that the browser got and keeps, other than pixels: texts to search in.
async fn everything_received(chromium: &mut Chromium) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let dom = chromium
        .script("return document.documentElement.outerHTML")
        .await;
    all.push(("the DOM".to_owned(), dom.to_string().into_bytes()));
    let kept = chromium
        .script(
            "return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.title, \
               [...document.querySelectorAll('input, textarea')].map(e => e.value)])",
        )
        .await;
    all.push((
        "storage and fields".to_owned(),
        kept.to_string().into_bytes(),
    ));
    let tree = chromium
        .command("Accessibility.getFullAXTree", json!({}))
        .await;
    all.push((
        "the accessibility tree".to_owned(),
        tree.to_string().into_bytes(),
    ));
    let databases = chromium
        .script("return indexedDB.databases().then(all => JSON.stringify(all))")
        .await;
    assert_eq!(databases, json!("[]"), "databases of the page");
    let mut inflate = Decompress::new(false);
    let mut screens = 0;
    for event in chromium.network().await.to_vec() {
        match event["method"].as_str() {
            Some("Network.webSocketFrameReceived") => {
                let payload = event["params"]["response"]["payloadData"].as_str().unwrap();
                let bytes = STANDARD.decode(payload).unwrap();
                all.push(("a frame as it came".to_owned(), bytes.clone()));
                let mut message = Vec::with_capacity(1 << 20);
                inflate
                    .decompress_vec(&bytes, &mut message, FlushDecompress::Sync)
                    .unwrap();
                assert!(message.len() < message.capacity(), "a larger message");
                all.push(("a frame, inflated".to_owned(), message));
                screens += 1;
            }
            Some("Network.responseReceived" | "Network.requestWillBeSent") => {
                all.push(("the network".to_owned(), event.to_string().into_bytes()));
            }
            _ => {}
        }
    }
    assert!(screens > 20, "the control: frames were recorded: {screens}");
    all
}

/// Where a text is, as UTF-8 or UTF-16.
fn found_in(all: &[(String, Vec<u8>)], text: &str) -> Vec<String> {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    all.iter()
        .filter(|(_, bytes)| {
            memchr::memmem::find(bytes, text.as_bytes()).is_some()
                || memchr::memmem::find(bytes, &utf16).is_some()
        })
        .map(|(place, _)| place.clone())
        .collect()
}

/// The fields of a submission, on a canvas of this browser's size.
const FIRST_RESULT: (u16, u16) = (152, 117);
const TITLE: (u16, u16) = (430, 149);
const PURPOSE: (u16, u16) = (430, 246);
const SUBMIT: (u16, u16) = (175, 453);
/// A click's effect is drawn long before.
const DRAWN: Duration = Duration::from_secs(1);

/// What a person reads and writes, in their language.
struct Story {
    who: &'static str,
    reads: Reads,
    project: &'static str,
    submit_it: &'static str,
    returned: &'static str,
    revise: &'static str,
    chart: &'static str,
    format: &'static str,
}

const ENGLISH: Story = Story {
    who: "smith",
    reads: Reads::English,
    project: "Stroke treatment",
    submit_it: "Submit for review",
    returned: "returned",
    revise: "Revise and submit again",
    chart: "Chart",
    format: "Format",
};

const JAPANESE: Story = Story {
    who: "hayashi",
    reads: Reads::Japanese,
    project: "脳卒中治療",
    submit_it: "持ち出しを申請",
    returned: "差戻し",
    revise: "直して再申請",
    chart: "図にする",
    format: "整形",
};

/// A statement by hand, its table completed from the schema; gives its text.
async fn ask(desk: &Desk<'_>, world: &TestWorld, story: &Story) -> String {
    desk.press("Digit2", ALT).await;
    desk.write("SELECT disease_name, sum(points) AS total FROM dp")
        .await;
    desk.see("dpc").await;
    desk.press("Tab", 0).await;
    desk.write(" GROUP BY disease_name ORDER BY total DESC LIMIT 8")
        .await;
    desk.press("Enter", CTRL).await;
    let sql = statement(world, story.who, "FROM dpc").await;
    assert!(sql.contains("FROM dpc GROUP BY"), "completed: {sql}");
    sql
}

/// Title and purpose by hand, then off to review; gives the output.
async fn submit(desk: &mut Desk<'_>, world: &TestWorld, story: &Story, before: usize) -> String {
    if before == 0 {
        // Hints in grey and words on dark buttons are beyond tesseract, not beyond people.
        tokio::time::sleep(DRAWN).await;
        desk.click_at(TITLE.0, TITLE.1).await;
        describe(desk, story, "Points by disease", "疾患別の点数").await;
        desk.click_at(PURPOSE.0, PURPOSE.1).await;
        describe(desk, story, "Table 1 of the study", "論文の表1").await;
    }
    desk.shoot("described").await;
    desk.click_at(SUBMIT.0, SUBMIT.1).await;
    submitted(world, story.who, before).await
}

/// As this person writes: key by key, or composed.
async fn describe(desk: &Desk<'_>, story: &Story, english: &str, japanese: &str) {
    match story.reads {
        Reads::English => desk.write(english).await,
        Reads::Japanese => desk.compose("よみ", japanese).await,
    }
}

/// From sign-in to the second submission.
async fn story(world: &TestWorld, desk: &mut Desk<'_>, story: &Story) {
    desk.see(story.project).await;
    desk.shoot("first").await;
    let sql = ask(desk, world, story).await;
    desk.see(story.submit_it).await;
    desk.shoot("result").await;

    desk.click(story.chart).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    desk.shoot("chart").await;

    desk.press("Digit2", ALT).await;
    desk.see(story.format).await;
    desk.click(story.submit_it).await;
    let output = submit(desk, world, story, 0).await;
    desk.shoot("submitted").await;
    return_it(world, &output).await;

    desk.press("Digit7", ALT).await;
    desk.see(story.returned).await;
    desk.click(story.returned).await;
    desk.see("checked").await;
    desk.shoot("returned").await;
    // The button is below what says the same.
    desk.click_last(story.revise).await;
    tokio::time::sleep(DRAWN).await;
    desk.shoot("revising").await;
    // The same result again, with what the reviewers asked for said.
    desk.click_at(FIRST_RESULT.0, FIRST_RESULT.1).await;
    let second = submit(desk, world, story, 1).await;
    assert_ne!(output, second);
    let replaced = |event: &Event| matches!(event, Event::OutputSubmitted { output, .. } if output.as_str() == second);
    world
        .wait_for_event("the second submission", replaced)
        .await;
    desk.shoot("resubmitted").await;
    let _ = sql;
}

#[tokio::test(flavor = "multi_thread")]
async fn researchers_work_on_desktops_in_a_real_browser_in_both_languages() {
    let world = world_with(|options| {
        options.desktop = true;
        options.extra_researchers = 1;
    })
    .await;
    let mut chromium = with_allowed_model(&world, ENGLISH.who, ENGLISH.reads).await;
    enrol(&mut chromium, &world, ENGLISH.who, ENGLISH.reads).await;
    let mut desk = open_desktop(&mut chromium, &world, ENGLISH.who, ENGLISH.reads).await;
    story(&world, &mut desk, &ENGLISH).await;
    nothing_but_pixels_came(&world, &mut desk).await;
    nothing_can_be_taken(&desk).await;
    chromium.end().await;

    let mut chromium = Chromium::at_terminal_of(&world, JAPANESE.who, JAPANESE.reads).await;
    enrol(&mut chromium, &world, JAPANESE.who, JAPANESE.reads).await;
    let mut desk = open_desktop(&mut chromium, &world, JAPANESE.who, JAPANESE.reads).await;
    story(&world, &mut desk, &JAPANESE).await;
    chromium.end().await;
}

/// The largest total, which the text console of a colleague shows, can be read on the picture, and is in
/// nothing else that the browser got.
async fn nothing_but_pixels_came(world: &TestWorld, desk: &mut Desk<'_>) {
    let output = world.ssh_lines(
        "r1",
        "sql SELECT disease_name, sum(points) AS total FROM dpc GROUP BY disease_name ORDER BY total DESC LIMIT 8;\nexit\n",
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let total = said
        .split(|c: char| !c.is_ascii_digit())
        .find(|number| number.len() >= 6)
        .unwrap_or_else(|| panic!("no total: {said}"))
        .to_owned();
    desk.press("Digit2", ALT).await;
    desk.see(&total).await;
    desk.shoot("sentinel").await;
    let all = everything_received(desk.chromium).await;
    assert!(
        !found_in(&all, ENGLISH.project).is_empty(),
        "the control: the search finds what the page says"
    );
    assert_eq!(found_in(&all, &total), Vec::<String>::new());
}
