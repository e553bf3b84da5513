//! What a person, or their terminal, sends to a console: a queue that is bounded in bytes, since a line
//! may be one packet or a hundred.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kekkai_analysis_api::SOURCE_MAX;
use tokio::sync::mpsc;

/// Bytes of input that wait for a console, with what they cost here: the longest script may come while
/// its session is launched.
pub(super) const INPUT_WAITING_MAX: usize = 4 * SOURCE_MAX;
/// What a packet costs beside its bytes.
const PACKET_COST: usize = 64;

/// What was sent.
pub(super) enum Input {
    /// Keys, or a file that is typed.
    Bytes(Bytes),
    /// The terminal's new width.
    Columns(u32),
    /// Ctrl-C, as a signal.
    Interrupt,
    /// No more input.
    End,
}

impl Input {
    fn cost(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len().saturating_add(PACKET_COST),
            Self::Columns(_) | Self::Interrupt | Self::End => PACKET_COST,
        }
    }
}

/// The handler's end. Never waits: that would stop the connection's output, too.
pub(super) struct InputSender {
    queue: mpsc::UnboundedSender<Input>,
    waiting: Arc<AtomicUsize>,
}

/// The console's end.
pub(super) struct InputReceiver {
    queue: mpsc::UnboundedReceiver<Input>,
    waiting: Arc<AtomicUsize>,
}

/// Too much waits already.
pub(super) struct QueueFull;

pub(super) fn queue() -> (InputSender, InputReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (
        InputSender {
            queue: sender,
            waiting: waiting.clone(),
        },
        InputReceiver {
            queue: receiver,
            waiting,
        },
    )
}

impl InputSender {
    /// Whether the console is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Passes input on, unless too much waits. A console that is gone takes everything.
    pub(super) fn send(&self, input: Input) -> Result<(), QueueFull> {
        let cost = input.cost();
        let before = self.waiting.fetch_add(cost, Ordering::SeqCst);
        if before.saturating_add(cost) > INPUT_WAITING_MAX {
            self.waiting.fetch_sub(cost, Ordering::SeqCst);
            return Err(QueueFull);
        }
        let _ = self.queue.send(input);
        Ok(())
    }
}

impl InputReceiver {
    /// The next input; `None` when the channel is closed.
    pub(super) async fn recv(&mut self) -> Option<Input> {
        let input = self.queue.recv().await?;
        self.waiting.fetch_sub(input.cost(), Ordering::SeqCst);
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn queue_is_bounded_in_bytes_and_has_room_again_when_it_was_read() {
        let (sender, mut receiver) = queue();
        let packet = || Input::Bytes(Bytes::from(vec![b'x'; SOURCE_MAX / 4]));
        let mut sent = 0;
        while sender.send(packet()).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, 15, "four scripts, less what the packets cost");
        assert!(receiver.recv().await.is_some());
        assert!(sender.send(packet()).is_ok());
        assert!(sender.send(packet()).is_err());

        // Many small packets are no way around it.
        let (sender, _receiver) = queue();
        let small = (0..)
            .take_while(|_| sender.send(Input::Bytes(Bytes::from_static(b"x"))).is_ok())
            .count();
        assert_eq!(small, INPUT_WAITING_MAX / (PACKET_COST + 1));
    }
}
