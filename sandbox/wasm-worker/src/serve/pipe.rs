//! Rows that come over a pipe.

use std::io;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use bytes::BufMut;
use kekkai_analysis_api::SqlError;
use kekkai_worker_api::ROWS_PIECE_MAX;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::desk::{Desk, Whole};
use crate::{NoAnswer, RowStream};

/// The rows of one query.
pub(super) struct PipeRows {
    desk: Desk,
    query: u32,
    pipe: pipe::Receiver,
    /// Answers once; then the stream is over.
    whole: Option<oneshot::Receiver<Whole>>,
}

impl PipeRows {
    pub(super) fn new(
        desk: Desk,
        query: u32,
        pipe: OwnedFd,
        whole: oneshot::Receiver<Whole>,
    ) -> io::Result<Self> {
        Ok(Self {
            desk,
            query,
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            whole: Some(whole),
        })
    }

    /// What is there, up to a whole piece; empty at the pipe's end.
    async fn read(&self) -> io::Result<Vec<u8>> {
        // Neither cleared beforehand nor copied: four copies lie between a table and a program already.
        let mut piece = Vec::with_capacity(ROWS_PIECE_MAX);
        while piece.len() < ROWS_PIECE_MAX {
            let left = ROWS_PIECE_MAX - piece.len();
            match self.pipe.try_read_buf(&mut (&mut piece).limit(left)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !piece.is_empty() {
                        break;
                    }
                    self.pipe.readable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(piece)
    }
}

#[async_trait]
impl RowStream for PipeRows {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, NoAnswer<SqlError>> {
        if self.whole.is_none() {
            return Ok(None);
        }
        let piece = self.read().await.map_err(|_| NoAnswer::Gone)?;
        if !piece.is_empty() {
            return Ok(Some(piece));
        }
        let Some(whole) = &mut self.whole else {
            return Ok(None);
        };
        // The pipe is closed by an SQL worker that was killed, too: the broker knows.
        let outcome = whole.await;
        self.whole = None;
        match outcome {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) => Err(NoAnswer::Refused(error)),
            Err(_) => Err(NoAnswer::Gone),
        }
    }
}

impl Drop for PipeRows {
    fn drop(&mut self) {
        if self.whole.is_some() {
            self.desk.drop_rows(self.query);
        }
    }
}
