//! # tokenizer: text to token ids and back
//!
//! In: a folder as Hugging Face publishes it, or the vocabulary facts of a GGUF. Out: a [`Tokenizer`] that
//! encodes text, decodes ids at once or as they come ([`Stream`]), and names the tokens that open and end a
//! text; and a [`ChatTemplate`] that writes a conversation the way a model was taught to read one.
//!
//! Byte-level BPE, which is what the models that sai builds and runs use, is our own: a text is cut at its
//! added tokens ([`AddedToken`]), the rest is cut into words by the pre-tokeniser of GPT-2, SmolLM, LLaMA 3 or
//! Qwen2 or by an expression of the file's own, and each word's bytes are merged in the order in which the
//! vocabulary learnt its pairs. An [`Encoder`] does this for many texts and remembers words. Nothing here
//! costs more than n log n, whatever the text, but what an expression of a file may, which is bounded. Every other kind of vocabulary goes through the `tokenizers`
//! library behind the same type. Ids are those of that library, always.
//!
//! A vocabulary also goes the other way: [`Tokenizer::to_gguf`] gives the facts of a GGUF, and
//! [`GgufVocabulary::to_folder`] the files of a folder, with the same ids for every text that both can say.
//!
//! New vocabularies come from [`train`], which counts the words of texts and learns the merges of byte-level BPE.
//!
//! Three rules keep a conversation honest. [`Tokenizer::encode`] reads special tokens written in a text and is
//! for templates; [`Tokenizer::encode_plain`] leaves them text and is for what people type. No id is ever added
//! by either: a template opens its own text, and for plain text the caller asks [`Tokenizer::add_bos`]. And a
//! syllable split over tokens is held back until it is whole.
//!
//! Files are hostile until checked: ids must run from 0 without a gap, merges must name tokens that exist, and
//! nothing is allocated that the file's own length does not justify. A template runs on a budget of steps,
//! depth and output. Character classes are those of Unicode 16.0.
//!
//! This room reads no weights, keeps no clock and prints nothing: GGUF metadata comes in as a plain struct,
//! [`GgufVocabulary`], and the time that a template may ask for is given by the caller.

mod added;
mod alphabet;
mod blocks;
mod borders;
mod byte_level;
mod classes;
mod encoder;
mod error;
pub mod eval;
mod fingerprint;
mod hash;
mod known;
mod library;
mod lines;
mod load;
mod merge;
mod pairs;
mod pattern;
mod runs;
mod save;
mod split;
mod stream;
mod syllables;
mod table;
mod template;
mod tokenizer;
pub mod train;
mod unicode_ranges;
mod words;

pub use added::AddedToken;
pub use encoder::Encoder;
pub use error::Error;
pub use load::{folder::FolderTemplateError, gguf::GgufVocabulary};
pub use save::gguf::GgufExport;
pub use stream::Stream;
pub use template::{ChatTemplate, Message, SpecialTokens, TemplateError, TemplateInput, TemplateSources};
pub use tokenizer::{Kind, Tokenizer, TokenizerInfo};

/// The civil date and time that a template's `strftime_now` is given.
pub use jiff::civil::DateTime;
