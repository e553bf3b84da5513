//! The stand-in's side of the conversation: CSV files answer, the terminal shows.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_output::{ProgramBody, Value};
use kekkai_types::OutputId;
use kekkai_wasm_worker::{Broker, NoAnswer, RowStream, Statement, Submission};
use kekkai_worker_api::ROWS_PIECE_MAX;

use crate::answers::Answers;

/// Prints outputs to standard output; lines and progress to standard error.
#[derive(Debug)]
pub(crate) struct Printing {
    answers: Answers,
    as_json: bool,
    outputs: AtomicU32,
}

impl Printing {
    pub(crate) fn new(answers: Answers, as_json: bool) -> Self {
        Self {
            answers,
            as_json,
            outputs: AtomicU32::new(0),
        }
    }
}

#[async_trait]
impl Broker for Printing {
    async fn query(&self, statement: Statement) -> Result<Box<dyn RowStream>, NoAnswer<SqlError>> {
        let marks = statement.sql.matches('?').count();
        if marks != statement.parameters.len() {
            return Err(NoAnswer::Refused(SqlError {
                code: SqlErrorCode::Parameters,
                name: format!("{marks} ?, {} values", statement.parameters.len()),
                at: None,
                candidates: Vec::new(),
                hint: None,
            }));
        }
        let bytes = self.answers.stream(&statement.sql);
        Ok(Box::new(Pieces {
            left: bytes.map_err(NoAnswer::Refused)?,
        }))
    }

    async fn submit(&self, submission: Submission) -> Result<OutputId, NoAnswer<(String, String)>> {
        let number = self
            .outputs
            .fetch_add(1, Ordering::SeqCst)
            .saturating_add(1);
        let output = OutputId::new(format!("stand-in-{number}"))
            .map_err(|e| NoAnswer::Refused(("internal".to_owned(), e.to_string())))?;
        if self.as_json {
            let line = serde_json::json!({
                "output": output,
                "title": submission.title,
                "purpose": submission.purpose,
                "body": submission.body,
            });
            println!("{line}");
        } else {
            println!("{output}: {}\n  {}", submission.title, submission.purpose);
            print_body(&submission.body);
        }
        Ok(output)
    }

    fn log(&self, lines: Vec<(bool, String)>, dropped: u64) {
        for (_, text) in lines {
            eprintln!("{text}");
        }
        if dropped > 0 {
            eprintln!("[… {dropped} ]");
        }
    }

    fn progress(&self, permille: u16, note: &str) {
        eprintln!("[{:>3} %] {note}", permille / 10);
    }
}

fn print_body(body: &ProgramBody) {
    match body {
        ProgramBody::Table { columns, rows } => {
            println!("  {}", columns.join(" | "));
            for row in rows {
                let cells: Vec<String> = row.iter().map(cell).collect();
                println!("  {}", cells.join(" | "));
            }
        }
        ProgramBody::Text(text) => println!("  {text}"),
        drawn => {
            let text = serde_json::to_string_pretty(drawn).unwrap_or_default();
            println!("{text}");
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(value) => value.clone(),
    }
}

struct Pieces {
    left: Vec<u8>,
}

#[async_trait]
impl RowStream for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, NoAnswer<SqlError>> {
        let rest = self.left.split_off(ROWS_PIECE_MAX.min(self.left.len()));
        let piece = std::mem::replace(&mut self.left, rest);
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}
