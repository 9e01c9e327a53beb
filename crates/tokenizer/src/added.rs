//! Added tokens: pieces found in a text before it is cut into words, as `tokenizers` finds them.
//!
//! The longest that begins leftmost wins. Those marked `normalized` are looked for after normalisation,
//! the others before it. `lstrip` and `rstrip` take the white space beside a token into it, `single_word`
//! refuses one that touches a word.

use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::FxHashMap;

use crate::classes::is_word;
use crate::error::{Error, quoted};

/// All added tokens of a vocabulary together may be this long; real ones stay under 64 KiB.
const MAX_BYTES: usize = 4 << 20;

/// A token that is recognised in text whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether it steers the model rather than being text: skipped by `decode` and by `encode_plain`.
    pub special: bool,
    /// Whether it is looked for after normalisation.
    pub normalized: bool,
    /// Whether it takes white space before it.
    pub lstrip: bool,
    /// Whether it takes white space after it.
    pub rstrip: bool,
    /// Whether it is only recognised apart from word characters.
    pub single_word: bool,
}

impl AddedToken {
    pub(crate) fn special(id: u32, content: impl Into<String>) -> AddedToken {
        AddedToken {
            id,
            content: content.into(),
            special: true,
            normalized: false,
            lstrip: false,
            rstrip: false,
            single_word: false,
        }
    }
}

/// A stretch of text: an added token, or text between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    pub(crate) id: Option<u32>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The added tokens of a vocabulary, ready to be found.
pub(crate) struct AddedTokens {
    tokens: Vec<AddedToken>,
    by_content: FxHashMap<String, usize>,
    by_id: FxHashMap<u32, usize>,
    raw: Finder,
    normalized: Finder,
}

#[derive(Default)]
struct Finder {
    automaton: Option<AhoCorasick>,
    tokens: Vec<usize>,
}

impl AddedTokens {
    /// `normalize` is applied to the tokens that are looked for in normalised text.
    pub(crate) fn new(
        list: Vec<AddedToken>,
        path: &Path,
        normalize: impl Fn(&str) -> String,
    ) -> Result<AddedTokens, Error> {
        let mut tokens: Vec<AddedToken> = Vec::with_capacity(list.len());
        let mut by_content: FxHashMap<String, usize> = FxHashMap::default();
        let mut by_id: FxHashMap<u32, usize> = FxHashMap::default();
        let mut bytes = 0usize;
        for token in list.into_iter().filter(|t| !t.content.is_empty()) {
            let name = quoted(&token.content);
            bytes = bytes.saturating_add(token.content.len());
            if bytes > MAX_BYTES {
                return Err(Error::vocabulary(path, "the added tokens are longer than 4 MiB together"));
            }
            if let Some(&at) = by_content.get(&token.content) {
                if tokens[at].id != token.id {
                    let (a, b) = (tokens[at].id, token.id);
                    return Err(Error::vocabulary(path, format!("added token {name} has ids {a} and {b}")));
                }
                tokens[at] = token;
                continue;
            }
            if let Some(&at) = by_id.get(&token.id) {
                let other = quoted(&tokens[at].content);
                let fact = format!("added tokens {other} and {name} share id {}", token.id);
                return Err(Error::vocabulary(path, fact));
            }
            by_content.insert(token.content.clone(), tokens.len());
            by_id.insert(token.id, tokens.len());
            tokens.push(token);
        }
        let raw = Finder::new(&tokens, path, |t| (!t.normalized).then(|| t.content.clone()))?;
        let normalized = Finder::new(&tokens, path, |t| t.normalized.then(|| normalize(&t.content)))?;
        Ok(AddedTokens { tokens, by_content, by_id, raw, normalized })
    }

    pub(crate) fn get(&self, id: u32) -> Option<&AddedToken> {
        self.by_id.get(&id).map(|&at| &self.tokens[at])
    }

    pub(crate) fn id_of(&self, content: &str) -> Option<u32> {
        self.by_content.get(content).map(|&at| self.tokens[at].id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &AddedToken> {
        self.tokens.iter()
    }

    /// Cuts text as it was given. `plain` leaves special tokens in the text.
    pub(crate) fn cut_raw(&self, text: &str, plain: bool) -> Vec<Piece> {
        self.raw.cut(&self.tokens, text, plain)
    }

    /// Cuts normalised text.
    pub(crate) fn cut_normalized(&self, text: &str, plain: bool) -> Vec<Piece> {
        self.normalized.cut(&self.tokens, text, plain)
    }
}

impl Finder {
    fn new(
        tokens: &[AddedToken],
        path: &Path,
        pattern: impl Fn(&AddedToken) -> Option<String>,
    ) -> Result<Finder, Error> {
        let (indices, patterns): (Vec<usize>, Vec<String>) = tokens
            .iter()
            .enumerate()
            .filter_map(|(at, token)| Some((at, pattern(token).filter(|p| !p.is_empty())?)))
            .unzip();
        if patterns.is_empty() {
            return Ok(Finder::default());
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .map_err(|e| Error::vocabulary(path, format!("the added tokens cannot be searched for: {e}")))?;
        Ok(Finder { automaton: Some(automaton), tokens: indices })
    }

    fn cut(&self, tokens: &[AddedToken], text: &str, plain: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut done = 0;
        let found = self.automaton.iter().flat_map(|a| a.find_iter(text));
        for m in found {
            let token = &tokens[self.tokens[m.pattern().as_usize()]];
            let (mut start, mut end) = (m.start(), m.end());
            if plain && token.special {
                continue;
            }
            let touches = text[..start].chars().next_back().is_some_and(is_word)
                || text[end..].chars().next().is_some_and(is_word);
            if token.single_word && touches {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                pieces.push(Piece { id: None, start: done, end: start });
            }
            pieces.push(Piece { id: Some(token.id), start, end });
            done = end;
        }
        if done < text.len() {
            pieces.push(Piece { id: None, start: done, end: text.len() });
        }
        pieces
    }
}
