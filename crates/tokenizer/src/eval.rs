//! How well a vocabulary suits a language: how short it makes texts, and whether they come back.

use std::ops::{AddAssign, ControlFlow, Range};

use unicode_normalization::UnicodeNormalization;

use crate::error::Error;
use crate::tokenizer::{Kind, Tokenizer};

/// How many Hangul syllables there are, 가 to 힣.
pub const SYLLABLES: usize = 11_172;

/// What judging some texts found.
///
/// A word is what stands between white space: an eojeol where it has a Hangul syllable, an English word where it has
/// an ASCII letter and none. A token is a word's if the first word that it touches is that one, so the space before a
/// word costs nothing, and tokens of white space alone are no word's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenizerMetrics {
    /// Texts.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Eojeols, and the tokens of them.
    pub eojeols: u64,
    /// Tokens of eojeols.
    pub eojeol_tokens: u64,
    /// English words.
    pub words: u64,
    /// Tokens of English words.
    pub word_tokens: u64,
    /// Tokens for what the vocabulary cannot say.
    pub unknown: u64,
    /// Texts that came back as they were, composed (NFC).
    pub returned_nfc: u64,
    /// Texts that came back as they were, decomposed (NFD).
    pub returned_nfd: u64,
}

impl TokenizerMetrics {
    /// Bytes of text for each token: the more, the shorter.
    pub fn bytes_per_token(&self) -> f64 {
        ratio(self.bytes, self.tokens).unwrap_or(0.0)
    }

    /// Tokens of an eojeol, where there are any.
    pub fn tokens_per_eojeol(&self) -> Option<f64> {
        ratio(self.eojeol_tokens, self.eojeols)
    }

    /// Tokens of an English word, where there are any.
    pub fn tokens_per_word(&self) -> Option<f64> {
        ratio(self.word_tokens, self.words)
    }

    /// The share of texts that came back, composed and decomposed.
    pub fn returned(&self) -> (f64, f64) {
        let share = |count| ratio(count, self.documents).unwrap_or(1.0);
        (share(self.returned_nfc), share(self.returned_nfd))
    }
}

impl AddAssign for TokenizerMetrics {
    fn add_assign(&mut self, more: TokenizerMetrics) {
        self.documents += more.documents;
        self.bytes += more.bytes;
        self.tokens += more.tokens;
        self.eojeols += more.eojeols;
        self.eojeol_tokens += more.eojeol_tokens;
        self.words += more.words;
        self.word_tokens += more.word_tokens;
        self.unknown += more.unknown;
        self.returned_nfc += more.returned_nfc;
        self.returned_nfd += more.returned_nfd;
    }
}

fn ratio(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

/// Judges a vocabulary on texts. `progress` hears of the bytes of each, and ends the work with
/// [`ControlFlow::Break`], which is then returned.
///
/// # Errors
/// The `tokenizers` library refuses a text.
pub fn judge<'t>(
    tokenizer: &Tokenizer,
    texts: impl Iterator<Item = &'t str>,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<ControlFlow<(), TokenizerMetrics>, Error> {
    let mut all = TokenizerMetrics::default();
    for text in texts {
        all += judge_text(tokenizer, text)?;
        if progress(text.len()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(all))
}

fn judge_text(tokenizer: &Tokenizer, text: &str) -> Result<TokenizerMetrics, Error> {
    let placed = tokenizer.encode_plain_with_offsets(text)?;
    let mut found = TokenizerMetrics {
        documents: 1,
        bytes: text.len() as u64,
        tokens: placed.len() as u64,
        ..TokenizerMetrics::default()
    };
    let mut tokens = placed.iter().map(|(_, range)| range.clone()).peekable();
    for word in words(text) {
        // Tokens that end before the word are white space; those that begin before its end are its own.
        while tokens.next_if(|token| token.end <= word.start).is_some() {}
        let mut count = 0;
        while tokens.next_if(|token| token.start < word.end).is_some() {
            count += 1;
        }
        let word = &text[word];
        if word.chars().any(is_syllable) {
            found.eojeols += 1;
            found.eojeol_tokens += count;
        } else if word.bytes().any(|b| b.is_ascii_alphabetic()) {
            found.words += 1;
            found.word_tokens += count;
        }
    }
    if let Some(unknown) = tokenizer.unk() {
        found.unknown = placed.iter().filter(|(id, _)| *id == unknown).count() as u64;
    }
    let composed: String = text.nfc().collect();
    let decomposed: String = text.nfd().collect();
    found.returned_nfc = u64::from(returns(tokenizer, &composed));
    found.returned_nfd = u64::from(returns(tokenizer, &decomposed));
    Ok(found)
}

/// Whether a text comes back from its ids as it was.
fn returns(tokenizer: &Tokenizer, text: &str) -> bool {
    tokenizer.decode_with_special(&tokenizer.encode_plain(text)) == text
}

/// Where the words of a text stand.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let start = text.as_ptr() as usize;
    text.split_whitespace().map(move |word| {
        let from = word.as_ptr() as usize - start;
        from..from + word.len()
    })
}

fn is_syllable(c: char) -> bool {
    ('가'..='힣').contains(&c)
}

/// How many of the [`SYLLABLES`] are one token.
pub fn syllables(tokenizer: &Tokenizer) -> usize {
    let mut text = String::new();
    ('가'..='힣')
        .filter(|&syllable| {
            text.clear();
            text.push(syllable);
            match tokenizer.kind() {
                Kind::ByteLevelBpe => tokenizer.encode_plain(&text).len() == 1,
                // Others may put a mark of their own before a text; that the piece is there is what counts.
                Kind::Library => tokenizer.id_of(&text).is_some(),
            }
        })
        .count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixture(name: &str) -> Tokenizer {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        Tokenizer::from_tokenizer_json(&std::fs::read(&path).unwrap(), None, &path).unwrap()
    }

    fn figures(tokenizer: &Tokenizer, texts: &[&str]) -> TokenizerMetrics {
        let mut heard = 0;
        let found = judge(tokenizer, texts.iter().copied(), |bytes| {
            heard += bytes;
            ControlFlow::Continue(())
        });
        assert_eq!(heard, texts.iter().map(|t| t.len()).sum::<usize>());
        match found.unwrap() {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(()) => panic!("nobody stopped it"),
        }
    }

    #[test]
    fn a_words_tokens_are_those_it_has_alone() {
        for name in ["gpt2.json", "llama3.json", "qwen2.json", "smollm.json"] {
            let tokenizer = fixture(name);
            let text = " 한국어 문장은 two English words와 it's 뷁뷁 3.14 끝\n\n";
            let found = figures(&tokenizer, &[text]);
            // A space that is a token of its own is no word's.
            let alone = |words: &[&str]| -> u64 {
                let ids = words.iter().flat_map(|word| tokenizer.encode_plain(&format!(" {word}")));
                ids.filter(|&id| tokenizer.token_text(id) != " ").count() as u64
            };
            let (korean, english) =
                (["한국어", "문장은", "words와", "뷁뷁", "끝"], ["two", "English", "it's"]);
            assert_eq!((found.eojeols, found.eojeol_tokens), (5, alone(&korean)), "{name}");
            assert_eq!((found.words, found.word_tokens), (3, alone(&english)), "{name}");
            assert_eq!(found.tokens, tokenizer.encode_plain(text).len() as u64);
            assert_eq!(found.bytes, text.len() as u64);
        }
    }

    #[test]
    fn what_comes_back_is_counted() {
        let texts = ["가나다 é", "plain", "\u{1100}\u{1161}"];
        let plain = figures(&fixture("gpt2.json"), &texts);
        assert_eq!((plain.documents, plain.returned_nfc, plain.returned_nfd), (3, 3, 3));
        // Qwen2 composes; what has no other form comes back alone.
        let composing = figures(&fixture("qwen2.json"), &texts);
        assert_eq!((composing.returned_nfc, composing.returned_nfd), (3, 1));
        assert_eq!(composing.returned(), (1.0, 1.0 / 3.0));
        let none = TokenizerMetrics::default();
        assert_eq!(
            (none.tokens_per_eojeol(), none.tokens_per_word(), none.bytes_per_token()),
            (None, None, 0.0)
        );
    }

    #[test]
    fn syllables_are_counted_one_by_one() {
        for name in ["gpt2.json", "llama3.json"] {
            let tokenizer = fixture(name);
            let count = syllables(&tokenizer);
            let whole = (0..tokenizer.vocab_size() as u32)
                .filter(|&id| {
                    let text = tokenizer.token_text(id);
                    let mut chars = text.chars();
                    chars.next().is_some_and(is_syllable) && chars.next().is_none()
                })
                .count();
            assert_eq!(count, whole, "{name}");
        }
    }

    #[test]
    fn judging_ends_when_it_is_told_to() {
        let flow = judge(&fixture("gpt2.json"), ["a", "b"].into_iter(), |_| ControlFlow::Break(()));
        assert!(flow.unwrap().is_break());
    }
}
