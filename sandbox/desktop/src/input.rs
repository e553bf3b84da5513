//! Input of the frame protocol as egui's events.

use egui::{Event, MouseWheelUnit, PointerButton, Pos2, TouchPhase, pos2, vec2};
use kekkai_frames::{Input, Key, Modifiers};
use zeroize::Zeroizing;

/// Bytes that may be copied within the workspace.
pub const CLIPBOARD_MAX: usize = 256 * 1024;

/// What is held down, where the pointer is, and what was copied: all of it stays in this process.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Points.
    pointer: Option<Pos2>,
    buttons: u8,
    modifiers: egui::Modifiers,
    clipboard: Zeroizing<String>,
}

/// The bits of [`Input::Pointer`]'s buttons.
const BUTTONS: [(u8, PointerButton); 3] = [
    (1, PointerButton::Primary),
    (2, PointerButton::Secondary),
    (4, PointerButton::Middle),
];

impl Inputs {
    /// What is held down now.
    pub fn modifiers(&self) -> egui::Modifiers {
        self.modifiers
    }

    /// Keeps a text for [`Event::Paste`]; one that is too long is not kept.
    pub fn copy(&mut self, text: String) {
        if text.len() <= CLIPBOARD_MAX {
            self.clipboard = Zeroizing::new(text);
        }
    }

    /// Adds an input's events. `is_typing`: the keyboard is in a text, where a blank is a blank.
    pub fn push(
        &mut self,
        input: &Input,
        pixels_per_point: f32,
        is_typing: bool,
        to: &mut Vec<Event>,
    ) {
        match input {
            Input::Key {
                key,
                is_down,
                modifiers,
            } => self.key(*key, *is_down, *modifiers, to),
            Input::Text(text) => {
                // Where no text is entered, a blank presses what has the keyboard.
                if text == " " && !is_typing {
                    self.key(Key::Space, true, Modifiers::default(), to);
                    self.key(Key::Space, false, Modifiers::default(), to);
                } else if !text.is_empty() {
                    to.push(Event::Text(text.clone()));
                }
            }
            Input::Pointer {
                x,
                y,
                buttons,
                wheel_x,
                wheel_y,
                modifiers,
            } => {
                self.modifiers = convert(*modifiers);
                let at = pos2(f32::from(*x), f32::from(*y)) / pixels_per_point;
                self.point(at, *buttons, to);
                if (*wheel_x, *wheel_y) != (0, 0) {
                    let turned = vec2(f32::from(*wheel_x), f32::from(*wheel_y));
                    to.push(Event::MouseWheel {
                        unit: MouseWheelUnit::Point,
                        // Content moves against the wheel.
                        delta: -turned / pixels_per_point,
                        phase: TouchPhase::Move,
                        modifiers: self.modifiers,
                    });
                }
            }
            // The process looks at the size; frames are acknowledged to the broker.
            Input::Resize { .. } | Input::Ack { .. } => {}
        }
    }

    fn point(&mut self, at: Pos2, buttons: u8, to: &mut Vec<Event>) {
        if self.pointer != Some(at) {
            self.pointer = Some(at);
            to.push(Event::PointerMoved(at));
        }
        for (bit, button) in BUTTONS {
            let (was, is) = (self.buttons & bit != 0, buttons & bit != 0);
            if was != is {
                to.push(Event::PointerButton {
                    pos: at,
                    button,
                    pressed: is,
                    modifiers: self.modifiers,
                });
            }
        }
        self.buttons = buttons;
    }

    fn key(&mut self, key: Key, is_down: bool, modifiers: Modifiers, to: &mut Vec<Event>) {
        self.modifiers = convert(modifiers);
        if modifiers.ctrl && !modifiers.alt {
            let event = match key {
                Key::C => Some(Event::Copy),
                Key::X => Some(Event::Cut),
                Key::V => Some(Event::Paste(self.clipboard.as_str().to_owned())),
                _ => None,
            };
            if let Some(event) = event {
                let is_empty = matches!(&event, Event::Paste(text) if text.is_empty());
                if is_down && !is_empty {
                    to.push(event);
                }
                return;
            }
        }
        to.push(Event::Key {
            key: egui_key(key),
            physical_key: None,
            pressed: is_down,
            repeat: false,
            modifiers: self.modifiers,
        });
    }
}

fn convert(modifiers: Modifiers) -> egui::Modifiers {
    egui::Modifiers {
        alt: modifiers.alt,
        ctrl: modifiers.ctrl,
        shift: modifiers.shift,
        mac_cmd: false,
        command: modifiers.ctrl,
    }
}

macro_rules! same_name {
    ($value:expr; $($name:ident)+) => {
        match $value {
            Key::Equal => egui::Key::Equals,
            $(Key::$name => egui::Key::$name,)+
        }
    };
}

fn egui_key(key: Key) -> egui::Key {
    same_name! { key;
        Escape Tab Backspace Enter Space Insert Delete Home End PageUp PageDown ArrowLeft ArrowRight
        ArrowUp ArrowDown F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 Minus Comma Period Slash
        Num0 Num1 Num2 Num3 Num4 Num5 Num6 Num7 Num8 Num9
        A B C D E F G H I J K L M N O P Q R S T U V W X Y Z
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(inputs: &mut Inputs, input: Input, is_typing: bool) -> Vec<Event> {
        let mut to = Vec::new();
        inputs.push(&input, 2.0, is_typing, &mut to);
        to
    }

    fn ctrl(key: Key, is_down: bool) -> Input {
        Input::Key {
            key,
            is_down,
            modifiers: Modifiers {
                ctrl: true,
                ..Modifiers::default()
            },
        }
    }

    #[test]
    fn every_key_of_the_protocol_has_one_of_eguis() {
        let mut keys: Vec<egui::Key> = Key::ALL.iter().map(|key| egui_key(*key)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), Key::ALL.len());
    }

    #[test]
    fn pointer_is_in_points_and_buttons_change_once() {
        let mut inputs = Inputs::default();
        let press = Input::Pointer {
            x: 200,
            y: 100,
            buttons: 1,
            wheel_x: 0,
            wheel_y: 0,
            modifiers: Modifiers::default(),
        };
        let first = events(&mut inputs, press.clone(), false);
        assert_eq!(first[0], Event::PointerMoved(pos2(100.0, 50.0)));
        assert!(matches!(
            first[1],
            Event::PointerButton { pressed: true, .. }
        ));
        assert!(events(&mut inputs, press, false).is_empty());
    }

    #[test]
    fn wheel_down_moves_content_up() {
        let turn = Input::Pointer {
            x: 0,
            y: 0,
            buttons: 0,
            wheel_x: 0,
            wheel_y: 120,
            modifiers: Modifiers::default(),
        };
        let events = events(&mut Inputs::default(), turn, false);
        let Some(Event::MouseWheel { delta, .. }) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(*delta, vec2(0.0, -60.0));
    }

    #[test]
    fn copied_text_is_pasted_here_and_only_what_was_copied_here() {
        let mut inputs = Inputs::default();
        assert!(events(&mut inputs, ctrl(Key::V, true), true).is_empty());
        assert_eq!(events(&mut inputs, ctrl(Key::C, true), true), [Event::Copy]);
        inputs.copy("SELECT 1".to_owned());
        inputs.copy("x".repeat(CLIPBOARD_MAX + 1));
        let pasted = events(&mut inputs, ctrl(Key::V, true), true);
        assert_eq!(pasted, [Event::Paste("SELECT 1".to_owned())]);
        assert!(events(&mut inputs, ctrl(Key::V, false), true).is_empty());
    }

    #[test]
    fn blank_presses_a_button_but_is_text_in_a_text() {
        let mut inputs = Inputs::default();
        let blank = || Input::Text(" ".to_owned());
        assert_eq!(
            events(&mut inputs, blank(), true),
            [Event::Text(" ".to_owned())]
        );
        assert_eq!(events(&mut inputs, blank(), false).len(), 2);
    }
}
