//! The process that draws: told how to begin, heard, ended.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use kekkai_sys::{Exit, memfd};
use kekkai_worker_api::{AsyncReceiver, Begin, FrameError, FromDesktop, ToDesktop};
use tokio::sync::{mpsc, oneshot};

use super::DesktopHost;
use super::outbox::{Outbox, Stopped};
use super::turn::PIXELS_BYTES;
use crate::worker::{Jailed, Life};

/// Messages that are read ahead of what they cause.
const AHEAD_MAX: usize = 8;

/// What a process says, until it says no more.
type Said = Result<Option<FromDesktop>, FrameError>;

/// A process that draws one session's desktop.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) outbox: Arc<Outbox>,
    pub(super) from: mpsc::Receiver<Said>,
    /// Told when sending to it ended.
    pub(super) stopped: oneshot::Receiver<Stopped>,
    pub(super) life: Life,
    /// What it draws into. It can write there at any time; its length stays.
    pub(super) pixels: Arc<File>,
}

impl Workspace {
    /// Tells a jailed process what to draw.
    pub(super) fn begin(
        jailed: Jailed<ToDesktop, FromDesktop>,
        host: &DesktopHost,
        mut begin: Begin,
    ) -> std::io::Result<Self> {
        let pixels = memfd::of_fixed_length("pixels", PIXELS_BYTES)?;
        let mut files: Vec<OwnedFd> = vec![pixels.try_clone()?];
        begin.fonts.clear();
        for (name, font) in &host.fonts {
            // Each process reads at a place of its own.
            files.push(memfd::reopened(font.as_fd())?);
            begin.fonts.push(name.clone());
        }
        let (to, from, life) = jailed.into_parts();
        let outbox = Arc::new(Outbox::default());
        outbox.push(ToDesktop::Begin(Box::new(begin)), files);
        let (tell, stopped) = oneshot::channel();
        tokio::spawn({
            let outbox = outbox.clone();
            async move {
                let why = outbox.drain(to).await;
                // From here on nothing is taken for it.
                outbox.close();
                // A desk that is gone asks no more.
                let _ = tell.send(why);
            }
        });
        Ok(Self {
            outbox,
            from: listen(from),
            stopped,
            life,
            pixels: Arc::new(File::from(pixels)),
        })
    }

    /// Ends it: how it ended.
    pub(super) async fn end(&self) -> Option<Exit> {
        self.outbox.close();
        self.life.let_end().await
    }
}

/// Receives in a task of its own: a frame that is given up half-way is lost, and whoever waits for several
/// things gives up often. The process waits when nobody listens.
fn listen(mut receiver: AsyncReceiver<FromDesktop>) -> mpsc::Receiver<Said> {
    let (told, from) = mpsc::channel(AHEAD_MAX);
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = receiver.receive() => message,
                // The desk is over.
                () = told.closed() => return,
            };
            let is_last = !matches!(message, Ok(Some(_)));
            if told.send(message).await.is_err() || is_last {
                return;
            }
        }
    });
    from
}
