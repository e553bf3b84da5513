//! `output`: what the project wants to take out.

use std::io;

use kekkai_analysis_api::RunErrorCode;
use kekkai_output::ProgramBody;

use super::{State, Stop, refusal, values};
use crate::bindings::kekkai::session::output::{self, Description, Figure, Model};
use crate::bindings::kekkai::session::types::{Failure, Value};
use crate::broker::{NoAnswer, Submission};

/// The longest title, in characters.
const TITLE_MAX: usize = 200;
/// The longest purpose, in characters.
const PURPOSE_MAX: usize = 2_000;

impl output::Host for State {
    async fn submit_table(
        &mut self,
        about: Description,
        columns: Vec<String>,
        rows: Vec<Vec<Value>>,
    ) -> wasmtime::Result<Result<String, Failure>> {
        let rows = values::rows(&columns, rows);
        let body = rows.map(|rows| ProgramBody::Table { columns, rows });
        self.submit(about, body).await
    }

    async fn submit_figure(
        &mut self,
        about: Description,
        figure: Figure,
    ) -> wasmtime::Result<Result<String, Failure>> {
        self.submit(about, values::figure(figure).map(ProgramBody::Figure))
            .await
    }

    async fn submit_text(
        &mut self,
        about: Description,
        text: String,
    ) -> wasmtime::Result<Result<String, Failure>> {
        self.submit(about, Ok(ProgramBody::Text(text))).await
    }

    async fn submit_model(
        &mut self,
        about: Description,
        model: Model,
    ) -> wasmtime::Result<Result<String, Failure>> {
        self.submit(about, values::model(model).map(ProgramBody::Model))
            .await
    }
}

impl State {
    async fn submit(
        &mut self,
        about: Description,
        body: Result<ProgramBody, Failure>,
    ) -> wasmtime::Result<Result<String, Failure>> {
        self.count_call()?;
        let body = match body {
            Ok(body) => body,
            Err(failure) => return Ok(Err(failure)),
        };
        if about.title.trim().is_empty() {
            return Ok(Err(refusal("no-title", "")));
        }
        if about.title.chars().count() > TITLE_MAX {
            return Ok(Err(refusal("title-too-long", &TITLE_MAX.to_string())));
        }
        if about.purpose.chars().count() > PURPOSE_MAX {
            return Ok(Err(refusal("purpose-too-long", &PURPOSE_MAX.to_string())));
        }
        if self.outputs >= self.limits.outputs_max {
            return Ok(Err(self.over(RunErrorCode::OutputsLimit)));
        }
        let max = u64::from(self.limits.output_kib_max).saturating_mul(1024);
        if bytes_of(&body).is_none_or(|bytes| bytes > max) {
            return Ok(Err(self.over(RunErrorCode::OutputSizeLimit)));
        }
        let submission = Submission {
            title: about.title,
            purpose: about.purpose,
            body,
        };
        match self.broker.submit(submission).await {
            Ok(output) => {
                self.outputs = self.outputs.saturating_add(1);
                Ok(Ok(output.to_string()))
            }
            Err(NoAnswer::Refused((code, name))) => Ok(Err(refusal(&code, &name))),
            Err(NoAnswer::Gone) => Err(Stop::Gone.into()),
        }
    }
}

/// How long an output is as JSON, without making it.
fn bytes_of(body: &ProgramBody) -> Option<u64> {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.0 = self.0.saturating_add(more);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, body).ok()?;
    Some(count.0)
}
