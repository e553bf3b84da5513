//! What waits to be sent to a workspace. Whoever puts something in never waits; a workspace that takes nothing
//! is found out by the one task that sends.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kekkai_frames::{Input, WHEEL_MAX};
use kekkai_worker_api::{AsyncSender, FrameError, ToDesktop};
use tokio::sync::Notify;

/// Messages that wait.
const MESSAGES_MAX: usize = 1_024;
/// Inputs that one message holds.
const INPUTS_AT_ONCE: usize = 256;
/// A workspace that doesn't take a message in this time is not ours any more.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Why sending ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nobody needs it any more.
    Closed,
    /// The process is gone.
    Lost,
    /// It takes nothing.
    Stuck,
}

/// Messages for a workspace, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<(ToDesktop, Vec<OwnedFd>)>,
    is_closed: bool,
}

impl Outbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Only whole changes are made under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message with its descriptors. False where it is not taken: closed, or too much waits.
    pub(super) fn push(&self, message: ToDesktop, files: Vec<OwnedFd>) -> bool {
        let mut queue = self.queue();
        if queue.is_closed || queue.messages.len() >= MESSAGES_MAX {
            return false;
        }
        queue.messages.push_back((message, files));
        drop(queue);
        self.changed.notify_one();
        true
    }

    /// Adds inputs: to those that still wait, and a movement takes the place of the one before it.
    pub(super) fn push_inputs(&self, inputs: Vec<Input>) -> bool {
        if inputs.is_empty() {
            return true;
        }
        let mut queue = self.queue();
        if queue.is_closed {
            return false;
        }
        for input in inputs {
            if let Some((ToDesktop::Input(waiting), _)) = queue.messages.back_mut() {
                if waiting.last_mut().is_some_and(|last| merge(last, &input)) {
                    continue;
                }
                if waiting.len() < INPUTS_AT_ONCE {
                    waiting.push(input);
                    continue;
                }
            }
            if queue.messages.len() >= MESSAGES_MAX {
                return false;
            }
            let message = ToDesktop::Input(vec![input]);
            queue.messages.push_back((message, Vec::new()));
        }
        drop(queue);
        self.changed.notify_one();
        true
    }

    /// Takes nothing more, and forgets what waits.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.is_closed = true;
        queue.messages.clear();
        drop(queue);
        self.changed.notify_one();
    }

    /// Sends until something stops it.
    pub(super) async fn drain(&self, mut to: AsyncSender<ToDesktop>) -> Stopped {
        loop {
            let (next, is_closed) = {
                let mut queue = self.queue();
                (queue.messages.pop_front(), queue.is_closed)
            };
            let Some((message, files)) = next else {
                if is_closed {
                    return Stopped::Closed;
                }
                self.changed.notified().await;
                continue;
            };
            let descriptors: Vec<_> = files.iter().map(AsFd::as_fd).collect();
            let sent = to.send(&message, &descriptors);
            match tokio::time::timeout(SEND_LIMIT, sent).await {
                Ok(Ok(())) => {}
                // Nothing of it was sent: the channel is whole. Whoever waits for it waits in vain.
                Ok(Err(FrameError::OursTooLarge { bytes, .. })) => {
                    tracing::warn!(bytes, "a message for a workspace is too long");
                }
                Ok(Err(_)) => return Stopped::Lost,
                Err(_) => return Stopped::Stuck,
            }
        }
    }
}

/// Puts a movement of the pointer into the one before it, where nothing else changed.
fn merge(last: &mut Input, next: &Input) -> bool {
    let Input::Pointer {
        x,
        y,
        buttons,
        wheel_x,
        wheel_y,
        modifiers,
    } = last
    else {
        return false;
    };
    let Input::Pointer {
        x: to_x,
        y: to_y,
        buttons: same_buttons,
        wheel_x: more_x,
        wheel_y: more_y,
        modifiers: same_modifiers,
    } = next
    else {
        return false;
    };
    if buttons != same_buttons || modifiers != same_modifiers {
        return false;
    }
    (*x, *y) = (*to_x, *to_y);
    let turn = |wheel: i16, more: i16| wheel.saturating_add(more).clamp(-WHEEL_MAX, WHEEL_MAX);
    (*wheel_x, *wheel_y) = (turn(*wheel_x, *more_x), turn(*wheel_y, *more_y));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_frames::{Key, Modifiers};

    fn pointer(x: u16, buttons: u8, wheel_y: i16) -> Input {
        Input::Pointer {
            x,
            y: 1,
            buttons,
            wheel_x: 0,
            wheel_y,
            modifiers: Modifiers::default(),
        }
    }

    fn waiting(outbox: &Outbox) -> Vec<Input> {
        let queue = outbox.queue();
        let inputs = queue
            .messages
            .iter()
            .flat_map(|(message, _)| match message {
                ToDesktop::Input(inputs) => inputs.clone(),
                _ => Vec::new(),
            });
        inputs.collect()
    }

    #[test]
    fn movements_are_merged_and_presses_are_not() {
        let outbox = Outbox::default();
        let press = Input::Key {
            key: Key::Enter,
            is_down: true,
            modifiers: Modifiers::default(),
        };
        let told = vec![
            pointer(1, 0, 3),
            pointer(2, 0, 4),
            pointer(3, 1, 0),
            pointer(3, 0, 0),
            press.clone(),
            pointer(4, 0, 0),
        ];
        assert!(outbox.push_inputs(told));
        let expected = [
            pointer(2, 0, 7),
            pointer(3, 1, 0),
            pointer(3, 0, 0),
            press,
            pointer(4, 0, 0),
        ];
        assert_eq!(waiting(&outbox), expected);
    }

    #[test]
    fn what_waits_is_bounded_and_gone_when_closed() {
        let outbox = Outbox::default();
        let texts = (0..INPUTS_AT_ONCE * (MESSAGES_MAX + 1)).map(|_| Input::Text("a".to_owned()));
        assert!(!outbox.push_inputs(texts.collect()));
        assert_eq!(waiting(&outbox).len(), INPUTS_AT_ONCE * MESSAGES_MAX);
        assert!(!outbox.push(ToDesktop::Watched { watchers: 1 }, Vec::new()));
        outbox.close();
        assert!(waiting(&outbox).is_empty());
        assert!(!outbox.push_inputs(vec![Input::Text("a".to_owned())]));
    }
}
