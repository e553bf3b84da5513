//! What a scripted researcher does: typing a statement, scrolling its 100,000 rows, changing a chart.

use std::time::Duration;

use kekkai_e2e::seat::Seat;
use kekkai_frames::{Input, Key, Modifiers};

/// Of everybody's screen, in pixels.
pub(crate) const SIZE: (u16, u16) = (1280, 800);
/// What is scrolled.
const ROWS: &str = "SELECT * FROM labs LIMIT 100000";
/// Between two keys before anything is measured: on a busy machine keys bunch, and text that comes faster
/// than people type is held.
const KEY_PAUSE: Duration = Duration::from_millis(150);
/// Pixels of one turn of the wheel.
const TURN: i16 = 120;
/// Turns down before turns up.
const TURNS: usize = 40;

/// The kinds of charts that fit rows, by their buttons: bars, lines, points, histogram, boxes.
const KINDS: [(u16, u16); 5] = [(220, 119), (220, 148), (220, 177), (220, 206), (220, 235)];
/// The editor's first line, behind its text.
const EDITOR: (u16, u16) = (1150, 122);
/// The middle of the table below the editor.
const TABLE: (u16, u16) = (700, 600);

const NONE: Modifiers = Modifiers {
    shift: false,
    ctrl: false,
    alt: false,
};
const ALT: Modifiers = Modifiers { alt: true, ..NONE };
const CTRL_SHIFT: Modifiers = Modifiers {
    shift: true,
    ctrl: true,
    alt: false,
};

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Typing,
    Scrolling,
    Charts,
}

impl Act {
    pub(crate) const ALL: [Self; 3] = [Self::Typing, Self::Scrolling, Self::Charts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::Scrolling => "scrolling",
            Self::Charts => "charts",
        }
    }

    /// The pane where it is done.
    pub(crate) fn begin(self) -> Vec<Input> {
        match self {
            Self::Typing | Self::Scrolling => sql_pane(),
            Self::Charts => key(Key::Num4, ALT).to_vec(),
        }
    }

    /// The inputs of doing it once more, in its pane.
    pub(crate) fn inputs(self, number: usize) -> Vec<Input> {
        match self {
            Self::Typing => {
                let letters = b"select avg from labs where code ";
                let letter = char::from(letters[number % letters.len()]);
                vec![Input::Text(letter.to_string())]
            }
            Self::Scrolling => {
                let is_down = (number / TURNS).is_multiple_of(2);
                vec![pointer(TABLE, 0, if is_down { TURN } else { -TURN })]
            }
            Self::Charts => click(KINDS[number % KINDS.len()]).to_vec(),
        }
    }
}

/// To the editor and the table, with the caret behind the statement.
pub(crate) fn sql_pane() -> Vec<Input> {
    let mut inputs = key(Key::Num2, ALT).to_vec();
    inputs.extend(click(EDITOR));
    inputs
}

fn click(at: (u16, u16)) -> [Input; 3] {
    [0, 1, 0].map(|buttons| pointer(at, buttons, 0))
}

/// Where somebody's work begins: in the editor, each with something else.
pub(crate) fn first_step(number: usize) -> usize {
    5 + number % 15
}

/// The step of somebody's work: of twenty, a click and eleven letters, four turns of the wheel,
/// four changes of a chart.
pub(crate) fn act(step: usize) -> (Act, Vec<Input>) {
    match step % 20 {
        0 => (Act::Charts, Act::Charts.begin()),
        at @ (1 | 2) => (Act::Charts, Act::Charts.inputs(step / 20 * 2 + at)),
        // One thing after the other: what is clicked must be there first.
        3 => (Act::Charts, key(Key::Num2, ALT).to_vec()),
        4 => (Act::Typing, click(EDITOR).to_vec()),
        at @ (7 | 11 | 15 | 19) => (
            Act::Scrolling,
            Act::Scrolling.inputs(step / 20 * 4 + at / 5),
        ),
        at => (Act::Typing, Act::Typing.inputs(at)),
    }
}

fn key(key: Key, modifiers: Modifiers) -> [Input; 2] {
    [true, false].map(|is_down| Input::Key {
        key,
        is_down,
        modifiers,
    })
}

fn pointer((x, y): (u16, u16), buttons: u8, wheel_y: i16) -> Input {
    Input::Pointer {
        x,
        y,
        buttons,
        wheel_x: 0,
        wheel_y,
        modifiers: NONE,
    }
}

/// Opens the SQL pane and has 100,000 rows shown.
pub(crate) async fn prepare(seat: &mut Seat) {
    let rest = Duration::from_millis(500);
    seat.settle(rest).await;
    for input in sql_pane() {
        seat.send(input);
    }
    seat.settle(rest).await;
    for letter in ROWS.chars() {
        seat.send(Input::Text(letter.to_string()));
        tokio::time::sleep(KEY_PAUSE).await;
    }
    for input in key(Key::Enter, CTRL_SHIFT) {
        seat.send(input);
    }
    seat.settle(Duration::from_secs(3)).await;
}
