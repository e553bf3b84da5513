//! Whose statement runs next: so many at once on this server, the rest in turn, project by project.
//!
//! A project that asks for a hundred statements waits for its own, and holds up another project's first one by
//! a single statement at most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kekkai_types::{AgreementId, Refusal};
use tokio::sync::watch;

/// Statements that wait, of all projects together.
pub const WAITING_MAX: usize = 256;

/// The turns of one server. Cheap to clone: clones share them.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    at_once: usize,
    line: Mutex<Line>,
    /// Counts up with each change of the line.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Line {
    running: usize,
    last_number: u64,
    /// Those who wait, by project: none is empty.
    waiting: BTreeMap<AgreementId, VecDeque<u64>>,
    /// The project whose turn was last.
    last: Option<AgreementId>,
}

/// A place in the line, then a turn. Dropping it leaves the line, or ends the turn.
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    project: AgreementId,
    number: u64,
}

impl Turns {
    /// So many at once, at least one.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Shared {
            at_once: at_once.max(1),
            line: Mutex::default(),
            changed: watch::Sender::new(0),
        }))
    }

    /// Takes a place at the end of the project's own line. Refused where too many wait already.
    pub fn queue(&self, project: &AgreementId) -> Result<Ticket, Refusal> {
        let ticket = {
            let mut line = self.0.line();
            if line.waiting.values().map(VecDeque::len).sum::<usize>() >= WAITING_MAX {
                return Err(Refusal::new("too-many-waiting", WAITING_MAX.to_string()));
            }
            line.last_number = line.last_number.wrapping_add(1);
            let number = line.last_number;
            line.waiting
                .entry(project.clone())
                .or_default()
                .push_back(number);
            line.admit(self.0.at_once);
            Ticket {
                shared: self.0.clone(),
                project: project.clone(),
                number,
            }
        };
        self.0.announce();
        Ok(ticket)
    }
}

impl Shared {
    // Only whole changes are made under this lock.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Line {
    /// Gives turns to those who are next, while there is room.
    fn admit(&mut self, at_once: usize) {
        while self.running < at_once {
            let Some(project) = self.next_after(self.last.as_ref()).cloned() else {
                return;
            };
            if let Some(line) = self.waiting.get_mut(&project) {
                line.pop_front();
                if line.is_empty() {
                    self.waiting.remove(&project);
                }
            }
            self.last = Some(project);
            self.running += 1;
        }
    }

    /// The project after another one, around.
    fn next_after(&self, last: Option<&AgreementId>) -> Option<&AgreementId> {
        let after = self.waiting.keys().find(|project| Some(*project) > last);
        after.or_else(|| self.waiting.keys().next())
    }

    /// How many have their turn before this one, which is `at` in its project's own line.
    fn ahead(&self, project: &AgreementId, at: usize) -> usize {
        // In the order of turns, each project before this one has one turn more.
        let comes_first = |other: &AgreementId| match &self.last {
            Some(last) => (other <= last, other) < (project <= last, project),
            None => other < project,
        };
        self.waiting
            .iter()
            .map(|(other, line)| match other == project {
                true => at,
                false => line
                    .len()
                    .min(at.saturating_add(usize::from(comes_first(other)))),
            })
            .sum()
    }
}

impl Ticket {
    /// How many have their turn before it; `None`: it has its own.
    pub fn ahead(&self) -> Option<usize> {
        let line = self.shared.line();
        let own = line.waiting.get(&self.project)?;
        let at = own.iter().position(|number| *number == self.number)?;
        Some(line.ahead(&self.project, at))
    }

    /// Waits for its turn.
    pub async fn turn(&self) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if self.ahead().is_none() {
                return;
            }
            // The sender lives in `self`.
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        {
            let mut line = self.shared.line();
            let waits = line.waiting.get_mut(&self.project).and_then(|own| {
                let at = own.iter().position(|number| *number == self.number)?;
                own.remove(at);
                Some(own.is_empty())
            });
            match waits {
                Some(true) => drop(line.waiting.remove(&self.project)),
                Some(false) => {}
                None => line.running = line.running.saturating_sub(1),
            }
            line.admit(self.shared.at_once);
        }
        self.shared.announce();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> AgreementId {
        AgreementId::new(name).unwrap()
    }

    /// Those who have their turn, of these.
    fn running(tickets: &[Ticket]) -> usize {
        tickets.iter().filter(|t| t.ahead().is_none()).count()
    }

    #[test]
    fn so_many_run_at_once_and_the_next_when_one_ends() {
        let turns = Turns::new(2);
        let a = project("a");
        let mut tickets: Vec<_> = (0..4).map(|_| turns.queue(&a).unwrap()).collect();
        let ahead: Vec<_> = tickets.iter().map(Ticket::ahead).collect();
        assert_eq!(ahead, [None, None, Some(0), Some(1)]);
        drop(tickets.remove(0));
        let ahead: Vec<_> = tickets.iter().map(Ticket::ahead).collect();
        assert_eq!(ahead, [None, None, Some(0)]);
    }

    #[test]
    fn busy_project_holds_up_another_by_one_statement() {
        let turns = Turns::new(1);
        let mut busy: Vec<_> = (0..50)
            .map(|_| turns.queue(&project("busy")).unwrap())
            .collect();
        let other = turns.queue(&project("other")).unwrap();
        // "busy" had the last turn: now it is another's.
        assert_eq!(other.ahead(), Some(0));
        assert_eq!(busy[1].ahead(), Some(1));
        drop(busy.remove(0));
        assert_eq!(other.ahead(), None);
        assert_eq!(running(&busy), 0);
    }

    #[test]
    fn what_is_said_to_be_ahead_is_what_runs_before() {
        let turns = Turns::new(1);
        let first = turns.queue(&project("m")).unwrap();
        let mut waiting = Vec::new();
        for (name, count) in [("a", 3), ("m", 2), ("x", 4), ("b", 1)] {
            waiting.extend((0..count).map(|_| turns.queue(&project(name)).unwrap()));
        }
        let mut said: Vec<(usize, u64)> = waiting
            .iter()
            .map(|ticket| (ticket.ahead().unwrap(), ticket.number))
            .collect();
        said.sort_unstable();
        let places: Vec<usize> = said.iter().map(|(ahead, _)| *ahead).collect();
        assert_eq!(places, (0..10).collect::<Vec<_>>());
        drop(first);
        for (_, number) in said {
            let has_turn: Vec<u64> = waiting
                .iter()
                .filter(|ticket| ticket.ahead().is_none())
                .map(|ticket| ticket.number)
                .collect();
            assert_eq!(has_turn, [number]);
            waiting.retain(|ticket| ticket.number != number);
        }
    }

    #[test]
    fn who_leaves_the_line_holds_up_nobody() {
        let turns = Turns::new(1);
        let a = project("a");
        let first = turns.queue(&a).unwrap();
        let second = turns.queue(&a).unwrap();
        let third = turns.queue(&a).unwrap();
        drop(second);
        assert_eq!(third.ahead(), Some(0));
        drop(first);
        assert_eq!(third.ahead(), None);
        drop(third);
        assert_eq!(turns.queue(&a).unwrap().ahead(), None);
    }

    #[test]
    fn line_is_bounded() {
        let turns = Turns::new(1);
        let tickets: Vec<_> = (0..=WAITING_MAX)
            .map(|_| turns.queue(&project("a")).unwrap())
            .collect();
        let refused = turns.queue(&project("b")).unwrap_err();
        assert_eq!(refused.code, "too-many-waiting");
        drop(tickets);
        assert!(turns.queue(&project("b")).is_ok());
    }
}
