//! How far judges, or repeats of one, agree.

/// What kind of values are compared, which decides how far two of them are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Names: the same or not.
    Nominal,
    /// Ranks, such as scores from 1 to 5.
    Ordinal,
    /// Numbers.
    Interval,
}

/// Krippendorff's alpha of some units, each with the values that were given to it: 1 where all agree, 0 where chance would do as
/// well. Units with fewer than two values have no say. None where nothing can be compared, or only one value was ever given
/// (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").
pub fn krippendorff_alpha(units: &[Vec<f64>], level: Level) -> Option<f64> {
    let units: Vec<&Vec<f64>> = units.iter().filter(|unit| unit.len() > 1).collect();
    let mut values: Vec<f64> = units.iter().flat_map(|unit| unit.iter().copied()).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    if values.len() < 2 {
        return None;
    }
    let place = |value: f64| values.iter().position(|v| *v == value).unwrap_or(0);
    let count = values.len();
    let mut coincidences = vec![vec![0.0; count]; count];
    for unit in &units {
        let share = 1.0 / (unit.len() - 1) as f64;
        for (i, a) in unit.iter().enumerate() {
            for (j, b) in unit.iter().enumerate().filter(|(j, _)| *j != i) {
                let _ = j;
                coincidences[place(*a)][place(*b)] += share;
            }
        }
    }
    let margins: Vec<f64> = coincidences.iter().map(|row| row.iter().sum()).collect();
    let all: f64 = margins.iter().sum();
    let distance = |c: usize, k: usize| match level {
        Level::Nominal => f64::from(u8::from(c != k)),
        Level::Interval => (values[c] - values[k]).powi(2),
        Level::Ordinal => {
            let (low, high) = (c.min(k), c.max(k));
            let between: f64 = margins[low..=high].iter().sum();
            (between - (margins[c] + margins[k]) / 2.0).powi(2)
        }
    };
    let (mut observed, mut expected) = (0.0, 0.0);
    for c in 0..count {
        for k in (0..count).filter(|k| *k != c) {
            observed += coincidences[c][k] * distance(c, k);
            expected += margins[c] * margins[k] * distance(c, k);
        }
    }
    Some(1.0 - (all - 1.0) * observed / expected)
}

/// The part of pairs that are the same.
pub fn exact_agreement(pairs: &[(f64, f64)]) -> Option<f64> {
    let same = pairs.iter().filter(|(a, b)| a == b).count();
    (!pairs.is_empty()).then(|| same as f64 / pairs.len() as f64)
}

/// Cohen's kappa with quadratic weights (Cohen 1968); with `names`, values that differ differ alike. None where it is not
/// defined: both gave one value always.
pub fn weighted_kappa(pairs: &[(f64, f64)], names: bool) -> Option<f64> {
    if pairs.is_empty() {
        return None;
    }
    let weight = |a: f64, b: f64| match names {
        true => f64::from(u8::from(a != b)),
        false => (a - b).powi(2),
    };
    let n = pairs.len() as f64;
    let observed: f64 = pairs.iter().map(|(a, b)| weight(*a, *b)).sum::<f64>() / n;
    let mut expected = 0.0;
    for (a, _) in pairs {
        expected += pairs.iter().map(|(_, b)| weight(*a, *b)).sum::<f64>();
    }
    expected /= n * n;
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

/// Spearman's rank correlation, ties at their mean rank. None where one side never varies.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let a = ranks(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
    let b = ranks(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
    let n = pairs.len() as f64;
    let middle = (n + 1.0) / 2.0;
    let product =
        |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - middle) * (y - middle)).sum::<f64>();
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b) / spread)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let of = |value: f64| {
        let below = values.iter().filter(|v| **v < value).count() as f64;
        let same = values.iter().filter(|v| **v == value).count() as f64;
        below + (same + 1.0) / 2.0
    };
    values.iter().map(|value| of(*value)).collect()
}
