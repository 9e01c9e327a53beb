//! The same verdicts, reasons, lines and signatures as datatrove 0.10.1, on texts that `scripts/fixtures/cleaning.py` makes.

use std::collections::BTreeMap;

use sai_cleaning::Rules;
use sai_cleaning::minhash::{MinHash, MinHashOptions};
use sai_cleaning::quality::{Check, Measure, first_failure};

#[derive(serde::Deserialize)]
struct Fixture {
    texts: Vec<String>,
    filters: BTreeMap<String, Filter>,
    signatures: Vec<Option<Vec<u64>>>,
}

#[derive(serde::Deserialize)]
struct Filter {
    rules: Rules,
    verdicts: Vec<Option<Verdict>>,
}

/// Why a text is dropped, or what C4 left of it.
#[derive(serde::Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Verdict {
    Reason(String),
    Kept { text: String },
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/datatrove.json")).expect("the fixture")
}

fn verdict(text: &str, rules: &Rules, measure: &mut Measure) -> Option<Verdict> {
    measure.read(text);
    let mut checks: Vec<Check> = Vec::new();
    let mut kept = None;
    if let Some(rule) = &rules.gopher_repetition {
        rule.check(text, measure, &mut checks);
    }
    if let Some(rule) = &rules.gopher_quality {
        rule.check(text, measure, &mut checks);
    }
    if let Some(rule) = &rules.fineweb {
        rule.check(text, measure, &mut checks);
    }
    if let Some(rule) = &rules.c4 {
        kept = Some(Verdict::Kept { text: rule.check(text, &mut checks).text });
    }
    if let Some(rule) = &rules.paragraphs {
        rule.check(text, &mut checks);
    }
    first_failure(&checks).map(|check| Verdict::Reason(check.rule.to_owned())).or(kept)
}

#[test]
fn every_verdict_and_reason_is_datatroves() {
    let fixture = fixture();
    let mut measure = Measure::new();
    for (name, filter) in &fixture.filters {
        for (i, (text, expected)) in fixture.texts.iter().zip(&filter.verdicts).enumerate() {
            assert_eq!(&verdict(text, &filter.rules, &mut measure), expected, "{name}, text {i}: {text}");
        }
    }
}

#[test]
fn every_signature_is_datatroves() {
    let fixture = fixture();
    let mut hash = MinHash::new(MinHashOptions { bands: 2, rows: 2, ..MinHashOptions::default() });
    for (text, expected) in fixture.texts.iter().zip(&fixture.signatures) {
        assert_eq!(&hash.signature(text), expected, "{text}");
    }
}
