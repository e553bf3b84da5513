//! Answers to programs, as streams: rows as they are, or a suppressed statistic.
//!
//! The receiver sets the pace: at most [`PIECES_AHEAD`] pieces wait for it, then reading stops.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::errors::{planning, running};
use crate::follow::Checked;
use crate::functions::Purpose;
use crate::mistakes::advised;
use crate::rows::{
    Encoder, Output, Piece, Planned, Sent, check, check_related, planned, table_batch,
};
use crate::runtime::Joins;
use crate::session::{Answer, Cancel, Progress, Session, Stopped, drive};
use crate::table::RowsRead;
use crate::text::{Text, refuse};

/// Pieces that may wait to be taken.
const PIECES_AHEAD: usize = 2;

/// A statement and the values of its `?`, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// At most `SQL_MAX` bytes.
    pub sql: String,
    /// As many as there are `?`; their texts together at most `SQL_MAX` bytes.
    pub parameters: Vec<Value>,
}

/// Where pieces go.
type Out = mpsc::Sender<Piece>;

impl Session {
    /// Where an answer comes out, and what puts it there. Dropping the receiver stops the answer, which then is
    /// [`Stopped::Cancelled`].
    pub fn pieces() -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
        mpsc::channel(PIECES_AHEAD)
    }

    /// Sends the rows of a statement, in the types that `rows::output` lists. On runtimes as
    /// [`Session::run_on`].
    pub async fn rows_on(
        self: &Arc<Self>,
        compute: &Handle,
        statement: Statement,
        cancel: &Cancel,
        progress: impl Fn(Progress) + Send,
        out: Out,
    ) -> Result<Sent, Stopped> {
        self.first_rows_on(compute, statement, u64::MAX, cancel, progress, out)
            .await
    }

    /// As [`Session::rows_on`], of which it sends the first `rows_max` and then ends the stream well.
    pub async fn first_rows_on(
        self: &Arc<Self>,
        compute: &Handle,
        statement: Statement,
        rows_max: u64,
        cancel: &Cancel,
        progress: impl Fn(Progress) + Send,
        out: Out,
    ) -> Result<Sent, Stopped> {
        let rows = Arc::new(RowsRead::default());
        let (session, counting) = (Arc::clone(self), Arc::clone(&rows));
        let work = async move {
            session
                .send_rows(&statement, rows_max, &counting, &out)
                .await
        };
        drive(compute, &rows, cancel, progress, work).await
    }

    /// Sends what [`Session::run_on`] answers, suppressed cells as `NULL`.
    pub async fn statistic_on(
        self: &Arc<Self>,
        compute: &Handle,
        statement: Statement,
        cancel: &Cancel,
        progress: impl Fn(Progress) + Send,
        out: Out,
    ) -> Result<Sent, Stopped> {
        let rows = Arc::new(RowsRead::default());
        let (session, counting) = (Arc::clone(self), Arc::clone(&rows));
        let work = async move { session.send_statistic(&statement, &counting, &out).await };
        drive(compute, &rows, cancel, progress, work).await
    }

    async fn send_rows(
        &self,
        statement: &Statement,
        rows_max: u64,
        rows_read: &Arc<RowsRead>,
        out: &Out,
    ) -> Result<Sent, Stopped> {
        let text = Text::new(&statement.sql)?;
        let failed = |error| Stopped::Failed(running(&error, &text));
        let planned = self.rows_plan(statement, &text, rows_read)?;
        let mut batches = self
            .execute(&planned.plan, Joins::Hashed)
            .await
            .map_err(failed)?;
        let output = Output::new(&batches.schema(), planned.shown(), &text)?;
        let mut encoder = Encoder::new(output)?;
        let mut counter = planned.counter();
        let mut rows = 0;
        send(out, Piece::Begin).await?;
        while let Some(batch) = batches.next().await {
            let batch = first_of(batch.map_err(failed)?, rows_max.saturating_sub(rows));
            let batch = counter.count(&batch).map_err(failed)?;
            rows += send_batch(out, &mut encoder, &batch).await?;
            if rows >= rows_max {
                break;
            }
        }
        send(out, encoder.finish()?).await?;
        Ok(Sent {
            rows,
            persons: counter.persons(),
        })
    }

    fn rows_plan(
        &self,
        statement: &Statement,
        text: &Text,
        rows_read: &Arc<RowsRead>,
    ) -> Checked<Planned> {
        text.only_query()?;
        let plan = self.plan(text, &statement.parameters, Purpose::Rows, rows_read)?;
        check(&plan, text).map_err(|error| advised(error, text))?;
        let mut planned = planned(plan, text);
        let optimized = self
            .optimize(&planned.plan)
            .map_err(|e| planning(&e, text))?;
        let is_same = planned
            .plan
            .schema()
            .fields()
            .iter()
            .map(|field| field.name())
            .eq(optimized.schema().fields().iter().map(|field| field.name()));
        if !is_same {
            return Err(refuse(SqlErrorCode::Internal, "", None));
        }
        check_related(&optimized, text)?;
        planned.plan = optimized;
        Ok(planned)
    }

    async fn send_statistic(
        &self,
        statement: &Statement,
        rows_read: &Arc<RowsRead>,
        out: &Out,
    ) -> Result<Sent, Stopped> {
        let Statement { sql, parameters } = statement;
        let Answer { table, .. } = self.whole(sql, parameters, rows_read).await?;
        let text = Text::new(sql)?;
        let batch = table_batch(&table)?;
        let output = Output::new(&batch.schema(), batch.num_columns(), &text)?;
        let mut encoder = Encoder::new(output)?;
        send(out, Piece::Begin).await?;
        let rows = send_batch(out, &mut encoder, &batch).await?;
        send(out, encoder.finish()?).await?;
        Ok(Sent {
            rows,
            persons: None,
        })
    }
}

/// A batch's first rows.
fn first_of(batch: RecordBatch, rows_max: u64) -> RecordBatch {
    match usize::try_from(rows_max) {
        Ok(max) if max < batch.num_rows() => batch.slice(0, max),
        _ => batch,
    }
}

/// Sends a batch in as many pieces as it takes; gives its rows.
async fn send_batch(
    out: &Out,
    encoder: &mut Encoder<'_>,
    batch: &RecordBatch,
) -> Result<u64, Stopped> {
    let (batch, cuts) = encoder.cut(batch)?;
    for rows in cuts {
        send(out, encoder.encode(&batch, rows)?).await?;
    }
    Ok(u64::try_from(batch.num_rows()).map_err(|_| internal())?)
}

async fn send(out: &Out, piece: Piece) -> Result<(), Stopped> {
    out.send(piece).await.map_err(|_| Stopped::Cancelled)
}

fn internal() -> SqlError {
    refuse(SqlErrorCode::Internal, "", None)
}
