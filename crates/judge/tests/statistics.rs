//! Statistics against numpy, scipy, scikit-learn and krippendorff; `scripts/fixtures/judge.py` asked them.

use sai_judge::statistics::{
    Bootstrap, Level, binomial_test, bradley_terry, krippendorff_alpha, length_controlled, spearman,
    weighted_kappa,
};
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/statistics.json")).expect("is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn pairs(value: &Value) -> Vec<(f64, f64)> {
    value.as_array().expect("a list").iter().map(|pair| (number(&pair[0]), number(&pair[1]))).collect()
}

fn near(ours: f64, theirs: f64, within: f64) {
    assert!((ours - theirs).abs() <= within, "{ours} and not {theirs}");
}

#[test]
fn an_interval_is_numpys_percentiles_of_means_over_drawn_prompts() {
    let of = &fixture()["bootstrap"];
    let values: Vec<Option<f64>> =
        of["values"].as_array().expect("a list").iter().map(Value::as_f64).collect();
    let draws = of["draws"].as_array().expect("a list").iter();
    let draws = draws.map(|draw| numbers(draw).into_iter().map(|at| at as usize).collect()).collect();
    let found = Bootstrap::of(draws, values.len(), 0.95).mean(&values).expect("there are values");
    near(found.value, number(&of["mean"]), 1e-12);
    near(found.low, number(&of["low"]), 1e-12);
    near(found.high, number(&of["high"]), 1e-12);
}

#[test]
fn our_own_draws_give_scipys_interval() {
    let of = &fixture()["bootstrap"];
    let values: Vec<Option<f64>> = numbers(&of["complete"]).into_iter().map(Some).collect();
    let found = Bootstrap::new(values.len(), 20_000, 0.95, 1).mean(&values).expect("there are values");
    let width = number(&of["scipy_high"]) - number(&of["scipy_low"]);
    near(found.low, number(&of["scipy_low"]), 0.03 * width);
    near(found.high, number(&of["scipy_high"]), 0.03 * width);
    let again = Bootstrap::new(values.len(), 20_000, 0.95, 1).mean(&values).expect("there are values");
    assert_eq!(found, again, "one seed, one interval");
}

#[test]
fn prompts_are_the_unit_and_not_rows() {
    // Ten prompts, each with twenty equal values: as rows they would be two hundred, and the interval a fifth as wide.
    let of_prompt: Vec<Option<f64>> = (0..10).map(|i| Some(f64::from(i % 2))).collect();
    let rows: Vec<Option<f64>> = of_prompt.iter().flat_map(|value| [*value; 20]).collect();
    let wide = |values: &[Option<f64>]| {
        let found = Bootstrap::new(values.len(), 2000, 0.95, 3).mean(values).expect("there are values");
        found.high - found.low
    };
    assert!(wide(&of_prompt) > 3.5 * wide(&rows), "{} {}", wide(&of_prompt), wide(&rows));
}

#[test]
fn alpha_is_krippendorffs() {
    for of in fixture()["alpha"].as_array().expect("a list") {
        let units: Vec<Vec<f64>> = of["units"].as_array().expect("a list").iter().map(numbers).collect();
        for (level, name) in
            [(Level::Nominal, "nominal"), (Level::Ordinal, "ordinal"), (Level::Interval, "interval")]
        {
            near(krippendorff_alpha(&units, level).expect("is defined"), number(&of[name]), 1e-10);
        }
    }
    assert_eq!(krippendorff_alpha(&[vec![3.0, 3.0], vec![3.0, 3.0]], Level::Ordinal), None, "nothing varies");
    assert_eq!(krippendorff_alpha(&[vec![3.0], vec![4.0]], Level::Ordinal), None, "nothing is compared");
}

#[test]
fn kappa_and_rank_correlation_are_scikit_learns_and_scipys() {
    let of = &fixture()["kappa"];
    near(weighted_kappa(&pairs(&of["pairs"]), false).expect("is defined"), number(&of["weighted"]), 1e-12);
    near(spearman(&pairs(&of["pairs"])).expect("is defined"), number(&of["spearman"]), 1e-12);
    near(weighted_kappa(&pairs(&of["names"]), true).expect("is defined"), number(&of["plain"]), 1e-12);
    assert_eq!(weighted_kappa(&[], false), None);
    assert_eq!(weighted_kappa(&[(2.0, 2.0); 5], false), None);
    assert_eq!(spearman(&[(2.0, 1.0), (2.0, 3.0)]), None);
}

#[test]
fn a_liking_for_a_seat_is_tested_as_scipy_tests_it() {
    for of in fixture()["binomial"].as_array().expect("a list") {
        let (k, n) = (number(&of[0]) as usize, number(&of[1]) as usize);
        near(binomial_test(k, n), number(&of[2]), 1e-9);
    }
}

#[test]
fn a_contestant_that_wins_by_length_alone_is_found_by_the_length_control() {
    let of = &fixture()["length"][0];
    let (results, difference) = (numbers(&of["results"]), numbers(&of["difference"]));
    let games: Vec<(f64, f64)> = results.iter().copied().zip(difference).collect();
    let (rate, effect) = length_controlled(&games).expect("is defined");
    near(rate, number(&of["rate"]), 1e-6);
    near(effect, number(&of["effect"]), 1e-5);
    let raw = results.iter().sum::<f64>() / results.len() as f64;
    assert!(
        raw > 0.68 && (rate - 0.5).abs() < 0.08 && effect > 1.0,
        "raw {raw}, controlled {rate}, effect {effect}"
    );
}

#[test]
fn who_wins_always_has_a_finite_length_controlled_rate() {
    let of = &fixture()["length"][1];
    let games: Vec<(f64, f64)> =
        numbers(&of["results"]).into_iter().zip(numbers(&of["difference"])).collect();
    let (rate, effect) = length_controlled(&games).expect("is defined");
    near(rate, number(&of["rate"]), 1e-6);
    near(effect, number(&of["effect"]), 1e-4);
    assert!(rate > 0.99 && rate < 1.0);
    // Answers of one length leave nothing to control.
    let (rate, effect) =
        length_controlled(&[(1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.5, 0.0)]).expect("is defined");
    near(rate, 0.625, 0.002);
    near(effect, 0.0, 1e-12);
    assert_eq!(length_controlled(&[(1.0, 5.0)]), None);
}

#[test]
fn strengths_are_those_that_scipy_finds() {
    let of = &fixture()["strengths"];
    let games: Vec<(usize, usize, f64)> = of["games"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|game| (number(&game[0]) as usize, number(&game[1]) as usize, number(&game[2])))
        .collect();
    let found = bradley_terry(4, &games).expect("all are connected");
    for (ours, theirs) in found.iter().zip(numbers(&of["fitted"])) {
        near(*ours, theirs, 1e-5);
    }
    near(found.iter().sum(), 0.0, 1e-9);
    assert_eq!(bradley_terry(3, &[(0, 1, 1.0)]), None, "the third has played nobody");
}
