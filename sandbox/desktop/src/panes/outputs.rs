//! What is to leave: collect, describe, submit, follow.

mod draft;
mod evidence;
mod findings;
mod list;
pub(crate) mod preview;
mod timeline;
pub(crate) mod words;

use egui::Ui;
use kekkai_types::{JobId, OutputId};
use kekkai_worker_api::Ask;

use super::Desk;
use draft::Draft;

/// What is to leave: collect, describe, submit, follow.
#[derive(Debug, Default)]
pub struct OutputsPane {
    /// What is being written; `None`: the list is shown.
    draft: Option<Draft>,
    /// The list was asked for; later changes come by themselves.
    is_asked: bool,
    /// The output whose life is shown.
    open: Option<OutputId>,
}

/// What a pane's part wants of it.
enum Wish {
    /// Begin to write.
    Write(Box<Draft>),
    /// Back to the list.
    List,
}

impl OutputsPane {
    /// Begins to ask for a job's result to be let out; adds it where something is being written.
    pub fn submit(&mut self, job: JobId) {
        self.draft.get_or_insert_default().add(job);
    }

    /// Takes answers, on the screen or not.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        if let Some(draft) = &mut self.draft {
            draft.tick(desk);
        }
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        if !self.is_asked {
            self.is_asked = true;
            desk.asks.tell(Ask::Outputs);
        }
        let wish = match &mut self.draft {
            Some(draft) => draft.ui(ui, desk),
            None => list::ui(ui, desk, &mut self.open),
        };
        match wish {
            Some(Wish::Write(draft)) => self.draft = Some(*draft),
            Some(Wish::List) => self.draft = None,
            None => {}
        }
    }
}
