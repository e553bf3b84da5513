//! Text that comes faster than a person types: a paste, or a device that poses as a keyboard. It is held, the
//! person is asked, and what they let in is counted: upload by keystrokes stays bounded.
//!
//! An input method commits whole words and sentences at once, so that single messages say nothing: a bucket
//! holds what a person may have composed in the last [`WINDOW_S`] seconds. Pure: time is an argument.

use kekkai_frames::{Input, Key, TEXT_BYTES_MAX};

/// Seconds whose typing may arrive at once.
const WINDOW_S: u32 = 4;
/// Characters that are held, at most; what comes after is dropped.
pub(crate) const HELD_MAX: usize = 10_000;

/// What becomes of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass(Input),
    /// It waits, and is the first that does: the person is to be asked.
    HeldFirst,
    /// It waits with others.
    Held,
    /// There is no room for it, neither now nor later.
    Dropped,
}

/// Watches what is typed in one session.
#[derive(Debug)]
pub(crate) struct Typing {
    /// Characters of a session.
    max: u32,
    /// Characters of the bucket, in thousandths.
    capacity: u64,
    per_s: u64,
    filled: u64,
    at_ms: u64,
    typed: u32,
    held: String,
    held_chars: u32,
}

impl Typing {
    /// For a session that may type `max` characters, at most `per_s_max` a second.
    pub(crate) fn new(max: u32, per_s_max: u32, now_ms: u64) -> Self {
        let per_s = u64::from(per_s_max);
        let capacity = per_s.saturating_mul(u64::from(WINDOW_S) * 1000);
        Self {
            max,
            capacity,
            per_s,
            filled: capacity,
            at_ms: now_ms,
            typed: 0,
            held: String::new(),
            held_chars: 0,
        }
    }

    /// Characters that wait.
    pub(crate) fn held(&self) -> u32 {
        self.held_chars
    }

    /// Characters that the session may still take.
    pub(crate) fn left(&self) -> u32 {
        self.max.saturating_sub(self.typed)
    }

    /// Looks at one input. Movement, shortcuts and the pointer are free.
    pub(crate) fn take(&mut self, input: Input, now_ms: u64) -> Verdict {
        let chars = match &input {
            Input::Text(text) => u32::try_from(text.chars().count()).unwrap_or(u32::MAX),
            Input::Key { key, is_down, .. } if *is_down && writes(*key) => 1,
            _ => return Verdict::Pass(input),
        };
        self.refill(now_ms);
        let cost = u64::from(chars).saturating_mul(1000);
        // Keys still move through forms when nothing more may be written.
        let is_key = matches!(input, Input::Key { .. });
        let fits = cost <= self.filled && (is_key || chars <= self.left());
        match input {
            // Text that came later must not overtake it. Keys may: they answer the question.
            Input::Text(text) if !fits || self.held_chars > 0 => self.hold(&text, chars),
            // A held-down key is stopped, not asked about.
            Input::Key { .. } if !fits => Verdict::Dropped,
            input => {
                self.filled = self.filled.saturating_sub(cost);
                self.typed = self.typed.saturating_add(chars);
                Verdict::Pass(input)
            }
        }
    }

    fn refill(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now_ms);
        let more = passed.saturating_mul(self.per_s);
        self.filled = self.filled.saturating_add(more).min(self.capacity);
    }

    fn hold(&mut self, text: &str, chars: u32) -> Verdict {
        let held = usize::try_from(self.held_chars).unwrap_or(usize::MAX);
        if held.saturating_add(usize::try_from(chars).unwrap_or(usize::MAX)) > HELD_MAX {
            return Verdict::Dropped;
        }
        let is_first = self.held_chars == 0;
        self.held.push_str(text);
        self.held_chars = self.held_chars.saturating_add(chars);
        match is_first {
            true => Verdict::HeldFirst,
            false => Verdict::Held,
        }
    }

    /// Forgets what is held.
    pub(crate) fn drop_held(&mut self) {
        self.held.clear();
        self.held_chars = 0;
    }

    /// Whether what is held may be let in: all of it, or nothing.
    pub(crate) fn may_admit(&self) -> bool {
        self.held_chars > 0 && self.held_chars <= self.left()
    }

    /// Lets in what is held, counted; in pieces that messages carry. Empty where it may not.
    pub(crate) fn admit(&mut self) -> Vec<Input> {
        if !self.may_admit() {
            return Vec::new();
        }
        self.typed = self.typed.saturating_add(self.held_chars);
        self.held_chars = 0;
        pieces(&std::mem::take(&mut self.held))
    }
}

/// Keys that write a character by themselves, and do so again and again while they are down.
fn writes(key: Key) -> bool {
    matches!(key, Key::Enter | Key::Tab | Key::Space)
}

fn pieces(text: &str) -> Vec<Input> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        if piece.len() + c.len_utf8() > TEXT_BYTES_MAX {
            pieces.push(Input::Text(std::mem::take(&mut piece)));
        }
        piece.push(c);
    }
    if !piece.is_empty() {
        pieces.push(Input::Text(piece));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_frames::Modifiers;

    fn text(text: &str) -> Input {
        Input::Text(text.to_owned())
    }

    fn key(key: Key) -> Input {
        Input::Key {
            key,
            is_down: true,
            modifiers: Modifiers::default(),
        }
    }

    fn passes(typing: &mut Typing, input: Input, now_ms: u64) -> bool {
        matches!(typing.take(input, now_ms), Verdict::Pass(_))
    }

    #[test]
    fn quick_typist_is_never_held() {
        let mut typing = Typing::new(100_000, 15, 0);
        // 12 characters a second for ten minutes, which is a fast professional.
        for n in 0..7_200_u64 {
            assert!(passes(&mut typing, text("a"), n * 83), "{n}");
        }
    }

    #[test]
    fn input_method_commits_sentences_and_is_not_held() {
        let mut typing = Typing::new(100_000, 15, 0);
        let sentence = "受診した患者の年齢と性別ごとの人数を数えて、地域による違いを調べる。";
        for n in 0..200_u64 {
            assert!(passes(&mut typing, text(sentence), n * 4_000), "{n}");
        }
    }

    #[test]
    fn paste_is_held_and_let_in_only_when_admitted() {
        let mut typing = Typing::new(1_000, 15, 0);
        assert_eq!(typing.take(text(&"x".repeat(200)), 0), Verdict::HeldFirst);
        // What follows must not overtake it.
        assert_eq!(typing.take(text("y"), 60_000), Verdict::Held);
        assert_eq!((typing.held(), typing.left()), (201, 1_000));
        let admitted = typing.admit();
        assert_eq!(admitted, [text(&format!("{}y", "x".repeat(200)))]);
        assert_eq!((typing.held(), typing.left()), (0, 799));
        assert!(typing.admit().is_empty());
    }

    #[test]
    fn keyboard_emulator_that_drips_is_held_too() {
        let mut typing = Typing::new(100_000, 15, 0);
        // 100 characters a second, one by one.
        let held = (0..1_000_u64).position(|n| !passes(&mut typing, text("a"), n * 10));
        let held = held.unwrap();
        assert!((60..80).contains(&held), "{held}");
    }

    #[test]
    fn held_down_enter_is_stopped_and_movement_is_free() {
        let mut typing = Typing::new(100_000, 15, 0);
        let mut passed = 0;
        for n in 0..1_000_u64 {
            passed += u32::from(passes(&mut typing, key(Key::Enter), n * 10));
            assert!(passes(&mut typing, key(Key::ArrowDown), n * 10));
            assert!(passes(&mut typing, key(Key::Backspace), n * 10));
        }
        // 4 s of the bucket and the 10 s that passed.
        assert!((200..=215).contains(&passed), "{passed}");
        assert_eq!(typing.held(), 0);
    }

    #[test]
    fn nothing_is_admitted_over_the_sessions_total() {
        let mut typing = Typing::new(100, 15, 0);
        assert!(passes(&mut typing, text(&"a".repeat(60)), 0));
        assert_eq!(
            typing.take(text(&"b".repeat(41)), 600_000),
            Verdict::HeldFirst
        );
        assert!(!typing.may_admit() && typing.admit().is_empty());
        assert_eq!((typing.held(), typing.left()), (41, 40));
        typing.drop_held();
        assert!(passes(&mut typing, text(&"c".repeat(40)), 600_001));
        assert_eq!(typing.take(text("d"), 1_200_000), Verdict::HeldFirst);
        assert!(passes(&mut typing, key(Key::Enter), 1_200_000));
        assert_eq!(typing.left(), 0);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut typing = Typing::new(1_000_000, 1, 0);
        for _ in 0..100 {
            let _ = typing.take(text(&"x".repeat(500)), 0);
        }
        assert_eq!(typing.held(), u32::try_from(HELD_MAX).unwrap());
        assert_eq!(typing.take(text("x"), 0), Verdict::Dropped);
        // In pieces that messages carry, none of them within a character.
        let mut typing = Typing::new(1_000_000, 1, 0);
        let _ = typing.take(text(&"薬".repeat(170)), 0);
        let _ = typing.take(text(&"薬".repeat(170)), 0);
        let admitted = typing.admit();
        let sizes: Vec<usize> = admitted
            .iter()
            .map(|input| match input {
                Input::Text(text) => text.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(sizes.iter().all(|size| *size <= TEXT_BYTES_MAX));
        assert_eq!(sizes.iter().sum::<usize>(), 340 * 3);
    }

    #[test]
    fn clock_that_goes_back_gives_nothing_away() {
        let mut typing = Typing::new(100_000, 15, 1_000_000);
        assert!(passes(&mut typing, text(&"a".repeat(60)), 1_000_000));
        assert!(!passes(&mut typing, text("a"), 0));
        assert!(!passes(&mut typing, text("a"), 1_000_000));
    }
}
