//! Keys of the window to inputs of the session. Text goes as text; only keys that are none, and letters
//! with Control or Alt, go as keys. No key of the client's own is taken away from the session but those that
//! the window system keeps.

use kekkai_frames::{Input, Key, Modifiers, TEXT_BYTES_MAX};
use winit::event::{ElementState, KeyEvent};
use winit::keyboard::{Key as Logical, KeyCode, ModifiersState, NamedKey, PhysicalKey};

/// Which modifiers are held. Command is Control.
pub fn modifiers(state: ModifiersState) -> Modifiers {
    Modifiers {
        shift: state.shift_key(),
        ctrl: state.control_key() || state.super_key(),
        alt: state.alt_key(),
    }
}

/// The inputs that a key event means. `is_text_entered`: the session has a caret.
pub fn inputs(
    event: &KeyEvent,
    held: Modifiers,
    is_text_entered: bool,
    is_down_there: &mut Vec<Key>,
) -> Vec<Input> {
    let key = named(&event.logical_key).or_else(|| {
        let is_shortcut = held.ctrl || held.alt;
        (is_shortcut || event.state == ElementState::Released)
            .then(|| lettered(&event.logical_key, event.physical_key))
            .flatten()
    });
    match (key, event.state) {
        // The space bar writes where text is entered, and presses what has the focus elsewhere.
        (Some(Key::Space), ElementState::Pressed) if is_text_entered && !held.ctrl => text(" "),
        (Some(key), ElementState::Pressed) => {
            if !is_down_there.contains(&key) {
                is_down_there.push(key);
            }
            vec![stroke(key, true, held)]
        }
        // Only what went down there comes up there.
        (Some(key), ElementState::Released) => {
            let was_down = is_down_there.iter().position(|down| *down == key);
            match was_down {
                Some(at) => {
                    is_down_there.swap_remove(at);
                    vec![stroke(key, false, held)]
                }
                None => Vec::new(),
            }
        }
        (None, ElementState::Pressed) => event.text.as_deref().map(text).unwrap_or_default(),
        (None, ElementState::Released) => Vec::new(),
    }
}

/// All keys that are down come up: the window lost the focus.
pub fn released(is_down_there: &mut Vec<Key>) -> Vec<Input> {
    is_down_there
        .drain(..)
        .map(|key| stroke(key, false, Modifiers::default()))
        .collect()
}

fn stroke(key: Key, is_down: bool, modifiers: Modifiers) -> Input {
    Input::Key {
        key,
        is_down,
        modifiers,
    }
}

/// Text without control characters, in messages within their bound.
pub fn text(text: &str) -> Vec<Input> {
    let mut messages = Vec::new();
    let mut part = String::new();
    for character in text.chars().filter(|c| !c.is_control()) {
        if part.len() + character.len_utf8() > TEXT_BYTES_MAX {
            messages.push(Input::Text(std::mem::take(&mut part)));
        }
        part.push(character);
    }
    if !part.is_empty() {
        messages.push(Input::Text(part));
    }
    messages
}

fn named(key: &Logical) -> Option<Key> {
    let Logical::Named(named) = key else {
        return None;
    };
    Some(match named {
        NamedKey::Escape => Key::Escape,
        NamedKey::Tab => Key::Tab,
        NamedKey::Backspace => Key::Backspace,
        NamedKey::Enter => Key::Enter,
        NamedKey::Space => Key::Space,
        NamedKey::Insert => Key::Insert,
        NamedKey::Delete => Key::Delete,
        NamedKey::Home => Key::Home,
        NamedKey::End => Key::End,
        NamedKey::PageUp => Key::PageUp,
        NamedKey::PageDown => Key::PageDown,
        NamedKey::ArrowLeft => Key::ArrowLeft,
        NamedKey::ArrowRight => Key::ArrowRight,
        NamedKey::ArrowUp => Key::ArrowUp,
        NamedKey::ArrowDown => Key::ArrowDown,
        NamedKey::F1 => Key::F1,
        NamedKey::F2 => Key::F2,
        NamedKey::F3 => Key::F3,
        NamedKey::F4 => Key::F4,
        NamedKey::F5 => Key::F5,
        NamedKey::F6 => Key::F6,
        NamedKey::F7 => Key::F7,
        NamedKey::F8 => Key::F8,
        NamedKey::F9 => Key::F9,
        NamedKey::F10 => Key::F10,
        NamedKey::F11 => Key::F11,
        NamedKey::F12 => Key::F12,
        _ => return None,
    })
}

/// A letter, digit or mark by what it writes; where the layout writes none of them, by its place.
fn lettered(logical: &Logical, physical: PhysicalKey) -> Option<Key> {
    let by_text = match logical {
        Logical::Character(text) => match text.to_ascii_uppercase().as_bytes() {
            [b'-'] => Some(Key::Minus),
            [b'='] => Some(Key::Equal),
            [b','] => Some(Key::Comma),
            [b'.'] => Some(Key::Period),
            [b'/'] => Some(Key::Slash),
            // The numbers of digits and letters are ASCII's.
            [byte] if byte.is_ascii_uppercase() || byte.is_ascii_digit() => Key::from_number(*byte),
            _ => None,
        },
        _ => None,
    };
    by_text.or_else(|| placed(physical))
}

fn placed(physical: PhysicalKey) -> Option<Key> {
    let PhysicalKey::Code(code) = physical else {
        return None;
    };
    Some(match code {
        KeyCode::Minus => Key::Minus,
        KeyCode::Equal => Key::Equal,
        KeyCode::Comma => Key::Comma,
        KeyCode::Period => Key::Period,
        KeyCode::Slash => Key::Slash,
        other => {
            // `KeyA` to `KeyZ`, `Digit0` to `Digit9`.
            let name = format!("{other:?}");
            let letter = name
                .strip_prefix("Key")
                .or_else(|| name.strip_prefix("Digit"))?;
            match letter.as_bytes() {
                [byte] => Key::from_number(*byte)?,
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcuts_go_by_letter_then_by_place() {
        let place = PhysicalKey::Code(KeyCode::KeyQ);
        let by = |text: &str| lettered(&Logical::Character(text.into()), place);
        assert_eq!(by("a"), Some(Key::A));
        assert_eq!(by("A"), Some(Key::A));
        assert_eq!(by("7"), Some(Key::Num7));
        assert_eq!(by("/"), Some(Key::Slash));
        // A Japanese or Cyrillic layout: the key at that place.
        assert_eq!(by("й"), Some(Key::Q));
        assert_eq!(placed(PhysicalKey::Code(KeyCode::Digit3)), Some(Key::Num3));
    }

    #[test]
    fn text_has_no_control_characters_and_fits_its_message() {
        assert_eq!(text("\r\u{7f}\u{1b}"), []);
        assert_eq!(text("日\n本"), [Input::Text("日本".into())]);
        let long = "語".repeat(400);
        let messages = text(&long);
        assert!(messages.len() > 1);
        let mut whole = String::new();
        for message in messages {
            let Input::Text(part) = message else {
                panic!("{message:?}")
            };
            assert!(part.len() <= TEXT_BYTES_MAX);
            whole.push_str(&part);
        }
        assert_eq!(whole, long);
    }

    #[test]
    fn keys_that_are_down_come_up_when_the_focus_goes() {
        let mut down = vec![Key::ArrowDown, Key::A];
        let inputs = released(&mut down);
        assert_eq!(inputs.len(), 2);
        assert!(down.is_empty());
        assert!(
            inputs
                .iter()
                .all(|input| matches!(input, Input::Key { is_down: false, .. }))
        );
    }
}
