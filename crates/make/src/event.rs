//! What a caller hears of a making, and says about it.

use crate::manifest::{Machine, Reason};
use crate::{PlannedStage, Stage};
use sai_formats::Source;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// How to follow a recipe.
pub struct Options<'o> {
    /// The run's folder.
    pub out: PathBuf,
    /// Do this stage anew, and none before it, even where it is out of date.
    pub from: Option<Stage>,
    /// End after this stage.
    pub until: Option<Stage>,
    /// Threads to work on; 0 means one a core.
    pub threads: usize,
    /// Bytes of memory that a stage may take.
    pub memory: Option<u64>,
    /// The judge that the recipe names, where it was found.
    pub judge: Option<Source>,
    /// The machine in words, for the report.
    pub machine: Machine,
    /// Whether to leave; what is half done goes on another time.
    pub stop: &'o (dyn Fn() -> bool + Sync),
}

/// What happens on the way.
#[derive(Debug)]
pub enum Event<'e> {
    /// What is to be done, before anything is.
    Plan(&'e [PlannedStage]),
    /// A stage begins.
    Begins {
        /// Which.
        stage: Stage,
        /// Why.
        reasons: &'e [Reason],
    },
    /// A stage is so far.
    Progress {
        /// Which.
        stage: Stage,
        /// Of the whole, from 0 to 1.
        part: f64,
        /// In words, such as `loss 2.31`.
        now: &'e str,
    },
    /// Something that a person may like to know.
    Note {
        /// Of which stage.
        stage: Stage,
        /// What.
        text: &'e str,
    },
    /// Something that a person should know before they rely on the model.
    Warning {
        /// Of which stage.
        stage: Stage,
        /// What.
        text: &'e str,
    },
    /// A stage is done.
    Done {
        /// Which.
        stage: Stage,
        /// What came of it.
        summary: &'e str,
        /// Seconds that it took, all tries together.
        seconds: f64,
    },
    /// A stage was done before, and nothing has changed.
    Kept {
        /// Which.
        stage: Stage,
        /// What came of it then.
        summary: &'e str,
    },
}

/// Hears of events. It may be called from another thread, one at a time.
pub type OnEvent<'h> = dyn FnMut(Event<'_>) + Send + 'h;

/// A stage at work: whom it tells, and whether it is to stop.
pub(crate) struct StageContext<'t> {
    pub(crate) stage: Stage,
    pub(crate) on: &'t mut OnEvent<'t>,
    pub(crate) stop: &'t (dyn Fn() -> bool + Sync),
}

impl StageContext<'_> {
    /// Tells how far the stage is, and asks whether to go on.
    pub(crate) fn at(&mut self, part: f64, now: &str) -> ControlFlow<()> {
        (self.on)(Event::Progress { stage: self.stage, part: part.clamp(0.0, 1.0), now });
        if (self.stop)() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// As [`StageContext::at`], `done` of `total`.
    pub(crate) fn of(&mut self, done: u64, total: u64, now: &str) -> ControlFlow<()> {
        self.at(done as f64 / total.max(1) as f64, now)
    }

    pub(crate) fn note(&mut self, text: &str) {
        (self.on)(Event::Note { stage: self.stage, text });
    }

    pub(crate) fn warn(&mut self, text: &str) {
        (self.on)(Event::Warning { stage: self.stage, text });
    }
}
