//! A program's statement: its answer goes into a pipe, at the reader's pace.
//!
//! Nothing here blocks a thread. A reader that stops reading holds its own statement and nothing else, and one
//! that goes away ends it.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use kekkai_engine::{Cancel, Piece, Progress, Sent, Session, Statement, Stopped};
use kekkai_types::JobId;
use kekkai_worker_api::{FromWorker, Sender};
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::serve::{failed, internal};

/// A statement whose answer goes into a pipe.
pub(crate) struct Stream {
    pub(crate) compute: Handle,
    pub(crate) session: Arc<Session>,
    pub(crate) sender: Sender,
    pub(crate) job: JobId,
    pub(crate) statement: Statement,
    /// Rows as they are; otherwise a suppressed statistic.
    pub(crate) rows: bool,
    /// The most rows that are sent.
    pub(crate) rows_max: u64,
    pub(crate) cancel: Cancel,
    pub(crate) pipe: OwnedFd,
}

impl Stream {
    /// Runs it to its end and closes the pipe; gives what the broker is to be told.
    pub(crate) async fn run(self) -> FromWorker {
        let job = self.job.clone();
        match self.stream().await {
            Ok(Sent { rows, persons }) => FromWorker::RowsDone { job, rows, persons },
            Err(Stopped::Failed(error)) => failed(job, error),
            Err(Stopped::Cancelled) => FromWorker::Cancelled { job },
        }
    }

    async fn stream(self) -> Result<Sent, Stopped> {
        let Self {
            compute,
            session,
            sender,
            job,
            statement,
            rows,
            rows_max,
            cancel,
            pipe,
        } = self;
        // A descriptor that is no pipe's writing end is our broker's mistake.
        let pipe = pipe::Sender::from_owned_fd(pipe).map_err(|_| internal())?;
        let (out, pieces) = Session::pieces();
        let progress = |progress: Progress| {
            // A broker that is gone is noticed by the reading thread.
            let _ = sender.send(&FromWorker::Progress {
                job: job.clone(),
                rows_read: progress.rows_read,
                rows_total: progress.rows_total,
            });
        };
        let begin = || {
            let _ = sender.send(&FromWorker::RowsBegin { job: job.clone() });
        };
        let answer = async {
            if rows {
                session
                    .first_rows_on(&compute, statement, rows_max, &cancel, progress, out)
                    .await
            } else {
                session
                    .statistic_on(&compute, statement, &cancel, progress, out)
                    .await
            }
        };
        let written = write(&pipe, pieces, begin);
        tokio::pin!(answer, written);
        let sent = tokio::select! {
            biased;
            answer = &mut answer => answer?,
            done = &mut written => {
                // Nobody reads; or everything is written and the answer is about to say so.
                done.map_err(|_| Stopped::Cancelled)?;
                return answer.await;
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Stopped::Cancelled),
            done = &mut written => done.map(|()| sent).map_err(|_| Stopped::Cancelled),
        }
    }
}

/// Writes pieces until there are no more. Fails when nobody reads any more.
async fn write(
    pipe: &pipe::Sender,
    mut pieces: mpsc::Receiver<Piece>,
    begin: impl Fn(),
) -> io::Result<()> {
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Begin => begin(),
            Piece::Bytes(buffers) => {
                let mut slices: Vec<IoSlice<'_>> = buffers
                    .iter()
                    .map(|buffer| IoSlice::new(buffer.as_slice()))
                    .collect();
                write_all(pipe, &mut slices).await?;
            }
        }
    }
    Ok(())
}

async fn write_all(pipe: &pipe::Sender, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Takes empty slices off the front: writing only those would look like the end.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        pipe.writable().await?;
        match pipe.try_write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut slices, n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
