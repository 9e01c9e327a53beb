//! A making on the screen: every stage in a line, with a tick, a bar, or waiting; plain lines where nobody watches.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sai_make::{Event, PlannedStage, Reason, Stage, StageAction};

use crate::terminal::clean::visible;
use crate::ui::Ui;

/// Cells of a bar.
const CELLS: usize = 20;
/// How often a plain line says how far a stage is.
const EVERY: Duration = Duration::from_secs(15);

/// What a person sees.
pub(super) struct Board<'u> {
    ui: &'u Ui,
    lines: MultiProgress,
    watched: bool,
    stages: BTreeMap<Stage, Line>,
    left: Option<ProgressBar>,
    began: Instant,
    /// When the stage that is at work began, and how much of it was done then.
    at: Option<(Stage, Instant, f64)>,
    spoke: Instant,
}

/// A stage's line.
struct Line {
    bar: ProgressBar,
    /// Seconds that it is thought to take, while it is to come.
    to_come: Option<f64>,
}

impl<'u> Board<'u> {
    pub(super) fn new(ui: &'u Ui) -> Board<'u> {
        let watched = ui.err_is_terminal() && !ui.is_quiet();
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let now = Instant::now();
        Board {
            ui,
            lines: MultiProgress::with_draw_target(target),
            watched,
            stages: BTreeMap::new(),
            left: None,
            began: now,
            at: None,
            spoke: now,
        }
    }

    pub(super) fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Plan(planned) => self.plan(planned),
            Event::Begins { stage, reasons } => self.begins(stage, reasons),
            Event::Progress { stage, part, now } => self.progress(stage, part, now),
            Event::Note { stage, text } => self.say(|ui| ui.note(format_args!("{stage}: {}", visible(text)))),
            Event::Warning { stage, text } => self.say(|ui| ui.warn(format_args!("{stage}: {text}"))),
            Event::Done { stage, summary, seconds } => {
                self.at = None;
                let text = format!("{summary} · {}", Time(seconds));
                self.settle(stage, "✓", &text);
            }
            Event::Kept { stage, summary } => self.settle(stage, "✓", &format!("{summary} · as before")),
        }
    }

    /// Takes the bars away; the lines of what is done stay.
    pub(super) fn leave(&mut self) {
        if let Some(left) = self.left.take() {
            left.finish_and_clear();
        }
        for line in self.stages.values() {
            line.bar.abandon();
        }
        if self.watched {
            self.ui.note(format_args!("{} in all", Time(self.began.elapsed().as_secs_f64())));
        }
    }

    fn plan(&mut self, planned: &[PlannedStage]) {
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        for one in planned.iter().filter(|one| one.what != StageAction::LeftOut) {
            let bar = self.lines.add(ProgressBar::new(1).with_style(style.clone()));
            bar.set_message(format!("· {:<10} waiting", one.stage));
            let to_come = one.time.map(|time| time.seconds).filter(|_| one.what.runs());
            self.stages.insert(one.stage, Line { bar, to_come });
        }
        let left = self.lines.add(ProgressBar::new(1).with_style(style));
        left.set_message(String::new());
        self.left = Some(left);
    }

    fn begins(&mut self, stage: Stage, reasons: &[Reason]) {
        let why = sai_make::why(reasons);
        let new = matches!(reasons, [Reason::New]);
        if !self.watched || !new {
            self.say(|ui| ui.note(format_args!("{stage}: {why}")));
        }
        self.progress(stage, 0.0, "");
        // What an earlier run did says nothing of how fast this one is.
        self.at = None;
    }

    fn progress(&mut self, stage: Stage, part: f64, now: &str) {
        let (_, began, from) = *self.at.get_or_insert((stage, Instant::now(), part));
        let spent = began.elapsed().as_secs_f64();
        // What a stage has shown counts more than what was thought of it, once it has shown something.
        let shown = (part - from > 0.02 && spent > 0.5).then(|| spent * (1.0 - part) / (part - from));
        let line = self.stages.get(&stage);
        let here = shown.or_else(|| Some((line?.to_come? - spent).max(0.0)));
        let waiting = self.stages.iter().filter(|(other, _)| **other > stage);
        let to_come: f64 = waiting.filter_map(|(_, line)| line.to_come).sum();
        let left = here.map_or_else(String::new, |left| format!(" · {} left", Time(left)));
        if let Some(line) = line.filter(|_| self.watched) {
            let full = (part * CELLS as f64).round() as usize;
            let bar = format!("{}{}", "━".repeat(full), "─".repeat(CELLS.saturating_sub(full)));
            line.bar.set_message(format!("▸ {stage:<10} {bar} {:>3.0} % {now}{left}", 100.0 * part));
            if let Some(all) = &self.left {
                let whole = here.map_or(to_come, |here| here + to_come);
                all.set_message(format!("  in all, about {} left", Time(whole)));
            }
        } else if self.spoke.elapsed() > EVERY {
            self.spoke = Instant::now();
            self.ui.note(format_args!("{stage}: {:.0} % {now}{left}", 100.0 * part));
        }
    }

    /// The last words of a stage.
    fn settle(&mut self, stage: Stage, mark: &str, text: &str) {
        let line = format!("{mark} {stage:<10} {text}");
        match self.stages.get_mut(&stage).filter(|_| self.watched) {
            Some(known) => {
                known.to_come = None;
                known.bar.set_message(line);
            }
            None => self.ui.note(line),
        }
        self.spoke = Instant::now();
    }

    fn say(&self, words: impl FnOnce(&Ui)) {
        self.lines.suspend(|| words(self.ui));
    }
}

/// Seconds for a person.
pub(super) struct Time(pub(super) f64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.round() as u64;
        match seconds {
            0..10 => write!(f, "{:.1} s", self.0),
            10..100 => write!(f, "{seconds} s"),
            100..6000 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            _ => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
        }
    }
}
