//! Cutting by a regular expression that a vocabulary file brings.
//!
//! The engine is `fancy-regex`, which `tokenizers` cuts with as well: what needs no look-around or back reference
//! it gives to an automaton, the rest it tries by backtracking. Every match is a piece, and what lies between two.
//!
//! An expression may be unlucky: one that looks ahead to the end of the text at every match costs as the square of
//! the text, and nested repeats cost more. Two bounds keep the cost of a text in proportion to its length. A match
//! sees [`WINDOW`] bytes ahead, and more only where it reaches that far itself. And the engine may go back
//! [`BACKTRACKS`] times for one match; where that is not enough, the rest of the text is one piece, which is what
//! `tokenizers` does at its own bound. Ids could differ from its ids only where one of the two bounds is met.

use fancy_regex::{Regex, RegexBuilder};

/// How far ahead of its beginning a match sees, in bytes, unless it is itself that long.
const WINDOW: usize = 1 << 10;
/// How often the engine may go back for one match.
const BACKTRACKS: usize = 100_000;
/// What a compiled expression may take; the largest published ones stay under a tenth of it.
const COMPILED_BYTES: usize = 16 << 20;
/// The longest expression that is read; published ones have a few hundred bytes.
const MAX_LENGTH: usize = 16 << 10;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source() == other.source()
    }
}

impl Pattern {
    /// # Errors
    /// What is wrong with the expression, in one line.
    pub(crate) fn new(source: &str) -> Result<Pattern, String> {
        if source.len() > MAX_LENGTH {
            return Err(format!("it is {} bytes long, {MAX_LENGTH} are the most", source.len()));
        }
        let compiled = RegexBuilder::new(source)
            .backtrack_limit(BACKTRACKS)
            .delegate_size_limit(COMPILED_BYTES)
            .build()
            .map_err(|e| crate::error::one_line(&e.to_string()))?;
        Ok(Pattern(compiled))
    }

    /// The expression.
    pub(crate) fn source(&self) -> &str {
        self.0.as_str()
    }

    /// Calls `f` with the borders of each piece of `text`, none of them empty.
    pub(crate) fn for_each_range(&self, text: &str, mut f: impl FnMut(usize, usize)) {
        let mut put = |start: usize, end: usize| {
            if start < end {
                f(start, end);
            }
        };
        // Where the piece begins that is not given out yet, and where the next match may begin.
        let (mut done, mut from) = (0, 0);
        let mut last_end = None;
        while from < text.len() {
            let Some((start, end)) = self.find(text, from) else { break };
            from = if start == end { next_char(text, end) } else { end };
            // An empty match right after a match is none; elsewhere it cuts.
            if start == end && last_end == Some(end) {
                continue;
            }
            put(done, start);
            put(start, end);
            done = end;
            last_end = Some(end);
        }
        put(done, text.len());
    }

    /// The next match from byte `from` on; `None` without one, or where the engine gave up.
    fn find(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let mut ahead = WINDOW;
        loop {
            let border = text.floor_char_boundary(from.saturating_add(ahead).min(text.len()));
            let found = self.0.find_from_pos(&text[..border], from).ok()?;
            match found {
                Some(m) if m.end() < border || border == text.len() => return Some((m.start(), m.end())),
                None if border == text.len() => return None,
                // It reaches the border, or begins beyond it.
                _ => ahead = ahead.saturating_mul(2),
            }
        }
    }
}

fn next_char(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(text.len() + 1, |c| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
        let mut out = Vec::new();
        Pattern::new(pattern)
            .expect("a pattern")
            .for_each_range(text, |start, end| out.push(&text[start..end]));
        out
    }

    /// As `tokenizers` cuts: `Split` with behaviour `Isolated`.
    fn by_library(pattern: &str, text: &str) -> Vec<String> {
        use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
        use tokenizers::{
            OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
        };
        let split =
            Split::new(SplitPattern::Regex(pattern.to_owned()), SplitDelimiterBehavior::Isolated, false)
                .expect("a pattern");
        let mut whole = PreTokenizedString::from(text);
        split.pre_tokenize(&mut whole).expect("pieces");
        let splits = whole.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.into_iter().map(|(piece, _, _)| piece.to_owned()).filter(|piece| !piece.is_empty()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn pieces_are_those_of_the_library(text in "[a-zA-Z0-9 가-힣!?\n.\u{301}]{0,40}") {
            for pattern in [
                r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))",
                r"(?=[A-Z])",
                r"\s*",
                r"[^\s]+|\s+(?!\S)|\s+",
                r"(\w)\1",
                r"\d{1,3}(?=(?:\d{3})*\b)",
                r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{N}]+",
                r"(?<=[a-z])(?=[A-Z])",
                r"$|^|x",
            ] {
                prop_assert_eq!(pieces(pattern, &text), by_library(pattern, &text), "{}", pattern);
            }
        }
    }

    #[test]
    fn a_match_may_be_longer_than_the_window() {
        let text = format!("{}\u{301} {}", "가".repeat(WINDOW), "b".repeat(3 * WINDOW));
        let found = pieces(r"\p{L}+|\s+(?!\S)|\s+|.", &text);
        assert_eq!(found.iter().map(|p| p.len()).collect::<Vec<_>>(), [3 * WINDOW, 2, 1, 3 * WINDOW]);
    }

    #[test]
    fn unlucky_expressions_end() {
        let digits = "7".repeat(10_000);
        let texts = ["a".repeat(10_000), digits, " \n".repeat(4_000)];
        for pattern in
            [r"(a+)+$", r"(?:a|aa)+(?!a)b", r"\d{1,3}(?=(?:\d{3})*\b)", r"(.*)\1x", r".*b|.", r"\s*x"]
        {
            for text in &texts {
                assert_eq!(pieces(pattern, text).iter().map(|p| p.len()).sum::<usize>(), text.len());
            }
        }
        assert!(Pattern::new("(").is_err_and(|why| !why.contains('\n')));
        assert!(Pattern::new(&"a".repeat(MAX_LENGTH + 1)).is_err());
        assert!(Pattern::new(r"(?:\p{L}{1000}){1000}").is_err());
    }
}
