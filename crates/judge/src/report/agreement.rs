//! How far judges agree that graded the same by the same criteria.

use super::{At, Graders};
use crate::grading::Graded;
use crate::reply::Verdict;
use crate::statistics::{Level, exact_agreement, krippendorff_alpha, mean, spearman, weighted_kappa};
use crate::templates::Form;
use serde::Serialize;
use std::collections::BTreeMap;

/// Two judges, or all of one kind of grade.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JudgeAgreement {
    /// What was graded: scores by criteria, or pairs.
    pub what: String,
    /// Who is compared.
    pub judges: Vec<String>,
    /// Scores, or pairs of answers, that all of them gave.
    pub common: usize,
    /// The part that is the same.
    pub exact: Option<f64>,
    /// Cohen's kappa: with quadratic weights for scores.
    pub kappa: Option<f64>,
    /// Spearman's correlation of totals; none for pairs.
    pub spearman: Option<f64>,
    /// Krippendorff's alpha: ordinal for scores, nominal for pairs.
    pub alpha: Option<f64>,
}

/// A judge's values by what they are of, repeats averaged; and totals.
struct Values {
    judge: String,
    values: BTreeMap<(usize, usize, usize, usize), f64>,
    totals: BTreeMap<(usize, usize, usize), f64>,
}

pub(super) fn between(at: &At<'_>, graders: &[Graders]) -> Vec<JudgeAgreement> {
    let mut found = Vec::new();
    let mut kinds: Vec<(String, bool, Vec<Values>)> = Vec::new();
    for of in graders {
        let (what, values) = match &of.form {
            Form::Scores { criteria, scale, .. } => {
                (format!("{} from {} to {}", criteria.join(", "), scale.0, scale.1), of_scores(of))
            }
            Form::Preference => ("pairs".to_owned(), of_pairs(at, of)),
        };
        let judge = if of.human { format!("{} (by hand)", of.judge) } else { of.judge.clone() };
        let values = Values { judge, ..values };
        match kinds.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, _, judges)) => judges.push(values),
            None => kinds.push((what, of.form == Form::Preference, vec![values])),
        }
    }
    for (what, names, judges) in &kinds {
        for (i, a) in judges.iter().enumerate() {
            for b in &judges[i + 1..] {
                found.push(two(what, *names, &[a, b]));
            }
        }
        if judges.len() > 2 {
            found.push(two(what, *names, &judges.iter().collect::<Vec<_>>()));
        }
    }
    found
}

fn two(what: &str, names: bool, judges: &[&Values]) -> JudgeAgreement {
    let first = judges[0];
    let common: Vec<Vec<f64>> = first
        .values
        .keys()
        .filter_map(|at| judges.iter().map(|judge| judge.values.get(at).copied()).collect())
        .collect();
    let pairs: Vec<(f64, f64)> = common.iter().map(|values| (values[0], values[1])).collect();
    let totals: Vec<(f64, f64)> =
        first.totals.iter().filter_map(|(at, a)| Some((*a, *judges[1].totals.get(at)?))).collect();
    let of_two = judges.len() == 2;
    let level = if names { Level::Nominal } else { Level::Ordinal };
    JudgeAgreement {
        what: what.to_owned(),
        judges: judges.iter().map(|judge| judge.judge.clone()).collect(),
        common: common.len(),
        exact: exact_agreement(&pairs).filter(|_| of_two),
        kappa: weighted_kappa(&pairs, names).filter(|_| of_two),
        spearman: spearman(&totals).filter(|_| of_two && !names),
        alpha: krippendorff_alpha(&common, level),
    }
}

fn of_scores(of: &Graders) -> Values {
    let mut all: BTreeMap<(usize, usize, usize, usize), Vec<f64>> = BTreeMap::new();
    let mut sums: BTreeMap<(usize, usize, usize), Vec<f64>> = BTreeMap::new();
    for (item, graded) in &of.grades {
        let Graded::Verdict(Verdict::Scores(scores)) = graded else { continue };
        let at = (item.prompt, item.turn, item.seats[0]);
        for (i, score) in scores.iter().enumerate() {
            all.entry((at.0, at.1, at.2, i)).or_default().push(score.score as f64);
        }
        sums.entry(at).or_default().push(scores.iter().map(|score| score.score as f64).sum());
    }
    let middle = |values: Vec<f64>| mean(values.into_iter().map(Some)).unwrap_or_default();
    Values {
        judge: String::new(),
        values: all.into_iter().map(|(at, values)| (at, middle(values))).collect(),
        totals: sums.into_iter().map(|(at, values)| (at, middle(values))).collect(),
    }
}

fn of_pairs(at: &At<'_>, of: &Graders) -> Values {
    let mut values = BTreeMap::new();
    for pair in super::preferences::results(at, of) {
        // A pair has one name, whoever is compared with whom.
        let (a, b) = pair.of;
        for (prompt, result) in pair.results.iter().enumerate() {
            if let Some(result) = result {
                let of_first = if a < b { *result } else { 1.0 - result };
                let outcome = match of_first {
                    r if r > 0.5 => 1.0,
                    r if r < 0.5 => 0.0,
                    _ => 0.5,
                };
                values.insert((prompt, a.min(b), a.max(b), 0), outcome);
            }
        }
    }
    Values { judge: String::new(), values, totals: BTreeMap::new() }
}
