//! Byte-level BPE: words become bytes, bytes become symbols, and symbols are merged.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use unicode_normalization::{
    IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc, is_nfc_quick,
};

use crate::alphabet;
use crate::error::{Error, quoted};
use crate::merge::{Merges, Pair, Scratch, Small};
use crate::split::Split;
use crate::syllables::Syllables;
use crate::table::{TokenTable, index};
use crate::words::{BATCH, Tables, WordCache};

const NONE: u32 = u32::MAX;
/// How many new words are merged side by side.
const TOGETHER: usize = 8;

/// How a byte-level vocabulary treats text, beside its tokens and merges.
#[derive(Clone, Debug)]
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
    missing_bytes: usize,
    merges: Merges,
    syllables: Syllables,
    ids: FxHashMap<Box<[u8]>, u32>,
}

/// What one thread needs to encode, beside the vocabulary: it belongs to one.
pub(crate) struct Words {
    cache: WordCache,
    scratch: Scratch,
    /// Words that are merged beside each other.
    small: Vec<(usize, Small)>,
}

impl Words {
    /// Over tables that others may share.
    pub(crate) fn new(tables: Arc<Tables>) -> Words {
        Words { cache: WordCache::new(tables), scratch: Scratch::default(), small: Vec::new() }
    }
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
        let mut pairs = Vec::with_capacity(merges.len());
        let mut joined = String::new();
        for (rank, (left, right)) in merges.enumerate() {
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            pairs.push(Pair {
                left: find(left, rank)?,
                right: find(right, rank)?,
                into: find(&joined, rank)?,
            });
        }
        let known = Merges::new(pairs);
        let mut bytes = [NONE; 256];
        for (byte, id) in (0..=255u8).zip(&mut bytes) {
            let mut buffer = [0; 4];
            let piece = alphabet::char_of(byte).encode_utf8(&mut buffer);
            *id = by_piece.get(&*piece).copied().filter(|&id| is_text(id)).unwrap_or(NONE);
        }
        let ids: FxHashMap<Box<[u8]>, u32> = tokens
            .iter()
            .zip(0u32..)
            .filter(|(_, id)| is_text(*id))
            .filter_map(|(piece, id)| Some((alphabet::decode(piece)?.into_boxed_slice(), id)))
            .collect();
        let syllables = Syllables::new(
            &known,
            &bytes,
            |text| ids.contains_key(text),
            |id| alphabet::decode(tokens.get(id as usize)?),
        );
        let missing_bytes = bytes.iter().filter(|&&id| id == NONE).count();
        Ok(ByteLevel { rules, bytes, missing_bytes, merges: known, syllables, ids })
    }

    pub(crate) fn merges(&self) -> usize {
        self.merges.len()
    }

    /// The pairs of ids that merge, earliest learnt first.
    pub(crate) fn merges_in_order(&self) -> Vec<(u32, u32)> {
        self.merges.in_order().map(|(left, right, _)| (left, right)).collect()
    }

    /// How many of the 256 bytes no token stands for.
    pub(crate) fn missing_bytes(&self) -> usize {
        self.missing_bytes
    }

    /// The id of exactly these bytes as text.
    pub(crate) fn id_of(&self, bytes: &[u8]) -> Option<u32> {
        self.ids.get(bytes).copied()
    }

    /// The text that is cut and merged, normalised where the vocabulary asks for it.
    pub(crate) fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.rules.nfc && !is_plainly_nfc(text) && !is_nfc(text) {
            Cow::Owned(text.nfc().collect())
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The text with the space before it that the vocabulary may ask for.
    fn prefixed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.rules.prefix_space && !text.starts_with(' ') {
            Cow::Owned(format!(" {text}"))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Encodes normalised text that holds no added token, one word after another, each by its merges. `word` is
    /// told of each word's end in `out`. This is what [`ByteLevel::encode`] does, without its cache.
    pub(crate) fn encode_words(
        &self,
        text: &str,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
        mut word: impl FnMut(&str, Range<usize>),
    ) {
        self.rules.split.for_each(&self.prefixed(text), |piece| {
            let start = out.len();
            self.encode_word(piece.as_bytes(), scratch);
            out.extend_from_slice(&scratch.symbols);
            word(piece, start..out.len());
        });
    }

    /// Encodes normalised text that holds no added token.
    pub(crate) fn encode(&self, text: &str, words: &mut Words, out: &mut Vec<u32>) {
        let text = self.prefixed(text);
        let bytes = text.as_bytes();
        // First the cuts of some words and then their ids: two small loops, and no call for each word.
        let mut ends = [0; BATCH];
        let (mut count, mut start) = (0, 0);
        self.rules.split.for_each_range(&text, |_, end| {
            ends[count] = end;
            count += 1;
            if count == BATCH {
                self.encode_batch(bytes, start, &ends, words, out);
                (count, start) = (0, end);
            }
        });
        self.encode_batch(bytes, start, &ends[..count], words, out);
    }

    /// Adds to `out` the ids of words that follow each other from `start` on, at most [`BATCH`].
    #[inline(never)]
    fn encode_batch(&self, text: &[u8], start: usize, ends: &[usize], words: &mut Words, out: &mut Vec<u32>) {
        let Words { cache, scratch, small } = words;
        cache.encode(text, start, ends, out, |new, give| self.encode_new(text, new, scratch, small, give));
    }

    /// Gives the ids of each of `new` words of `text`, with its number among them, in no order.
    fn encode_new(
        &self,
        text: &[u8],
        new: &[Range<usize>],
        scratch: &mut Scratch,
        small: &mut Vec<(usize, Small)>,
        give: &mut dyn FnMut(usize, &[u32]),
    ) {
        for (first, group) in (0..).step_by(TOGETHER).zip(new.chunks(TOGETHER)) {
            for (number, word) in (first..).zip(group) {
                if !self.begin_word(&text[word.clone()], scratch) {
                    give(number, &scratch.symbols);
                } else if let Some(word) = self.merges.small(&scratch.symbols) {
                    small.push((number, word));
                } else {
                    self.merges.run(scratch);
                    give(number, &scratch.symbols);
                }
            }
            self.merges.run_together(small, |number, word| {
                scratch.symbols.clear();
                scratch.symbols.extend(word.symbols());
                give(number, &scratch.symbols);
            });
        }
    }

    /// Encodes one word into `scratch.symbols`.
    fn encode_word(&self, word: &[u8], scratch: &mut Scratch) {
        if self.begin_word(word, scratch) {
            self.merges.run(scratch);
        }
    }

    /// Puts into `scratch.symbols` what a word's merges begin with; says whether they are still to be done.
    fn begin_word(&self, word: &[u8], scratch: &mut Scratch) -> bool {
        scratch.symbols.clear();
        if self.rules.ignore_merges
            && let Some(id) = self.id_of(word)
        {
            scratch.symbols.push(id);
            return false;
        }
        if self.missing_bytes == 0 {
            self.syllables.symbols(word, &self.bytes, &mut scratch.symbols);
            return true;
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
        true
    }
}

/// Whether a text has only characters that neither compose nor are composed: what is below U+0300, Hangul
/// syllables, and the ideographs of the first plane. Most texts are told by this, ten times as fast.
fn is_plainly_nfc(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\0'..='\u{2ff}' | '가'..='힣' | '\u{4e00}'..='\u{9fff}'))
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
