//! The little cleaning that a sample for a small model needs. A corpus for a large one wants more.

use serde::{Deserialize, Serialize};

/// What is taken out of documents, and which are passed over. Nothing, where nothing is said.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clean {
    /// Take out what stands between two lines `---` at the beginning.
    pub front_matter: bool,
    /// Take out blocks of code, and lines that are a table's, a directive's, a comment's or a link's alone; of others
    /// the marks of headings, emphasis and links.
    pub markup: bool,
    /// Pass over documents in which fewer characters than this share are letters, spaces or full stops and commas.
    pub prose: f64,
    /// Pass over documents of fewer bytes.
    pub shortest: usize,
    /// Of documents of more bytes take the beginning, up to the end of a paragraph; 0 takes them whole.
    pub longest: usize,
    /// Make documents of what follows too, each of up to `longest` bytes.
    pub pieces: bool,
    /// Pass over documents whose text was met before.
    pub duplicates: bool,
}

impl Clean {
    /// The documents that are left of one; none where it is passed over.
    pub(super) fn clean(&self, text: &str) -> Vec<String> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut rest = text.as_str();
        if self.front_matter {
            rest = without_front_matter(rest);
        }
        let text = if self.markup { without_markup(rest) } else { rest.to_owned() };
        let mut rest = text.trim();
        let mut left = Vec::new();
        while !rest.is_empty() {
            let end = match self.longest {
                0 => rest.len(),
                longest => end_of_paragraph(rest, longest),
            };
            let piece = rest[..end].trim();
            if !piece.is_empty() && piece.len() >= self.shortest && prose(piece) >= self.prose {
                left.push(piece.to_owned());
            }
            // A limit below one character leaves nothing to go on with.
            if !self.pieces || end == 0 {
                break;
            }
            rest = rest[end..].trim_start();
        }
        left
    }
}

fn without_front_matter(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("---\n") else { return text };
    rest.split_once("\n---\n").map_or(text, |(_, rest)| rest)
}

/// Where the last paragraph that is whole within `most` bytes ends, or the last line, or the last character.
fn end_of_paragraph(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let head = &text[..text.floor_char_boundary(most)];
    let end = head.rfind("\n\n").or_else(|| head.rfind('\n')).unwrap_or(head.len());
    if end * 2 < most { head.len() } else { end }
}

/// The share of characters that prose is made of.
fn prose(text: &str) -> f64 {
    let of_prose = |c: char| c.is_alphabetic() || c.is_whitespace() || ".,?!'\"".contains(c);
    let all = text.chars().count();
    text.chars().filter(|&c| of_prose(c)).count() as f64 / all.max(1) as f64
}

fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut fence = None;
    for line in text.lines() {
        let bare = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) if is_markup(bare) => {}
            (None, None) => plain(line.trim_end(), &mut out),
        }
        // One empty line divides paragraphs; what was taken out leaves no more.
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
    }
    out
}

/// A line that says nothing to a reader.
fn is_markup(line: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["|", "<!--", "<", "::", "{{", "{%", "![", "[!", ">[!", "> [!", ".. ", "import "];
    BEGINNINGS.iter().any(|mark| line.starts_with(mark))
        || (line.starts_with('[') && line.contains("]:"))
        || (!line.is_empty() && line.chars().all(|c| "-=*_+|: ".contains(c)))
}

/// A line without the marks of headings, emphasis, code and links.
fn plain(line: &str, out: &mut String) {
    let line = line.trim_start_matches('#').trim_start_matches(['>', ' ']);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '`' => after,
            '*' if after.starts_with('*') => &after[1..],
            '[' => match link(after) {
                Some((said, after)) => {
                    out.push_str(said);
                    after
                }
                None => {
                    out.push(c);
                    after
                }
            },
            _ => {
                out.push(c);
                after
            }
        };
    }
}

/// What a link says, and what stands behind it, of the text behind its `[`.
fn link(after: &str) -> Option<(&str, &str)> {
    let (said, rest) = after.split_once("](")?;
    let (_, rest) = rest.split_once(')')?;
    (!said.contains(['[', ']'])).then_some((said, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: &str = "---\ntitle: x\n---\n# A **title**\n\nSome [linked](http://x/) `text`.\r\n\n```rust\nlet x = 1;\n```\n\n| a | b |\n|---|---|\n\nEnd [1].\n";

    #[test]
    fn markup_goes_and_text_stays() {
        let clean = Clean { front_matter: true, markup: true, ..Clean::default() };
        assert_eq!(clean.clean(PAGE), ["A title\n\nSome linked text.\n\nEnd [1]."]);
        assert_eq!(Clean::default().clean(PAGE), [PAGE.replace("\r\n", "\n").trim()]);
    }

    #[test]
    fn documents_are_passed_over_and_cut() {
        let clean = Clean { shortest: 10, longest: 40, prose: 0.9, ..Clean::default() };
        assert!(clean.clean("short").is_empty());
        assert!(clean.clean("{a: [1, 2, 3], b: [4, 5, 6]}").is_empty());
        const TWO: &str = "one paragraph of many words\n\nand another one, too long";
        assert_eq!(clean.clean(TWO), ["one paragraph of many words"]);
        assert_eq!(clean.clean(&"가".repeat(50)), ["가".repeat(13)]);
        let clean = Clean { pieces: true, ..clean };
        assert_eq!(clean.clean(TWO), ["one paragraph of many words", "and another one, too long"]);
        assert_eq!(clean.clean(&"가".repeat(28)), ["가".repeat(13), "가".repeat(13)]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_cleaned(
            text in "[-#`*\\[\\]()|\n <>가a:]{0,200}",
            longest in 0usize..50,
            pieces in any::<bool>(),
        ) {
            let clean = Clean { front_matter: true, markup: true, longest, pieces, ..Clean::default() };
            let left = clean.clean(&text);
            prop_assert!(left.iter().map(String::len).sum::<usize>() <= text.len());
            prop_assert!(longest == 0 || left.iter().all(|piece| piece.len() <= longest));
        }
    }
}
