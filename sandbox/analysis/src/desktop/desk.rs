//! The task that knows all of a session's desktop: what happened is seen to one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kekkai_analysis_api::{Programs, Viewer};
use kekkai_frames::Input;
use kekkai_policy_api::{EndReason, Event};
use kekkai_recording::Reached;
use kekkai_sys::Exit;
use kekkai_types::{Refusal, Timestamp};
use kekkai_watermark::Watermark;
use kekkai_worker_api::{ASKS_OPEN_MAX, Answer, Ask, Begin, Frame, FromDesktop, ToDesktop};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::asks::{self, Effect};
use super::outbox::Stopped;
use super::picture::{Change, Picture, Step, Stepped};
use super::told::{Outputs, ToldJobs};
use super::turn::{Judged, Size, Turn};
use super::typing::{Typing, Verdict};
use super::viewers::{Arrival, Batch, ViewerId};
use super::workspace::Workspace;
use super::{DesktopHost, Shared, Waiting};
use crate::session::{SIGSYS, Session};

/// The screen until somebody looks at it.
const FIRST_SIZE: Size = (1280, 800, 100);
/// A process must be ready by then.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// At least so long between two frames: what a workspace draws beyond that, nobody sees.
const FRAME_GAP: Duration = Duration::from_millis(8);
/// And so many times what the last one took: no workspace keeps more of a processor than its part.
const FRAME_REST: u32 = 2;
/// Jobs that run are looked at so often.
const JOBS_LOOK: Duration = Duration::from_millis(500);
/// How far the recording is goes to the ledger so often, if anything changed.
const REACHED_EVERY: Duration = Duration::from_secs(600);
/// A process that ended by itself is started anew so many times.
const RESTARTS_MAX: u32 = 1;

/// What happened outside the workspace.
#[derive(Debug)]
pub(crate) enum Happened {
    /// Somebody looks.
    Arrived(Arrival),
    /// They did something.
    Inputs(ViewerId, Vec<Input>),
    /// They take another batch.
    Ready(ViewerId),
    /// They look no more.
    Left(ViewerId),
    /// A question of a workspace is answered, or one of the desk's own.
    Answered(Option<Question>, Effect),
    /// The ledger knows what the person decided about text that was held, or refused to.
    Decided {
        question: Question,
        admit: bool,
        recorded: Result<(), Refusal>,
    },
}

/// A question by the process that asked, counted from 0, and its own number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    process: u32,
    request: u32,
}

/// Somebody who looks.
struct Place {
    is_watcher: bool,
    batches: mpsc::Sender<Batch>,
    is_ready: bool,
}

/// Why a desk can't go on.
enum Broken {
    /// The process did what none of ours does.
    Misbehaved(&'static str),
    /// It is gone.
    Lost,
    /// Ours: a thread failed, memory can't be had.
    Failed(&'static str),
}

pub(super) struct Desk {
    session: Arc<Session>,
    host: Arc<DesktopHost>,
    shared: Arc<Shared>,
    happened: mpsc::Receiver<Happened>,
    /// For what is begun here.
    desk: mpsc::Sender<Happened>,
    recording: String,
    begin: Begin,
    workspace: Workspace,
    began: Instant,
    restarts: u32,
    turn: Turn,
    asked: BTreeSet<u32>,
    /// `None` while a thread has it.
    picture: Option<Picture>,
    /// A frame that nobody has looked at yet.
    frame: Option<(Frame, Judged)>,
    not_before: Instant,
    is_frozen: bool,
    changes: Vec<Change>,
    wake_at: Option<Instant>,
    is_due: bool,
    viewers: BTreeMap<ViewerId, Place>,
    researcher: Option<ViewerId>,
    typing: Typing,
    jobs: ToldJobs,
    jobs_at: Instant,
    outputs: Outputs,
    reached_at: Instant,
    has_written: bool,
    clock: Instant,
}

impl Desk {
    /// From the first message to the recording's end.
    pub(super) async fn live(waiting: Waiting, session: Arc<Session>) {
        match Self::sit_down(waiting, &session).await {
            Ok(mut desk) => {
                if let Err(broken) = desk.work().await {
                    desk.give_up(&broken).await;
                }
                desk.clear_away().await;
            }
            Err(what) => {
                tracing::error!(session = %session.id(), what, "no desktop");
                end(&session);
            }
        }
    }

    async fn sit_down(waiting: Waiting, session: &Arc<Session>) -> Result<Self, &'static str> {
        let Waiting {
            parts,
            happened,
            desk,
            shared,
        } = waiting;
        let terms = &session.terms().session;
        let programs = session.programs().await.unwrap_or_else(|refusal| {
            // Not agreed, or the review service is away: the workspace can ask again.
            tracing::debug!(%refusal, "no programs for a desktop");
            Programs {
                python: false,
                rows: false,
                scripts: Vec::new(),
                tools: Vec::new(),
            }
        });
        let tables = terms.datasets.iter().flat_map(|dataset| {
            let id = dataset.catalog.id.clone();
            let tables = dataset.tables.iter();
            tables.map(move |(table, granted)| (format!("{id}.{table}"), granted.rows_need))
        });
        let begin = Begin {
            session: terms.session.clone(),
            person: parts.terms.person_name.clone(),
            project: parts.terms.title.clone(),
            lang: parts.terms.lang,
            server: session.server().clone(),
            emulated: parts.host.emulated,
            display: terms.display,
            rows_need: tables.collect(),
            catalogs: session.terms().catalogs.clone(),
            threshold: terms.threshold,
            programs,
            functions: parts.functions,
            closes: parts.terms.closes,
            size: FIRST_SIZE,
            fonts: Vec::new(),
        };
        let watermark = Watermark::new(
            parts.recording.mark,
            terms.person.as_str(),
            terms.session.as_str(),
        );
        let picture = Picture::new(watermark, parts.recording.recorder, FIRST_SIZE);
        let picture = picture.ok_or("a size that no screen has")?;
        let workspace = Workspace::begin(parts.jailed, &parts.host, begin.clone())
            .map_err(|_| "no memory for pixels")?;
        let now = Instant::now();
        Ok(Self {
            session: session.clone(),
            host: parts.host,
            shared,
            happened,
            desk,
            recording: parts.recording.name,
            begin,
            workspace,
            began: now,
            restarts: 0,
            turn: Turn::new(FIRST_SIZE),
            asked: BTreeSet::new(),
            picture: Some(picture),
            frame: None,
            not_before: now,
            is_frozen: false,
            changes: Vec::new(),
            wake_at: None,
            is_due: false,
            viewers: BTreeMap::new(),
            researcher: None,
            typing: Typing::new(
                parts.terms.typed_chars_max,
                parts.terms.typed_chars_per_s_max,
                0,
            ),
            jobs: ToldJobs::default(),
            jobs_at: now,
            outputs: Outputs::default(),
            reached_at: now,
            has_written: false,
            clock: now,
        })
    }

    /// Until the session ends, or nothing can go on.
    async fn work(&mut self) -> Result<(), Broken> {
        let session = self.session.clone();
        let mut changed = session.changes();
        loop {
            if session.end_reason().is_some() {
                return Ok(());
            }
            let now = Instant::now();
            if self.is_step_due(now) {
                self.step().await?;
                continue;
            }
            if self.jobs_at <= now && self.jobs.any() {
                self.tell_jobs();
            }
            self.poll_outputs(now);
            if !self.turn.is_ready() && now >= self.began + READY_LIMIT {
                return Err(Broken::Misbehaved("it does not begin"));
            }
            let wake = self.next_look();
            tokio::select! {
                _ = session.wait_end() => return Ok(()),
                Some(happened) = self.happened.recv() => self.see_to(happened),
                said = self.workspace.from.recv() => match said {
                    Some(Ok(Some(message))) => self.hear(message)?,
                    Some(Err(_)) => return Err(Broken::Misbehaved("a message that is none")),
                    Some(Ok(None)) | None => self.begin_anew().await?,
                },
                why = &mut self.workspace.stopped => match why {
                    Ok(Stopped::Stuck) => return Err(Broken::Misbehaved("it takes no messages")),
                    _ => self.begin_anew().await?,
                },
                Ok(()) = changed.changed(), if self.jobs.any() => self.jobs_at = Instant::now(),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// When to look again though nothing happened.
    fn next_look(&self) -> Instant {
        // Nothing waits for this one: a day is as good as never.
        let mut at = Instant::now() + Duration::from_secs(86_400);
        let mut by = |when: Instant| at = at.min(when);
        if let Some(wake) = self.wake_at {
            by(wake);
        }
        if self.has_frame_to_show() {
            by(self.not_before);
        }
        if self.jobs.any() {
            by(self.jobs_at);
        }
        if let Some(when) = self
            .outputs
            .next_look()
            .filter(|_| self.researcher.is_some())
        {
            by(when);
        }
        if !self.turn.is_ready() {
            by(self.began + READY_LIMIT);
        }
        at
    }

    fn has_frame_to_show(&self) -> bool {
        self.frame.is_some() && !self.viewers.is_empty() && !self.is_frozen
    }

    fn is_step_due(&self, now: Instant) -> bool {
        self.is_due
            || self.wake_at.is_some_and(|at| at <= now)
            || (self.has_frame_to_show() && self.not_before <= now)
    }

    /// Has a thread read, mark, record and compare; then sends what is to be sent.
    async fn step(&mut self) -> Result<(), Broken> {
        let began = Instant::now();
        let is_time = self.not_before <= began;
        let frame = match self.has_frame_to_show() && is_time {
            true => self.frame.take(),
            false => None,
        };
        let judged = frame
            .as_ref()
            .map(|(frame, judged)| (frame.number, *judged));
        let pixels = self.workspace.pixels.clone();
        let ready = self.viewers.iter().filter(|(_, place)| place.is_ready);
        let ready: Vec<ViewerId> = ready.map(|(id, _)| *id).collect();
        let step = Step {
            changes: std::mem::take(&mut self.changes),
            frame: frame.map(|(frame, judged)| (frame, judged, pixels)),
            ready,
            now: Timestamp::now(),
            now_ms: self.now_ms(),
        };
        self.is_due = false;
        self.wake_at = None;
        let mut picture = self.picture.take().ok_or(Broken::Failed("no picture"))?;
        let work = tokio::task::spawn_blocking(move || {
            let stepped = picture.step(step);
            (picture, stepped)
        });
        let (picture, stepped) = work
            .await
            .map_err(|_| Broken::Failed("a picture's thread"))?;
        self.picture = Some(picture);
        let stepped = stepped.map_err(|_| Broken::Failed("the pixels can't be read"))?;
        if let Some((number, judged)) = judged {
            self.taken(number, judged);
            let rest = began.elapsed().saturating_mul(FRAME_REST);
            self.not_before = Instant::now() + rest.max(FRAME_GAP);
        }
        self.carry_out(stepped);
        Ok(())
    }

    fn taken(&mut self, frame: u32, judged: Judged) {
        let next = self.turn.taken(judged);
        self.push(ToDesktop::Taken { frame });
        if let Some(size) = next {
            self.tell_size(size);
        }
    }

    fn carry_out(&mut self, stepped: Stepped) {
        for (viewer, batch) in stepped.batches {
            if let Some(place) = self.viewers.get_mut(&viewer) {
                place.is_ready = false;
                // It takes one at a time; where its end is gone, it says so.
                let _ = place.batches.try_send(batch);
            }
        }
        for viewer in stepped.offenders {
            tracing::warn!(session = %self.session.id(), viewer, "acknowledges what was never sent");
            self.left(viewer);
            let request = "screen: acknowledges what was never sent".to_owned();
            self.record(Event::RequestRefused {
                person: None,
                session: Some(self.session.id().clone()),
                terminal: None,
                request,
            });
        }
        let at = |ms: u64| self.clock + Duration::from_millis(ms);
        self.wake_at = stepped.wake_at_ms.map(at);
        self.has_written |= stepped.has_written;
        match stepped.turned {
            Some(Err(reason)) => {
                tracing::error!(session = %self.session.id(), reason, "a screen can't be recorded");
                self.is_frozen = true;
                self.record(Event::RecordingFailed {
                    session: self.session.id().clone(),
                    recording: self.recording.clone(),
                    reason,
                });
            }
            Some(Ok(())) => {
                tracing::info!(session = %self.session.id(), "a screen is recorded again");
                self.is_frozen = false;
                self.reach();
            }
            None if self.has_written && self.reached_at.elapsed() >= REACHED_EVERY => self.reach(),
            None => {}
        }
    }

    /// Says in the ledger how far the recording is whole.
    fn reach(&mut self) {
        self.reached_at = Instant::now();
        self.has_written = false;
        if let Some(picture) = &self.picture {
            self.record(self.reached(picture.reached(), false));
        }
    }

    fn reached(&self, reached: Reached, ended: bool) -> Event {
        Event::RecordingReached {
            session: self.session.id().clone(),
            recording: self.recording.clone(),
            chunks: reached.chunks,
            bytes: reached.bytes,
            head: reached.head,
            ended,
        }
    }

    /// Writes an entry about what has happened already: nothing waits for it.
    fn record(&self, event: Event) {
        let session = self.session.clone();
        tokio::spawn(async move {
            if let Err(error) = session.record(event).await {
                tracing::error!(session = %session.id(), %error, "a desktop's event is not recorded");
            }
        });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells the workspace something. One that takes nothing is found out by who sends.
    fn push(&self, message: ToDesktop) {
        self.workspace.outbox.push(message, Vec::new());
    }

    fn see_to(&mut self, happened: Happened) {
        match happened {
            Happened::Arrived(arrival) => self.arrived(arrival),
            Happened::Inputs(viewer, inputs) => self.inputs(viewer, inputs),
            Happened::Ready(viewer) => {
                if let Some(place) = self.viewers.get_mut(&viewer) {
                    place.is_ready = true;
                    self.is_due = true;
                }
            }
            Happened::Left(viewer) => self.left(viewer),
            Happened::Answered(question, effect) => {
                if let Some(question) = question.filter(|q| q.process == self.restarts) {
                    self.asked.remove(&question.request);
                }
                match effect {
                    Effect::None => {}
                    Effect::Job(job) => {
                        self.jobs.follow(job);
                        self.jobs_at = Instant::now();
                    }
                    Effect::Submitted => self.outputs.look_now(),
                    Effect::Outputs(outputs) => {
                        if self.outputs.found(&outputs) {
                            self.push(ToDesktop::Outputs(outputs));
                        }
                    }
                    Effect::OutputsUnknown => self.outputs.not_found(),
                }
            }
            Happened::Decided {
                question,
                admit,
                recorded,
            } => {
                // What another process held is gone with it.
                if question.process == self.restarts {
                    self.decided(question.request, admit, recorded);
                }
            }
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let Arrival {
            id,
            viewer,
            size,
            batches,
        } = arrival;
        let is_watcher = matches!(viewer, Viewer::Watcher(_));
        if !is_watcher {
            // One at a time: the second takes the first one's place.
            if let Some(before) = self.researcher.replace(id) {
                self.left(before);
                self.researcher = Some(id);
            }
            if let Some(size) = self.turn.resize(size) {
                self.tell_size(size);
            }
            self.outputs.look_now();
        }
        let place = Place {
            is_watcher,
            batches,
            is_ready: true,
        };
        self.viewers.insert(id, place);
        self.changes.push(Change::Arrived(id));
        self.is_due = true;
        if is_watcher {
            self.tell_watchers();
        }
    }

    fn left(&mut self, viewer: ViewerId) {
        let Some(place) = self.viewers.remove(&viewer) else {
            return;
        };
        self.changes.push(Change::Left(viewer));
        self.is_due = true;
        if self.researcher == Some(viewer) {
            self.researcher = None;
        }
        if place.is_watcher {
            self.tell_watchers();
        }
    }

    fn tell_watchers(&self) {
        let watchers = self.viewers.values().filter(|place| place.is_watcher);
        let watchers = u32::try_from(watchers.count()).unwrap_or(u32::MAX);
        self.push(ToDesktop::Watched { watchers });
    }

    fn tell_size(&self, (width, height, scale): Size) {
        let resize = Input::Resize {
            width,
            height,
            scale,
        };
        self.workspace.outbox.push_inputs(vec![resize]);
    }

    fn inputs(&mut self, viewer: ViewerId, inputs: Vec<Input>) {
        if !self.viewers.contains_key(&viewer) {
            return;
        }
        let is_researcher = self.researcher == Some(viewer);
        let now_ms = self.now_ms();
        let (mut passed, mut is_held) = (Vec::new(), false);
        for input in inputs {
            match input {
                Input::Ack { number, is_ping } => {
                    self.changes.push(Change::Acknowledged {
                        viewer,
                        number,
                        is_ping,
                    });
                    self.is_due = true;
                }
                // Refused where it came from; here it would reach the workspace.
                _ if !is_researcher => {}
                Input::Resize {
                    width,
                    height,
                    scale,
                } => {
                    let size = self.turn.resize((width, height, scale));
                    // In order with the rest.
                    if let Some((width, height, scale)) = size {
                        passed.push(Input::Resize {
                            width,
                            height,
                            scale,
                        });
                    }
                }
                // What nobody sees answered is not taken.
                _ if self.is_frozen => {}
                input => match self.typing.take(input, now_ms) {
                    Verdict::Pass(input) => passed.push(input),
                    Verdict::HeldFirst => {
                        is_held = true;
                        self.record(Event::TypingHeld {
                            session: self.session.id().clone(),
                            chars: self.typing.held(),
                            admitted: None,
                        });
                    }
                    Verdict::Held => is_held = true,
                    Verdict::Dropped => {}
                },
            }
        }
        self.workspace.outbox.push_inputs(passed);
        if is_held {
            self.tell_typing();
        }
    }

    fn tell_typing(&self) {
        self.push(ToDesktop::TypingHeld {
            chars: self.typing.held(),
            left: self.typing.left(),
        });
    }

    fn hear(&mut self, message: FromDesktop) -> Result<(), Broken> {
        if !self.turn.admits_another() {
            return Err(Broken::Misbehaved("more messages than a person can cause"));
        }
        match message {
            FromDesktop::Jailed { .. } => Err(Broken::Misbehaved("a second greeting")),
            FromDesktop::Ready => self.turn.ready().map_err(Broken::Misbehaved),
            FromDesktop::Frame(frame) => {
                let judged = self.turn.judge(&frame).map_err(Broken::Misbehaved)?;
                match judged {
                    // Nothing of it is read: it may go on at once.
                    Judged::Stale => self.taken(frame.number, judged),
                    Judged::Shown { .. } => self.frame = Some((frame, judged)),
                }
                Ok(())
            }
            FromDesktop::Ask { request, ask } => self.asked(request, ask),
        }
    }

    fn asked(&mut self, request: u32, ask: Ask) -> Result<(), Broken> {
        if !self.turn.is_ready() {
            return Err(Broken::Misbehaved("a question before it was ready"));
        }
        if self.asked.len() >= ASKS_OPEN_MAX || !self.asked.insert(request) {
            return Err(Broken::Misbehaved("more questions than it may have open"));
        }
        match ask {
            Ask::Typing { admit } => self.decide(request, admit),
            Ask::Lock => {
                self.shared.wish(|wish| wish.lock = true);
                self.answer(request, Answer::Done);
            }
            Ask::Leave => {
                self.shared.wish(|wish| wish.leave = true);
                self.answer(request, Answer::Done);
            }
            ask => {
                let (session, desk) = (self.session.clone(), self.desk.clone());
                let outbox = self.workspace.outbox.clone();
                let question = self.question(request);
                tokio::spawn(async move {
                    let effect = asks::answer(&session, &outbox, request, ask).await;
                    // A desk that is gone needs no answer.
                    let _ = desk.send(Happened::Answered(Some(question), effect)).await;
                });
            }
        }
        Ok(())
    }

    fn question(&self, request: u32) -> Question {
        let process = self.restarts;
        Question { process, request }
    }

    fn answer(&mut self, request: u32, answer: Answer) {
        self.asked.remove(&request);
        self.push(ToDesktop::Answer { request, answer });
    }

    /// The person says what to do with text that is held. The ledger hears of it first.
    fn decide(&mut self, request: u32, admit: bool) {
        if self.typing.held() == 0 {
            return self.answer(request, Answer::Done);
        }
        if admit && !self.typing.may_admit() {
            let left = self.typing.left().to_string();
            let refusal = Refusal::new("typed-too-much", left);
            return self.answer(request, Answer::Refused(refusal));
        }
        let event = Event::TypingHeld {
            session: self.session.id().clone(),
            chars: self.typing.held(),
            admitted: Some(admit),
        };
        let (session, desk) = (self.session.clone(), self.desk.clone());
        let question = self.question(request);
        tokio::spawn(async move {
            let recorded = session.record(event).await;
            let happened = Happened::Decided {
                question,
                admit,
                recorded: recorded
                    .map(drop)
                    .map_err(kekkai_service::CallError::into_refusal),
            };
            // A desk that is gone lets nothing in.
            let _ = desk.send(happened).await;
        });
    }

    fn decided(&mut self, request: u32, admit: bool, recorded: Result<(), Refusal>) {
        match recorded {
            Ok(()) if admit => {
                let inputs = self.typing.admit();
                self.workspace.outbox.push_inputs(inputs);
            }
            Ok(()) => self.typing.drop_held(),
            Err(refusal) => return self.answer(request, Answer::Refused(refusal)),
        }
        self.tell_typing();
        self.answer(request, Answer::Done);
    }

    fn tell_jobs(&mut self) {
        self.jobs_at = Instant::now() + JOBS_LOOK;
        let session = self.session.clone();
        let outbox = self.workspace.outbox.clone();
        self.jobs.tell(&session, |job| {
            outbox.push(ToDesktop::Job(Box::new(job)), Vec::new());
        });
    }

    /// Asks how outputs stand, while somebody looks and something may change.
    fn poll_outputs(&mut self, now: Instant) {
        if self.researcher.is_none() || !self.outputs.begin_look(now) {
            return;
        }
        let (session, desk) = (self.session.clone(), self.desk.clone());
        tokio::spawn(async move {
            let effect = match session.outputs().await {
                Ok(outputs) => Effect::Outputs(outputs),
                Err(refusal) => {
                    tracing::debug!(session = %session.id(), %refusal, "outputs can't be seen");
                    Effect::OutputsUnknown
                }
            };
            // A desk that is gone tells nobody.
            let _ = desk.send(Happened::Answered(None, effect)).await;
        });
    }

    /// A process that ended by itself costs no job: another takes its place, once.
    async fn begin_anew(&mut self) -> Result<(), Broken> {
        let exit = self.workspace.end().await;
        if self.session.end_reason().is_some() {
            return Ok(());
        }
        if let Some(Exit::Signal(SIGSYS)) = exit {
            return Err(Broken::Misbehaved("a forbidden system call"));
        }
        if self.restarts >= RESTARTS_MAX {
            return Err(Broken::Lost);
        }
        self.restarts += 1;
        let reason = format!("it ended by itself: {exit:?}");
        self.session.record_killed("desktop", &reason).await;
        let jailed = self.host.pool.take(&self.host.spec()).await;
        let jailed = jailed.map_err(|error| {
            tracing::error!(error = %crate::explain(&error), "no other process for a desktop");
            Broken::Lost
        })?;
        self.session.forget_process(self.workspace.life.pid());
        let size = self.turn.told();
        let begin = Begin {
            size,
            ..self.begin.clone()
        };
        let pid = jailed.pid();
        let workspace = Workspace::begin(jailed, &self.host, begin)
            .map_err(|_| Broken::Failed("no memory for pixels"))?;
        *self
            .shared
            .life
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = workspace.life.clone();
        self.workspace = workspace;
        if !self.session.hold_process(pid) {
            return Err(Broken::Failed("a process outside its group"));
        }
        if self.session.end_reason().is_some() {
            // It ended before this process was its own.
            self.workspace.life.kill().await;
            return Ok(());
        }
        self.began = Instant::now();
        self.turn = Turn::new(size);
        self.asked.clear();
        self.frame = None;
        self.typing.drop_held();
        self.tell_watchers();
        self.jobs.all_again(&self.session);
        self.jobs_at = self.began;
        self.outputs = Outputs::default();
        Ok(())
    }

    async fn give_up(&mut self, broken: &Broken) {
        self.workspace.outbox.close();
        let exit = self.workspace.life.kill().await;
        match broken {
            Broken::Misbehaved(what) => self.session.record_killed("desktop", what).await,
            Broken::Lost => {
                let reason = format!("it ended by itself: {exit:?}");
                self.session.record_killed("desktop", &reason).await;
            }
            Broken::Failed(what) => {
                tracing::error!(session = %self.session.id(), what, "a desktop failed");
            }
        }
        end(&self.session);
    }

    /// Nothing is shown any more; the recording gets its end.
    async fn clear_away(&mut self) {
        self.viewers.clear();
        self.happened.close();
        self.workspace.outbox.close();
        self.workspace.life.kill().await;
        let Some(picture) = self.picture.take() else {
            return;
        };
        let Ok((reached, finished)) = tokio::task::spawn_blocking(move || picture.finish()).await
        else {
            tracing::error!(session = %self.session.id(), "a recording has no end");
            return;
        };
        if let Err(error) = &finished {
            tracing::error!(session = %self.session.id(), error = %crate::explain(error), "a recording has no end");
        }
        let event = self.reached(reached, finished.is_ok());
        if let Err(error) = self.session.record(event).await {
            tracing::error!(session = %self.session.id(), %error, "a recording's end is not recorded");
        }
    }
}

/// Ends a session without waiting: its end waits for its desk.
fn end(session: &Arc<Session>) {
    let session = session.clone();
    tokio::spawn(async move { session.end(EndReason::ServerLost).await });
}
