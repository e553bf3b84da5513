//! What a client sends, counted: how much, and whether it answers.

use std::collections::VecDeque;
use std::time::Duration;

use kekkai_frames::{FRAMES_UNACKNOWLEDGED_MAX, Input, Output};
use tokio::time::Instant;

use super::{ANSWER_LIMIT, INPUT_BYTES_PER_SECOND_MAX, INPUTS_PER_SECOND_MAX};

/// Pings that were sent and not answered.
const PINGS_UNANSWERED_MAX: usize = 4;
/// Over which a client's messages are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Too much is under way: the analysis server doesn't wait for acknowledgements.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("more frames or pings are under way than may be")]
pub(super) struct Overrun;

/// One connection's counts. Time is an argument.
pub(super) struct Meter {
    window: Instant,
    messages: u32,
    bytes: usize,
    frames: VecDeque<Sent>,
    pings: VecDeque<Sent>,
    last_input: Instant,
}

struct Sent {
    number: u32,
    /// When its last byte was taken; `None`: it is being sent.
    at: Option<Instant>,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window: now,
            messages: 0,
            bytes: 0,
            frames: VecDeque::new(),
            pings: VecDeque::new(),
            last_input: now,
        }
    }

    /// Something came; false when it is too much.
    pub(super) fn arrived(&mut self, bytes: usize, now: Instant) -> bool {
        if now.duration_since(self.window) >= WINDOW {
            (self.window, self.messages, self.bytes) = (now, 0, 0);
        }
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.messages <= INPUTS_PER_SECOND_MAX && self.bytes <= INPUT_BYTES_PER_SECOND_MAX
    }

    /// Looks at an input; false when it acknowledges what was not sent, or again, or out of turn.
    pub(super) fn takes(&mut self, input: &Input, now: Instant) -> bool {
        let Input::Ack { number, is_ping } = input else {
            self.last_input = now;
            return true;
        };
        let sent = match is_ping {
            true => &mut self.pings,
            false => &mut self.frames,
        };
        let is_next = sent.front().is_some_and(|sent| sent.number == *number);
        if is_next {
            sent.pop_front();
        }
        is_next
    }

    /// A message is about to be sent: its acknowledgement may come before its last byte is gone.
    pub(super) fn sends(&mut self, output: &Output) -> Result<(), Overrun> {
        let (sent, number, max) = match output {
            Output::Tiles {
                frame,
                ends_frame: true,
                ..
            } => (&mut self.frames, *frame, FRAMES_UNACKNOWLEDGED_MAX),
            Output::Ping { number } => (&mut self.pings, *number, PINGS_UNANSWERED_MAX),
            _ => return Ok(()),
        };
        if sent.len() >= max {
            return Err(Overrun);
        }
        sent.push_back(Sent { number, at: None });
        Ok(())
    }

    /// It was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        for sent in self.frames.iter_mut().chain(&mut self.pings) {
            sent.at.get_or_insert(now);
        }
    }

    /// Whether an answer is overdue.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        [&self.frames, &self.pings]
            .into_iter()
            .filter_map(|sent| sent.front()?.at)
            .any(|at| now.duration_since(at) >= ANSWER_LIMIT)
    }

    /// How long the person has done nothing.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        now.duration_since(self.last_input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(frame: u32) -> Output {
        Output::Tiles {
            frame,
            ends_frame: true,
            tiles: Vec::new(),
        }
    }

    fn ack(number: u32) -> Input {
        Input::Ack {
            number,
            is_ping: false,
        }
    }

    #[test]
    fn only_what_was_sent_is_acknowledged_once_and_in_turn() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        assert!(!meter.takes(&ack(1), now));
        meter.sends(&frame(1)).unwrap();
        meter.sends(&frame(2)).unwrap();
        assert!(!meter.takes(&ack(2), now), "out of turn");
        assert!(!meter.takes(
            &Input::Ack {
                number: 1,
                is_ping: true
            },
            now
        ));
        assert!(meter.takes(&ack(1), now));
        assert!(!meter.takes(&ack(1), now), "twice");
        assert!(meter.takes(&ack(2), now));
    }

    #[test]
    fn frames_under_way_are_bounded() {
        let mut meter = Meter::new(Instant::now());
        for number in 1..=4 {
            meter.sends(&frame(number)).unwrap();
        }
        assert_eq!(meter.sends(&frame(5)), Err(Overrun));
        meter.takes(&ack(1), Instant::now());
        assert_eq!(meter.sends(&frame(5)), Ok(()));
    }

    #[test]
    fn client_that_answers_nothing_is_silent_and_one_that_is_sent_nothing_is_not() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        assert!(!meter.is_silent(begun + ANSWER_LIMIT * 100));
        meter.sends(&frame(1)).unwrap();
        assert!(!meter.is_silent(begun + ANSWER_LIMIT), "not sent yet");
        meter.sent(begun);
        assert!(!meter.is_silent(begun + ANSWER_LIMIT - Duration::from_millis(1)));
        assert!(meter.is_silent(begun + ANSWER_LIMIT));
        meter.sends(&frame(2)).unwrap();
        meter.sent(begun + ANSWER_LIMIT);
        assert!(meter.is_silent(begun + ANSWER_LIMIT), "the oldest counts");
        assert!(meter.takes(&ack(1), begun));
        assert!(!meter.is_silent(begun + ANSWER_LIMIT));
    }

    #[test]
    fn flood_is_seen_by_number_and_by_bytes_and_a_fast_mouse_is_none() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        for ms in 0..5000_u32 {
            let now = begun + Duration::from_millis(ms.into());
            assert!(meter.arrived(14, now), "{ms}");
        }
        let now = begun + Duration::from_secs(60);
        let taken = (0..).take_while(|_| meter.arrived(1, now)).count();
        assert_eq!(taken, 2000);
        let now = begun + Duration::from_secs(62);
        let taken = (0..).take_while(|_| meter.arrived(1024, now)).count();
        assert_eq!(taken, 256);
    }

    #[test]
    fn acknowledgement_is_no_sign_of_a_person() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        meter.sends(&frame(1)).unwrap();
        let later = begun + Duration::from_secs(9);
        assert!(meter.takes(&ack(1), later));
        assert_eq!(meter.idle(later), Duration::from_secs(9));
        assert!(meter.takes(&Input::Text("a".into()), later));
        assert_eq!(meter.idle(later), Duration::ZERO);
    }
}
