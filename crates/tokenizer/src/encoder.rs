//! Encoding much text: an [`Encoder`] for each thread, which remembers the words that it met.

use std::sync::{Arc, Mutex, OnceLock};

use crate::byte_level::Words;
use crate::tokenizer::Tokenizer;
use crate::words::Tables;

/// What a tokenizer's encoders share: room for the distinct words of some hundred megabytes of text.
const SHARED_BYTES: usize = 64 << 20;
/// What single calls share.
const CALLS_BYTES: usize = 2 << 20;
/// How many calls' own tables wait for the next one.
const SPARES: usize = 8;

/// Encodes many texts on one thread. Each thread of several has its own; the tokenizer is shared.
///
/// The ids are those of [`Tokenizer::encode`], whatever was encoded before. It is faster because it keeps the ids of
/// words, and more of them than a single call does: in up to 5 MiB of its own, and in up to 64 MiB that it shares with all
/// encoders of its tokenizer. Memory is taken as words come.
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
    /// An encoder of many texts, which knows the words that other such encoders of this tokenizer met.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder { tokenizer: self, words: self.caches.words() }
    }

    /// An encoder that shares nothing, with up to about `bytes` of memory in place of the 64 MiB.
    pub fn encoder_within(&self, bytes: usize) -> Encoder<'_> {
        Encoder { tokenizer: self, words: Words::new(Arc::new(Tables::new(bytes))) }
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

/// What a tokenizer remembers between texts.
#[derive(Default)]
pub(crate) struct Caches {
    shared: OnceLock<Arc<Tables>>,
    of_calls: OnceLock<Arc<Tables>>,
    /// Between the calls of [`Tokenizer::encode`], which come from any thread.
    spares: Mutex<Vec<Words>>,
}

impl Caches {
    fn words(&self) -> Words {
        Words::new(self.shared.get_or_init(|| Arc::new(Tables::new(SHARED_BYTES))).clone())
    }

    /// What a single call uses, and gives back.
    pub(crate) fn take(&self) -> Words {
        let spare = self.spares.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        spare.unwrap_or_else(|| {
            Words::new(self.of_calls.get_or_init(|| Arc::new(Tables::new(CALLS_BYTES))).clone())
        })
    }

    pub(crate) fn give_back(&self, words: Words) {
        let mut spares = self.spares.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if spares.len() < SPARES {
            spares.push(words);
        }
    }
}
