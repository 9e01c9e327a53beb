//! A tokenizer as the vocabulary facts of a GGUF.

use std::path::Path;

use rustc_hash::FxHashSet;

use super::{padding, sentence_piece};
use crate::alphabet;
use crate::byte_level::{ByteLevel, Rules};
use crate::error::{Error, quoted};
use crate::load::gguf::{BYTE, CONTROL, GgufVocabulary, NORMAL, UNKNOWN, UNUSED, USER_DEFINED};
use crate::split::Split;
use crate::tokenizer::{END_NAMES, Engine, Tokenizer};

/// A vocabulary for a GGUF, and what it leaves unsaid.
#[derive(Clone, Debug)]
pub struct GgufExport {
    /// The facts.
    pub vocabulary: GgufVocabulary,
    /// Where a text may be cut otherwise than by the tokenizer itself, for people: one line each.
    pub notes: Vec<String>,
}

/// The name under which llama.cpp cuts words as these rules do.
fn pre_name(rules: &Rules) -> Option<&'static str> {
    match (&rules.split, rules.ignore_merges, rules.nfc) {
        (Split::Gpt2, false, _) => Some("gpt-2"),
        (Split::SmolLm, false, _) => Some("smollm"),
        (Split::Llama3, true, _) => Some("llama-bpe"),
        (Split::Llama3, false, _) => Some("dbrx"),
        (Split::Qwen2, false, true) => Some("qwen2"),
        // The same expression, and a name that sai reads as composing nothing.
        (Split::Qwen2, false, false) => Some("deepseek-r1-qwen"),
        _ => None,
    }
}

impl Tokenizer {
    /// This vocabulary as a GGUF of `rows` embeddings has it: rows that no token has are named `[PAD…]` and typed
    /// unused, special tokens are typed control and other added tokens user-defined. `ends` are more ids that end an
    /// answer, as `generation_config.json` names them. `path` names the tokenizer in messages.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a kind of vocabulary or a way to cut words that GGUF has no name for;
    /// [`Error::Vocabulary`] where there are more tokens than rows, or two that GGUF would spell alike.
    pub fn to_gguf(&self, rows: usize, ends: &[u32], path: &Path) -> Result<GgufExport, Error> {
        let count = self.vocab_size();
        if count > rows {
            let fact = format!("{count} tokens do not fit an embedding of {rows} rows");
            return Err(Error::vocabulary(path, fact));
        }
        let mut notes = Vec::new();
        let mut v = match &self.engine {
            Engine::ByteLevel(bpe) => self.byte_level_gguf(bpe, path, &mut notes)?,
            Engine::Library { library, model } => {
                sentence_piece::facts(self, library, model, path, &mut notes)?
            }
        };
        v.path = path.to_owned();
        let taken: FxHashSet<String> = v.tokens.iter().cloned().collect();
        if taken.len() < v.tokens.len() {
            return Err(Error::vocabulary(path, "two tokens would be spelled alike in a GGUF"));
        }
        for id in count..rows {
            let mut name = padding(id);
            while taken.contains(&name) {
                name.push('_');
            }
            v.tokens.push(name);
            v.token_types.push(UNUSED);
            if !v.scores.is_empty() {
                v.scores.push(-1e9);
            }
        }
        (v.bos, v.eos, v.pad, v.unk) = (self.roles.bos, self.roles.eos, self.roles.pad, self.roles.unk);
        (v.eot, v.eom) = (self.roles.eot, self.roles.eom);
        (v.add_bos, v.add_eos) = (Some(self.add_bos()), Some(self.add_eos()));
        self.name_ends(&mut v, ends, &mut notes);
        if v.eos.is_none() && v.model == "gpt2" {
            notes.push("no token ends a text, and llama.cpp takes token 11 for one that does".to_owned());
        }
        self.note_added(&mut notes);
        Ok(GgufExport { vocabulary: v, notes })
    }

    /// Gives the ids that end an answer, beside the end of text, the two keys that there are for them.
    fn name_ends(&self, v: &mut GgufVocabulary, ends: &[u32], notes: &mut Vec<String>) {
        for &id in ends.iter().filter(|&&id| (id as usize) < self.vocab_size()) {
            if [v.eos, v.eot, v.eom].contains(&Some(id)) {
                continue;
            }
            let text = self.token_text(id);
            if v.eos.is_none() {
                v.eos = Some(id);
            } else if v.eom.is_none() && text == "<|eom_id|>" {
                v.eom = Some(id);
            } else if v.eot.is_none() {
                v.eot = Some(id);
            } else if v.eom.is_none() {
                v.eom = Some(id);
            } else if !END_NAMES.contains(&text.as_str()) {
                notes.push(format!(
                    "{} also ends an answer, and GGUF has no more keys to say so",
                    quoted(&text)
                ));
            }
        }
    }

    /// Tells of added tokens that look beside themselves, which a GGUF cannot say.
    fn note_added(&self, notes: &mut Vec<String>) {
        for token in self.added_tokens() {
            let beside = match (token.lstrip || token.rstrip, token.single_word) {
                (true, _) => "takes the white space beside it",
                (false, true) => "is not looked for inside words",
                _ => continue,
            };
            notes.push(format!("added token {} {beside}, which GGUF cannot say", quoted(&token.content)));
        }
    }

    fn byte_level_gguf(
        &self,
        bpe: &ByteLevel,
        path: &Path,
        notes: &mut Vec<String>,
    ) -> Result<GgufVocabulary, Error> {
        let rules = &bpe.rules;
        let Some(pre) = pre_name(rules) else {
            let merges = if rules.ignore_merges { " and takes whole words before merges" } else { "" };
            let fact = format!(
                "it cuts words as `{}`{merges}, for which llama.cpp has no name; use the folder as it is",
                rules.split.name()
            );
            return Err(Error::unsupported(path, fact));
        };
        if rules.nfc {
            notes.push(
                "text is brought to Unicode's composed form first, which llama.cpp does not do".to_owned(),
            );
        }
        if rules.prefix_space {
            notes.push("a space is put before a text, which llama.cpp does not do for this kind".to_owned());
        }
        if rules.unknown.is_some() && bpe.missing_bytes() > 0 {
            let missing = bpe.missing_bytes();
            notes.push(format!(
                "{missing} bytes have no token, and llama.cpp drops them where this tokenizer says unknown"
            ));
        }
        let ids = 0..self.vocab_size() as u32;
        let tokens: Vec<String> = ids.clone().map(|id| self.spelled(bpe, id)).collect();
        let types = ids.map(|id| match self.added.get(id) {
            Some(token) if token.special => CONTROL,
            Some(_) => USER_DEFINED,
            // A piece that nothing is made of, as a GGUF had it.
            None if bpe.id_of(self.bytes(id).unwrap_or_default()) != Some(id) => UNUSED,
            None => NORMAL,
        });
        let token_types = types.collect();
        let mut merges = Vec::with_capacity(bpe.merges());
        for (left, right) in bpe.merges_in_order() {
            let [left, right] = [left, right].map(|id| tokens[id as usize].as_str());
            if left.contains(' ') || right.contains(' ') {
                let fact = format!("the merge of {} and {} has a space in it", quoted(left), quoted(right));
                return Err(Error::vocabulary(path, fact));
            }
            merges.push(format!("{left} {right}"));
        }
        Ok(GgufVocabulary {
            model: "gpt2".to_owned(),
            pre: Some(pre.to_owned()),
            tokens,
            token_types,
            merges,
            add_space_prefix: rules.prefix_space.then_some(true),
            ..GgufVocabulary::default()
        })
    }

    /// A token as its file spelled it: in the byte alphabet, or an added token's own text.
    fn spelled(&self, bpe: &ByteLevel, id: u32) -> String {
        let bytes = self.bytes(id).unwrap_or_default();
        if self.added.get(id).is_none() && bpe.id_of(bytes) == Some(id) {
            alphabet::encode(bytes)
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// The type of a token of a SentencePiece vocabulary.
pub(super) fn piece_type(tokenizer: &Tokenizer, id: u32, piece: &str, unknown: Option<&str>) -> i32 {
    let is_byte = piece.len() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
    match tokenizer.added.get(id) {
        _ if unknown == Some(piece) => UNKNOWN,
        Some(token) if token.special => CONTROL,
        Some(_) => USER_DEFINED,
        None if is_byte => BYTE,
        None => NORMAL,
    }
}
