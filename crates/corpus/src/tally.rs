//! What was met, dropped and kept, as a shard's manifest and the report have it. Tallies of parts add up to that of the
//! whole, whatever the order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sources::Faults;

/// Texts of each reason that are shown.
const SHOWN: usize = 4;
/// Characters of a text that is shown.
const LONGEST_SHOWN: usize = 700;
/// Steps of a histogram.
const STEPS: usize = 40;

/// Documents, and bytes of their text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub documents: u64,
    /// Bytes of text.
    pub bytes: u64,
}

impl Count {
    /// Adds a document.
    pub fn add(&mut self, bytes: usize) {
        self.documents += 1;
        self.bytes += bytes as u64;
    }

    /// Adds others.
    pub fn append(&mut self, other: Count) {
        self.documents += other.documents;
        self.bytes += other.bytes;
    }
}

/// How often a signal had which value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The thresholds that documents are held to, by the set of rules.
    pub thresholds: BTreeMap<String, f64>,
    /// Whether a value must be at least the threshold, and not at most.
    pub at_least: bool,
    /// Documents beyond it.
    pub failed: u64,
    /// Documents beyond it that no other rule drops: whom the threshold costs.
    pub alone: u64,
    /// Counts by step; see [`step_of`].
    pub steps: BTreeMap<i32, u64>,
}

/// The step of a value: shares from 0 to 1 in fortieths (0 to 40), what is more in eighths of a doubling from 41 on.
pub fn step_of(value: f64) -> i32 {
    let steps = STEPS as f64;
    match value {
        _ if value.is_nan() || value <= 0.0 => 0,
        _ if value <= 1.0 => (value * steps).floor() as i32,
        _ => (steps + 1.0 + value.log2() * 8.0).floor().min(1000.0) as i32,
    }
}

/// The least value of a step.
pub fn least_of(step: i32) -> f64 {
    let steps = STEPS as i32;
    match step {
        _ if step <= steps => f64::from(step) / f64::from(steps),
        _ => (f64::from(step - steps - 1) / 8.0).exp2(),
    }
}

/// A text that is shown of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Which are shown is decided by this number of the document.
    pub draw: u64,
    /// Where the document stands: its file and the place in it, or its address.
    pub place: String,
    /// Why, with the figure.
    pub fact: String,
    /// The beginning of its text.
    pub text: String,
}

/// Documents by source, language and licence.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// The source's name in the recipe.
    pub source: String,
    /// The language.
    pub lang: String,
    /// The licence; empty where nobody says it.
    pub license: String,
}

/// What some documents came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Records that were taken apart, and bytes of what they held.
    pub read: Count,
    /// What was broken or passed over before.
    pub faults: Faults,
    /// By source, what was read.
    pub sources: BTreeMap<String, Count>,
    /// By language, what had a text.
    pub languages: BTreeMap<String, Count>,
    /// Dropped, by reason.
    pub dropped: BTreeMap<String, Count>,
    /// Dropped by source and reason.
    pub dropped_of: BTreeMap<String, BTreeMap<String, u64>>,
    /// Kept by the rules.
    pub kept: Count,
    /// Kept, by group.
    #[serde(with = "as_list")]
    pub groups: BTreeMap<Group, Count>,
    /// What was changed in texts that were kept, by its kind, each counted: characters mended, data masked, lines cut.
    pub changes: BTreeMap<String, u64>,
    /// The values of each signal.
    pub signals: BTreeMap<String, Histogram>,
    /// Texts to look at, by reason; `kept` for those that stay.
    pub samples: BTreeMap<String, Vec<Sample>>,
}

impl Tally {
    /// A text that may be shown of a reason; those with the smallest numbers are.
    pub fn sample(&mut self, reason: &str, draw: u64, make: impl FnOnce() -> (String, String, String)) {
        let shown = self.samples.entry(reason.to_owned()).or_default();
        if shown.len() == SHOWN && shown.last().is_some_and(|last| last.draw <= draw) {
            return;
        }
        let (place, fact, text) = make();
        let text = text.chars().take(LONGEST_SHOWN).collect();
        let place = place.chars().take(300).collect();
        insert(shown, Sample { draw, place, fact, text });
    }

    /// Adds what other documents came to.
    pub fn append(&mut self, other: &Tally) {
        self.read.append(other.read);
        self.faults.append(&other.faults);
        self.kept.append(other.kept);
        for (into, from) in [
            (&mut self.sources, &other.sources),
            (&mut self.languages, &other.languages),
            (&mut self.dropped, &other.dropped),
        ] {
            from.iter().for_each(|(name, count)| into.entry(name.clone()).or_default().append(*count));
        }
        for (source, reasons) in &other.dropped_of {
            let into = self.dropped_of.entry(source.clone()).or_default();
            reasons.iter().for_each(|(reason, count)| *into.entry(reason.clone()).or_default() += count);
        }
        for (group, count) in &other.groups {
            self.groups.entry(group.clone()).or_default().append(*count);
        }
        for (kind, count) in &other.changes {
            *self.changes.entry(kind.clone()).or_default() += count;
        }
        for (name, histogram) in &other.signals {
            let into = self.signals.entry(name.clone()).or_default();
            into.thresholds.extend(histogram.thresholds.iter().map(|(reason, at)| (reason.clone(), *at)));
            into.at_least |= histogram.at_least;
            into.failed += histogram.failed;
            into.alone += histogram.alone;
            histogram.steps.iter().for_each(|(step, count)| *into.steps.entry(*step).or_default() += count);
        }
        for (reason, samples) in &other.samples {
            let shown = self.samples.entry(reason.clone()).or_default();
            samples.iter().for_each(|sample| insert(shown, sample.clone()));
        }
    }
}

fn insert(shown: &mut Vec<Sample>, sample: Sample) {
    let at = shown.partition_point(|other| (other.draw, &other.place) < (sample.draw, &sample.place));
    shown.insert(at, sample);
    shown.truncate(SHOWN);
}

/// JSON has no keys but names.
mod as_list {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        groups: &BTreeMap<Group, Count>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(groups)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Group, Count>, D::Error> {
        Ok(Vec::<(Group, Count)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_with_its_least_value() {
        for value in [0.0, 0.01, 0.5, 0.999, 1.0, 1.01, 2.0, 3.5, 100.0, 1e9] {
            let step = step_of(value);
            assert!(least_of(step) <= value * 1.000_001, "{value}: {step} begins at {}", least_of(step));
            assert!(least_of(step + 1) > value * 0.999_999, "{value}: {step} ends at {}", least_of(step + 1));
        }
    }

    #[test]
    fn parts_add_up_to_the_same_in_any_order() {
        let part = |draws: &[u64]| {
            let mut tally = Tally::default();
            for &draw in draws {
                tally.read.add(10);
                tally.sample("kept", draw, || (format!("d{draw}"), String::new(), "text".to_owned()));
            }
            tally
        };
        let (a, b) = (part(&[9, 3, 7, 1]), part(&[2, 8, 4, 6, 5]));
        let (mut one, mut other) = (a.clone(), b.clone());
        one.append(&b);
        other.append(&a);
        assert_eq!(one, other);
        assert_eq!(one.samples["kept"].iter().map(|s| s.draw).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
