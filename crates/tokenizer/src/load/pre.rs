//! Which pre-tokeniser a byte-level GGUF was made with that does not say.
//!
//! Files of before May 2024 have no `tokenizer.ggml.pre`. But no token reaches over a cut: a vocabulary with `.\n` or
//! `(x` in it was not learnt from words of GPT-2's, and one with `2024` not from LLaMA 3's. A few tokens may be pieces
//! of a word that would be cut by themselves, so that a share of them is allowed for.

use super::gguf::{GgufVocabulary, NORMAL};
use crate::alphabet;
use crate::split::Split;

/// Of so many tokens one may be cut.
const TOLERANCE: usize = 500;
/// Tokens from which on a vocabulary without two digits together says that digits stand alone.
const LARGE: usize = 10_000;

/// What the tokens tell.
pub(super) struct Guess {
    /// A name that `pre` may have.
    pub(super) name: &'static str,
    /// Whether no other would do.
    pub(super) certain: bool,
}

pub(super) fn guess(v: &GgufVocabulary) -> Guess {
    let kinds = v.token_types.iter().copied().chain(std::iter::repeat(NORMAL));
    let words: Vec<String> = v
        .tokens
        .iter()
        .zip(kinds)
        .filter(|(_, kind)| *kind == NORMAL)
        .filter_map(|(token, _)| String::from_utf8(alphabet::decode(token)?).ok())
        .filter(|text| text.len() > 1)
        .collect();
    let stands = |split: Split| {
        let cut = |word: &&String| {
            let mut pieces = 0;
            split.for_each_range(word, |_, _| pieces += 1);
            pieces > 1
        };
        words.iter().filter(cut).count() * TOLERANCE <= words.len()
    };
    let large = words.len() >= LARGE;
    match (stands(Split::Gpt2), stands(Split::Llama3)) {
        (true, false) if !stands(Split::SmolLm) => Guess { name: "gpt-2", certain: true },
        (true, false) if large => Guess { name: "smollm", certain: true },
        (false, true) if !stands(Split::Qwen2) => Guess { name: "llama-bpe", certain: true },
        (false, true) if large => Guess { name: "qwen2", certain: true },
        (false, true) => Guess { name: "llama-bpe", certain: false },
        _ => Guess { name: "gpt-2", certain: false },
    }
}
