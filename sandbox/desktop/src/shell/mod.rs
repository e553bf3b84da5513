//! What holds the panes together: bars, dialogs, shortcuts, the palette of commands.

mod bars;
mod dialogs;
mod palette;
pub(crate) mod words;

use egui::{Key, KeyboardShortcut, Modifiers, Ui};
use kekkai_types::{JobId, Lang, Timestamp};
use kekkai_worker_api::{Answer, Ask};

use crate::asks::Asks;
use crate::model::Model;
use crate::panes::{Desk, Go, Notice, NoticeWeight, Panes, Section};
use crate::theme::Contrast;

/// Zoom, in percent.
pub const ZOOMS: [u16; 9] = [75, 90, 100, 110, 125, 150, 175, 200, 250];
/// [`ZOOMS`] at the beginning.
const ZOOM_NORMAL: usize = 2;

/// A question before something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialog {
    Leave,
}

/// The frame around the panes, with what the person chose.
#[derive(Debug)]
pub struct Shell {
    /// The panes.
    pub panes: Panes,
    /// The one that is shown.
    pub section: Section,
    /// The language of the screen.
    pub lang: Lang,
    /// The look.
    pub contrast: Contrast,
    zoom: usize,
    dialog: Option<Dialog>,
    palette: Option<palette::Search>,
    notice: Option<Notice>,
    /// Jobs that were under way when last looked: their end is said.
    under_way: Vec<JobId>,
}

impl Shell {
    /// As it is at the beginning.
    pub fn new(lang: Lang) -> Self {
        Self {
            panes: Panes::default(),
            section: Section::Project,
            lang,
            contrast: Contrast::default(),
            zoom: ZOOM_NORMAL,
            dialog: None,
            palette: None,
            notice: None,
            under_way: Vec::new(),
        }
    }

    /// How large everything is, in percent.
    pub fn zoom(&self) -> u16 {
        ZOOMS.get(self.zoom).copied().unwrap_or(100)
    }

    /// Draws everything. `now` is for the session's clock.
    pub fn ui(&mut self, ui: &mut Ui, model: &Model, asks: &mut Asks, now: Timestamp) {
        self.notice_news(model, asks);
        let mut go = Vec::new();
        let is_blocked = model.held.is_some() || self.dialog.is_some();
        if !is_blocked {
            self.shortcuts(ui, &mut go);
        }
        let lang = self.lang;
        self.top(ui, model, asks, now);
        self.bottom(ui, model);
        self.side(ui, model);
        let frame = egui::Frame::central_panel(ui.style()).inner_margin(10);
        egui::CentralPanel::default()
            .frame(frame)
            .show_inside(ui, |ui| {
                let mut desk = Desk {
                    model,
                    asks,
                    lang,
                    go: &mut go,
                };
                self.panes.tick(&mut desk);
                self.panes.ui(self.section, ui, &mut desk);
            });
        self.show_palette(ui, model, asks, &mut go);
        self.show_dialogs(ui, model, asks);
        if !go.is_empty() {
            // Where a pane goes and what it says is drawn now, not with the next input.
            ui.ctx().request_repaint();
        }
        for step in go {
            self.go(step);
        }
    }

    /// Follows where a pane wants to go.
    pub fn go(&mut self, go: Go) {
        match go {
            Go::Say(notice) => self.notice = Some(notice),
            other => {
                if let Some(section) = self.panes.go(other) {
                    self.section = section;
                }
            }
        }
    }

    fn say(&mut self, weight: NoticeWeight, text: String) {
        self.notice = Some(Notice { weight, text });
    }

    /// What happened since the last pass, in the line at the bottom.
    fn notice_news(&mut self, model: &Model, asks: &mut Asks) {
        if asks.take_overflow() {
            self.say(NoticeWeight::Bad, words::BUSY.get(self.lang).to_owned());
        }
        for refused in asks.take_refused() {
            if let Answer::Refused(refusal) = refused {
                let text = kekkai_console::message::refusal(&refusal, self.lang);
                self.say(NoticeWeight::Bad, text.trim_end().replace('\n', " "));
            }
        }
        let ended: Vec<JobId> = self
            .under_way
            .iter()
            .filter(|job| model.job(job).is_some_and(|view| !view.is_active()))
            .cloned()
            .collect();
        for job in ended {
            use kekkai_analysis_api::JobState::{Done, Ran};
            let is_good = model
                .job(&job)
                .is_some_and(|view| matches!(view.job.state, Done(_) | Ran { .. }));
            let number = [job.as_str()];
            if is_good {
                self.say(NoticeWeight::Good, words::JOB_DONE.with(self.lang, &number));
            } else {
                self.say(
                    NoticeWeight::Bad,
                    words::JOB_FAILED.with(self.lang, &number),
                );
            }
        }
        self.under_way = model
            .active_jobs()
            .map(|view| view.job.job.clone())
            .collect();
    }

    fn shortcuts(&mut self, ui: &Ui, go: &mut Vec<Go>) {
        let pressed = |modifiers, key| {
            ui.input_mut(|input| input.consume_shortcut(&KeyboardShortcut::new(modifiers, key)))
        };
        if pressed(Modifiers::COMMAND, Key::K) {
            self.palette = match self.palette {
                Some(_) => None,
                None => Some(palette::Search::default()),
            };
        }
        if pressed(Modifiers::NONE, Key::F1) {
            go.push(Go::To(Section::Help));
        }
        // Browsers keep one of the two for themselves, depending on the system.
        let digits = [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
            Key::Num8,
            Key::Num9,
        ];
        for (digit, section) in digits.into_iter().zip(Section::ALL) {
            if pressed(Modifiers::COMMAND, digit) || pressed(Modifiers::ALT, digit) {
                go.push(Go::To(section));
            }
        }
        if pressed(Modifiers::COMMAND, Key::Equals) || pressed(Modifiers::COMMAND, Key::Plus) {
            self.zoom_by(1);
        }
        if pressed(Modifiers::COMMAND, Key::Minus) {
            self.zoom_by(-1);
        }
        if pressed(Modifiers::COMMAND, Key::Num0) {
            self.zoom = ZOOM_NORMAL;
        }
    }

    fn zoom_by(&mut self, steps: isize) {
        let wanted = self.zoom.saturating_add_signed(steps);
        self.zoom = wanted.min(ZOOMS.len().saturating_sub(1));
    }

    fn switch_language(&mut self) {
        self.lang = match self.lang {
            Lang::Ja => Lang::En,
            Lang::En => Lang::Ja,
        };
    }

    fn switch_contrast(&mut self) {
        self.contrast = match self.contrast {
            Contrast::Normal => Contrast::High,
            Contrast::High => Contrast::Normal,
        };
    }

    fn lock(asks: &mut Asks) {
        asks.tell(Ask::Lock);
    }
}
