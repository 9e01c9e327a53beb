//! Grades by criteria: totals, each criterion, each category, and who has the higher total.

use super::{At, Graders, unread};
use crate::grading::Graded;
use crate::reply::Verdict;
use crate::statistics::{Interval, Level, deviation, krippendorff_alpha, mean};
use crate::templates::Form;
use crate::{Pair, Position};
use serde::Serialize;
use std::collections::BTreeMap;

/// A judge's grades of all contestants.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreReport {
    /// Who judged.
    pub judge: String,
    /// By which template.
    pub name: String,
    /// The criteria.
    pub criteria: Vec<String>,
    /// The lowest and highest score of each; the highest is the best.
    pub scale: (i64, i64),
    /// Prompts that were to be graded: all, or those with a reference.
    pub prompts: usize,
    /// A row for each contestant.
    pub rows: Vec<ScoreRow>,
    /// Who has the higher total, prompt by prompt, for each pair.
    pub pairs: Vec<Pair>,
    /// Krippendorff's alpha (ordinal) of repeats, for each criterion; empty where nothing was repeated.
    pub repeats_alpha: Vec<Option<f64>>,
    /// Grades that are missing, by why.
    pub missing: BTreeMap<String, usize>,
    /// Grades that were to be had.
    pub asked: usize,
}

/// A contestant's grades.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// Whose.
    pub contestant: String,
    /// The sum over the criteria.
    pub total: Option<Interval>,
    /// Each criterion.
    pub criteria: Vec<Option<Interval>>,
    /// The sum in each category of the set.
    pub categories: Vec<Option<Interval>>,
    /// Prompts with a grade.
    pub graded: usize,
    /// Scores of 0, where the scale has one: a rule was broken, more often than a bad answer was given.
    pub zeros: usize,
    /// Standard deviation of the mean total from repeat to repeat.
    pub repeats_deviation: Option<f64>,
}

/// A contestant's scores of a prompt, a list of criteria for each turn and repeat that was read.
type OfPrompt = Vec<(usize, Vec<i64>)>;

pub(super) fn report(at: &At<'_>, of: &Graders) -> Option<ScoreReport> {
    let Form::Scores { criteria, scale, .. } = &of.form else { return None };
    let (contestants, prompts) = (at.answers.len(), at.run.prompts.len());
    let mut read: Vec<Vec<OfPrompt>> = vec![vec![Vec::new(); prompts]; contestants];
    let mut units: BTreeMap<(usize, usize, usize), Vec<Vec<i64>>> = BTreeMap::new();
    for (item, graded) in &of.grades {
        let Graded::Verdict(Verdict::Scores(scores)) = graded else { continue };
        let scores: Vec<i64> = scores.iter().map(|score| score.score).collect();
        units.entry((item.prompt, item.turn, item.seats[0])).or_default().push(scores.clone());
        read[item.seats[0]][item.prompt].push((item.repeat, scores));
    }
    let rows: Vec<ScoreRow> = (0..contestants).map(|who| row(at, of, who, &read[who], criteria)).collect();
    let totals: Vec<Vec<Option<f64>>> =
        read.iter().map(|of| of.iter().map(|of| mean_of(of, total)).collect()).collect();
    let mut pairs = Vec::new();
    for a in 0..contestants {
        for b in a + 1..contestants {
            let results: Vec<Option<f64>> = (0..prompts)
                .map(|prompt| {
                    let difference = totals[a][prompt]? - totals[b][prompt]?;
                    // Means of repeats differ in rounding where they do not differ.
                    Some(if difference.abs() < 1e-9 { 0.5 } else { f64::from(u8::from(difference > 0.0)) })
                })
                .collect();
            pairs.push(super::preferences::pair(at, (a, b), &results, &of.applies, Position::default()));
        }
    }
    let repeats_alpha = match of.repeats > 1 {
        true => {
            let of_criterion = |i: usize| -> Vec<Vec<f64>> {
                units.values().map(|of| of.iter().map(|scores| scores[i] as f64).collect()).collect()
            };
            (0..criteria.len()).map(|i| krippendorff_alpha(&of_criterion(i), Level::Ordinal)).collect()
        }
        false => Vec::new(),
    };
    Some(ScoreReport {
        judge: of.judge.clone(),
        name: of.name.clone(),
        criteria: criteria.clone(),
        scale: *scale,
        prompts: of.applies.iter().filter(|applies| **applies).count(),
        rows,
        pairs,
        repeats_alpha,
        missing: unread(of),
        asked: of.grades.len(),
    })
}

fn total(scores: &[i64]) -> f64 {
    scores.iter().sum::<i64>() as f64
}

/// A prompt's value: the mean over turns and repeats.
fn mean_of(of: &OfPrompt, value: impl Fn(&[i64]) -> f64) -> Option<f64> {
    mean(of.iter().map(|(_, scores)| Some(value(scores))))
}

fn row(at: &At<'_>, of: &Graders, who: usize, read: &[OfPrompt], criteria: &[String]) -> ScoreRow {
    let values = |value: &dyn Fn(&[i64]) -> f64| -> Vec<Option<f64>> {
        read.iter().map(|of| mean_of(of, value)).collect()
    };
    let totals = values(&total);
    let categories = crate::prompts::categories(&at.run.prompts);
    let of_category = |category: &String| {
        let inside = at.run.prompts.iter().zip(&totals);
        let only: Vec<_> =
            inside.map(|(prompt, value)| value.filter(|_| prompt.category == *category)).collect();
        at.mean(&only)
    };
    let of_repeat = |repeat: usize| {
        let of_prompt = |of: &OfPrompt| {
            mean(of.iter().filter(|(of, _)| *of == repeat).map(|(_, scores)| Some(total(scores))))
        };
        mean(read.iter().map(of_prompt))
    };
    let repeats: Vec<f64> = (0..of.repeats).filter_map(of_repeat).collect();
    ScoreRow {
        contestant: at.run.facts.contestants[who].name.clone(),
        total: at.mean(&totals),
        criteria: (0..criteria.len()).map(|i| at.mean(&values(&|scores| scores[i] as f64))).collect(),
        categories: categories.iter().map(of_category).collect(),
        graded: totals.iter().flatten().count(),
        zeros: read.iter().flatten().flat_map(|(_, scores)| scores).filter(|score| **score == 0).count(),
        repeats_deviation: if of.repeats > 1 { deviation(&repeats) } else { None },
    }
}
