//! Telling vocabularies apart: by what they make of text.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::split::Split;
use crate::tokenizer::{Engine, Tokenizer};

impl Tokenizer {
    /// SHA-256 of all that decides on the ids of a text: tokens, merges, the pre-tokeniser and its rules, and added
    /// tokens. Files that differ in form alone, such as a folder and the GGUF made of it, have the same one; so have
    /// those that differ in the roles of tokens.
    ///
    /// # Errors
    /// The `tokenizers` library cannot write its vocabulary down.
    pub fn fingerprint(&self) -> Result<[u8; 32], Error> {
        let mut sum = Parts(Sha256::new());
        sum.number(self.vocab_size() as u64);
        for id in 0..self.vocab_size() as u32 {
            sum.bytes(self.bytes(id).unwrap_or_default());
        }
        let mut added: Vec<_> = self.added.iter().collect();
        added.sort_by_key(|token| token.id);
        sum.number(added.len() as u64);
        for token in added {
            sum.number(u64::from(token.id));
            sum.bytes(token.content.as_bytes());
            for flag in [token.special, token.normalized, token.lstrip, token.rstrip, token.single_word] {
                sum.number(u64::from(flag));
            }
        }
        match &self.engine {
            Engine::ByteLevel(bpe) => {
                let rules = &bpe.rules;
                sum.bytes(b"byte-level BPE");
                sum.bytes(rules.split.name().as_bytes());
                if let Split::Pattern(pattern) = &rules.split {
                    sum.bytes(pattern.source().as_bytes());
                }
                for flag in [rules.prefix_space, rules.nfc, rules.ignore_merges, rules.fuse_unknown] {
                    sum.number(u64::from(flag));
                }
                sum.number(rules.unknown.map_or(0, |id| u64::from(id) + 1));
                for (left, right) in bpe.merges_in_order() {
                    sum.number(u64::from(left) << 32 | u64::from(right));
                }
            }
            Engine::Library { library, .. } => {
                sum.bytes(b"library");
                let json = library.json(Path::new("the vocabulary"))?;
                sum.bytes(json.to_string().as_bytes());
            }
        }
        Ok(sum.0.finalize().into())
    }
}

/// Parts that cannot run into each other: each says its length first.
struct Parts(Sha256);

impl Parts {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }
}
