//! Desktops under the broker: what is shown, recorded, asked and typed; workspaces, viewers and disks that
//! misbehave. Real processes in real jails, real streams over mutual TLS; the workspace is a test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
mod support;
mod viewer;

use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kekkai_analysis::session::Session;
use kekkai_analysis_api::{AttachScreen, Viewer, WaitScreen};
use kekkai_frames::{Input, Key, Modifiers};
use kekkai_policy_api::{DesktopTerms, EndReason, Event, SessionTerms};
use kekkai_recording::{AuditorKey, End, Expected, Player, verify};
use kekkai_service::Client;
use kekkai_sys::Spawner;
use kekkai_types::{DisplayClass, Lang, PersonId, Timestamp};
use kekkai_worker_api::Ask;
use support::{LONG, RECORDINGS, Stage, keys, stage_with, terms, workers};
use viewer::Screen;

/// One scene at a time: they count the workers of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn play<F: Future<Output = ()>>(scene: impl FnOnce(Stage) -> F) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let spawner = Spawner::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { scene(stage_with(spawner, 0, |routes| routes).await).await });
}

/// Terms of a desktop whose workspace does what the project's title says.
fn desktop_terms(title: &str) -> SessionTerms {
    let mut terms = terms(200, 20);
    terms.display = DisplayClass::Onsite;
    terms.desktop = Some(DesktopTerms {
        person_name: "佐藤".to_owned(),
        lang: Lang::Ja,
        title: title.to_owned(),
        closes: Timestamp::now().plus_ms(3_600_000),
        typed_chars_max: 100_000,
        typed_chars_per_s_max: 10_000,
        notebooks_kib_max: 64,
    });
    terms
}

/// A running desktop, and how the gateway reaches it.
struct Desk {
    session: Arc<Session>,
    screens: Client,
}

async fn open(stage: &Stage, terms: &SessionTerms) -> Desk {
    let (session, _) = stage.broker.bring_up(terms, keys()).await.unwrap();
    stage.broker.adopt(session.clone()).unwrap();
    let screens = stage.gateway.screens(&stage.broker).await;
    Desk { session, screens }
}

impl Desk {
    async fn attach(&self, viewer: Viewer, size: (u16, u16, u16)) -> Screen {
        let call = AttachScreen {
            session: self.session.id().clone(),
            viewer,
            size,
        };
        Screen::new(self.screens.stream(&call).await.unwrap())
    }

    async fn researcher(&self) -> Screen {
        self.attach(Viewer::Researcher, (1280, 800, 100)).await
    }

    async fn watcher(&self) -> Screen {
        let kato = PersonId::new("kato").unwrap();
        self.attach(Viewer::Watcher(kato), (0, 0, 0)).await
    }

    async fn end(&self) {
        self.session.end(EndReason::ClosedByUser).await;
    }
}

fn killed(stage: &Stage) -> Vec<String> {
    let events = stage.script.events.lock().unwrap();
    let killed = events.iter().filter_map(|event| match event {
        Event::ProcessKilled {
            process, reason, ..
        } => Some(format!("{process}: {reason}")),
        _ => None,
    });
    killed.collect()
}

fn refused(stage: &Stage) -> Vec<String> {
    let events = stage.script.events.lock().unwrap();
    let refused = events.iter().filter_map(|event| match event {
        Event::RequestRefused { request, .. } => Some(request.clone()),
        _ => None,
    });
    refused.collect()
}

async fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn player(stage: &Stage) -> Player {
    let key = AuditorKey::from_pem(&stage.auditors.serialize_pem()).unwrap();
    Player::open(&recorded(stage), &key).unwrap()
}

fn recorded(stage: &Stage) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(&stage.recordings).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "rec"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn nothing_is_shown_before_it_is_recorded() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        for word in ["one", "two", "three", "four", "five"] {
            screen.text(word).await;
            screen.until(&format!("typed {word}")).await;
            // What this viewer sees is in the file by now, pixel by pixel.
            let mut player = player(&stage);
            let canvas = player.seek(Timestamp(i64::MAX)).unwrap();
            assert_eq!(canvas.rgba(), screen.pixels(), "{word}");
        }
        // The ledger knew of the recording before anything was drawn.
        let kinds = stage.script.kinds();
        assert_eq!(kinds, ["session-launched", "recording-began"]);
        desk.end().await;
        // And of its end, which the file agrees with.
        let (header, reached) = {
            let events = stage.script.events.lock().unwrap();
            let header = events.iter().find_map(|event| match event {
                Event::RecordingBegan { header, .. } => Some(*header),
                _ => None,
            });
            let reached = events.iter().find_map(|event| match event {
                Event::RecordingReached {
                    chunks,
                    head,
                    ended: true,
                    ..
                } => Some((*chunks, *head)),
                _ => None,
            });
            (header, reached.unwrap())
        };
        let expected = Expected {
            header,
            reached: vec![reached],
        };
        let report = verify(&recorded(&stage), &expected, None, |_| ()).unwrap();
        assert!(matches!(report.end, End::Finished), "{report:?}");
        assert_eq!(workers(), 0);
    });
}

#[test]
fn desktop_without_a_recording_is_not_launched() {
    play(|stage| async move {
        let stage = stage;
        let refuse = async |terms: &SessionTerms| {
            let brought = stage.broker.bring_up(terms, keys()).await;
            brought.map(|_| ()).unwrap_err().code
        };
        // The ledger can't be told of it.
        *stage.script.refuse.lock().unwrap() = Some("recording-began");
        assert_eq!(refuse(&desktop_terms("honest")).await, "ledger-unavailable");
        *stage.script.refuse.lock().unwrap() = None;
        // There is no place for it.
        std::fs::remove_dir_all(&stage.recordings).unwrap();
        assert_eq!(
            refuse(&desktop_terms("honest")).await,
            "recording-unavailable"
        );
        wait_for("no process is left", || workers() == 0).await;
    });
}

#[test]
fn hostile_workspace_makes_the_broker_send_nothing_but_valid_frames() {
    play(|stage| async move {
        let stage = stage;
        let misdeeds = [
            ("frame-early", "a frame before it was ready"),
            ("second-greeting", "a second greeting"),
            ("ready-twice", "a second greeting"),
            ("out-of-turn", "a frame out of turn"),
            ("waits-for-nothing", "a frame out of turn"),
            ("tile-outside", "tiles outside the screen"),
            ("tile-far-outside", "tiles outside the screen"),
            ("too-many-tiles", "tiles outside the screen"),
            ("other-size", "a frame for another size"),
            ("no-size", "a frame for another size"),
            ("caret-outside", "a caret outside the screen"),
            ("empty-caret", "a caret outside the screen"),
            ("movement-outside", "a movement outside the screen"),
            ("asks-too-much", "more questions than it may have open"),
            ("asks-twice", "more questions than it may have open"),
            ("flood", "more messages than a person can cause"),
            ("garbage", "a message that is none"),
            ("oversized", "a message that is none"),
            ("forbidden", "a forbidden system call"),
        ];
        // Questions stay open for as long as the review service takes.
        stage.script.outputs_hang.store(true, Ordering::SeqCst);
        for (title, reason) in misdeeds {
            let desk = open(&stage, &desktop_terms(title)).await;
            // Every message that comes is decoded and drawn by the viewer, or the test fails.
            let call = AttachScreen {
                session: desk.session.id().clone(),
                viewer: Viewer::Researcher,
                size: (1280, 800, 100),
            };
            if let Ok(stream) = desk.screens.stream(&call).await {
                Screen::new(stream).until_closed().await;
            }
            let ended = tokio::time::timeout(LONG, desk.session.wait_end()).await;
            assert_eq!(ended, Ok(EndReason::ServerLost), "{title}");
            let expected = format!("desktop: {reason}");
            wait_for(title, || killed(&stage).contains(&expected)).await;
            stage.script.events.lock().unwrap().clear();
            wait_for(title, || workers() == 0).await;
        }
    });
}

#[test]
fn movements_that_a_workspace_lies_about_are_believed_by_nobody() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("lying-movements")).await;
        let mut screen = desk.attach(Viewer::Researcher, (640, 480, 100)).await;
        for _ in 0..20 {
            screen.frame().await.unwrap();
        }
        desk.end().await;
        screen.until_closed().await;
        // What was sent last without loss is what was recorded last: read from its keyframes and movements.
        assert!(player(&stage).seek(Timestamp(i64::MAX)).is_ok());
    });
}

#[test]
fn workspace_that_ends_by_itself_is_begun_anew_once_and_no_job_is_lost() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        let sql = "SELECT count(*) FROM visits".to_owned();
        screen.ask(&Ask::Query { sql }).await;
        screen.until("\"done\"").await;
        screen.text("die").await;
        // Another process: it was told of the job, and of nothing that was typed.
        let anew = |text: &str| text.contains("\"done\"") && !text.contains("answer");
        let text = screen.until_that(anew).await.unwrap();
        assert!(text.contains("begin") && text.contains("job"), "{text}");
        assert_eq!(
            killed(&stage),
            ["desktop: it ended by itself: Some(Code(3))"]
        );
        assert_eq!(workers(), 2);
        // Once.
        screen.text("die").await;
        let ended = tokio::time::timeout(LONG, desk.session.wait_end()).await;
        assert_eq!(ended, Ok(EndReason::ServerLost));
        screen.until_closed().await;
        wait_for("no process is left", || workers() == 0).await;
    });
}

#[test]
fn questions_are_answered_as_the_consoles_calls_are() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        let text = screen.until("begin").await;
        assert!(
            text.contains("begin 佐藤 true count d.visits Onsite"),
            "{text}"
        );
        let sql = "SELECT count(*) FROM visits".to_owned();
        screen.ask(&Ask::Query { sql }).await;
        screen
            .until_all(&["answer 1 {\"started\":\"1\"}", "\"done\""])
            .await;

        let job = kekkai_types::JobId::new("1").unwrap();
        screen.ask(&Ask::Preview { job: job.clone() }).await;
        screen.until("answer 2 {\"findings\":[]}").await;
        let submit = |title: &str| Ask::Submit {
            job: job.clone(),
            title: title.to_owned(),
            purpose: "p".to_owned(),
            method: "m".to_owned(),
            replaces: None,
        };
        screen.ask(&submit("t")).await;
        screen.until("answer 3 {\"submitted\"").await;
        let submitted = stage.script.submitted.lock().unwrap().clone();
        let said: Vec<_> = submitted
            .iter()
            .map(|s| (s.title.as_str(), s.method.as_str(), s.lang))
            .collect();
        assert_eq!(said, [("t", "m", Lang::Ja)]);
        screen.ask(&submit(" ")).await;
        screen
            .until("answer 4 {\"refused\":{\"code\":\"text-length\"")
            .await;

        let name = "受診".to_owned();
        let body = "secret plan".to_owned();
        let put = Ask::PutNotebook {
            name: name.clone(),
            body,
        };
        screen.ask(&put).await;
        screen.until("answer 5 \"done\"").await;
        screen.ask(&Ask::GetNotebook { name }).await;
        screen.until("answer 6 {\"text\":\"secret plan\"}").await;
        let put = Ask::PutScript {
            name: "a.py".to_owned(),
            source: "print(1)".to_owned(),
        };
        screen.ask(&put).await;
        screen.until("answer 7 \"done\"").await;
        screen.ask(&Ask::Notebooks).await;
        screen.until("answer 8 {\"names\":[\"受診\"]}").await;
        let cancel = kekkai_types::JobId::new("99").unwrap();
        screen.ask(&Ask::Cancel { job: cancel }).await;
        screen
            .until("answer 9 {\"refused\":{\"code\":\"not-found\"")
            .await;
        desk.end().await;
        // They are there again at the next visit.
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        screen.ask(&Ask::Notebooks).await;
        screen.until("answer 1 {\"names\":[\"受診\"]}").await;
        desk.end().await;
    });
}

#[test]
fn rows_are_shown_where_the_display_may_and_recorded_before() {
    play(|stage| async move {
        let stage = stage;
        let rows = || Ask::Rows {
            sql: "rows".to_owned(),
        };
        // By policy alone: the same agreement, another display.
        for display in [
            DisplayClass::Console,
            DisplayClass::Browser,
            DisplayClass::Vdi,
        ] {
            let mut terms = desktop_terms("honest");
            terms.display = display;
            let desk = open(&stage, &terms).await;
            let mut screen = desk.researcher().await;
            screen.until("begin").await;
            screen.ask(&rows()).await;
            let refusal = "{\"code\":\"rows-need-display\",\"detail\":\"onsite\"}";
            let text = screen.until(refusal).await;
            assert!(!text.contains("TANAKA"), "{display:?}");
            assert!(!stage.script.kinds().contains(&"rows-shown".to_owned()));
            desk.end().await;
        }
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        // What can't be recorded is not shown.
        *stage.script.refuse.lock().unwrap() = Some("rows-shown");
        screen.ask(&rows()).await;
        let text = screen
            .until("answer 1 {\"refused\":{\"code\":\"ledger-unavailable\"")
            .await;
        assert!(!text.contains("TANAKA"));
        *stage.script.refuse.lock().unwrap() = None;
        screen.ask(&rows()).await;
        screen
            .until_all(&["rows 2 TANAKA HANAKO", "rows-end 2 {\"Ok\":20}"])
            .await;
        let shown = stage.script.events.lock().unwrap().iter().any(|event| {
            matches!(event, Event::RowsShown { sql, job, .. } if sql == "rows" && job.as_str() == "2")
        });
        assert!(shown);
        // A statement that can't run, and rows that are no result of a job.
        let sql = "no-such-table".to_owned();
        screen.ask(&Ask::Rows { sql }).await;
        screen
            .until("answer 3 {\"wrong\":{\"code\":\"table-unknown\"")
            .await;
        let job = kekkai_types::JobId::new("2").unwrap();
        screen.ask(&Ask::Preview { job }).await;
        screen
            .until("answer 4 {\"refused\":{\"code\":\"job-has-no-result\"")
            .await;
        desk.end().await;
    });
}

#[test]
fn text_that_comes_faster_than_typing_is_held_until_it_is_admitted() {
    play(|stage| async move {
        let stage = stage;
        let mut terms = desktop_terms("honest");
        let desktop = terms.desktop.as_mut().unwrap();
        (desktop.typed_chars_max, desktop.typed_chars_per_s_max) = (500, 25);
        let desk = open(&stage, &terms).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        // 200 characters at once: nobody types that.
        let paste = "p".repeat(200);
        screen.text(&paste).await;
        let text = screen.until("held 200 500").await;
        assert!(!text.contains("typed"), "{text}");
        screen.text("more").await;
        screen.until("held 204 500").await;
        // Keys answer the question.
        screen.key(Key::ArrowDown).await;
        screen.until("ArrowDown").await;
        let held = || -> Vec<_> {
            let events = stage.script.events.lock().unwrap();
            let held = events.iter().filter_map(|event| match event {
                Event::TypingHeld {
                    chars, admitted, ..
                } => Some((*chars, *admitted)),
                _ => None,
            });
            held.collect()
        };
        assert_eq!(held(), [(200, None)]);
        // What the ledger can't be told of is not let in.
        *stage.script.refuse.lock().unwrap() = Some("typing-held");
        screen.key(Key::F1).await;
        let text = screen.until("{\"code\":\"ledger-unavailable\"").await;
        assert!(!text.contains("typed"), "{text}");
        *stage.script.refuse.lock().unwrap() = None;
        screen.key(Key::F1).await;
        let text = screen.until("held 0 296").await;
        assert!(text.contains(&format!("typed {paste}more")), "{text}");
        assert_eq!(held(), [(200, None), (204, Some(true))]);
        // Dropped is dropped; and over the agreement's total nothing is let in.
        screen.text(&paste).await;
        screen.until("held 200 296").await;
        screen.key(Key::F2).await;
        screen
            .until_that(|text| text.matches("held 0 296").count() == 2)
            .await
            .unwrap();
        for n in [200, 400] {
            screen.text(&paste).await;
            screen.until(&format!("held {n} 296")).await;
        }
        screen.key(Key::F1).await;
        let text = screen
            .until("{\"code\":\"typed-too-much\",\"detail\":\"296\"}")
            .await;
        assert_eq!(text.matches("typed p").count(), 1, "{text}");
        desk.end().await;
    });
}

#[test]
fn watcher_cannot_type() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        let mut watcher = desk.watcher().await;
        // They see the same, and the person sees that.
        screen.until("watched 1").await;
        watcher.until("watched 1").await;
        watcher.text("typed by staff").await;
        watcher.until_closed().await;
        let text = screen.until("watched 0").await;
        assert!(!text.contains("staff"), "{text}");
        assert_eq!(refused(&stage), ["screen: a watcher's input"]);
        // A place is free again, and there are only so many.
        let mut watchers = Vec::new();
        for n in 1..=4 {
            watchers.push(desk.watcher().await);
            screen.until(&format!("watched {n}")).await;
        }
        let call = AttachScreen {
            session: desk.session.id().clone(),
            viewer: Viewer::Watcher(PersonId::new("kato").unwrap()),
            size: (0, 0, 0),
        };
        let refusal = desk.screens.stream(&call).await.unwrap_err().into_refusal();
        assert_eq!(refusal.code, "too-many-watchers");
        desk.end().await;
    });
}

#[test]
fn second_screen_replaces_the_first() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut first = desk.researcher().await;
        first.until("begin").await;
        first.text("first").await;
        first.until("typed first").await;
        let mut second = desk.attach(Viewer::Researcher, (640, 480, 200)).await;
        let text = second.until_all(&["typed first", "size 640 480"]).await;
        assert!(text.contains("begin"), "{text}");
        first.until_closed().await;
        second.text("second").await;
        second.until("typed second").await;
        assert_eq!(second.size(), (640, 480));
        desk.end().await;
        second.until_closed().await;
    });
}

#[test]
fn detached_session_goes_on_and_what_it_wishes_is_told() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        let sql = "slow".to_owned();
        screen.ask(&Ask::Query { sql }).await;
        screen.until("\"started\":\"1\"").await;
        screen.ask(&Ask::Lock).await;
        let wait = WaitScreen {
            session: desk.session.id().clone(),
            seen: 0,
        };
        let wish = desk.screens.call(&wait).await.unwrap();
        assert!(wish.lock && !wish.leave && wish.number == 1);
        drop(screen);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(desk.session.end_reason(), None);
        // Back again: the same desktop, the same job.
        let mut screen = desk.researcher().await;
        let text = screen.until("\"started\":\"1\"").await;
        assert!(text.contains("begin"), "{text}");
        screen.ask(&Ask::Leave).await;
        let wait = WaitScreen { seen: 1, ..wait };
        let wish = desk.screens.call(&wait).await.unwrap();
        assert!(wish.leave && !wish.lock);
        desk.end().await;
    });
}

#[test]
fn revocation_ends_a_session_that_nobody_looks_at() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        drop(desk.researcher().await);
        let since = Instant::now();
        *stage.script.lease.lock().unwrap() = Some(EndReason::AgreementEnded);
        let ended = tokio::time::timeout(LONG, desk.session.wait_end()).await;
        assert_eq!(ended, Ok(EndReason::AgreementEnded));
        wait_for("its processes are gone", || workers() == 0).await;
        assert!(since.elapsed() < Duration::from_secs(5));
        let call = AttachScreen {
            session: desk.session.id().clone(),
            viewer: Viewer::Researcher,
            size: (1280, 800, 100),
        };
        let refusal = desk.screens.stream(&call).await.unwrap_err().into_refusal();
        assert_eq!(refusal.code, "session-ended");
    });
}

#[test]
fn viewers_that_misbehave_are_cut_and_recorded_and_cost_nobody_else_anything() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut watcher = desk.watcher().await;
        watcher.until("begin").await;
        let misdeeds: [(&str, Vec<u8>); 4] = [
            ("a message that is none", vec![0, 0, 0, 1, 0xff]),
            ("a message that is none", vec![0xff; 4]),
            ("a message that is none", vec![0; 4]),
            ("more inputs than a hand can make", {
                let move_by = kekkai_frames::encode_input(&Input::Pointer {
                    x: 1,
                    y: 1,
                    buttons: 0,
                    wheel_x: 0,
                    wheel_y: 0,
                    modifiers: Modifiers::default(),
                });
                kekkai_frames::prefix(&move_by).repeat(50_000)
            }),
        ];
        for (reason, bytes) in misdeeds {
            let mut screen = desk.researcher().await;
            screen.until("begin").await;
            screen.raw(&bytes).await;
            screen.until_closed().await;
            let expected = format!("screen: {reason}");
            wait_for(reason, || refused(&stage).contains(&expected)).await;
            stage.script.events.lock().unwrap().clear();
        }
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        // A frame that was never sent.
        screen
            .input(&Input::Ack {
                number: 4_000_000,
                is_ping: false,
            })
            .await;
        screen.until_closed().await;
        wait_for("it is recorded", || !refused(&stage).is_empty()).await;
        // One that doesn't read, and one that is half closed.
        let deaf = desk.researcher().await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        for n in 0..50 {
            screen.text(&format!("w{n}")).await;
        }
        screen.until("typed w49").await;
        watcher.until("typed w49").await;
        drop(deaf);
        assert_eq!(desk.session.end_reason(), None);
        desk.end().await;
    });
}

#[test]
fn idle_screen_says_nothing() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        // Whatever is still under way.
        screen.rest(Duration::from_millis(500)).await;
        let before = screen.bytes();
        screen.rest(Duration::from_secs(3)).await;
        assert_eq!(screen.bytes(), before);
        desk.end().await;
    });
}

/// On a file system of two megabytes of its own, in a child.
#[test]
fn full_disk_freezes_the_screen_until_there_is_room() {
    if std::env::var_os(RECORDINGS).is_none() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("mount -t tmpfs -o size=2m tmpfs \"${RECORDINGS}\" && exec \"$@\"");
        // Gone with the child.
        let name = "full_disk_freezes_the_screen_until_there_is_room";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(RECORDINGS, dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{wrong}");
        assert!(said.contains("the disk was full"), "{said}{wrong}");
        return;
    }
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let mut screen = desk.researcher().await;
        screen.until("begin").await;
        screen.text("before").await;
        screen.until("typed before").await;

        let ballast = stage.recordings.join("ballast");
        let filled = std::fs::write(&ballast, vec![1; 4 << 20]);
        assert!(filled.is_err(), "the disk is larger than was thought");
        // What was begun of a page still fits: type until nothing does.
        let (mut n, mut seen) = (0, String::new());
        while !stage
            .script
            .kinds()
            .contains(&"recording-failed".to_owned())
        {
            screen.text(&format!("filling {n}")).await;
            screen.rest(Duration::from_millis(50)).await;
            seen = screen.read().unwrap_or(seen);
            n += 1;
            assert!(n < 200);
        }
        println!("the disk was full after {n} frames");
        screen.rest(Duration::from_millis(300)).await;
        // The broker's own notice, and nothing of the workspace's.
        assert_eq!(screen.read(), None);
        assert!(screen.is_mostly(0xf0..=0xff), "the notice's ground");
        screen.text("while frozen").await;
        screen.rest(Duration::from_millis(1_500)).await;
        assert_eq!(screen.read(), None);

        std::fs::remove_file(&ballast).unwrap();
        // What was drawn and could not be shown is not lost.
        let more = |text: &str| text.starts_with(&seen) && text.len() > seen.len();
        let text = screen.until_that(more).await.unwrap();
        assert!(text.contains("typed before"), "{text}");
        screen.text("after").await;
        let text = screen.until("typed after").await;
        assert!(!text.contains("while frozen"), "{text}");
        let failed = |kind: &str| stage.script.kinds().iter().filter(|k| *k == kind).count();
        assert_eq!(failed("recording-failed"), 1);
        let mut player = player(&stage);
        let canvas = player.seek(Timestamp(i64::MAX)).unwrap();
        assert_eq!(canvas.rgba(), screen.pixels());
        desk.end().await;
        let report = verify(&recorded(&stage), &Expected::default(), None, |_| ()).unwrap();
        assert!(matches!(report.end, End::Finished), "{report:?}");
    });
}

#[test]
fn sessions_bound_on_memory_covers_its_desktop() {
    play(|stage| async move {
        let stage = stage;
        let desk = open(&stage, &desktop_terms("honest")).await;
        let groups: Vec<String> = support::worker_pids()
            .into_iter()
            .map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap())
            .collect();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0], groups[1], "one group for both");
        let launched = stage.script.events.lock().unwrap()[0].clone();
        let Event::SessionLaunched { layers, .. } = launched else {
            panic!("{launched:?}")
        };
        let drawn = layers.iter().filter(|layer| layer.starts_with("desktop "));
        assert_eq!(drawn.count(), kekkai_sys::Layer::ALL.len());
        desk.end().await;
    });
}
