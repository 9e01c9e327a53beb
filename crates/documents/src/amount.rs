//! Amounts as people write them, on a command line and in a recipe.

/// A number that a person wrote, and what of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Of whatever is counted: `1000`, `500k`, `1.5M`.
    Count(u64),
    /// Of bytes: `40MB`, `1 GiB`.
    Bytes(u64),
}

impl Amount {
    /// Reads a whole number with or without a unit, in any case. k, M, G and T are a thousand times the one before, of
    /// bytes as kB, MB, GB and TB too; KiB, MiB, GiB and TiB are 1024 times. Nothing of what is none, or is 10^18 and more.
    pub fn parse(text: &str) -> Option<Amount> {
        const UNITS: [&str; 4] = ["k", "m", "g", "t"];
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_digit() || ['.', '_'].contains(&c))).unwrap_or(text.len());
        let (number, unit) = (text[..end].replace('_', ""), text[end..].trim_start().to_ascii_lowercase());
        let (unit, bytes) = unit.strip_suffix('b').map_or((unit.as_str(), false), |unit| (unit, true));
        let (unit, step) = match unit.strip_suffix('i') {
            Some(unit) if bytes => (unit, 1024f64),
            Some(_) => return None,
            None => (unit, 1000f64),
        };
        let power = match UNITS.iter().position(|known| *known == unit) {
            Some(place) => place as i32 + 1,
            None if unit.is_empty() && step == 1000.0 => 0,
            None => return None,
        };
        let value = number.parse::<f64>().ok()? * step.powi(power);
        let whole = value.round();
        let good = (0.0..1e18).contains(&whole) && (value - whole).abs() < 1e-6;
        let number = good.then_some(whole as u64)?;
        Some(if bytes { Amount::Bytes(number) } else { Amount::Count(number) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_mean_the_same_everywhere() {
        for (text, amount) in [
            ("0", Amount::Count(0)),
            ("1000", Amount::Count(1000)),
            ("1_000", Amount::Count(1000)),
            ("20k", Amount::Count(20_000)),
            ("10M", Amount::Count(10_000_000)),
            ("10m", Amount::Count(10_000_000)),
            ("1.5G", Amount::Count(1_500_000_000)),
            ("2T", Amount::Count(2_000_000_000_000)),
            ("512B", Amount::Bytes(512)),
            ("10kB", Amount::Bytes(10_000)),
            ("10KB", Amount::Bytes(10_000)),
            ("10MB", Amount::Bytes(10_000_000)),
            (" 10 mb ", Amount::Bytes(10_000_000)),
            ("1KiB", Amount::Bytes(1024)),
            ("1.5 MiB", Amount::Bytes(1_572_864)),
            ("4GiB", Amount::Bytes(4 << 30)),
        ] {
            assert_eq!(Amount::parse(text), Some(amount), "{text}");
        }
        for text in [
            "",
            "M",
            "0.5",
            "-1",
            "x",
            "1e3",
            "99999999999G",
            "1Ki",
            "1iB",
            "10 M B",
            "10MBs",
            "inf",
            "1.0001k",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }
}
