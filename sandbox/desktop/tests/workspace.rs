//! The whole application: input and news in, what is drawn out. Pictures lie in the target folder, under
//! `tmp/screens`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "support/samples.rs"]
mod samples;
#[path = "support/screen.rs"]
mod screen;

use kekkai_analysis_api::{JobState, SqlError, SqlErrorCode, Work};
use kekkai_desktop::rows::Piece;
use kekkai_frames::{CursorShape, Input, Key, Modifiers};
use kekkai_types::{Lang, Refusal, Timestamp};
use kekkai_worker_api::{Answer, Ask, Begin, ToDesktop};
use screen::Screen;

fn screen(lang: Lang) -> Screen {
    Screen::new(Begin {
        lang,
        ..samples::begin()
    })
}

/// A statement was typed, run, and its result is there.
fn with_result(lang: Lang) -> Screen {
    let mut screen = screen(lang);
    screen.ctrl(Key::Num2);
    for line in samples::SQL.split('\n') {
        screen.input(vec![Input::Text(line.to_owned())]);
        screen.key(Key::Enter);
    }
    screen.ctrl(Key::Enter);
    let (request, ask) = screen.asked(|ask| matches!(ask, Ask::Query { .. }));
    let Ask::Query { sql } = ask else {
        unreachable!()
    };
    assert_eq!(sql.trim(), samples::SQL);
    screen.answer(request, Answer::Started(samples::job_id(1)));
    let running = JobState::Running {
        rows_read: 400,
        rows_total: 1_000,
    };
    screen.take(samples::job(1, Work::Query(sql), 2_000, running));
    screen.take(samples::done(1, samples::table()));
    screen
}

#[test]
fn new_user_sees_project_data_and_where_to_go_in_both_languages() {
    for (lang, name, texts) in [
        (
            Lang::En,
            "project-en",
            [
                "血圧と喫煙",
                "mori",
                "until 18:00",
                "Test system",
                "Outpatient care",
                "about 120,000 rows",
            ],
        ),
        (
            Lang::Ja,
            "project-ja",
            [
                "血圧と喫煙",
                "mori",
                "まで",
                "試験環境",
                "外来診療データ",
                "約 120,000 行",
            ],
        ),
    ] {
        let mut screen = screen(lang);
        for text in texts {
            assert!(screen.has(text), "{text}: {}", screen.text());
        }
        screen.save(name);
        screen.click("visit");
        assert!(
            screen.has("sbp") && screen.has(lang.pick("収縮期血圧", "Systolic")),
            "{}",
            screen.text()
        );
        assert!(screen.has(lang.pick("オンサイト端末", "on-site terminal")));
        screen.save(&format!("{name}-table"));
    }
}

#[test]
fn statement_is_written_with_completion_and_run() {
    for lang in [Lang::En, Lang::Ja] {
        let mut screen = screen(lang);
        screen.ctrl(Key::Num2);
        screen.type_text("SELECT sex, cou");
        assert!(screen.has("count("), "{}", screen.text());
        screen.save(&format!("completion-{}", lang.as_str()));
        screen.key(Key::Tab);
        screen.type_text("*) FROM pa");
        assert!(screen.has(lang.pick("患者1人につき1行", "One row for each patient")));
        screen.key(Key::Enter);
        screen.type_text(" GROUP BY sex");
        screen.ctrl(Key::Enter);
        let (_, ask) = screen.asked(|ask| matches!(ask, Ask::Query { .. }));
        let sql = "SELECT sex, count(*) FROM patient GROUP BY sex".to_owned();
        assert_eq!(ask, Ask::Query { sql });
    }
}

#[test]
fn result_shows_what_is_suppressed_and_never_a_number_for_it() {
    for lang in [Lang::En, Lang::Ja] {
        let screen = with_result(lang);
        for text in ["mean_sbp", "東区", "121.25", "*"] {
            assert!(screen.has(text), "{text}: {}", screen.text());
        }
        assert!(!screen.has("123.75"), "the suppressed mean");
        assert!(screen.has(lang.pick("名前も表示されません", "withheld, names and all: 2")));
        assert!(screen.has(lang.pick("秘匿されたセル", "suppressed cells (1)")));
        screen.save(&format!("result-{}", lang.as_str()));
    }
}

#[test]
fn result_is_sorted_filtered_and_summarized() {
    let mut screen = with_result(Lang::En);
    screen.ctrl(Key::Num3);
    assert!(
        screen.has("Result 1") && screen.has("12 rows"),
        "{}",
        screen.text()
    );
    let top = |screen: &Screen, a: &str, b: &str| screen.find(a).min.y < screen.find(b).min.y;
    assert!(top(&screen, "東区", "港区"));
    screen.click("mean_sbp");
    screen.click("mean_sbp");
    assert!(top(&screen, "港区", "東区"), "{}", screen.text());
    screen.click("Column");
    for text in ["Suppressed", "Mean", "137.5", "121.25"] {
        assert!(screen.has(text), "{text}: {}", screen.text());
    }
    screen.click("Filters");
    screen.save("results");
    let place = screen.find("Filter").center();
    screen.click_at(place);
    screen.click("Filter");
    screen.ctrl(Key::F);
    assert!(screen.has("12 rows"));
}

#[test]
fn error_is_marked_and_says_what_to_do_next() {
    for lang in [Lang::En, Lang::Ja] {
        let mut screen = screen(lang);
        screen.ctrl(Key::Num2);
        screen.type_text("SELECT sbq FROM visit ");
        screen.ctrl(Key::Enter);
        let (request, _) = screen.asked(|ask| matches!(ask, Ask::Query { .. }));
        let error = SqlError {
            code: SqlErrorCode::ColumnUnknown,
            name: "sbq".to_owned(),
            at: Some((1, 8)),
            candidates: vec!["sbp".to_owned()],
            hint: None,
        };
        screen.answer(request, Answer::Wrong(error));
        assert!(
            screen.has(lang.pick("もしかして: sbp", "Perhaps you meant: sbp")),
            "{}",
            screen.text()
        );
        assert!(screen.has(lang.pick("左の一覧", "list at the left")));
        screen.save(&format!("error-{}", lang.as_str()));
        // The place is a link: the caret goes there.
        screen.click("1:8");
        screen.type_text("x");
        screen.ctrl(Key::Enter);
        let (_, ask) = screen.asked(|ask| matches!(ask, Ask::Query { .. }));
        assert_eq!(
            ask,
            Ask::Query {
                sql: "SELECT xsbq FROM visit ".to_owned()
            }
        );
    }
}

#[test]
fn rows_that_the_display_may_not_show_say_which_may_and_where_it_stands() {
    for (lang, texts) in [
        (
            Lang::En,
            ["on-site terminal", "a browser", "ask the operator"],
        ),
        (Lang::Ja, ["オンサイト端末", "ブラウザ", "運用担当者"]),
    ] {
        let mut screen = screen(lang);
        screen.ctrl(Key::Num2);
        screen.type_text("SELECT * FROM visit ");
        screen.press(
            Key::Enter,
            Modifiers {
                ctrl: true,
                shift: true,
                alt: false,
            },
        );
        let (request, _) = screen.asked(|ask| matches!(ask, Ask::Rows { .. }));
        screen.answer(
            request,
            Answer::Refused(Refusal::new("rows-need-display", "onsite")),
        );
        for text in texts {
            assert!(screen.has(text), "{text}: {}", screen.text());
        }
        screen.save(&format!("rows-refused-{}", lang.as_str()));
    }
}

/// The session shows rows.
fn with_rows(count: usize) -> Screen {
    let mut screen = screen(Lang::En);
    screen.ctrl(Key::Num2);
    screen.type_text("SELECT * FROM visit ");
    screen.press(
        Key::Enter,
        Modifiers {
            ctrl: true,
            shift: true,
            alt: false,
        },
    );
    let (request, _) = screen.asked(|ask| matches!(ask, Ask::Rows { .. }));
    let job = samples::job_id(1);
    screen.answer(request, Answer::Rows(job.clone()));
    let running = JobState::Running {
        rows_read: 0,
        rows_total: 0,
    };
    screen.take(samples::job(
        1,
        Work::Query("SELECT * FROM visit".to_owned()),
        5,
        running,
    ));
    assert!(
        screen
            .workspace
            .take_rows(&job, Piece::Schema(samples::batch(0, 1).schema()))
    );
    for first in (0..count).step_by(1_000) {
        let batch = samples::batch(first, 1_000.min(count - first));
        assert!(screen.workspace.take_rows(&job, Piece::Rows(batch)));
    }
    screen.take(ToDesktop::RowsEnd {
        job: job.clone(),
        outcome: Ok(count as u64),
    });
    screen.ctrl(Key::Num3);
    screen
}

#[test]
fn hundred_thousand_rows_scroll_and_only_the_visible_are_drawn() {
    let mut screen = with_rows(100_000);
    assert!(screen.has("100,000 rows"), "{}", screen.text());
    assert!(screen.has("Rows of single persons"));
    let cells = screen.seen.len();
    assert!(cells < 400, "{cells}");
    let middle = egui::pos2(700.0, 500.0);
    screen.hover(middle);
    screen.wheel(2_200);
    assert!(screen.has("100") && screen.has("110"), "{}", screen.text());
    // To the end by the keyboard.
    screen.click_at(middle);
    screen.key(Key::End);
    screen.draw();
    assert!(screen.has("99999"), "{}", screen.text());
    screen.save("rows");
    screen.key(Key::Home);
    screen.draw();
    assert!(!screen.has("99999"));
}

#[test]
fn chosen_cell_is_moved_by_the_keyboard() {
    let mut screen = with_rows(1_000);
    screen.click("Column");
    screen.click("visit_id");
    assert!(screen.has("999"), "the largest visit_id: {}", screen.text());
    screen.click_at(egui::pos2(180.0, 300.0));
    for key in [Key::ArrowDown, Key::ArrowRight, Key::ArrowRight] {
        screen.key(key);
    }
    // Of sbp: a tenth is missing.
    assert!(
        screen.has("Missing") && screen.has("900"),
        "{}",
        screen.text()
    );
    screen.save("rows-summary");
}

#[test]
fn rows_cannot_be_submitted() {
    let screen = with_rows(10);
    assert!(!screen.has("Submit for review"), "{}", screen.text());
    assert!(with_result_in_results().has("Submit for review"));
}

fn with_result_in_results() -> Screen {
    let mut screen = with_result(Lang::En);
    screen.ctrl(Key::Num3);
    screen
}

#[test]
fn job_shows_its_progress_is_cancelled_and_opens_its_result() {
    for lang in [Lang::En, Lang::Ja] {
        let mut screen = with_result(lang);
        let running = JobState::Running {
            rows_read: 250,
            rows_total: 1_000,
        };
        screen.take(samples::job(
            2,
            Work::Query("SELECT count(*) FROM visit".to_owned()),
            10_000,
            running,
        ));
        screen.ctrl(Key::Num6);
        assert!(
            screen.has("25 %") && screen.has(lang.pick("残り約 30.0 秒", "about 30.0 s left")),
            "{}",
            screen.text()
        );
        screen.save(&format!("jobs-{}", lang.as_str()));
        screen.click(lang.pick("取り消す", "Cancel"));
        let (_, ask) = screen.asked(|ask| matches!(ask, Ask::Cancel { .. }));
        assert_eq!(
            ask,
            Ask::Cancel {
                job: samples::job_id(2)
            }
        );
        screen.take(samples::job(
            2,
            Work::Query("SELECT 1".to_owned()),
            10_000,
            JobState::Cancelled { by_limit: false },
        ));
        assert!(
            screen.has(lang.pick("完了しませんでした", "did not finish")),
            "{}",
            screen.text()
        );
        screen.click(lang.pick("結果を見る", "Show result"));
        assert!(screen.has("mean_sbp"));
    }
}

#[test]
fn held_text_is_asked_about_and_nothing_else_works_meanwhile() {
    for lang in [Lang::En, Lang::Ja] {
        let mut screen = screen(lang);
        screen.take(ToDesktop::TypingHeld {
            chars: 500,
            left: 20_000,
        });
        assert!(
            screen.has("500") && screen.has("20,000"),
            "{}",
            screen.text()
        );
        screen.save(&format!("held-{}", lang.as_str()));
        screen.ctrl(Key::Num2);
        assert!(!screen.has("SQL 1"));
        screen.click(lang.pick("破棄する", "Drop it"));
        let (_, ask) = screen.asked(|ask| matches!(ask, Ask::Typing { .. }));
        assert_eq!(ask, Ask::Typing { admit: false });
        screen.take(ToDesktop::TypingHeld {
            chars: 0,
            left: 20_000,
        });
        screen.ctrl(Key::Num2);
        assert!(screen.has("SQL 1"), "{}", screen.text());
    }
}

#[test]
fn leaving_asks_first_and_locking_does_not() {
    let mut screen = screen(Lang::En);
    screen.click("Lock");
    assert!(matches!(
        screen.asked(|ask| matches!(ask, Ask::Lock)),
        (_, Ask::Lock)
    ));
    screen.click("Leave");
    assert!(screen.has("End the session?"), "{}", screen.text());
    assert!(screen.asked.iter().all(|(_, ask)| *ask != Ask::Leave));
    screen.save("leave");
    screen.click("Go on working");
    assert!(!screen.has("End the session?"));
    screen.click("Leave");
    screen.click("End it");
    screen.asked(|ask| matches!(ask, Ask::Leave));
}

#[test]
fn staff_who_watch_are_announced() {
    for (lang, text) in [
        (Lang::En, "Staff are watching (1)"),
        (Lang::Ja, "職員が画面を閲覧中 (1 人)"),
    ] {
        let mut screen = screen(lang);
        assert!(!screen.has(text));
        screen.take(ToDesktop::Watched { watchers: 1 });
        assert!(screen.has(text), "{}", screen.text());
        screen.take(ToDesktop::Watched { watchers: 0 });
        assert!(!screen.has(text));
    }
}

#[test]
fn language_zoom_and_contrast_change_at_once() {
    let mut screen = screen(Lang::En);
    screen.click("日本語");
    assert!(screen.has("データ"), "{}", screen.text());
    let before = screen.find("データ").height();
    screen.ctrl(Key::Equal);
    screen.ctrl(Key::Equal);
    assert!(screen.has("125%"), "{}", screen.text());
    assert!(
        (screen.find("データ").height() - before).abs() < 2.0,
        "points stay, pixels grow"
    );
    screen.ctrl(Key::Num0);
    let light = screen.pixel(600, 700);
    screen.click("コントラスト");
    let dark = screen.pixel(600, 700);
    assert!(light[0] > 200 && dark[0] < 40, "{light:?} {dark:?}");
    screen.save("contrast");
}

#[test]
fn palette_finds_commands_by_typing() {
    let mut screen = screen(Lang::En);
    screen.ctrl(Key::K);
    screen.type_text("jobs");
    assert!(screen.has("Go to Jobs"), "{}", screen.text());
    screen.save("palette");
    screen.key(Key::Enter);
    assert!(screen.has("Nothing was run yet"), "{}", screen.text());
}

#[test]
fn every_section_draws_in_both_languages_empty_and_with_a_result() {
    for lang in [Lang::En, Lang::Ja] {
        for mut screen in [screen(lang), with_result(lang)] {
            for key in [
                Key::Num1,
                Key::Num2,
                Key::Num3,
                Key::Num4,
                Key::Num5,
                Key::Num6,
                Key::Num7,
                Key::Num8,
                Key::Num9,
            ] {
                screen.ctrl(key);
                let before = screen.tiles;
                screen.draw();
                screen.draw();
                assert_eq!(
                    screen.tiles, 0,
                    "{key:?} moves by itself ({before} tiles before)"
                );
            }
        }
    }
}

#[test]
fn nothing_on_the_screen_is_a_glyph_that_is_missing() {
    for lang in [Lang::En, Lang::Ja] {
        let mut screen = with_result(lang);
        for key in [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
            Key::Num8,
            Key::Num9,
        ] {
            screen.ctrl(key);
            assert!(!screen.has("\u{fffd}"));
        }
    }
}

#[test]
fn pointer_shape_and_caret_follow_what_is_below() {
    let mut screen = screen(Lang::En);
    screen.ctrl(Key::Num2);
    let caret = screen.workspace.cursor().caret.expect("a caret");
    screen.type_text("SELECT");
    let moved = screen.workspace.cursor().caret.expect("a caret");
    assert!(
        moved.x > caret.x && moved.y == caret.y,
        "{caret:?} {moved:?}"
    );
    screen.hover(egui::pos2(
        f32::from(moved.x) + 40.0,
        f32::from(moved.y) + 4.0,
    ));
    assert_eq!(screen.workspace.cursor().shape, CursorShape::Text);
    screen.hover(egui::pos2(600.0, 790.0));
    assert_eq!(screen.workspace.cursor().shape, CursorShape::Arrow);
}

#[test]
fn what_is_copied_stays_in_the_workspace() {
    let mut screen = screen(Lang::En);
    screen.ctrl(Key::Num2);
    screen.type_text("SELECT 42 ");
    screen.ctrl(Key::A);
    screen.ctrl(Key::C);
    screen.press(
        Key::N,
        Modifiers {
            alt: true,
            ..Modifiers::default()
        },
    );
    screen.ctrl(Key::V);
    screen.ctrl(Key::Enter);
    let (_, ask) = screen.asked(|ask| matches!(ask, Ask::Query { .. }));
    assert_eq!(
        ask,
        Ask::Query {
            sql: "SELECT 42 ".to_owned()
        }
    );
    // Nothing but questions leaves, and no question carries a clipboard.
    assert!(screen.asked.is_empty(), "{:?}", screen.asked);
}

#[test]
fn session_that_becomes_longer_says_so() {
    let mut screen = screen(Lang::En);
    assert!(screen.has("until 18:00"), "{}", screen.text());
    screen.take(ToDesktop::Closes {
        at: Timestamp(1_795_338_000_000 + 3_600_000),
    });
    assert!(screen.has("until 19:00"), "{}", screen.text());
}
