//! Every viewer ends up with the marked picture, whatever was drawn and however slow it is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

use kekkai_frames::{Cursor, CursorShape, FRAMES_UNACKNOWLEDGED_MAX, Output, Rect};
use kekkai_screen::{Screen, View};
use kekkai_types::Timestamp;

mod common;
use common::{Client, Paper, Ramp};

const START: Timestamp = Timestamp(1_790_000_000_000);

fn screen(paper: &Paper) -> Screen<Ramp> {
    let mut screen = Screen::new(Ramp::new(), paper.width, paper.height).unwrap();
    paper.put_all(&mut screen);
    assert!(screen.present(START));
    screen
}

/// Sends all there is, acknowledging at once.
fn follow(view: &mut View, screen: &mut Screen<Ramp>, client: &mut Client, now_ms: u64) {
    for _ in 0..100 {
        match view.next(screen, now_ms) {
            Some(outputs) => {
                client.take(outputs);
                acknowledge_all(view, client, now_ms);
            }
            None => return,
        }
    }
    panic!("a view that never ends");
}

/// Asks whenever the view wants to be asked, until it wants nothing more.
fn rest(view: &mut View, screen: &mut Screen<Ramp>, client: &mut Client, mut now_ms: u64) {
    follow(view, screen, client, now_ms);
    while let Some(at) = view.wake_at() {
        assert!(at <= now_ms + 1_000, "it is refined soon");
        now_ms = now_ms.max(at);
        follow(view, screen, client, now_ms);
    }
}

fn acknowledge_all(view: &mut View, client: &mut Client, now_ms: u64) {
    for frame in client.frames.drain(..) {
        view.acknowledge(frame, false, now_ms).unwrap();
    }
    for ping in client.pings.drain(..) {
        view.acknowledge(ping, true, now_ms).unwrap();
    }
}

/// Rows of something like text: no two rows of lines are alike.
fn write_lines(paper: &mut Paper, at: Rect, first_line: u32) {
    for y in 0..at.height {
        let line = first_line + u32::from(y) / 20;
        for x in 0..at.width {
            let mixed = (line * 7919 + u32::from(y) % 20 * 31 + u32::from(x) / 3 * 17)
                .wrapping_mul(0x9e37_79b1);
            let is_ink = (4..16).contains(&(u32::from(y) % 20)) && mixed >> 30 == 0;
            let colour = if is_ink {
                [40, 40, 40]
            } else {
                [250, 250, 250]
            };
            paper.set(at.x + x, at.y + y, colour);
        }
    }
}

/// Noise that deflate can't shrink.
fn noise(paper: &mut Paper, at: Rect, seed: u32) {
    let mut state = seed * 2 + 1;
    for y in at.y..at.y + at.height {
        for x in at.x..at.x + at.width {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let [red, green, blue, _] = state.to_be_bytes();
            paper.set(x, y, [red, green, blue]);
        }
    }
}

#[test]
fn viewer_sees_the_marked_picture() {
    let mut paper = Paper::new(700, 500);
    write_lines(&mut paper, Rect::of_size(700, 500), 0);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    follow(&mut view, &mut screen, &mut client, 0);
    assert!(client.shows() == paper.marked(screen.marker()));
    assert!(client.shows() != paper.rgba, "the marker marks");
}

#[test]
fn nothing_is_sent_while_nothing_changes() {
    let paper = Paper::new(640, 480);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    follow(&mut view, &mut screen, &mut client, 0);
    let mut recorder = View::recorder();
    let _ = recorder.keyframe(&mut screen, 0);
    for minute in 1..60_u32 {
        // Drawn again as it was.
        paper.put_all(&mut screen);
        assert!(!screen.present(START.plus_ms(i64::from(minute) * 60_000)));
        let now_ms = u64::from(minute) * 60_000;
        assert_eq!(view.next(&mut screen, now_ms), None);
        assert_eq!(recorder.next(&mut screen, now_ms), None);
        assert_eq!(view.wake_at(), None);
    }
}

#[test]
fn another_minute_is_marked_everywhere_once_something_changes() {
    let mut paper = Paper::new(640, 480);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    follow(&mut view, &mut screen, &mut client, 0);
    paper.set(5, 5, [200, 0, 0]);
    paper.put_all(&mut screen);
    assert!(screen.present(START.plus_ms(60_000)));
    follow(&mut view, &mut screen, &mut client, 60_000);
    assert!(client.shows() == paper.marked(screen.marker()));
}

#[test]
fn typing_sends_the_box_that_changed() {
    let mut paper = Paper::new(1280, 800);
    write_lines(&mut paper, Rect::of_size(1280, 800), 0);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    follow(&mut view, &mut screen, &mut client, 0);
    client.bytes = 0;
    let letter = Rect {
        x: 200,
        y: 204,
        width: 8,
        height: 12,
    };
    paper.fill(letter, [0, 0, 120]);
    screen.put_tile(3, 3, &paper.tile(3, 3)).unwrap();
    assert!(screen.present(START));
    let outputs = view.next(&mut screen, 10).unwrap();
    let [Output::Tiles { tiles, .. }] = outputs.as_slice() else {
        panic!("one message, {outputs:?}");
    };
    assert_eq!(tiles.len(), 1);
    assert!(
        tiles[0].at.x >= 200 && tiles[0].at.right() <= 208,
        "{:?}",
        tiles[0].at
    );
    assert!(
        tiles[0].at.y >= 204 && tiles[0].at.bottom() <= 216,
        "{:?}",
        tiles[0].at
    );
    client.take(outputs);
    assert!(client.bytes < 80, "{} bytes", client.bytes);
    assert!(client.shows() == paper.marked(screen.marker()));
}

#[test]
fn scrolling_moves_pixels_and_ends_exact() {
    let pane = Rect {
        x: 210,
        y: 90,
        width: 900,
        height: 600,
    };
    for (step, hinted) in [(1, false), (3, true), (-2_i32, false)] {
        let mut paper = Paper::new(1280, 800);
        paper.fill(Rect::of_size(1280, 800), [230, 230, 235]);
        write_lines(&mut paper, pane, 100);
        let mut screen = screen(&paper);
        let (mut view, mut client) = (View::new(), Client::new());
        follow(&mut view, &mut screen, &mut client, 0);
        let whole = std::mem::take(&mut client.bytes);
        write_lines(&mut paper, pane, 100_u32.checked_add_signed(step).unwrap());
        paper.put_all(&mut screen);
        let dy = i16::try_from(-20 * step).unwrap();
        if hinted {
            screen.hint_scroll(pane, 0, dy);
        }
        assert!(screen.present(START));
        follow(&mut view, &mut screen, &mut client, 20);
        assert_eq!(client.scrolls, 1, "{dy}");
        assert!(client.bytes < whole, "{} of {whole} bytes", client.bytes);
        assert!(client.shows() == paper.marked(screen.marker()), "{dy}");
    }
}

/// A table as data is: each column has three words, and only whole rows are unlike each other.
fn write_table(paper: &mut Paper, at: Rect, first_line: u32) {
    for y in 0..at.height {
        let line = first_line + u32::from(y) / 22;
        for x in 0..at.width {
            let word = line / 3_u32.pow(u32::from(x) / 128) % 3;
            let mixed = (word * 7919 + u32::from(y) % 22 * 31 + u32::from(x % 128) / 3 * 17)
                .wrapping_mul(0x9e37_79b1);
            let is_ink = (5..17).contains(&(u32::from(y) % 22)) && mixed >> 30 == 0;
            let stripe = 250 - u8::try_from(line % 2).unwrap() * 6;
            let colour = if is_ink { [40; 3] } else { [stripe; 3] };
            paper.set(at.x + x, at.y + y, colour);
        }
    }
}

#[test]
fn table_of_few_values_is_found_to_have_moved() {
    let pane = Rect {
        x: 362,
        y: 508,
        width: 896,
        height: 240,
    };
    let mut paper = Paper::new(1280, 800);
    paper.fill(Rect::of_size(1280, 800), [230, 230, 235]);
    write_table(&mut paper, pane, 100);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    follow(&mut view, &mut screen, &mut client, 0);
    write_table(&mut paper, pane, 105);
    paper.put_all(&mut screen);
    assert!(screen.present(START));
    follow(&mut view, &mut screen, &mut client, 20);
    assert_eq!(client.scrolls, 1);
    assert!(client.shows() == paper.marked(screen.marker()));
}

#[test]
fn sideways_move_is_taken_from_a_hint_only_if_it_is_right() {
    for (is_true, scrolls) in [(true, 1), (false, 0)] {
        let mut paper = Paper::new(1280, 800);
        noise(&mut paper, Rect::of_size(1280, 800), 5);
        let mut screen = screen(&paper);
        let (mut view, mut client) = (View::new(), Client::new());
        follow(&mut view, &mut screen, &mut client, 0);
        let old = paper.rgba.clone();
        for (new, old) in paper
            .rgba
            .chunks_exact_mut(5120)
            .zip(old.chunks_exact(5120))
        {
            new[400..4000].copy_from_slice(&old[280..3880]);
        }
        paper.put_all(&mut screen);
        let from = Rect {
            x: 70,
            y: 0,
            width: 900,
            height: 800,
        };
        screen.hint_scroll(from, if is_true { 30 } else { 31 }, 0);
        assert!(screen.present(START));
        follow(&mut view, &mut screen, &mut client, 20);
        assert_eq!(client.scrolls, scrolls);
        assert!(client.shows() == paper.marked(screen.marker()));
    }
}

#[test]
fn slow_viewer_gets_the_latest_and_not_what_was_between() {
    let mut paper = Paper::new(640, 480);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    let mut sent = 0;
    for step in 0..200_u16 {
        let at = Rect {
            x: step % 600,
            y: 100,
            width: 30,
            height: 30,
        };
        paper.fill(at, [200, step.to_be_bytes()[1], 0]);
        paper.put_all(&mut screen);
        assert!(screen.present(START));
        if let Some(outputs) = view.next(&mut screen, u64::from(step)) {
            client.take(outputs);
            sent += 1;
        }
    }
    assert_eq!(sent, FRAMES_UNACKNOWLEDGED_MAX);
    assert_eq!(view.waits_since_ms(), Some(0));
    acknowledge_all(&mut view, &mut client, 1_000);
    rest(&mut view, &mut screen, &mut client, 1_000);
    assert!(client.shows() == paper.marked(screen.marker()));
    assert_eq!(view.waits_since_ms(), None);
}

#[test]
fn acknowledgement_of_what_was_not_sent_is_refused() {
    let paper = Paper::new(640, 480);
    let mut screen = screen(&paper);
    let mut view = View::new();
    assert!(
        view.acknowledge(1, false, 0).is_err(),
        "before anything is sent"
    );
    let _ = view.next(&mut screen, 0).unwrap();
    for (number, is_ping) in [(0, false), (2, false), (u32::MAX, false), (2, true)] {
        assert!(view.acknowledge(number, is_ping, 0).is_err());
    }
    assert!(view.acknowledge(1, false, 0).is_ok());
    assert!(view.acknowledge(1, false, 0).is_err(), "twice");
    assert!(
        view.acknowledge(1, true, 0).is_ok(),
        "the ping that went with it"
    );
    assert!(view.acknowledge(1, true, 0).is_err(), "twice");
    assert!(View::recorder().acknowledge(1, false, 0).is_err());
}

#[test]
fn recorder_is_never_late_and_never_lossy() {
    let mut paper = Paper::new(1280, 800);
    let mut screen = screen(&paper);
    let (mut recorder, mut client) = (View::recorder(), Client::new());
    client.take(recorder.keyframe(&mut screen, 0));
    for step in 0..40_u16 {
        noise(&mut paper, Rect::of_size(1280, 200), u32::from(step) + 1);
        paper.put_all(&mut screen);
        assert!(screen.present(START.plus_ms(i64::from(step) * 20)));
        client.take(recorder.next(&mut screen, u64::from(step) * 20).unwrap());
        assert!(client.shows() == paper.marked(screen.marker()));
    }
    assert_eq!(client.lossy, 0);
    assert!(client.pings.is_empty());
    // Whoever starts here sees the same.
    let mut late = Client::new();
    late.take(recorder.keyframe(&mut screen, 1_000));
    assert!(late.shows() == client.shows());
}

#[test]
fn fast_changes_on_a_slow_way_lose_detail_and_get_it_back_at_rest() {
    let mut paper = Paper::new(1280, 800);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    // 250 kB/s, 20 ms there and back; each frame is acknowledged when the way has carried it.
    let mut way_free_at = 0;
    let mut acks: Vec<(u64, u32, bool)> = Vec::new();
    let mut now_ms = 0;
    while now_ms < 4_000 {
        if now_ms % 40 == 0 {
            let seed = u32::try_from(now_ms).unwrap() + 7;
            noise(
                &mut paper,
                Rect {
                    x: 128,
                    y: 128,
                    width: 256,
                    height: 256,
                },
                seed,
            );
            paper.put_all(&mut screen);
            screen.present(START.plus_ms(i64::try_from(now_ms).unwrap()));
        }
        while let Some(outputs) = view.next(&mut screen, now_ms) {
            let before = client.bytes;
            client.take(outputs);
            let bytes = u64::try_from(client.bytes - before).unwrap();
            way_free_at = u64::max(way_free_at, now_ms) + bytes / 250;
            acks.extend(
                client
                    .frames
                    .drain(..)
                    .map(|frame| (way_free_at + 20, frame, false)),
            );
            acks.extend(
                client
                    .pings
                    .drain(..)
                    .map(|ping| (way_free_at + 20, ping, true)),
            );
        }
        let (due, later) = acks.into_iter().partition(|(at, ..)| *at <= now_ms);
        acks = later;
        for (_, number, is_ping) in due {
            view.acknowledge(number, is_ping, now_ms).unwrap();
        }
        now_ms += 1;
    }
    assert!(client.lossy > 0, "the way was the limit");
    for (at, number, is_ping) in acks {
        view.acknowledge(number, is_ping, at).unwrap();
        now_ms = now_ms.max(at);
    }
    // From here on only what `wake_at` says.
    rest(&mut view, &mut screen, &mut client, now_ms);
    assert!(client.shows() == paper.marked(screen.marker()));
}

#[test]
fn fast_changes_on_a_fast_way_lose_nothing() {
    let mut paper = Paper::new(1280, 800);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    for step in 0..50_u32 {
        noise(&mut paper, Rect::of_size(256, 256), step + 1);
        paper.put_all(&mut screen);
        screen.present(START.plus_ms(i64::from(step) * 20));
        follow(&mut view, &mut screen, &mut client, u64::from(step) * 20);
        assert!(client.shows() == paper.marked(screen.marker()));
    }
    assert_eq!(client.lossy, 0);
}

#[test]
fn another_size_begins_anew_and_a_cursor_is_told_once() {
    let mut paper = Paper::new(640, 480);
    let mut screen = screen(&paper);
    let (mut view, mut client) = (View::new(), Client::new());
    follow(&mut view, &mut screen, &mut client, 0);
    let cursor = Cursor {
        shape: CursorShape::Text,
        caret: Some(Rect {
            x: 10,
            y: 10,
            width: 1,
            height: 20,
        }),
    };
    screen.set_cursor(cursor);
    let outputs = view.next(&mut screen, 1).unwrap();
    assert!(outputs.contains(&Output::Cursor(cursor)), "{outputs:?}");
    client.take(outputs);
    acknowledge_all(&mut view, &mut client, 1);
    assert_eq!(view.next(&mut screen, 2), None);

    screen.resize(1000, 333).unwrap();
    paper = Paper::new(1000, 333);
    noise(&mut paper, Rect::of_size(1000, 333), 3);
    paper.put_all(&mut screen);
    screen.present(START);
    follow(&mut view, &mut screen, &mut client, 3);
    assert!(client.shows() == paper.marked(screen.marker()));
}

#[test]
fn two_viewers_and_the_recording_agree() {
    let mut paper = Paper::new(640, 480);
    let mut screen = screen(&paper);
    let mut viewers = [
        (View::new(), Client::new()),
        (View::new(), Client::new()),
        (View::recorder(), Client::new()),
    ];
    for step in 0..60_u16 {
        write_lines(&mut paper, Rect::of_size(640, 400), u32::from(step / 3));
        paper.put_all(&mut screen);
        screen.present(START.plus_ms(i64::from(step) * 1_700));
        for (place, (view, client)) in viewers.iter_mut().enumerate() {
            // The second looks at every fifth picture only.
            if place == 1 && step % 5 != 4 {
                continue;
            }
            while let Some(outputs) = view.next(&mut screen, u64::from(step)) {
                client.take(outputs);
                if place == 2 {
                    break;
                }
                acknowledge_all(view, client, u64::from(step));
            }
        }
    }
    for (_, client) in &viewers {
        assert!(client.shows() == paper.marked(screen.marker()));
    }
}
