//! How names, counts and shapes look in messages.

use std::fmt;
use std::path::Path;

/// Text from a file or a path, safe to print on one line: control characters escaped, and cut where it is long.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

/// The most characters of a name that a message repeats. Paths are given by the person and shown whole.
const SHOWN: usize = 160;

impl Shown<'_> {
    pub(crate) fn path(path: &Path) -> String {
        escape(&path.to_string_lossy(), usize::MAX)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.0, SHOWN))
    }
}

/// As [`Shown`], between back-ticks.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", Shown(self.0))
    }
}

fn escape(text: &str, most: usize) -> String {
    // U+202A–202E and U+2066–2069 turn the direction of the text around them.
    let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == most {
            shown.push('…');
            break;
        }
        if hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A count with its digits in groups of three: `98,362,432`.
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A shape: `(3, 4)`.
pub(crate) struct ShapeShown<'a>(pub(crate) &'a [u64]);

impl fmt::Display for ShapeShown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, dimension) in self.0.iter().enumerate() {
            match i {
                0 => write!(f, "{dimension}")?,
                8 => {
                    f.write_str(", …")?;
                    break;
                }
                _ => write!(f, ", {dimension}")?,
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        for (n, s) in [(0, "0"), (999, "999"), (1000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")] {
            assert_eq!(Grouped(n).to_string(), s);
        }
    }
}
