//! Pre-tokenisers: where a text is cut before merges run, which never cross a cut.
//!
//! Each known one follows a published regular expression to the letter, without an engine: a text is read once,
//! left to right, so the cost is linear whatever the text. The expressions are given beside each function
//! and the tests hold both to each other. What else a file asks for goes through an engine ([`crate::pattern`]).

use std::sync::Arc;

use crate::blocks::{Block, WIDTH};
use crate::borders;
use crate::classes::{Class, Classes};
use crate::pattern::Pattern;
use crate::runs::Text;

/// The ways to cut a text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Split {
    /// GPT-2: contractions, words with their leading space, numbers, the rest.
    Gpt2,
    /// SmolLM: every digit alone, then as GPT-2.
    SmolLm,
    /// LLaMA 3: numbers of up to three digits, line breaks with what precedes them.
    Llama3,
    /// Qwen2: as LLaMA 3, every digit alone.
    Qwen2,
    /// An expression of the file's own.
    Pattern(Arc<Pattern>),
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

    /// The split of any regular expression: every match is a piece, and what lies between two.
    ///
    /// # Errors
    /// What the engine has against the expression, in one line.
    pub(crate) fn new(pattern: &str) -> Result<Split, String> {
        match Split::from_pattern(pattern) {
            Some(split) => Ok(split),
            None => Ok(Split::Pattern(Arc::new(Pattern::new(pattern)?))),
        }
    }

    /// The name that people and llama.cpp know it by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Split::Gpt2 => "gpt-2",
            Split::SmolLm => "smollm",
            Split::Llama3 => "llama-bpe",
            Split::Qwen2 => "qwen2",
            Split::Pattern(_) => "its own expression",
            Split::Whole => "none",
        }
    }

    /// Calls `f` with each piece of `text` in order. The pieces are not empty and join to `text`.
    pub(crate) fn for_each<'t>(&self, text: &'t str, mut f: impl FnMut(&'t str)) {
        self.for_each_range(text, |start, end| f(&text[start..end]));
    }

    /// Calls `f` with the first byte of each piece of `text` and the byte after its last.
    // A function given by its name is called; a closure around it becomes part of the loop.
    #[allow(clippy::redundant_closure)]
    #[inline(always)]
    pub(crate) fn for_each_range(&self, text: &str, mut f: impl FnMut(usize, usize)) {
        let whole = Text::new(text, Classes::get());
        match self {
            Split::Gpt2 => cut_blocks(whole, f, |b, bytes| borders::gpt2(b, bytes), |t, at| gpt2(t, at)),
            Split::Llama3 => {
                cut_blocks(whole, f, |b, bytes| borders::llama3(b, bytes, 3), |t, at| llama3(t, 3, at));
            }
            Split::Qwen2 => {
                cut_blocks(whole, f, |b, bytes| borders::llama3(b, bytes, 1), |t, at| llama3(t, 1, at));
            }
            Split::SmolLm => {
                // The digit splitter of `tokenizers` asks the standard library, not the regex engine.
                let mut from = 0;
                while from < text.len() {
                    let (digit, after) = whole.numeric(from);
                    if digit > from {
                        cut(whole.until(digit), from, &mut f, |t, at| gpt2(t, at));
                    }
                    if after > digit {
                        f(digit, after);
                    }
                    from = after;
                }
            }
            Split::Pattern(pattern) => pattern.for_each_range(text, f),
            Split::Whole if text.is_empty() => {}
            Split::Whole => f(0, text.len()),
        }
    }
}

/// Cuts `text` from byte `at` on at the ends that `end` finds, each beyond its start.
#[inline(always)]
fn cut(
    text: Text<'_>,
    mut at: usize,
    mut f: impl FnMut(usize, usize),
    end: impl Fn(Text<'_>, usize) -> usize,
) {
    while at < text.len() {
        let next = end(text, at);
        f(at, next);
        at = next;
    }
}

/// Cuts `text` where `starts` finds words in a block, but for the first of it, and by `end` where it finds none.
#[inline(always)]
fn cut_blocks(
    text: Text<'_>,
    mut f: impl FnMut(usize, usize),
    starts: impl Fn(&Block, &[u8; WIDTH]) -> u64,
    end: impl Fn(Text<'_>, usize) -> usize,
) {
    let mut at = 0;
    while let Some(bytes) = text.rest(at).first_chunk::<WIDTH>() {
        let block = Block::new(bytes, text.classes());
        let mut found = starts(&block, bytes);
        let base = at;
        // A character that blocks leave out is passed.
        let upto = if block.known < WIDTH - 3 { base + block.known } else { base };
        while found != 0 {
            let next = base + found.trailing_zeros() as usize;
            f(at, next);
            at = next;
            found &= found - 1;
        }
        while at <= upto {
            let next = end(text, at);
            f(at, next);
            at = next;
        }
    }
    cut(text, at, f, end);
}

/// `\s+(?!\S)|\s+` at a white space: a run that text follows leaves its last character to that text.
#[inline]
fn spaces(text: Text<'_>, at: usize) -> usize {
    let end = text.run(at, Class::Space);
    if end == text.len() {
        return end;
    }
    let last = text.before(end);
    if last == at { end } else { last }
}

/// `'s|'t|'re|'ve|'m|'ll|'d` after the apostrophe: how many bytes it takes.
#[inline]
pub(crate) fn contraction(rest: &[u8]) -> Option<usize> {
    match rest {
        [b's' | b't' | b'm' | b'd', ..] => Some(1),
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => Some(2),
        _ => None,
    }
}

/// The same, whatever the case. U+017F (long s) folds to `s`; no other character folds to these letters.
#[inline]
pub(crate) fn contraction_any_case(rest: &[u8]) -> Option<usize> {
    match rest {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => Some(1),
        [b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] => Some(2),
        [0xc5, 0xbf, ..] => Some(2),
        _ => None,
    }
}

/// [`GPT2`] at byte `at`: the end of its match.
#[inline(always)]
fn gpt2(text: Text<'_>, at: usize) -> usize {
    let (first, next) = text.class(at);
    match first {
        // What most words begin with: the space before them.
        Class::Space if text.byte(at) == b' ' && next < text.len() => match text.class(next) {
            (Class::Space, _) => spaces(text, at),
            (class, after) => text.run(after, class),
        },
        Class::Space => spaces(text, at),
        Class::Other if text.byte(at) == b'\'' => match contraction(text.rest(next)) {
            Some(n) => next + n,
            None => text.run(next, first),
        },
        class => text.run(next, class),
    }
}

/// [`LLAMA3`] (`digits` = 3) or [`QWEN2`] (`digits` = 1) at byte `at`: the end of its match.
#[inline(always)]
fn llama3(text: Text<'_>, digits: usize, at: usize) -> usize {
    let (class, next) = text.class(at);
    match class {
        Class::Letter => return text.run(next, Class::Letter),
        Class::Number => return numbers(text, digits, next),
        Class::Other | Class::Space => {}
    }
    let first = text.byte(at);
    if first == b'\''
        && let Some(n) = contraction_any_case(text.rest(next))
    {
        return next + n;
    }
    let following = (next < text.len()).then(|| text.class(next));
    if !matches!(first, b'\r' | b'\n')
        && let Some((Class::Letter, after)) = following
    {
        return text.run(after, Class::Letter);
    }
    let symbols = match (class, following) {
        (Class::Other, _) => Some(next),
        (_, Some((Class::Other, after))) if first == b' ' => Some(after),
        _ => None,
    };
    let breaks = |b: &u8| matches!(b, b'\r' | b'\n');
    if let Some(from) = symbols {
        let end = text.run(from, Class::Other);
        return end + text.rest(end).iter().take_while(|b| breaks(b)).count();
    }
    let end = text.run(at, Class::Space);
    match text.bytes(at, end).iter().rposition(breaks) {
        Some(last) => at + last + 1,
        None => spaces(text, at),
    }
}

/// The end of a number of up to `digits` characters, the first of which ends at `at`.
#[inline]
fn numbers(text: Text<'_>, digits: usize, mut at: usize) -> usize {
    for _ in 1..digits {
        if at == text.len() {
            break;
        }
        match text.class(at) {
            (Class::Number, after) => at = after,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use proptest::prelude::*;

    fn pieces<'t>(split: &Split, text: &'t str) -> Vec<&'t str> {
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
        prop::collection::vec(one, 0..160).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn pieces_are_the_matches_of_the_expression(text in text()) {
            prop_assert_eq!(pieces(&Split::Gpt2, &text), by_regex(GPT2, &text));
            prop_assert_eq!(pieces(&Split::Llama3, &text), by_regex(LLAMA3, &text));
            prop_assert_eq!(pieces(&Split::Qwen2, &text), by_regex(QWEN2, &text));
        }

        #[test]
        fn smollm_is_digits_then_gpt2(text in text()) {
            let mut expected = Vec::new();
            for part in text.split_inclusive(char::is_numeric) {
                let digit = part.chars().next_back().filter(|c| c.is_numeric()).map_or(0, char::len_utf8);
                expected.extend(by_regex(GPT2, &part[..part.len() - digit]));
                expected.extend((digit > 0).then(|| &part[part.len() - digit..]));
            }
            prop_assert_eq!(pieces(&Split::SmolLm, &text), expected);
        }
    }

    #[test]
    fn what_a_text_ends_with() {
        let ends = [
            "",
            " ",
            "  ",
            "\n",
            " \n",
            "\n ",
            "\r\n\r\n",
            "\u{3000}",
            "\u{3000} ",
            "'",
            "'l",
            "'LL",
            " '",
            "\u{a0}!",
        ];
        for before in
            ["", "a", "가", "7", "!", "'re", "abcdefgh", "abcdefghi", "가나다 ", "\u{378}", "12345678"]
        {
            for text in ends.iter().flat_map(|end| [format!("{before}{end}"), format!("{end}{before}{end}")])
            {
                assert_eq!(pieces(&Split::Gpt2, &text), by_regex(GPT2, &text), "{text:?}");
                assert_eq!(pieces(&Split::Llama3, &text), by_regex(LLAMA3, &text), "{text:?}");
                assert_eq!(pieces(&Split::Qwen2, &text), by_regex(QWEN2, &text), "{text:?}");
            }
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
                assert_eq!(pieces(split, &text), expected);
            }
        }
    }
}
