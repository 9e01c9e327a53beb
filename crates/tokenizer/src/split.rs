//! Pre-tokenisers: where a text is cut before merges run, which never cross a cut.
//!
//! Each follows one published regular expression to the letter, without an engine: a text is read once,
//! left to right, so the cost is linear whatever the text. The expressions are given beside each function
//! and the tests hold both to each other.

use crate::classes::{Class, Classes};

/// The known ways to cut a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Split {
    /// GPT-2: contractions, words with their leading space, numbers, the rest.
    Gpt2,
    /// SmolLM: every digit alone, then as GPT-2.
    SmolLm,
    /// LLaMA 3: numbers of up to three digits, line breaks with what precedes them.
    Llama3,
    /// Qwen2: as LLaMA 3, every digit alone.
    Qwen2,
    /// No cut at all.
    Whole,
}

/// GPT-2's expression.
pub(crate) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// LLaMA 3's expression.
pub(crate) const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen2's expression.
pub(crate) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Split {
    /// The split that a regular expression stands for, where it is a known one.
    pub(crate) fn from_pattern(pattern: &str) -> Option<Split> {
        match pattern {
            GPT2 => Some(Split::Gpt2),
            LLAMA3 => Some(Split::Llama3),
            QWEN2 => Some(Split::Qwen2),
            _ => None,
        }
    }

    /// The name that people and llama.cpp know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Split::Gpt2 => "gpt-2",
            Split::SmolLm => "smollm",
            Split::Llama3 => "llama-bpe",
            Split::Qwen2 => "qwen2",
            Split::Whole => "none",
        }
    }

    /// Calls `f` with each piece of `text` in order. The pieces are not empty and join to `text`.
    pub(crate) fn for_each<'t>(self, text: &'t str, mut f: impl FnMut(&'t str)) {
        let classes = Classes::get();
        match self {
            Split::Gpt2 => cut(text, f, |t, at| gpt2(classes, t, at)),
            Split::Llama3 => cut(text, f, |t, at| llama3(classes, 3, t, at)),
            Split::Qwen2 => cut(text, f, |t, at| llama3(classes, 1, t, at)),
            Split::SmolLm => {
                // The digit splitter of `tokenizers` asks the standard library, not the regex engine.
                let mut from = 0;
                for (at, digit) in text.char_indices().filter(|(_, c)| c.is_numeric()) {
                    cut(&text[from..at], &mut f, |t, at| gpt2(classes, t, at));
                    from = at + digit.len_utf8();
                    f(&text[at..from]);
                }
                cut(&text[from..], f, |t, at| gpt2(classes, t, at));
            }
            Split::Whole if text.is_empty() => {}
            Split::Whole => f(text),
        }
    }
}

/// Cuts `text` at the ends that `end` finds, each beyond its start.
#[inline]
fn cut<'t>(text: &'t str, mut f: impl FnMut(&'t str), end: impl Fn(&'t str, usize) -> usize) {
    let mut at = 0;
    while at < text.len() {
        let next = end(text, at);
        f(&text[at..next]);
        at = next;
    }
}

/// The character at byte `at` and the byte after it.
#[inline]
fn char_at(text: &str, at: usize) -> Option<(char, usize)> {
    let c = text[at..].chars().next()?;
    Some((c, at + c.len_utf8()))
}

/// The end of the run of `class` from `at`.
#[inline]
fn run(classes: Classes, text: &str, at: usize, class: Class) -> usize {
    text[at..].find(|c| classes.of(c) != class).map_or(text.len(), |n| at + n)
}

/// `\s+(?!\S)|\s+` at a white space: a run that text follows leaves its last character to that text.
#[inline]
fn spaces(classes: Classes, text: &str, at: usize) -> usize {
    let end = run(classes, text, at, Class::Space);
    if end == text.len() {
        return end;
    }
    let last = text[at..end].char_indices().next_back().map_or(0, |(n, _)| n);
    if last == 0 { end } else { at + last }
}

/// `'s|'t|'re|'ve|'m|'ll|'d` after the apostrophe: how many bytes it takes.
#[inline]
fn contraction(rest: &[u8]) -> Option<usize> {
    match rest {
        [b's' | b't' | b'm' | b'd', ..] => Some(1),
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => Some(2),
        _ => None,
    }
}

/// The same, whatever the case. U+017F (long s) folds to `s`; no other character folds to these letters.
#[inline]
fn contraction_any_case(rest: &[u8]) -> Option<usize> {
    match rest {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => Some(1),
        [b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] => Some(2),
        [0xc5, 0xbf, ..] => Some(2),
        _ => None,
    }
}

/// [`GPT2`] at byte `at`: the end of its match.
#[inline]
fn gpt2(classes: Classes, text: &str, at: usize) -> usize {
    let Some((c, next)) = char_at(text, at) else { return text.len() };
    if c == '\''
        && let Some(n) = contraction(&text.as_bytes()[next..])
    {
        return next + n;
    }
    match classes.of(c) {
        Class::Space => {
            if c == ' '
                && let Some((d, after)) = char_at(text, next)
                && classes.of(d) != Class::Space
            {
                return run(classes, text, after, classes.of(d));
            }
            spaces(classes, text, at)
        }
        class => run(classes, text, next, class),
    }
}

/// [`LLAMA3`] (`digits` = 3) or [`QWEN2`] (`digits` = 1) at byte `at`: the end of its match.
#[inline]
fn llama3(classes: Classes, digits: usize, text: &str, at: usize) -> usize {
    let Some((c, next)) = char_at(text, at) else { return text.len() };
    if c == '\''
        && let Some(n) = contraction_any_case(&text.as_bytes()[next..])
    {
        return next + n;
    }
    let class = classes.of(c);
    match class {
        Class::Letter => return run(classes, text, next, Class::Letter),
        Class::Number => {
            let taken = text[at..].chars().take(digits).take_while(|&c| classes.of(c) == Class::Number);
            return at + taken.map(char::len_utf8).sum::<usize>();
        }
        Class::Other | Class::Space => {}
    }
    let following = char_at(text, next).map(|(d, after)| (classes.of(d), after));
    if !matches!(c, '\r' | '\n')
        && let Some((Class::Letter, after)) = following
    {
        return run(classes, text, after, Class::Letter);
    }
    let symbols = match (class, following) {
        (Class::Other, _) => Some(next),
        (_, Some((Class::Other, after))) if c == ' ' => Some(after),
        _ => None,
    };
    if let Some(from) = symbols {
        let end = run(classes, text, from, Class::Other);
        let breaks = text.as_bytes()[end..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        return end + breaks;
    }
    let end = run(classes, text, at, Class::Space);
    match text.as_bytes()[at..end].iter().rposition(|b| matches!(b, b'\r' | b'\n')) {
        Some(last) => at + last + 1,
        None => spaces(classes, text, at),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use proptest::prelude::*;

    fn pieces(split: Split, text: &str) -> Vec<&str> {
        let mut out = Vec::new();
        split.for_each(text, |p| out.push(p));
        out
    }

    fn by_regex<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
        static COMPILED: LazyLock<Vec<fancy_regex::Regex>> = LazyLock::new(|| {
            [GPT2, LLAMA3, QWEN2].into_iter().map(|p| fancy_regex::Regex::new(p).expect("pattern")).collect()
        });
        let regex = COMPILED.iter().find(|r| r.as_str() == pattern).expect("a known pattern");
        regex.find_iter(text).map(|m| m.expect("match").as_str()).collect()
    }

    /// Characters where the expressions part ways, and any others.
    fn text() -> impl Strategy<Value = String> {
        let edge: Vec<char> = " \t\n\r\u{b}\u{85}\u{a0}\u{3000}\u{2028}\u{200b}\u{feff}'’sStTmMdDrRvVeElLſK\
             019٣Ⅷ½一漢가각힣ᄀ\u{1161}\u{11a8}é\u{301}ñ!?.,_-#😀\u{1f468}\u{200d}\u{1f3fd}\u{378}\u{e000}\u{10ffff}\0\u{7f}"
            .chars()
            .collect();
        let one = prop_oneof![4 => prop::sample::select(edge), 1 => any::<char>()];
        prop::collection::vec(one, 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn pieces_are_the_matches_of_the_expression(text in text()) {
            prop_assert_eq!(pieces(Split::Gpt2, &text), by_regex(GPT2, &text));
            prop_assert_eq!(pieces(Split::Llama3, &text), by_regex(LLAMA3, &text));
            prop_assert_eq!(pieces(Split::Qwen2, &text), by_regex(QWEN2, &text));
        }

        #[test]
        fn smollm_is_digits_then_gpt2(text in text()) {
            let mut expected = Vec::new();
            for part in text.split_inclusive(char::is_numeric) {
                let digit = part.chars().next_back().filter(|c| c.is_numeric()).map_or(0, char::len_utf8);
                expected.extend(by_regex(GPT2, &part[..part.len() - digit]));
                expected.extend((digit > 0).then(|| &part[part.len() - digit..]));
            }
            prop_assert_eq!(pieces(Split::SmolLm, &text), expected);
        }
    }

    #[test]
    fn every_code_point_between_two_neighbours() {
        let patterns = [(Split::Gpt2, GPT2), (Split::Llama3, LLAMA3), (Split::Qwen2, QWEN2)];
        let compiled = patterns.map(|(s, p)| (s, fancy_regex::Regex::new(p).expect("pattern")));
        // One text of many code points apart, each with a space, a letter, a digit and an apostrophe near.
        let all: Vec<char> = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        for chunk in all.chunks(4096) {
            let text: String =
                chunk.iter().flat_map(|&c| [' ', c, c, 'a', c, '1', '\'', c, '\n', c]).collect();
            for (split, regex) in &compiled {
                let expected: Vec<&str> =
                    regex.find_iter(&text).map(|m| m.expect("match").as_str()).collect();
                assert_eq!(pieces(*split, &text), expected);
            }
        }
    }
}
