//! `submit`: what goes to reviewers.

use super::{Command, PURPOSE_MAX, TITLE_MAX, Usage, job, shortened};

/// `N --title T [--purpose P]`. Words after an option belong to it up to the next one: `ssh` has
/// taken the quotes away when a request arrives.
pub(super) fn submit(words: &[&str]) -> Result<Command, Usage> {
    let (number, rest) = words.split_first().ok_or(Usage::JobMissing)?;
    let job = job(number)?;
    let mut title: Option<String> = None;
    let mut purpose: Option<String> = None;
    let mut current: Option<&mut Option<String>> = None;
    for word in rest {
        if let Some(option) = word.strip_prefix("--") {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let target = match name {
                "title" => &mut title,
                "purpose" => &mut purpose,
                _ => return Err(Usage::OptionUnknown(shortened(word))),
            };
            if target.is_some() {
                return Err(Usage::Extra(shortened(word)));
            }
            *target = Some(value.unwrap_or_default().to_owned());
            current = Some(target);
        } else {
            match &mut current {
                Some(Some(text)) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(word);
                }
                _ => return Err(Usage::Extra(shortened(word))),
            }
        }
    }
    let title = title.unwrap_or_default().trim().to_owned();
    let purpose = purpose.unwrap_or_default().trim().to_owned();
    let (title_chars, purpose_chars) = (title.chars().count(), purpose.chars().count());
    if title.is_empty() {
        return Err(Usage::TitleMissing);
    }
    if title.chars().chain(purpose.chars()).any(char::is_control) {
        return Err(Usage::ControlCharacter);
    }
    if title_chars > TITLE_MAX {
        return Err(Usage::TitleTooLong(title_chars));
    }
    if purpose_chars > PURPOSE_MAX {
        return Err(Usage::PurposeTooLong(purpose_chars));
    }
    Ok(Command::Submit {
        job,
        title,
        purpose,
    })
}
