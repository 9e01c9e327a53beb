//! What a run comes to.
//!
//! Everything is computed anew from the raw replies: how they are read, what is missing, and every figure with its interval.
//! A run of which a part was never asked is refused, unless a report of the part is asked for.

mod agreement;
mod csv;
mod html;
mod preferences;
mod scores;
mod tables;

use crate::grading::{Graded, Item, grades};
use crate::human::human_grades;
use crate::journal::Journal;
use crate::kinship::kinship;
use crate::statistics::{Bootstrap, Interval, mean};
use crate::templates::Form;
use crate::{Answer, Error, Prompt, Run, answers};
use serde::Serialize;
use std::collections::BTreeMap;

pub use agreement::JudgeAgreement;
pub use html::Chart;
pub use preferences::{Pair, PreferenceReport};
pub use scores::{ScoreReport, ScoreRow};
pub use tables::TextTable;

/// How a report is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportOptions {
    /// Whether a run of which a part was never asked is reported.
    pub partial: bool,
    /// Draws of prompts.
    pub resamples: usize,
    /// The part of them that an interval holds.
    pub level: f64,
    /// Of the draws.
    pub seed: u64,
}

impl Default for ReportOptions {
    fn default() -> ReportOptions {
        ReportOptions { partial: false, resamples: 2000, level: 0.95, seed: 42 }
    }
}

/// What is known of a contestant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContestantFacts {
    /// What it is called.
    pub name: String,
    /// Prompts that it answered.
    pub answered: usize,
    /// Answers that were cut at their limit of tokens.
    pub cut: usize,
    /// Answers without any text.
    pub empty: usize,
    /// Characters of an answer, on average.
    pub length: Option<f64>,
    /// Prompts without an answer, by what was said.
    pub missing: BTreeMap<String, usize>,
}

/// A grading's items with what came of them, from whichever judge.
pub(crate) struct Graders {
    /// Who judged, as in `gpt-4o, criteria`.
    pub(crate) judge: String,
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) repeats: usize,
    pub(crate) against: Option<String>,
    pub(crate) human: bool,
    /// For each prompt, whether it is one that is graded so: of the template's language, and with a reference where one is needed.
    pub(crate) applies: Vec<bool>,
    pub(crate) grades: Vec<(Item, Graded)>,
}

/// A run's figures.
#[derive(Serialize)]
pub struct Report {
    /// The file of prompts.
    pub prompts: String,
    /// Its SHA-256.
    pub prompts_sha256: String,
    /// Prompts that were asked.
    pub count: usize,
    /// Categories, in the set's order.
    pub categories: Vec<String>,
    /// Who answered.
    pub contestants: Vec<ContestantFacts>,
    /// Gradings by criteria.
    pub scores: Vec<ScoreReport>,
    /// Comparisons of pairs.
    pub preferences: Vec<PreferenceReport>,
    /// How far judges agree.
    pub agreements: Vec<JudgeAgreement>,
    /// What a person should know before they rely on a figure.
    pub warnings: Vec<String>,
    /// How the figures are meant.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(crate) graders: Vec<Graders>,
    #[serde(skip)]
    pub(crate) answers: Vec<Vec<Answer>>,
}

impl Report {
    /// Computes a run's figures.
    ///
    /// # Errors
    /// The run cannot be read, has no answers, or a part of it was never asked.
    pub fn of(run: &Run, options: &ReportOptions) -> Result<Report, Error> {
        let answers = answers(run)?;
        if run.facts.contestants.is_empty() {
            return Err(Error::data(
                run.folder().display(),
                "nobody has answered; `sai judge answer` comes first",
            ));
        }
        let partial = |unasked: usize, all: usize, what| match unasked > 0 && !options.partial {
            true => Err(Error::Partial { folder: run.folder().to_owned(), unasked, all, what }),
            false => Ok(()),
        };
        // Who has given no answer at all has no figure that could look whole.
        let begun =
            || answers.iter().filter(|of| of.iter().any(|answer| *answer != Answer::Unasked)).flatten();
        let unasked = begun().filter(|answer| **answer == Answer::Unasked).count();
        partial(unasked, begun().count(), "answers")?;
        let journal = Journal::read(&run.verdicts_path())?;
        let (mut graders, mut silent) = (Vec::new(), Vec::new());
        for grading in &run.facts.gradings {
            let grades = grades(run, grading, &answers, &journal)?;
            let unasked = grades.iter().filter(|(_, graded)| *graded == Graded::Unasked).count();
            if unasked == grades.len() {
                silent.push(format!("{} ({}) has given no grade", grading.judge, grading.name));
                continue;
            }
            partial(unasked, grades.len(), "grades")?;
            let Some(form) = grading.form().cloned() else { continue };
            let suits = |prompt: &Prompt| {
                (0..prompt.turns.len()).any(|turn| grading.templates.iter().any(|of| of.suits(prompt, turn)))
            };
            graders.push(Graders {
                judge: grading.judge.clone(),
                name: grading.name.clone(),
                form,
                repeats: grading.repeats,
                against: grading.against.clone(),
                human: false,
                applies: run.prompts.iter().map(suits).collect(),
                grades,
            });
        }
        let (by_hand, stale) = human_grades(run, &answers)?;
        graders.extend(by_hand);
        let bootstrap = Bootstrap::new(run.prompts.len(), options.resamples, options.level, options.seed);
        let at = At { run, answers: &answers, bootstrap: &bootstrap };
        let scores: Vec<_> = graders.iter().filter_map(|of| scores::report(&at, of)).collect();
        let preferences = graders.iter().filter_map(|of| preferences::report(&at, of)).collect();
        let contestants: Vec<_> =
            run.facts.contestants.iter().zip(&answers).map(|(c, a)| facts(&c.name, a)).collect();
        let mut report = Report {
            prompts: run.facts.prompts.clone(),
            prompts_sha256: run.facts.prompts_sha256.clone(),
            count: run.prompts.len(),
            categories: crate::prompts::categories(&run.prompts),
            contestants,
            scores,
            preferences,
            agreements: agreement::between(&at, &graders),
            warnings: Vec::new(),
            notes: notes(run, options),
            graders,
            answers,
        };
        report.warnings = warnings(run, &report);
        report.warnings.extend(stale.into_iter().chain(silent));
        Ok(report)
    }
}

/// What all figures are computed from.
pub(crate) struct At<'r> {
    pub(crate) run: &'r Run,
    pub(crate) answers: &'r [Vec<Answer>],
    pub(crate) bootstrap: &'r Bootstrap,
}

impl At<'_> {
    /// The mean of the prompts' values, with its interval.
    pub(crate) fn mean(&self, values: &[Option<f64>]) -> Option<Interval> {
        self.bootstrap.mean(values)
    }
}

fn facts(name: &str, answers: &[Answer]) -> ContestantFacts {
    let replies = || answers.iter().filter_map(Answer::replies);
    let mut missing = BTreeMap::new();
    for answer in answers {
        match answer {
            Answer::Given(_) => {}
            Answer::Missing(why) => *missing.entry(why.clone()).or_default() += 1,
            Answer::Unasked => *missing.entry("not asked, or failed".to_owned()).or_default() += 1,
        }
    }
    ContestantFacts {
        name: name.to_owned(),
        answered: replies().count(),
        cut: replies().filter(|of| of.iter().any(|reply| reply.finish == crate::Finish::Length)).count(),
        empty: replies().filter(|of| of.iter().all(|reply| reply.text.trim().is_empty())).count(),
        length: mean(answers.iter().map(|answer| answer.length().map(|length| length as f64))),
        missing,
    }
}

fn notes(run: &Run, options: &ReportOptions) -> Vec<String> {
    let mut notes = vec![format!(
        "Every prompt counts once. Intervals hold {:.0} % of {} bootstrap draws of prompts, seed {}; what could not be read is missing, on both sides of a comparison, and never a zero.",
        100.0 * options.level,
        options.resamples,
        options.seed
    )];
    if run.facts.prompts_count < run.facts.prompts_available {
        notes.push(format!(
            "Only the first {} of the set's {} prompts were asked.",
            run.facts.prompts_count, run.facts.prompts_available
        ));
    }
    notes
}

/// What a person should know first.
fn warnings(run: &Run, report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    for grading in &run.facts.gradings {
        for contestant in &run.facts.contestants {
            let judge = (grading.judge.as_str(), grading.identity.as_str());
            let told = kinship(judge, (&contestant.name, &contestant.identity));
            warnings
                .extend(told.map(|told| format!("{told}: judges prefer their own; have another judge, too")));
        }
    }
    for of in &report.contestants {
        if of.answered < report.count {
            let why: Vec<_> = of.missing.iter().map(|(why, count)| format!("{count} × {why}")).collect();
            warnings.push(format!(
                "{} answered {} of {} prompts ({})",
                of.name,
                of.answered,
                report.count,
                why.join("; ")
            ));
        }
        if of.cut > 0 {
            warnings.push(format!("{} answers of {} were cut at their limit of tokens", of.cut, of.name));
        }
    }
    for of in &report.graders {
        let unread = unread(of);
        let missing: usize = unread.values().sum();
        if missing > 0 {
            let why: Vec<_> = unread.iter().map(|(why, count)| format!("{count} × {why}")).collect();
            let (judge, all) = (&of.judge, of.grades.len());
            warnings.push(format!(
                "{missing} of {all} grades of {judge} ({}) are missing: {}",
                of.name,
                why.join(", ")
            ));
        }
    }
    for of in &report.preferences {
        if of.position.p_value().is_some_and(|p| p < 0.05) {
            let first = 100.0 * of.position.first_rate().unwrap_or_default();
            warnings.push(format!(
                "{} prefers a seat: the first won {first:.0} % of its decided verdicts ({}); both orders were asked, so that this makes ties and no wins",
                of.judge, of.name
            ));
        }
    }
    warnings.sort();
    warnings.dedup();
    warnings
}

/// Why grades are missing, and how many.
pub(crate) fn unread(of: &Graders) -> BTreeMap<String, usize> {
    let mut why = BTreeMap::new();
    for (_, graded) in &of.grades {
        match graded {
            Graded::Verdict(_) => {}
            Graded::Unreadable(reason) => *why.entry(reason.to_string()).or_default() += 1,
            Graded::Unasked => *why.entry("not asked, or failed".to_owned()).or_default() += 1,
        }
    }
    why
}
