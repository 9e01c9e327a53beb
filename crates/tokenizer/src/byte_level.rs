//! Byte-level BPE: words become bytes, bytes become symbols, and symbols are merged.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use rustc_hash::FxHashMap;
use unicode_normalization::{
    IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc, is_nfc_quick,
};

use crate::alphabet;
use crate::error::{Error, quoted};
use crate::merge::{Merges, Scratch};
use crate::split::Split;
use crate::table::{TokenTable, index};

const NONE: u32 = u32::MAX;
/// Words longer than this are not kept for a second meeting in the same text.
const CACHED_BYTES: usize = 32;

/// How a byte-level vocabulary treats text, beside its tokens and merges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) split: Split,
    /// A space goes before each stretch of text that has none.
    pub(crate) prefix_space: bool,
    /// Text is brought to Unicode's composed form first.
    pub(crate) nfc: bool,
    /// A word that is a token is that token, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// What stands for a byte outside the vocabulary; without it such a byte is dropped.
    pub(crate) unknown: Option<u32>,
    pub(crate) fuse_unknown: bool,
}

impl Rules {
    pub(crate) fn new(split: Split) -> Rules {
        let ignore_merges = false;
        Rules { split, prefix_space: false, nfc: false, ignore_merges, unknown: None, fuse_unknown: false }
    }
}

/// A byte-level BPE vocabulary, ready to encode words.
pub(crate) struct ByteLevel {
    pub(crate) rules: Rules,
    bytes: [u32; 256],
    merges: Merges,
    ids: FxHashMap<Box<[u8]>, u32>,
}

impl ByteLevel {
    /// `tokens` are the pieces by id, in the byte alphabet; `is_text` tells those that words
    /// are made of; the others are only found whole, as added tokens.
    pub(crate) fn new<'m>(
        tokens: &[String],
        is_text: impl Fn(u32) -> bool,
        merges: impl ExactSizeIterator<Item = (&'m str, &'m str)>,
        rules: Rules,
        vocabulary_path: &Path,
        merges_path: &Path,
    ) -> Result<ByteLevel, Error> {
        let by_piece = index(tokens, vocabulary_path)?;
        let find = |piece: &str, rank: usize| {
            by_piece.get(piece).copied().ok_or_else(|| {
                let fact = format!("merge {rank} names {}, which is not in the vocabulary", quoted(piece));
                Error::vocabulary(merges_path, fact)
            })
        };
        let mut known = Merges::with_capacity(merges.len());
        let mut joined = String::new();
        for (rank, (left, right)) in merges.enumerate() {
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            known.insert(find(left, rank)?, find(right, rank)?, rank as u32, find(&joined, rank)?);
        }
        let mut bytes = [NONE; 256];
        for (byte, id) in (0..=255u8).zip(&mut bytes) {
            let mut buffer = [0; 4];
            let piece = alphabet::char_of(byte).encode_utf8(&mut buffer);
            *id = by_piece.get(&*piece).copied().filter(|&id| is_text(id)).unwrap_or(NONE);
        }
        let ids = tokens
            .iter()
            .zip(0u32..)
            .filter(|(_, id)| is_text(*id))
            .filter_map(|(piece, id)| Some((alphabet::decode(piece)?.into_boxed_slice(), id)))
            .collect();
        Ok(ByteLevel { rules, bytes, merges: known, ids })
    }

    pub(crate) fn merges(&self) -> usize {
        self.merges.len()
    }

    /// The pairs of ids that merge, earliest learnt first.
    pub(crate) fn merges_in_order(&self) -> Vec<(u32, u32)> {
        self.merges.in_order()
    }

    /// How many of the 256 bytes no token stands for.
    pub(crate) fn missing_bytes(&self) -> usize {
        self.bytes.iter().filter(|&&id| id == NONE).count()
    }

    /// The id of exactly these bytes as text.
    pub(crate) fn id_of(&self, bytes: &[u8]) -> Option<u32> {
        self.ids.get(bytes).copied()
    }

    /// The text that is cut and merged, normalised where the vocabulary asks for it.
    pub(crate) fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.rules.nfc && !is_nfc(text) { Cow::Owned(text.nfc().collect()) } else { Cow::Borrowed(text) }
    }

    /// Encodes normalised text that holds no added token. `word` is told of each word's end in `out`.
    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u32>, mut word: impl FnMut(&str, Range<usize>)) {
        let prefixed;
        let text = if self.rules.prefix_space && !text.starts_with(' ') {
            prefixed = format!(" {text}");
            prefixed.as_str()
        } else {
            text
        };
        let mut scratch = Scratch::default();
        let mut met: FxHashMap<&str, (usize, usize)> = FxHashMap::default();
        self.rules.split.for_each(text, |piece| {
            let start = out.len();
            if let Some(&(from, to)) = met.get(piece) {
                out.extend_from_within(from..to);
            } else {
                self.encode_word(piece.as_bytes(), &mut scratch);
                out.extend_from_slice(&scratch.symbols);
                if piece.len() <= CACHED_BYTES {
                    met.insert(piece, (start, out.len()));
                }
            }
            word(piece, start..out.len());
        });
    }

    /// Encodes one word into `scratch.symbols`.
    fn encode_word(&self, word: &[u8], scratch: &mut Scratch) {
        scratch.symbols.clear();
        if self.rules.ignore_merges
            && let Some(id) = self.id_of(word)
        {
            scratch.symbols.push(id);
            return;
        }
        // A byte at a time would give a character of two unknown bytes two unknowns, as `tokenizers` does.
        let mut after_unknown = false;
        for &byte in word {
            let id = self.bytes[usize::from(byte)];
            if id != NONE {
                scratch.symbols.push(id);
            } else if let Some(unknown) = self.rules.unknown
                && !(after_unknown && self.rules.fuse_unknown)
            {
                scratch.symbols.push(unknown);
            }
            after_unknown = id == NONE;
        }
        self.merges.run(scratch);
    }
}

/// Where each byte of the composed form of `text` came from: pairs of (composed, original) offsets, one at
/// each place where neither side can join the other, both ends included.
pub(crate) fn composition_map(text: &str) -> Vec<(usize, usize)> {
    let boundary =
        |c: char| canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes;
    let mut map = vec![(0, 0)];
    let mut from = 0;
    let mut composed = 0;
    for (at, _) in text.char_indices().filter(|&(at, c)| at > 0 && boundary(c)) {
        composed += text[from..at].nfc().map(char::len_utf8).sum::<usize>();
        map.push((composed, at));
        from = at;
    }
    composed += text[from..].nfc().map(char::len_utf8).sum::<usize>();
    map.push((composed, text.len()));
    map
}

/// The byte ranges of a word's ids in it: each as long as its token, or the whole word where the ids do not
/// spell it (a byte outside the vocabulary).
pub(crate) fn spell(
    table: &TokenTable,
    ids: &[u32],
    word: Range<usize>,
    mut put: impl FnMut(u32, Range<usize>),
) {
    let length = |id: u32| table.get(id).map_or(0, <[u8]>::len);
    let exact = ids.iter().map(|&id| length(id)).sum::<usize>() == word.len();
    let mut at = word.start;
    for &id in ids {
        let end = if exact { at + length(id) } else { word.end };
        put(id, if exact { at..end } else { word.clone() });
        at = end;
    }
}
