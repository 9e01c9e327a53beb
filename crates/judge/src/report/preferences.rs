//! Comparisons of pairs: both orders, ties where they disagree, lengths beside them, and strengths of more than two.

use super::{At, Graders, unread};
use crate::grading::Graded;
use crate::reply::{Seat, Verdict};
use crate::statistics::{Interval, Position, bradley_terry, length_controlled, mean};
use crate::templates::Form;
use serde::Serialize;
use std::collections::BTreeMap;

/// A judge's comparisons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PreferenceReport {
    /// Who judged.
    pub judge: String,
    /// By which template.
    pub name: String,
    /// Each pair.
    pub pairs: Vec<Pair>,
    /// Whether the judge prefers a seat, over all pairs.
    pub position: Position,
    /// Bradley–Terry strengths, log-odds with mean 0, of more than two contestants whose games connect them.
    pub strengths: Vec<(String, Interval)>,
    /// Grades that are missing, by why.
    pub missing: BTreeMap<String, usize>,
    /// Grades that were to be had.
    pub asked: usize,
}

/// Two contestants. Wins, ties, losses and missing ones are all prompts that are graded so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The one whose wins are counted.
    pub a: String,
    /// The other.
    pub b: String,
    /// Prompts that `a` won.
    pub wins: usize,
    /// Prompts that nobody won.
    pub ties: usize,
    /// Prompts that `b` won.
    pub losses: usize,
    /// Prompts of which a part is missing: an answer, or a grade.
    pub missing: usize,
    /// The part that `a` won, ties as halves, of prompts that are not missing.
    pub win_rate: Option<Interval>,
    /// The same, if both answers were of one length.
    pub length_controlled: Option<Interval>,
    /// How much the log-odds of winning grow with length: above 0 where the longer answer wins.
    pub length_effect: Option<f64>,
    /// Characters of an answer of each, on average, over these prompts.
    pub lengths: (Option<f64>, Option<f64>),
    /// Seats and flips of this pair.
    pub position: Position,
}

impl Pair {
    /// Wins, ties, losses and missing ones in per cent of all prompts; they come to 100.
    pub fn shares(&self) -> [f64; 4] {
        let all = (self.wins + self.ties + self.losses + self.missing).max(1) as f64;
        [self.wins, self.ties, self.losses, self.missing].map(|count| 100.0 * count as f64 / all)
    }
}

/// What both orders of a pair come to in one repeat: the first contestant's result.
fn result(forward: Option<Seat>, backward: Option<Seat>, position: &mut Position) -> Option<f64> {
    let (forward, backward) = (forward?, backward?);
    position.pairs += 1;
    for seat in [forward, backward] {
        position.decided += usize::from(seat != Seat::Tie);
        position.first_wins += usize::from(seat == Seat::First);
    }
    Some(match (forward, backward) {
        (Seat::First, Seat::Second) => 1.0,
        (Seat::Second, Seat::First) => 0.0,
        (Seat::Tie, Seat::Tie) => 0.5,
        (Seat::First, Seat::First) => {
            position.flips += 1;
            position.first += 1;
            0.5
        }
        (Seat::Second, Seat::Second) => {
            position.flips += 1;
            position.second += 1;
            0.5
        }
        (Seat::Tie, _) | (_, Seat::Tie) => {
            position.flips += 1;
            0.5
        }
    })
}

/// By prompt, the first contestant's results; seats and flips.
pub(super) struct PairResults {
    pub(super) of: (usize, usize),
    pub(super) results: Vec<Option<f64>>,
    pub(super) position: Position,
}

/// The results of every pair that a judge compared.
pub(super) fn results(at: &At<'_>, of: &Graders) -> Vec<PairResults> {
    let seat = |graded: &Graded| match graded {
        Graded::Verdict(Verdict::Preference { winner, .. }) => Some(*winner),
        _ => None,
    };
    // By pair, prompt and repeat: both orders.
    let mut orders: BTreeMap<(usize, usize, usize, usize), [Option<Seat>; 2]> = BTreeMap::new();
    let first = of.against.as_ref().and_then(|name| at.run.contestant(name));
    for (item, graded) in &of.grades {
        let &[x, y] = &item.seats[..] else { continue };
        let (a, b) = match first {
            Some(first) if y == first => (y, x),
            Some(first) if x == first => (x, y),
            _ => (x.min(y), x.max(y)),
        };
        orders.entry((a, b, item.prompt, item.repeat)).or_default()[usize::from(x != a)] = seat(graded);
    }
    let contestants = at.answers.len();
    let pairs: Vec<(usize, usize)> = match first {
        Some(first) => (0..contestants).filter(|b| *b != first).map(|b| (first, b)).collect(),
        None => (0..contestants).flat_map(|a| (a + 1..contestants).map(move |b| (a, b))).collect(),
    };
    let mut found = Vec::new();
    for (a, b) in pairs {
        let mut position = Position::default();
        let mut of_prompts = vec![Vec::new(); at.run.prompts.len()];
        for ((_, _, prompt, _), [forward, backward]) in
            orders.range((a, b, 0, 0)..=(a, b, usize::MAX, usize::MAX))
        {
            of_prompts[*prompt].push(result(*forward, *backward, &mut position));
        }
        let results = of_prompts.into_iter().map(mean).collect();
        found.push(PairResults { of: (a, b), results, position });
    }
    found
}

pub(super) fn report(at: &At<'_>, of: &Graders) -> Option<PreferenceReport> {
    if of.form != Form::Preference {
        return None;
    }
    let found = results(at, of);
    let mut position = Position::default();
    for pair in &found {
        position.pairs += pair.position.pairs;
        position.flips += pair.position.flips;
        position.first += pair.position.first;
        position.second += pair.position.second;
        position.first_wins += pair.position.first_wins;
        position.decided += pair.position.decided;
    }
    let pairs =
        found.iter().map(|found| pair(at, found.of, &found.results, &of.applies, found.position)).collect();
    Some(PreferenceReport {
        judge: of.judge.clone(),
        name: of.name.clone(),
        pairs,
        position,
        strengths: strengths(at, &found),
        missing: unread(of),
        asked: of.grades.len(),
    })
}

/// What the results of a pair come to, over the prompts that are graded so.
pub(super) fn pair(
    at: &At<'_>,
    (a, b): (usize, usize),
    results: &[Option<f64>],
    applies: &[bool],
    position: Position,
) -> Pair {
    let count = |is: fn(f64) -> bool| results.iter().flatten().filter(|result| is(**result)).count();
    let length = |who: usize, prompt: usize| at.answers[who][prompt].length().map(|length| length as f64);
    let game = |prompt: usize| {
        let result = results[prompt]?;
        Some((result, length(a, prompt)? - length(b, prompt)?))
    };
    let controlled = |at: &[usize]| {
        let games: Vec<_> = at.iter().filter_map(|prompt| game(*prompt)).collect();
        let found = length_controlled(&games);
        vec![found.map(|found| found.0), found.map(|found| found.1)]
    };
    let mut found = at.bootstrap.intervals(controlled).into_iter();
    let (length_controlled, effect) = (found.next().flatten(), found.next().flatten());
    let of =
        |who: usize| mean((0..results.len()).map(|prompt| results[prompt].and_then(|_| length(who, prompt))));
    let name = |who: usize| at.run.facts.contestants[who].name.clone();
    Pair {
        a: name(a),
        b: name(b),
        wins: count(|result| result > 0.5),
        ties: count(|result| result == 0.5),
        losses: count(|result| result < 0.5),
        missing: results
            .iter()
            .zip(applies)
            .filter(|(result, applies)| result.is_none() && **applies)
            .count(),
        win_rate: at.mean(results),
        length_controlled,
        length_effect: effect.map(|effect| effect.value),
        lengths: (of(a), of(b)),
        position,
    }
}

fn strengths(at: &At<'_>, found: &[PairResults]) -> Vec<(String, Interval)> {
    let contestants = at.answers.len();
    if contestants < 3 {
        return Vec::new();
    }
    let fit = |places: &[usize]| {
        let games: Vec<_> = found
            .iter()
            .flat_map(|pair| places.iter().filter_map(|at| Some((pair.of.0, pair.of.1, pair.results[*at]?))))
            .collect();
        match bradley_terry(contestants, &games) {
            Some(strengths) => strengths.into_iter().map(Some).collect(),
            None => vec![None; contestants],
        }
    };
    let intervals = at.bootstrap.intervals(fit);
    let names = at.run.facts.contestants.iter().map(|contestant| contestant.name.clone());
    names.zip(intervals).filter_map(|(name, interval)| Some((name, interval?))).collect()
}
