//! Notebooks: steps in an order, kept as JSON of a version of its own. They hold what a person wrote, never
//! a result: what is computed is computed again.
//!
//! ```json
//! {"kekkai-notebook":1,"steps":[{"note":{"text":"…"}},{"sql":{"text":"SELECT …"}}]}
//! ```

use kekkai_analysis_api::{SOURCE_MAX, SQL_MAX};
use kekkai_worker_api::NOTEBOOK_MAX;
use serde::{Deserialize, Serialize};

use crate::chart::Spec;

/// The version that this program writes.
pub const VERSION: u32 = 1;
/// Steps of one notebook.
pub const STEPS_MAX: usize = 200;
/// Characters of a notebook's name.
pub const NAME_MAX: usize = 64;
/// Bytes of a note.
pub const NOTE_MAX: usize = 64 * 1024;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Words.
    Note {
        /// At most [`NOTE_MAX`] bytes.
        text: String,
    },
    /// A statement.
    Sql {
        /// At most [`SQL_MAX`] bytes.
        text: String,
    },
    /// A Python script.
    Script {
        /// At most [`SOURCE_MAX`] bytes.
        source: String,
        /// What it is started with, as it is typed.
        #[serde(default)]
        args: String,
    },
    /// A chart of the result of the nearest statement above.
    Chart {
        /// `None`: as the result suggests.
        #[serde(default)]
        spec: Option<Spec>,
    },
}

/// A notebook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notebook {
    /// In their order.
    pub steps: Vec<Step>,
}

/// Why a text is no notebook, or a notebook can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotebookError {
    /// More bytes than [`NOTEBOOK_MAX`].
    #[error("the notebook has {0} bytes, at most {NOTEBOOK_MAX} are allowed")]
    TooLarge(usize),
    /// More than [`STEPS_MAX`].
    #[error("the notebook has {0} steps, at most {STEPS_MAX} are allowed")]
    TooManySteps(usize),
    /// A step's text is over its bound; counted from 1.
    #[error("step {0} is too long")]
    StepTooLong(usize),
    /// A later version of this program wrote it: this one would lose what it can't read.
    #[error("the notebook is of version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// Not JSON of a notebook.
    #[error("this is no notebook")]
    Malformed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(rename = "kekkai-notebook")]
    version: u32,
    steps: Vec<Step>,
}

/// Only the version, whatever else is there.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "kekkai-notebook")]
    version: u32,
}

impl Notebook {
    /// Reads what was kept.
    pub fn parse(json: &str) -> Result<Self, NotebookError> {
        if json.len() > NOTEBOOK_MAX {
            return Err(NotebookError::TooLarge(json.len()));
        }
        let head: Head = serde_json::from_str(json).map_err(|_| NotebookError::Malformed)?;
        if head.version != VERSION {
            return Err(NotebookError::Version(head.version));
        }
        let kept: Kept = serde_json::from_str(json).map_err(|_| NotebookError::Malformed)?;
        let notebook = Self { steps: kept.steps };
        notebook.check()?;
        Ok(notebook)
    }

    /// What is kept.
    pub fn to_json(&self) -> Result<String, NotebookError> {
        self.check()?;
        let kept = Kept {
            version: VERSION,
            steps: self.steps.clone(),
        };
        let json = serde_json::to_string(&kept).map_err(|_| NotebookError::Malformed)?;
        if json.len() > NOTEBOOK_MAX {
            return Err(NotebookError::TooLarge(json.len()));
        }
        Ok(json)
    }

    fn check(&self) -> Result<(), NotebookError> {
        if self.steps.len() > STEPS_MAX {
            return Err(NotebookError::TooManySteps(self.steps.len()));
        }
        let too_long = self.steps.iter().position(|step| match step {
            Step::Note { text } => text.len() > NOTE_MAX,
            Step::Sql { text } => text.len() > SQL_MAX,
            Step::Script { source, .. } => source.len() > SOURCE_MAX,
            Step::Chart { .. } => false,
        });
        match too_long {
            Some(at) => Err(NotebookError::StepTooLong(at.saturating_add(1))),
            None => Ok(()),
        }
    }

    /// The statement whose result a chart draws: the nearest above.
    pub fn statement_of(&self, chart: usize) -> Option<usize> {
        let above = self.steps.get(..chart)?;
        above
            .iter()
            .rposition(|step| matches!(step, Step::Sql { .. }))
    }
}

/// Whether a notebook may be called so.
pub fn is_name(name: &str) -> bool {
    let length = name.chars().count();
    !name.trim().is_empty() && length <= NAME_MAX && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kekkai_output::FigureKind;

    fn notebook() -> Notebook {
        Notebook {
            steps: vec![
                Step::Note {
                    text: "# 目的\n血圧".into(),
                },
                Step::Sql {
                    text: "SELECT 1".into(),
                },
                Step::Script {
                    source: "import kekkai".into(),
                    args: "--year 2024".into(),
                },
                Step::Chart {
                    spec: Some(Spec::new(FigureKind::Line)),
                },
                Step::Chart { spec: None },
            ],
        }
    }

    #[test]
    fn notebook_survives_its_json() {
        let json = notebook().to_json().unwrap();
        assert!(
            json.starts_with(r#"{"kekkai-notebook":1,"steps":[{"note":"#),
            "{json}"
        );
        assert_eq!(Notebook::parse(&json), Ok(notebook()));
    }

    #[test]
    fn what_is_no_notebook_of_this_version_is_not_opened() {
        let parse = |json: &str| Notebook::parse(json).unwrap_err();
        // A later version may have fields that this one does not know: its number says so.
        assert_eq!(
            parse(r#"{"kekkai-notebook":2,"steps":[],"cells":{}}"#),
            NotebookError::Version(2)
        );
        for json in [
            "",
            "[]",
            "{}",
            r#"{"kekkai-notebook":1}"#,
            r#"{"kekkai-notebook":1,"steps":[{"shell":{}}]}"#,
        ] {
            assert_eq!(parse(json), NotebookError::Malformed, "{json}");
        }
        let long = format!(
            "{}{}",
            r#"{"kekkai-notebook":1,"steps":[]}"#,
            " ".repeat(NOTEBOOK_MAX)
        );
        assert_eq!(parse(&long), NotebookError::TooLarge(long.len()));
    }

    #[test]
    fn notebooks_are_bounded() {
        let steps = |step: Step, count| Notebook {
            steps: vec![step; count],
        };
        let note = |length| Step::Note {
            text: "a".repeat(length),
        };
        let error = |notebook: Notebook| notebook.to_json().unwrap_err();
        assert_eq!(
            error(steps(note(1), STEPS_MAX + 1)),
            NotebookError::TooManySteps(STEPS_MAX + 1)
        );
        assert_eq!(
            error(steps(note(NOTE_MAX + 1), 1)),
            NotebookError::StepTooLong(1)
        );
        assert!(matches!(
            error(steps(note(NOTE_MAX), 20)),
            NotebookError::TooLarge(_)
        ));
    }

    #[test]
    fn chart_draws_the_nearest_statement_above() {
        let notebook = notebook();
        assert_eq!(notebook.statement_of(4), Some(1));
        assert_eq!(notebook.statement_of(1), None);
        assert_eq!(notebook.statement_of(99), None);
    }

    #[test]
    fn names_are_one_line_of_64_characters() {
        assert!(is_name("血圧と喫煙 2024"));
        for name in ["", "  ", "a\nb", &"あ".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
