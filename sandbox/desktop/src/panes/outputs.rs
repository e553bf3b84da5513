//! What is to leave: collect, describe, submit, follow.

mod draft;
mod evidence;
mod findings;
mod list;
pub(crate) mod preview;
mod timeline;
pub(crate) mod words;

use std::collections::BTreeMap;

use egui::Ui;
use kekkai_types::{JobId, OutputId};
use kekkai_worker_api::Ask;

use super::Desk;
use draft::Draft;

/// What is to leave: collect, describe, submit, follow.
#[derive(Debug, Default)]
pub struct OutputsPane {
    /// What was begun and not submitted, by the returned output that it is in place of.
    drafts: BTreeMap<Option<OutputId>, Draft>,
    /// The one that is being written; `None`: the list is shown.
    writing: Option<Option<OutputId>>,
    /// The list was asked for; later changes come by themselves.
    is_asked: bool,
    /// The output whose life is shown.
    open: Option<OutputId>,
}

/// What a pane's part wants of it.
enum Wish {
    /// To write: to go on with what was begun, or with this.
    Write(Box<Draft>),
    /// Back to the list.
    List,
}

impl OutputsPane {
    /// Begins to ask for a job's result to be let out; adds it where something is being written.
    pub fn submit(&mut self, job: JobId) {
        let of = self.writing.get_or_insert_default().clone();
        self.drafts.entry(of).or_default().add(job);
    }

    /// Takes answers, on the screen or not.
    pub fn tick(&mut self, desk: &mut Desk<'_>) {
        for draft in self.drafts.values_mut() {
            draft.tick(desk);
        }
        self.drafts.retain(|_, draft| !draft.is_done());
        if self
            .writing
            .as_ref()
            .is_some_and(|of| !self.drafts.contains_key(of))
        {
            self.writing = None;
        }
    }

    /// Draws.
    pub fn ui(&mut self, ui: &mut Ui, desk: &mut Desk<'_>) {
        if !self.is_asked {
            self.is_asked = true;
            desk.asks.tell(Ask::Outputs);
        }
        let draft = self.writing.as_ref().and_then(|of| self.drafts.get_mut(of));
        let wish = match draft {
            Some(draft) => draft.ui(ui, desk),
            None => list::ui(ui, desk, &mut self.open),
        };
        match wish {
            Some(Wish::Write(draft)) => {
                let of = draft.replaces().cloned();
                self.drafts.entry(of.clone()).or_insert(*draft);
                self.writing = Some(of);
            }
            Some(Wish::List) => self.writing = None,
            None => return,
        }
        ui.ctx().request_repaint();
    }
}
