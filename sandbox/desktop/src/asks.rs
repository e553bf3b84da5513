//! Questions to the broker: numbered, bounded, each answered once and handed to who asked.

use std::collections::{BTreeMap, BTreeSet};

use kekkai_worker_api::{ASKS_OPEN_MAX, Answer, Ask};

/// Answers that nobody has taken yet. A pane that was closed never comes for its own: the oldest go.
const ANSWERS_KEPT_MAX: usize = 2 * ASKS_OPEN_MAX;

/// Names a question, for whoever waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u32);

/// An answer to something that was never asked: the broker is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker answers {0}, which was not asked")]
pub struct NotAsked(pub u32);

/// Open questions and answers that wait to be taken.
#[derive(Debug, Default)]
pub struct Asks {
    last: u32,
    open: BTreeSet<u32>,
    /// Whose answer is only looked at when it is a refusal.
    told: BTreeSet<u32>,
    answers: BTreeMap<u32, Answer>,
    outgoing: Vec<(u32, Ask)>,
    /// Something was asked while [`ASKS_OPEN_MAX`] were open.
    overflowed: bool,
    /// Refusals of what was [told](Self::tell).
    refused: Vec<Answer>,
}

impl Asks {
    /// Asks. `None` when too many questions are open: the shell then says that the server is busy.
    #[must_use = "the ticket is the way to the answer"]
    pub fn ask(&mut self, ask: Ask) -> Option<Ticket> {
        if self.open.len() >= ASKS_OPEN_MAX {
            self.overflowed = true;
            return None;
        }
        self.last = self.last.wrapping_add(1);
        self.open.insert(self.last);
        self.outgoing.push((self.last, ask));
        Some(Ticket(self.last))
    }

    /// Asks where nothing but a refusal matters; the shell shows that.
    pub fn tell(&mut self, ask: Ask) {
        if let Some(Ticket(request)) = self.ask(ask) {
            self.told.insert(request);
        }
    }

    /// The answer, once.
    pub fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.remove(&ticket.0)
    }

    /// Takes the answer out of a place that waits for it, and empties the place.
    pub fn taken(&mut self, waits: &mut Option<Ticket>) -> Option<Answer> {
        let answer = self.take((*waits)?)?;
        *waits = None;
        Some(answer)
    }

    /// Whether the answer has not come yet.
    pub fn is_open(&self, ticket: Ticket) -> bool {
        self.open.contains(&ticket.0)
    }

    /// What is to be sent, in order.
    pub fn drain(&mut self) -> Vec<(u32, Ask)> {
        std::mem::take(&mut self.outgoing)
    }

    /// Whether a question was lost since the last call, since too many were open.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    /// Refusals of what was [told](Self::tell), since the last call.
    pub fn take_refused(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.refused)
    }

    /// The broker's answer.
    pub fn answer(&mut self, request: u32, answer: Answer) -> Result<(), NotAsked> {
        if !self.open.remove(&request) {
            return Err(NotAsked(request));
        }
        if self.told.remove(&request) {
            if matches!(answer, Answer::Refused(_) | Answer::Wrong(_)) {
                self.refused.push(answer);
            }
            return Ok(());
        }
        self.answers.insert(request, answer);
        while self.answers.len() > ANSWERS_KEPT_MAX {
            self.answers.pop_first();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_types::Refusal;

    #[test]
    fn answer_goes_to_who_asked_and_only_once() {
        let mut asks = Asks::default();
        let a = asks.ask(Ask::Notebooks).unwrap();
        let b = asks.ask(Ask::Outputs).unwrap();
        let sent: Vec<u32> = asks.drain().iter().map(|(request, _)| *request).collect();
        assert_eq!(sent, [1, 2]);
        assert!(asks.drain().is_empty());
        asks.answer(2, Answer::Outputs(Vec::new())).unwrap();
        assert!(asks.is_open(a) && !asks.is_open(b));
        assert_eq!(asks.take(a), None);
        let mut waits = Some(b);
        assert_eq!(asks.taken(&mut waits), Some(Answer::Outputs(Vec::new())));
        assert_eq!(waits, None);
        assert_eq!(asks.take(b), None);
    }

    #[test]
    fn broker_cannot_answer_what_was_not_asked_nor_answer_twice() {
        let mut asks = Asks::default();
        assert_eq!(asks.answer(1, Answer::Done), Err(NotAsked(1)));
        asks.tell(Ask::Lock);
        asks.answer(1, Answer::Done).unwrap();
        assert_eq!(asks.answer(1, Answer::Done), Err(NotAsked(1)));
    }

    #[test]
    fn questions_are_bounded_and_their_loss_is_said() {
        let mut asks = Asks::default();
        for _ in 0..ASKS_OPEN_MAX {
            assert!(asks.ask(Ask::Outputs).is_some());
        }
        assert!(!asks.take_overflow());
        assert_eq!(asks.ask(Ask::Outputs), None);
        assert!(asks.take_overflow());
        asks.answer(1, Answer::Done).unwrap();
        assert!(asks.ask(Ask::Outputs).is_some());
    }

    #[test]
    fn refusal_of_a_wish_is_not_lost() {
        let mut asks = Asks::default();
        asks.tell(Ask::Lock);
        let refused = Answer::Refused(Refusal::new("internal", ""));
        asks.answer(1, refused.clone()).unwrap();
        assert_eq!(asks.take_refused(), [refused]);
    }
}
