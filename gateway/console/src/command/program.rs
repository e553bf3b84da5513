//! `run` and `script`: which program, and what it is started with.

use kekkai_analysis_api::{ARG_MAX, ARGS_MAX, SCRIPT_NAME_MAX};
use kekkai_types::ToolName;

use super::{Command, Usage, shortened};
use crate::text::is_plain;

/// What stands for a script that is typed or piped.
const TYPED: &str = "-";

/// `python FILE|- [ARGS]` or `tool NAME [ARGS]`.
pub(super) fn run(words: &[&str]) -> Result<Command, Usage> {
    match words {
        ["python", TYPED, args @ ..] => Ok(Command::RunScript {
            name: None,
            args: arguments(args)?,
        }),
        ["python", name, args @ ..] => Ok(Command::RunScript {
            name: Some(script_name(name)?),
            args: arguments(args)?,
        }),
        ["tool", name, args @ ..] => Ok(Command::RunTool {
            name: ToolName::new(*name).map_err(|_| Usage::NameMalformed(shortened(name)))?,
            args: arguments(args)?,
        }),
        [] | ["python" | "tool"] => Err(Usage::ProgramMissing),
        [word, ..] => Err(Usage::ProgramUnknown(shortened(word))),
    }
}

/// `list`, or `save`, `show` and `remove` with a name.
pub(super) fn script(words: &[&str]) -> Result<Command, Usage> {
    match words {
        [] | ["list"] => Ok(Command::Scripts),
        ["save", name] => Ok(Command::SaveScript(script_name(name)?)),
        ["show", name] => Ok(Command::ShowScript(script_name(name)?)),
        ["remove", name] => Ok(Command::RemoveScript(script_name(name)?)),
        ["save" | "show" | "remove"] => Err(Usage::NameMissing),
        ["list", word, ..] | ["save" | "show" | "remove", _, word, ..] | [word, ..] => {
            Err(Usage::Extra(shortened(word)))
        }
    }
}

/// A name that is neither an option nor a path nor hidden.
fn script_name(word: &str) -> Result<String, Usage> {
    let begins = word.starts_with(|c: char| c.is_ascii_alphanumeric());
    let fits = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if begins && fits && word.len() <= SCRIPT_NAME_MAX {
        Ok(word.to_owned())
    } else {
        Err(Usage::NameMalformed(shortened(word)))
    }
}

fn arguments(words: &[&str]) -> Result<Vec<String>, Usage> {
    if words.len() > ARGS_MAX {
        return Err(Usage::TooManyArguments(words.len()));
    }
    words
        .iter()
        .map(|word| {
            if word.len() > ARG_MAX {
                Err(Usage::ArgumentTooLong(word.len()))
            } else if !is_plain(word) {
                // Arguments stand in the ledger and before reviewers.
                Err(Usage::ArgumentNotPlain)
            } else {
                Ok((*word).to_owned())
            }
        })
        .collect()
}
