//! A desktop in Chromium, worked at as a person does: keys are pressed one by one, labels are read off the
//! picture and clicked where they stand.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kekkai_e2e::ocr::Page;
use serde_json::{Value, json};

use crate::chromium::{Chromium, Reads, artefacts};

/// What a desktop shows, it shows within this time.
const LIMIT: Duration = Duration::from_secs(45);
/// Between two keys: a quick typist.
const KEY_PAUSE: Duration = Duration::from_millis(55);
/// DevTools' bits of held keys.
pub(crate) const ALT: u32 = 1;
pub(crate) const CTRL: u32 = 2;

/// A desktop on the screen of a browser.
pub(crate) struct Desk<'a> {
    pub(crate) chromium: &'a mut Chromium,
    reads: Reads,
    shots: u32,
}

impl<'a> Desk<'a> {
    /// The desktop that the browser shows, once it shows one.
    pub(crate) async fn at(chromium: &'a mut Chromium, reads: Reads) -> Self {
        let desk = Self {
            chromium,
            reads,
            shots: 0,
        };
        desk.wait_until_shown().await;
        desk
    }

    /// Waits until nothing covers the picture.
    pub(crate) async fn wait_until_shown(&self) {
        let start = Instant::now();
        while !self.is_shown().await {
            assert!(
                start.elapsed() < LIMIT,
                "no desktop: {}",
                self.chromium.text("#desktop .cover").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether nothing covers the picture.
    pub(crate) async fn is_shown(&self) -> bool {
        let hidden = "return document.querySelector('#desktop .cover')?.hidden === true";
        self.chromium.script(hidden).await == json!(true)
    }

    /// What is on the canvas, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let url = self
            .chromium
            .script("return document.querySelector('#desktop canvas').toDataURL('image/png')")
            .await;
        let data = url.as_str().unwrap().split_once(',').unwrap().1;
        STANDARD.decode(data).unwrap()
    }

    /// What can be read on the canvas now.
    pub(crate) async fn page(&self) -> Page {
        self.page_again(0).await
    }

    /// The same, looked at in another way at each attempt.
    async fn page_again(&self, attempt: usize) -> Page {
        let languages = match self.reads {
            Reads::Japanese => "jpn+eng",
            Reads::English => "eng",
        };
        let picture = self.picture().await;
        tokio::task::spawn_blocking(move || Page::read_again(&picture, languages, attempt))
            .await
            .unwrap()
    }

    /// Waits until a text can be read, and gives the place of it.
    pub(crate) async fn see(&self, text: &str) -> (u16, u16) {
        let start = Instant::now();
        for attempt in 0.. {
            let page = self.page_again(attempt).await;
            if let Some(at) = page.find(text) {
                return at;
            }
            if start.elapsed() > LIMIT {
                let file = artefacts().join("not-seen.png");
                std::fs::write(file, self.picture().await).unwrap();
                panic!("\"{text}\" is not on the screen:\n{}", page.text());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!("attempts do not end by themselves")
    }

    /// Clicks on a text.
    pub(crate) async fn click(&self, text: &str) {
        let (x, y) = self.see(text).await;
        self.click_at(x, y).await;
    }

    /// Clicks on the lowest place where a text stands.
    pub(crate) async fn click_last(&self, text: &str) {
        self.see(text).await;
        if let Some((x, y)) = self.page().await.find_all(text).last() {
            self.click_at(*x, *y).await;
        }
    }

    /// Clicks at a place of the canvas.
    pub(crate) async fn click_at(&self, x: u16, y: u16) {
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({
                "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1,
            });
            self.chromium
                .command("Input.dispatchMouseEvent", event)
                .await;
            tokio::time::sleep(KEY_PAUSE).await;
        }
    }

    /// Presses a key that is no text: its `KeyboardEvent.code`, with DevTools' bits of held keys.
    pub(crate) async fn press(&self, code: &str, held: u32) {
        let key = match code {
            letter if letter.starts_with("Key") => letter[3..].to_lowercase(),
            digit if digit.starts_with("Digit") => digit[5..].to_owned(),
            named => named.to_owned(),
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({
                "type": kind, "code": code, "key": key, "modifiers": held,
                "windowsVirtualKeyCode": virtual_key(code),
            });
            self.chromium.command("Input.dispatchKeyEvent", event).await;
        }
        tokio::time::sleep(KEY_PAUSE).await;
    }

    /// Types, key by key.
    pub(crate) async fn write(&self, text: &str) {
        for character in text.chars() {
            if character == '\n' {
                self.press("Enter", 0).await;
                continue;
            }
            let event = json!({
                "type": "keyDown", "key": character.to_string(), "text": character.to_string(),
                "unmodifiedText": character.to_string(),
            });
            self.chromium.command("Input.dispatchKeyEvent", event).await;
            let event = json!({ "type": "keyUp", "key": character.to_string() });
            self.chromium.command("Input.dispatchKeyEvent", event).await;
            tokio::time::sleep(KEY_PAUSE).await;
        }
    }

    /// Composes with an input method: the reading first, then what it is converted to, then it is committed.
    pub(crate) async fn compose(&self, reading: &str, committed: &str) {
        for text in [reading, committed] {
            let length = text.encode_utf16().count();
            let event = json!({ "text": text, "selectionStart": length, "selectionEnd": length });
            self.chromium
                .command("Input.imeSetComposition", event)
                .await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let event: Value = json!({ "text": committed });
        self.chromium.command("Input.insertText", event).await;
        // A person reads what they wrote before they write on.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// Keeps a picture of the canvas.
    pub(crate) async fn shoot(&mut self, name: &str) {
        self.shots += 1;
        let picture = self.picture().await;
        let file = format!("desktop-{}-{:02}-{name}.png", self.reads.tag(), self.shots);
        std::fs::write(artefacts().join(file), picture).unwrap();
    }
}

/// Windows' number of a key, which Chromium wants beside its name.
fn virtual_key(code: &str) -> u32 {
    match code {
        "Enter" => 13,
        "Tab" => 9,
        "Escape" => 27,
        "Backspace" => 8,
        "Delete" => 46,
        "End" => 35,
        "Home" => 36,
        "ArrowLeft" => 37,
        "ArrowUp" => 38,
        "ArrowRight" => 39,
        "ArrowDown" => 40,
        other => other
            .strip_prefix("Key")
            .or_else(|| other.strip_prefix("Digit"))
            .and_then(|rest| rest.chars().next())
            .map_or(0, u32::from),
    }
}
