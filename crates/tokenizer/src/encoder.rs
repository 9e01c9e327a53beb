//! Encoding much text: an [`Encoder`] for each thread, which remembers the words that it met.

use std::sync::Mutex;

use crate::byte_level::Words;
use crate::tokenizer::Tokenizer;

/// What an encoder's cache may take: the distinct words of some hundred megabytes of text.
const CACHE_BYTES: usize = 64 << 20;
/// What the cache of a single call may take.
const SMALL_CACHE_BYTES: usize = 2 << 20;
/// How many small caches wait for the next call.
const SPARES: usize = 8;

/// Encodes many texts on one thread. Each thread of several has its own; the tokenizer is shared.
///
/// The ids are those of [`Tokenizer::encode`], whatever was encoded before. It is faster because it keeps the ids of
/// words, in up to 64 MiB of memory, and more of them than a single call does. Memory is taken as words come.
///
/// ```
/// # let vocabulary = br#"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},
/// #   "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"}}"#;
/// # let tokenizer = sai_tokenizer::Tokenizer::from_tokenizer_json(vocabulary, None, "a".as_ref())?;
/// let mut encoder = tokenizer.encoder();
/// let mut ids = Vec::new();
/// for text in ["abab", "ba"] {
///     encoder.encode_into(text, &mut ids);
/// }
/// assert_eq!(ids, [2, 2, 1, 0]);
/// # Ok::<(), sai_tokenizer::Error>(())
/// ```
pub struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    words: Words,
}

impl Tokenizer {
    /// An encoder of many texts.
    pub fn encoder(&self) -> Encoder<'_> {
        self.encoder_within(CACHE_BYTES)
    }

    /// An encoder whose cache takes up to about `bytes` of memory, at least 320 KiB.
    pub fn encoder_within(&self, bytes: usize) -> Encoder<'_> {
        Encoder { tokenizer: self, words: Words::new(bytes) }
    }
}

impl Encoder<'_> {
    /// Adds to `ids` those of [`Tokenizer::encode`], special tokens in the text read as such.
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<u32>) {
        self.tokenizer.encode_into(text, false, &mut self.words, ids);
    }

    /// Adds to `ids` those of [`Tokenizer::encode_plain`], special tokens in the text left text.
    pub fn encode_plain_into(&mut self, text: &str, ids: &mut Vec<u32>) {
        self.tokenizer.encode_into(text, true, &mut self.words, ids);
    }
}

/// Small caches between the calls of [`Tokenizer::encode`], which come from any thread.
#[derive(Default)]
pub(crate) struct Spare(Mutex<Vec<Words>>);

impl Spare {
    pub(crate) fn take(&self) -> Words {
        let mut spares = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        spares.pop().unwrap_or_else(|| Words::new(SMALL_CACHE_BYTES))
    }

    pub(crate) fn give_back(&self, words: Words) {
        let mut spares = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if spares.len() < SPARES {
            spares.push(words);
        }
    }
}
