//! Training: a byte-level BPE vocabulary from texts.
//!
//! A [`Counter`] counts the distinct words of texts on any number of threads; [`Counter::learn`] makes tokens of the
//! pairs that are met most, and gives a [`Trained`] vocabulary. Merges are those of the trainer of `tokenizers`, ties
//! included, where its 32-bit counts suffice; here they have 64. Nothing depends on the number of threads or on the
//! order of the texts.
//!
//! Memory grows with distinct words and not with text, and is asked of a budget before it is taken.

mod budget;
mod count;
mod learn;
mod neighbours;
mod queue;
mod store;
mod text;
mod trained;
mod words;

pub use count::{Counter, Worker};
pub use trained::{RoleNames, Trained};

use crate::alphabet;
use crate::split::Split;

/// Where texts are cut into words, which no token reaches over.
#[derive(Clone, Debug)]
pub struct Pattern(pub(crate) Split);

impl Pattern {
    /// `gpt2`, `llama3`, `qwen2` or `smollm`; anything else is a regular expression, every match of which is a word,
    /// and so is what lies between matches.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] where it is no regular expression.
    pub fn new(pattern: &str) -> Result<Pattern, TrainError> {
        let split = match pattern {
            "gpt2" => Split::Gpt2,
            "llama3" => Split::Llama3,
            "qwen2" => Split::Qwen2,
            "smollm" => Split::SmolLm,
            word if word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) => {
                return Err(TrainError::Recipe(format!(
                    "`{word}` is neither gpt2, llama3, qwen2 nor smollm, and as a regular expression would cut at this \
                     word only"
                )));
            }
            other => Split::new(other)
                .map_err(|why| TrainError::Recipe(format!("the pattern is no regular expression: {why}")))?,
        };
        Ok(Pattern(split))
    }
}

/// What kind of vocabulary to train.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Where texts are cut into words.
    pub pattern: Pattern,
    /// Tokens, special ones and the 256 bytes included.
    pub vocab_size: usize,
    /// Whether text is brought to Unicode's composed form first.
    pub nfc: bool,
    /// Tokens that steer a model, which take the first ids in this order. In the texts they are text.
    pub specials: Vec<String>,
    /// A pair that is met less often makes no token.
    pub min_frequency: u64,
    /// Two tokens are not joined where they have so many bytes together, or more; two bytes always are. As the option
    /// of this name in `tokenizers`.
    pub max_token_length: Option<usize>,
}

impl Recipe {
    fn check(&self) -> Result<(), TrainError> {
        let refuse = |fact| Err(TrainError::Recipe(fact));
        for (at, special) in self.specials.iter().enumerate() {
            if special.is_empty() || special.contains(char::is_whitespace) {
                return refuse(format!("special token {special:?} is empty or has white space in it"));
            }
            if self.specials[..at].contains(special) {
                return refuse(format!("special token {special:?} is given twice"));
            }
            if alphabet::decode(special).is_some_and(|bytes| bytes.len() == 1) {
                return refuse(format!("special token {special:?} would stand for a byte of text"));
            }
        }
        let least = 256 + self.specials.len();
        if self.vocab_size < least || u32::try_from(self.vocab_size).is_err() {
            let size = self.vocab_size;
            return refuse(format!(
                "a vocabulary of {size} tokens has no room for {least} special ones and bytes"
            ));
        }
        Ok(())
    }
}

/// Why no vocabulary could be trained. One line each: the fact and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A recipe that cannot be followed.
    #[error("{0}")]
    Recipe(String),
    /// The words take more memory than allowed.
    #[error(
        "the distinct words in {text} bytes of text, of which {words} are together, need more than the {limit} bytes of \
         memory that were allowed; allow more, take fewer texts, or a pattern that makes shorter words"
    )]
    Memory {
        /// Bytes allowed.
        limit: usize,
        /// Distinct words so far, without those that threads still keep for themselves.
        words: u64,
        /// Bytes of text so far.
        text: u64,
    },
}
