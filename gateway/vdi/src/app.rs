//! The window and the person in front of it. The main thread: winit's loop, which the link wakes.
//!
//! ```text
//!          ┌──────────────────────────────────────────────────────┐ Esc, kiosk
//!          ▼                                                      │
//!  name ──Enter──▶ signing in ──frames──▶ running ──▶ notice (locked, cut, ended …)
//!                   │  ▲                                          │
//!                   │  └──────────────── Enter ───────────────────┤
//!                   └──── refused ────────────────────────────────┘
//! ```

mod glass;
mod session;

use std::sync::Arc;
use std::time::Duration;

use kekkai_frames::{HEIGHT_MAX, SIDE_MIN, WIDTH_MAX};
use tokio::runtime::Runtime;
use winit::application::ApplicationHandler;
use winit::dpi::{LogicalSize, PhysicalSize};
use winit::event::{ElementState, Ime, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop, EventLoopProxy};
use winit::keyboard::{Key, ModifiersState, NamedKey};
use winit::window::{Fullscreen, Window, WindowId};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::Config;
use crate::guard::{self, Finding};
use crate::link::{Area, Command, EVENTS_MAX, End, Event, Link, Step, Who};
use crate::paint::{Font, FontError};
use crate::protection::{Protection, protect};
use crate::screens::{self, CODE_DIGITS_MAX, FIELD_CHARS_MAX, Screen, Style};
use crate::text::{self, Notice};
use glass::Glass;
use session::Session;

/// How often a running session looks for recorders that began after it.
const GUARD_INTERVAL: Duration = Duration::from_secs(10);
/// The window's size outside the kiosk, in points.
const WINDOW: LogicalSize<f64> = LogicalSize::new(1280.0, 800.0);

/// Why the window could not be opened, or may not be.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The font.
    #[error(transparent)]
    Font(#[from] FontError),
    /// No threads for the line.
    #[error("the runtime can't be started")]
    Runtime(#[source] std::io::Error),
    /// No display.
    #[error("the display can't be opened")]
    Display(#[from] winit::error::EventLoopError),
    /// No window.
    #[error("the window can't be opened")]
    Window(#[source] winit::error::OsError),
    /// Nothing can be drawn.
    #[error("nothing can be drawn: {0}")]
    Surface(String),
    /// The operating system doesn't protect the window, and nobody accepted that.
    #[error(
        "the operating system can't keep others from this window ({0}); \
         the operator may accept that with unprotected_display = \"accepted\""
    )]
    Unprotected(String),
}

/// What wakes the loop.
#[derive(Debug)]
enum Wake {
    /// The link has events.
    Link,
    /// Somebody began to look.
    Found(Vec<Finding>),
}

/// Opens the window and stays until the person leaves.
///
/// # Errors
/// There is no display, or it may not be used.
pub fn run(config: Config, who: Option<Who>) -> Result<(), AppError> {
    let font = Font::load(&config.font)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(AppError::Runtime)?;
    let event_loop = EventLoop::with_user_event().build()?;
    let mut app = App {
        config: Arc::new(config),
        runtime,
        proxy: event_loop.create_proxy(),
        font,
        glass: None,
        is_unprotected: false,
        phase: Phase::Name {
            typed: String::new(),
            is_malformed: false,
        },
        link: None,
        who,
        held: ModifiersState::empty(),
        failed: None,
    };
    event_loop.run_app(&mut app)?;
    app.failed.map_or(Ok(()), Err)
}

enum Phase {
    Name {
        typed: String,
        is_malformed: bool,
    },
    SigningIn {
        step: Step,
        code: Zeroizing<String>,
    },
    Running(Box<Session>),
    Notice {
        notice: Notice,
        /// Signing in again makes sense.
        can_go_on: bool,
    },
}

struct App {
    config: Arc<Config>,
    runtime: Runtime,
    proxy: EventLoopProxy<Wake>,
    font: Font,
    glass: Option<Glass>,
    is_unprotected: bool,
    phase: Phase,
    link: Option<Link>,
    who: Option<Who>,
    held: ModifiersState,
    failed: Option<AppError>,
}

/// The window's area within the protocol's bounds.
fn area(window: &Window) -> Area {
    let PhysicalSize { width, height } = window.inner_size();
    let side = |length: u32, max: u16| {
        u16::try_from(length)
            .unwrap_or(u16::MAX)
            .clamp(SIDE_MIN, max)
    };
    Area {
        width: side(width, WIDTH_MAX),
        height: side(height, HEIGHT_MAX),
        scale: percent(window.scale_factor()),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before"
)]
fn percent(factor: f64) -> u16 {
    (factor * 100.0).round().clamp(100.0, 400.0) as u16
}

impl App {
    fn open(&mut self, event_loop: &ActiveEventLoop) -> Result<(), AppError> {
        let attributes = Window::default_attributes()
            .with_title("kekkai-vdi")
            .with_inner_size(WINDOW)
            .with_content_protected(true)
            .with_visible(false);
        let attributes = if self.config.kiosk {
            attributes
                .with_decorations(false)
                .with_fullscreen(Some(Fullscreen::Borderless(None)))
        } else {
            attributes
        };
        let window = event_loop
            .create_window(attributes)
            .map_err(AppError::Window)?;
        if let Protection::Missing(why) = protect(&window) {
            if !self.config.is_unprotected_display_accepted {
                return Err(AppError::Unprotected(why));
            }
            tracing::warn!(%why, "the display is not protected");
            self.is_unprotected = true;
        }
        let glass = Glass::new(window).map_err(AppError::Surface)?;
        glass.window().set_visible(true);
        glass.window().request_redraw();
        self.glass = Some(glass);
        if self.who.is_some() {
            self.sign_in();
        }
        Ok(())
    }

    fn redraw(&self) {
        if let Some(glass) = &self.glass {
            glass.window().request_redraw();
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        if let Some(glass) = &mut self.glass {
            glass.forget();
            let window = glass.window();
            // The session's pointer and input method end with it.
            window.set_ime_allowed(false);
            window.set_cursor_visible(true);
            window.set_cursor(winit::window::CursorIcon::Default);
            window.request_redraw();
        }
    }

    fn sign_in(&mut self) {
        let (Some(who), Some(glass)) = (self.who.clone(), &self.glass) else {
            self.ask_name();
            return;
        };
        let found = guard::findings(self.config.kiosk);
        if !found.is_empty() {
            self.stop_for(&found);
            return;
        }
        let proxy = self.proxy.clone();
        let link = Link::start(
            self.runtime.handle(),
            self.config.clone(),
            who,
            area(glass.window()),
            // A loop that is gone needs no waking.
            move || drop(proxy.send_event(Wake::Link)),
        );
        self.link = Some(link);
        self.enter(Phase::SigningIn {
            step: Step::Connecting,
            code: Zeroizing::default(),
        });
    }

    fn ask_name(&mut self) {
        self.link = None;
        self.enter(Phase::Name {
            typed: String::new(),
            is_malformed: false,
        });
    }

    /// Somebody looks: nothing is shown, and the session waits.
    fn stop_for(&mut self, found: &[Finding]) {
        let lang = self.config.lang;
        let lines: Vec<_> = found.iter().map(|finding| finding.text(lang)).collect();
        self.link = None;
        self.enter(Phase::Notice {
            notice: Notice {
                title: text::watched(lang).to_owned(),
                advice: lines.join("\n"),
            },
            can_go_on: true,
        });
    }

    fn command(&mut self, command: Command) {
        let Some(link) = &self.link else {
            return;
        };
        // A line that takes nothing more is none.
        if link.commands.try_send(command).is_err() {
            self.over(&End::Cut);
        }
    }

    fn over(&mut self, end: &End) {
        self.link = None;
        match text::end(end, self.config.lang) {
            None => self.ask_name(),
            Some(notice) => self.enter(Phase::Notice {
                notice,
                can_go_on: true,
            }),
        }
    }

    /// Takes what the link tells.
    fn listen(&mut self) {
        for _ in 0..EVENTS_MAX {
            let Some(event) = self
                .link
                .as_mut()
                .and_then(|link| link.events.try_recv().ok())
            else {
                return;
            };
            match event {
                Event::Step(step) => {
                    if let Phase::SigningIn { step: shown, .. } = &mut self.phase {
                        *shown = step;
                        self.redraw();
                    }
                }
                Event::Output(output) => self.output(&output),
                Event::Over(end) => self.over(&end),
            }
        }
    }

    fn output(&mut self, output: &kekkai_frames::Output) {
        if matches!(self.phase, Phase::SigningIn { .. }) {
            match Session::new() {
                Ok(session) => self.phase = Phase::Running(Box::new(session)),
                Err(error) => return self.over(&End::Violation(error.to_string())),
            }
            self.watch();
        }
        let (Phase::Running(session), Some(glass)) = (&mut self.phase, &self.glass) else {
            return;
        };
        match session.apply(output, glass.window()) {
            Ok(inputs) => {
                for input in inputs {
                    self.command(Command::Input(input));
                }
            }
            Err(error) => self.over(&End::Violation(error.to_string())),
        }
    }

    /// Looks for recorders from time to time, for as long as this line is there.
    fn watch(&self) {
        let Some(line) = self.link.as_ref().map(|link| link.commands.downgrade()) else {
            return;
        };
        let (proxy, is_kiosk) = (self.proxy.clone(), self.config.kiosk);
        self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(GUARD_INTERVAL).await;
                let found = tokio::task::spawn_blocking(move || guard::findings(is_kiosk)).await;
                if line.upgrade().is_none() {
                    return;
                }
                match found {
                    Ok(found) if found.is_empty() => {}
                    Ok(found) => {
                        let _ = proxy.send_event(Wake::Found(found));
                        return;
                    }
                    Err(_) => return,
                }
            }
        });
    }

    fn draw(&mut self) {
        let Some(glass) = &mut self.glass else {
            return;
        };
        let style = Style {
            lang: self.config.lang,
            scale: percent(glass.window().scale_factor()),
            is_kiosk: self.config.kiosk,
            is_unprotected: self.is_unprotected,
        };
        let font = &mut self.font;
        let screen = match &mut self.phase {
            Phase::Running(session) => {
                let drawn = session.draw(glass, font, style.scale);
                return match drawn {
                    Ok(inputs) => {
                        for input in inputs {
                            self.command(Command::Input(input));
                        }
                    }
                    Err(error) => tracing::error!(%error, "nothing can be drawn"),
                };
            }
            Phase::Name {
                typed,
                is_malformed,
            } => Screen::Name {
                typed,
                is_malformed: *is_malformed,
            },
            Phase::SigningIn {
                step: Step::CodeNeeded,
                code,
            } => Screen::Code { digits: code.len() },
            Phase::SigningIn { step, .. } => Screen::Step(*step),
            Phase::Notice { notice, can_go_on } => Screen::Notice {
                notice,
                can_go_on: *can_go_on,
            },
        };
        let drawn = glass.draw_all(|pixels| screens::draw(pixels, font, style, &screen));
        if let Err(error) = drawn {
            tracing::error!(%error, "nothing can be drawn");
        }
    }

    /// A key outside a session.
    fn key(&mut self, event_loop: &ActiveEventLoop, event: &KeyEvent) {
        if event.state != ElementState::Pressed {
            return;
        }
        let is_kiosk = self.config.kiosk;
        match (&mut self.phase, &event.logical_key) {
            (
                Phase::Name {
                    typed,
                    is_malformed,
                },
                Key::Named(NamedKey::Enter),
            ) => match typed.trim().parse() {
                Ok(who) => {
                    self.who = Some(who);
                    self.sign_in();
                }
                Err(_) => *is_malformed = true,
            },
            (Phase::Name { typed, .. }, Key::Named(NamedKey::Backspace)) => {
                typed.pop();
            }
            (Phase::Name { .. }, Key::Named(NamedKey::Escape)) if !is_kiosk => event_loop.exit(),
            (Phase::Name { typed, .. }, _) => {
                let free = FIELD_CHARS_MAX.saturating_sub(typed.chars().count());
                let text = event.text.as_deref().unwrap_or_default();
                typed.extend(text.chars().filter(|c| !c.is_control()).take(free));
            }
            (Phase::SigningIn { .. }, Key::Named(NamedKey::Escape)) => {
                // The task tells the authenticator that nobody waits, and ends.
                self.command(Command::Leave);
            }
            (Phase::SigningIn { step, code }, key) if *step == Step::CodeNeeded => match key {
                Key::Named(NamedKey::Backspace) => {
                    code.pop();
                }
                Key::Named(NamedKey::Enter) if !code.is_empty() => {
                    *step = Step::Verifying;
                    let code = std::mem::take(code);
                    self.command(Command::Code(code));
                }
                _ => {
                    let mut text = event.text.as_deref().unwrap_or_default().to_owned();
                    let free = CODE_DIGITS_MAX.saturating_sub(code.len());
                    code.extend(text.chars().filter(char::is_ascii_digit).take(free));
                    text.zeroize();
                }
            },
            (Phase::Notice { .. }, Key::Named(NamedKey::Enter)) => self.sign_in(),
            (Phase::Notice { .. }, Key::Named(NamedKey::Escape)) if is_kiosk => {
                self.who = None;
                self.ask_name();
            }
            (Phase::Notice { .. }, Key::Named(NamedKey::Escape)) => event_loop.exit(),
            _ => return,
        }
        self.redraw();
    }

    fn flush(&mut self) {
        let (Phase::Running(session), Some(glass)) = (&mut self.phase, &self.glass) else {
            return;
        };
        for input in session.pending(area(glass.window())) {
            self.command(Command::Input(input));
        }
    }
}

impl ApplicationHandler<Wake> for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.glass.is_none()
            && let Err(error) = self.open(event_loop)
        {
            self.failed = Some(error);
            event_loop.exit();
        }
    }

    fn user_event(&mut self, _: &ActiveEventLoop, wake: Wake) {
        match wake {
            Wake::Link => self.listen(),
            Wake::Found(found) => self.stop_for(&found),
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested if !self.config.kiosk => event_loop.exit(),
            WindowEvent::RedrawRequested => self.draw(),
            WindowEvent::ModifiersChanged(held) => self.held = held.state(),
            // Keys that were down when the focus came are no strokes of this window.
            WindowEvent::KeyboardInput {
                is_synthetic: true, ..
            } => {}
            WindowEvent::KeyboardInput { event, .. }
                if !matches!(self.phase, Phase::Running(_)) =>
            {
                self.key(event_loop, &event);
            }
            WindowEvent::Resized(_)
            | WindowEvent::ScaleFactorChanged { .. }
            | WindowEvent::Occluded(_) => {
                if let Some(glass) = &mut self.glass {
                    glass.forget();
                }
                self.redraw();
            }
            event => {
                if matches!(event, WindowEvent::Ime(Ime::Preedit(..) | Ime::Disabled)) {
                    self.redraw();
                }
                let Phase::Running(session) = &mut self.phase else {
                    return;
                };
                for input in session.input(&event, self.held) {
                    self.command(Command::Input(input));
                }
            }
        }
    }

    fn about_to_wait(&mut self, _: &ActiveEventLoop) {
        self.flush();
    }

    fn exiting(&mut self, _: &ActiveEventLoop) {
        // The session waits for its person as after a cut; the gateway learns of it at once.
        if let Some(mut link) = self.link.take() {
            let _ = link.commands.try_send(Command::Leave);
            self.runtime.block_on(async {
                let goodbye = async { while link.events.recv().await.is_some() {} };
                let _ = tokio::time::timeout(Duration::from_secs(3), goodbye).await;
            });
        }
    }
}
