//! DuckDB in a Python process, from PyPI.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::compare::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A connection with a database of its own.
pub(crate) struct Duck {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Duck {
    /// Starts it, with a view for each Parquet file: its name, its path.
    pub(crate) fn new<'a>(tables: impl IntoIterator<Item = (&'a str, PathBuf)>) -> Self {
        let mut duck = Self::with_extensions(&[]);
        for (name, path) in tables {
            let path = path.to_str().unwrap();
            duck.rows(&format!(
                "CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')"
            ));
        }
        duck
    }

    /// Starts it with extensions of the environment, and no tables.
    pub(crate) fn with_extensions(extensions: &[&str]) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
        let made = Command::new("bash")
            .arg(repository().join("images/python-session/venv.sh"))
            .arg(here.join("requirements.txt"))
            .output()
            .expect("bash is there");
        assert!(
            made.status.success(),
            "no environment with DuckDB: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let environment = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
        let mut process = Command::new(environment.join("bin/python"))
            .arg(here.join("duck.py"))
            .args(extensions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the environment has a python");
        let to = process.stdin.take();
        let from = BufReader::new(process.stdout.take().unwrap());
        Self { process, to, from }
    }

    /// The rows of a statement. Panics where DuckDB refuses it: a comparison needs two answers.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Vec<Value>> {
        self.answer(sql)
            .unwrap_or_else(|error| panic!("DuckDB: {error}\n{sql}"))
    }

    /// The rows of a statement, or what DuckDB says against it.
    pub(crate) fn answer(&mut self, sql: &str) -> Result<Vec<Vec<Value>>, String> {
        self.timed(sql).map(|(rows, _)| rows)
    }

    /// As [`Duck::answer`], with the time that DuckDB took, its rows in Python's types.
    pub(crate) fn timed(&mut self, sql: &str) -> Result<(Vec<Vec<Value>>, Duration), String> {
        let to = self.to.as_mut().unwrap();
        writeln!(to, "{}", json!({ "sql": sql })).expect("DuckDB listens");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("DuckDB answers");
        let answer: Json = serde_json::from_str(&line).expect("DuckDB answers in JSON");
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let rows = answer["rows"].as_array().unwrap();
        let rows = rows
            .iter()
            .map(|row| row.as_array().unwrap().iter().map(value).collect())
            .collect();
        let took = Duration::from_secs_f64(answer["seconds"].as_f64().unwrap());
        Ok((rows, took))
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        // It ends when nobody can ask any more.
        self.to = None;
        let _ = self.process.wait();
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::text(text),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value.into()),
            None => Value::Float(number.as_f64().unwrap()),
        },
        Json::Object(float) => Value::Float(float["float"].as_str().unwrap().parse().unwrap()),
        Json::Array(_) => panic!("lists are not compared"),
    }
}
