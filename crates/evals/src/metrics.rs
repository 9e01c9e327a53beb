//! What documents' log-likelihoods come to.

use crate::python::Random;
use crate::{Profile, Question};
use fancy_regex::Regex;
use serde::{Deserialize, Serialize};

/// Draws of a bootstrap of the branch `polyglot`: chunks, each with a generator of its number, of so many draws.
const CHUNKS: (u64, usize) = (100, 1000);

/// A figure of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Whether the likeliest choice is the right one.
    Acc,
    /// The same, each log-likelihood divided by the choice's characters.
    AccNorm,
    /// F1 of each choice's number as a class, and their mean.
    MacroF1,
    /// Whether the likeliest is the right one, of TruthfulQA's choices.
    Mc1,
    /// The share that right choices have of the probability of all.
    Mc2,
    /// F1 of the words of the likeliest choice, against the answer that fits best.
    F1,
    /// Whether the likeliest choice is one of the answers, but for case, articles and punctuation.
    Em,
    /// Whether what was written is the right answer.
    ExactMatch,
}

impl Metric {
    /// How results of a branch call it.
    pub fn name(self, profile: Profile) -> &'static str {
        match (self, profile) {
            (Metric::Acc, _) => "acc",
            (Metric::AccNorm, _) => "acc_norm",
            (Metric::MacroF1, Profile::Polyglot) => "macro_f1",
            (Metric::MacroF1, Profile::Main) | (Metric::F1, _) => "f1",
            (Metric::Mc1, Profile::Polyglot) => "mc1",
            (Metric::Mc2, Profile::Polyglot) => "mc2",
            (Metric::Mc1 | Metric::Mc2, Profile::Main) => "acc",
            (Metric::Em, _) => "em",
            (Metric::ExactMatch, _) => "exact_match",
        }
    }

    /// How tasks and tables call it, whatever the branch.
    pub fn key(self) -> &'static str {
        match self {
            Metric::Acc => "acc",
            Metric::AccNorm => "acc_norm",
            Metric::MacroF1 => "macro_f1",
            Metric::Mc1 => "mc1",
            Metric::Mc2 => "mc2",
            Metric::F1 => "f1",
            Metric::Em => "em",
            Metric::ExactMatch => "exact_match",
        }
    }
}

/// A figure of all documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Which.
    pub metric: Metric,
    /// What took the answer out of a text that was written.
    pub filter: Option<String>,
    /// From 0 to 1.
    pub value: f64,
    /// Its standard error, where the branch has one: of a mean by the deviation of its terms, of a macro-F1 by bootstrap on
    /// `polyglot` and not at all on `main`.
    pub stderr: Option<f64>,
    /// The middle 95 % of the bootstrap's draws, of a macro-F1.
    pub interval: Option<[f64; 2]>,
}

/// A document's log-likelihoods and what was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The question.
    pub question: Question,
    /// Of each choice, in nats.
    pub logprobs: Vec<f64>,
    /// What was written, where the answer is.
    pub said: String,
}

impl Judged {
    /// The likeliest choice; the first of equals.
    pub fn chosen(&self) -> usize {
        first_best(self.logprobs.iter().copied())
    }

    fn chosen_by_characters(&self) -> usize {
        let choices = self.logprobs.iter().zip(&self.question.choices);
        first_best(choices.map(|(logprob, choice)| logprob / choice.chars().count() as f64))
    }

    /// Bits that the right choice costs, and its bytes, the delimiter included.
    pub fn bits(&self) -> (f64, usize) {
        let Question { gold, delimiter, choices, .. } = &self.question;
        (-self.logprobs[*gold] / std::f64::consts::LN_2, delimiter.len() + choices[*gold].len())
    }

    fn term(&self, metric: Metric, profile: Profile) -> f64 {
        let right = |chosen: usize| if chosen == self.question.gold { 1.0 } else { 0.0 };
        let best = |score: fn(&str, &str) -> f64| {
            let said = &self.question.items[self.chosen()];
            self.question.answers.iter().map(|answer| score(answer, said)).fold(0.0, f64::max)
        };
        match metric {
            Metric::Acc | Metric::Mc1 | Metric::MacroF1 => right(self.chosen()),
            Metric::AccNorm => right(self.chosen_by_characters()),
            Metric::Mc2 => self.share_of_right(profile),
            Metric::F1 => best(word_f1),
            Metric::Em => best(exact),
            // Filters decide what was said; see `generation.rs`.
            Metric::ExactMatch => f64::NAN,
        }
    }

    /// `polyglot` takes the choices before the first wrong one for right, `main` those that are labelled so.
    fn share_of_right(&self, profile: Profile) -> f64 {
        let labels = &self.question.labels;
        let before_wrong = labels.iter().position(|right| !right).unwrap_or(labels.len());
        let right = |i: usize| match profile {
            Profile::Polyglot => i < before_wrong,
            Profile::Main => labels[i],
        };
        let all: f64 = self.logprobs.iter().map(|logprob| logprob.exp()).sum();
        let of_right = self.logprobs.iter().enumerate().filter(|(i, _)| right(*i));
        of_right.map(|(_, logprob)| logprob.exp()).sum::<f64>() / all
    }
}

fn first_best(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, value) in values.enumerate() {
        if value > best.1 {
            best = (i, value);
        }
    }
    best.0
}

/// A metric over documents; 0 where there are none.
pub fn figure(metric: Metric, profile: Profile, judged: &[Judged]) -> Figure {
    if metric == Metric::MacroF1 {
        let pairs: Vec<(usize, usize)> = judged.iter().map(|one| (one.question.gold, one.chosen())).collect();
        let value = macro_f1(pairs.iter().copied());
        let chunks = match profile {
            Profile::Polyglot => CHUNKS.0,
            Profile::Main => 1,
        };
        let mut draws = bootstrap(&pairs, chunks, CHUNKS.1);
        // In one order, whatever the number of threads, so that sums have the same bits.
        draws.sort_by(f64::total_cmp);
        let stderr = Some(deviation(&draws)).filter(|_| profile == Profile::Polyglot);
        let interval =
            Some([quantile(&draws, 0.025), quantile(&draws, 0.975)]).filter(|_| !judged.is_empty());
        return Figure { metric, filter: None, value, stderr, interval };
    }
    let terms: Vec<f64> = judged.iter().map(|one| one.term(metric, profile)).collect();
    mean_figure(metric, &terms)
}

/// The mean of documents' terms.
pub(crate) fn mean_figure(metric: Metric, terms: &[f64]) -> Figure {
    let n = terms.len() as f64;
    let value = terms.iter().sum::<f64>() / n.max(1.0);
    let stderr = (terms.len() > 1).then(|| deviation(terms) / n.sqrt());
    Figure { metric, filter: None, value, stderr, interval: None }
}

/// A figure of several subtasks together: means weigh as their documents, and errors are pooled as the harness pools them.
pub(crate) fn pooled(metric: Metric, parts: &[(usize, &Figure)]) -> Figure {
    let n: usize = parts.iter().map(|(size, _)| size).sum();
    let weigh = |(size, figure): &(usize, &Figure)| *size as f64 * figure.value;
    let value = parts.iter().map(weigh).sum::<f64>() / n.max(1) as f64;
    let squares =
        |&(size, figure): &(usize, &Figure)| Some((size as f64 - 1.0) * figure.stderr?.powi(2) * size as f64);
    let sum: Option<f64> = parts.iter().map(squares).sum();
    let stderr =
        sum.filter(|_| n > parts.len()).map(|sum| (sum / (n - parts.len()) as f64 / n as f64).sqrt());
    let filter = parts.first().and_then(|(_, figure)| figure.filter.clone());
    Figure { metric, filter, value, stderr, interval: None }
}

/// Bits a byte of the right choices of all documents together.
pub fn bits_per_byte(judged: &[Judged]) -> f64 {
    let (bits, bytes) =
        judged.iter().map(Judged::bits).fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    bits / bytes.max(1) as f64
}

/// Mean of the classes' F1, of those that are right or chosen at least once, as scikit-learn has it.
fn macro_f1(pairs: impl Iterator<Item = (usize, usize)>) -> f64 {
    // Right, of each class: how often it was chosen and right, chosen, and right.
    let mut counts: Vec<[u32; 3]> = Vec::new();
    for (gold, chosen) in pairs {
        let most = gold.max(chosen);
        if counts.len() <= most {
            counts.resize(most + 1, [0; 3]);
        }
        counts[gold][0] += u32::from(gold == chosen);
        counts[chosen][1] += 1;
        counts[gold][2] += 1;
    }
    let classes = counts.iter().filter(|count| count[1] + count[2] > 0);
    let (sum, n) = classes.fold((0.0, 0), |(sum, n), count| {
        (sum + 2.0 * f64::from(count[0]) / f64::from(count[1] + count[2]), n + 1)
    });
    sum / f64::from(n.max(1))
}

/// Macro-F1 of documents drawn with replacement, as many as there are, in each draw.
fn bootstrap(pairs: &[(usize, usize)], chunks: u64, draws: usize) -> Vec<f64> {
    let chunk = |seed: u64| {
        let mut random = Random::new(seed);
        let mut draw = || macro_f1(pairs.iter().map(|_| pairs[random.choice(pairs.len())]));
        (0..draws).map(|_| draw()).collect::<Vec<f64>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(chunks as usize);
    std::thread::scope(|scope| {
        let part =
            |first: usize| (first as u64..chunks).step_by(threads).flat_map(chunk).collect::<Vec<f64>>();
        let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || part(first))).collect();
        let mut found = part(0);
        found.extend(others.into_iter().flat_map(|other| other.join().unwrap_or_default()));
        found
    })
}

/// Standard deviation, by n − 1.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (n - 1.0)).sqrt()
}

fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len().max(1) - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let value = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
    value(low) + (value(high) - value(low)) * (place - low as f64)
}

/// An answer as SQuAD compares it: lower case, without punctuation of ASCII and articles, split at white space.
fn words(answer: &str) -> Vec<String> {
    let plain: String = answer.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let article = Regex::new(r"\b(a|an|the)\b");
    let plain =
        article.map_or_else(|_| plain.clone(), |article| article.replace_all(&plain, " ").into_owned());
    plain.split_whitespace().map(str::to_owned).collect()
}

fn exact(gold: &str, said: &str) -> f64 {
    if words(gold) == words(said) { 1.0 } else { 0.0 }
}

fn word_f1(gold: &str, said: &str) -> f64 {
    let (gold, said) = (words(gold), words(said));
    if gold.is_empty() || said.is_empty() {
        return if gold == said { 1.0 } else { 0.0 };
    }
    let mut left = gold.clone();
    let mut same = 0;
    for word in &said {
        if let Some(place) = left.iter().position(|other| other == word) {
            left.swap_remove(place);
            same += 1;
        }
    }
    if same == 0 {
        return 0.0;
    }
    let (precision, recall) = (f64::from(same) / said.len() as f64, f64::from(same) / gold.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(gold: usize, logprobs: &[f64], choices: &[&str]) -> Judged {
        let question = Question {
            contexts: vec![String::new(); choices.len()],
            choices: choices.iter().map(ToString::to_string).collect(),
            delimiter: " ".to_owned(),
            gold,
            items: choices.iter().map(ToString::to_string).collect(),
            ..Question::default()
        };
        Judged { question, logprobs: logprobs.to_vec(), said: String::new() }
    }

    #[test]
    fn equals_are_the_first_and_characters_are_counted_and_not_bytes() {
        assert_eq!(judged(0, &[-1.0, -1.0], &["a", "b"]).chosen(), 0);
        // By bytes the first would win: -2 / 9 > -1.2 / 4.
        let one = judged(1, &[-2.0, -1.2], &["가나다", "abcd"]);
        assert_eq!(one.chosen_by_characters(), 1);
        assert_eq!(judged(0, &[-2.0, -1.2], &["가나다", "a"]).chosen_by_characters(), 0);
    }

    // scikit-learn's f1_score(golds, predictions, average="macro").
    #[test]
    fn classes_of_a_macro_f1_are_those_that_are_right_or_chosen() {
        let of = |pairs: &[(usize, usize)]| macro_f1(pairs.iter().copied());
        assert_eq!(of(&[(0, 0), (1, 1)]), 1.0);
        assert!((of(&[(0, 0), (1, 0), (0, 0), (1, 1)]) - 0.733_333_333_333).abs() < 1e-9);
        // Class 2 is chosen and never right: it counts, as 0.
        assert!((of(&[(0, 0), (0, 2)]) - 1.0 / 3.0).abs() < 1e-12);
        // Class 1 of three is neither, and does not count.
        assert_eq!(of(&[(0, 0), (2, 2)]), 1.0);
    }

    #[test]
    fn right_choices_of_mc2_end_at_the_first_wrong_one_in_polyglot_alone() {
        let mut one = judged(0, &[0.1f64.ln(), 0.2f64.ln(), 0.3f64.ln(), 0.4f64.ln()], &["a", "b", "c", "d"]);
        one.question.labels = vec![true, false, true, false];
        assert!((one.share_of_right(Profile::Polyglot) - 0.1).abs() < 1e-12);
        assert!((one.share_of_right(Profile::Main) - 0.4).abs() < 1e-12);
    }

    #[test]
    fn answers_are_compared_without_case_articles_and_punctuation() {
        assert_eq!(exact("The Hill-Club!", "hillclub"), 1.0);
        assert_eq!(exact("a theatre", "theatre"), 1.0);
        assert!((word_f1("Old Tom Tom", "the Tom") - 0.5).abs() < 1e-12);
        assert_eq!(word_f1("the", "a"), 1.0, "nothing is left of both");
        assert_eq!(word_f1("x", "y"), 0.0);
    }

    #[test]
    fn a_macro_f1_has_an_error_in_polyglot_alone_and_an_interval_in_both() {
        let all: Vec<Judged> = (0..40)
            .map(|i| judged(i % 2, &[-1.0, if i % 3 == 0 { -0.5 } else { -2.0 }], &["a", "b"]))
            .collect();
        let main = figure(Metric::MacroF1, Profile::Main, &all);
        assert_eq!(main.stderr, None);
        let [low, high] = main.interval.expect("an interval");
        assert!(low < main.value && main.value < high, "{main:?}");
        assert_eq!(figure(Metric::Acc, Profile::Main, &all).interval, None);
    }

    #[test]
    fn bits_a_byte_are_of_the_right_choice_with_its_delimiter() {
        let ln2 = std::f64::consts::LN_2;
        let both =
            [judged(0, &[-8.0 * ln2, -1.0], &["abc", "d"]), judged(1, &[-1.0, -4.0 * ln2], &["x", "예"])];
        assert!((bits_per_byte(&both) - 12.0 / 8.0).abs() < 1e-12);
    }
}
