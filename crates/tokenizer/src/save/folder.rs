//! The vocabulary of a GGUF as the files of a Hugging Face folder.

use serde_json::{Map, Value, json};

use super::padding;
use crate::byte_level::Rules;
use crate::error::Error;
use crate::load::gguf::{
    CONTROL, GgufVocabulary, UNKNOWN, UNUSED, USER_DEFINED, prefixes_bos, rules_of, sentence_piece_json,
};
use crate::split::{LLAMA3, QWEN2, Split};
use crate::template::TemplateSources;
use crate::tokenizer::Tokenizer;

impl GgufVocabulary {
    /// The files of a Hugging Face tokenizer with these facts: names, and what is in them. `context` is how long a
    /// text the model takes. Rows of the embedding that stood for no token are left out of the vocabulary.
    ///
    /// # Errors
    /// As [`crate::Tokenizer::from_gguf`], of a vocabulary that it takes none.
    pub fn to_folder(
        &self,
        templates: &TemplateSources,
        context: usize,
    ) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        Tokenizer::from_gguf(self.clone())?;
        let v = self.without_padding();
        if v.model == "llama" {
            return Ok(v.files(sentence_piece_json(&v)?, templates, Some(context)));
        }
        Ok(v.byte_level_files(&rules_of(&v)?, templates, Some(context)))
    }

    /// The files of a byte-level vocabulary that treats text by `rules`, whatever its `pre` says. Its facts must agree
    /// with each other.
    pub(crate) fn byte_level_files(
        &self,
        rules: &Rules,
        templates: &TemplateSources,
        context: Option<usize>,
    ) -> Vec<(&'static str, Vec<u8>)> {
        let mut files = self.files(byte_level_json(self, rules), templates, context);
        let [vocab, merges] = vocab_merges(self);
        files.extend([("vocab.json", vocab), ("merges.txt", merges)]);
        files
    }

    /// The files of every vocabulary, `whole` being its `tokenizer.json`.
    fn files(
        &self,
        mut whole: Value,
        templates: &TemplateSources,
        context: Option<usize>,
    ) -> Vec<(&'static str, Vec<u8>)> {
        whole["post_processor"] = self.around();
        vec![
            ("tokenizer.json", pretty(&whole)),
            ("tokenizer_config.json", pretty(&self.config(templates, context))),
            ("special_tokens_map.json", pretty(&Value::Object(self.roles_json()))),
        ]
    }

    /// The same without the tokens at its end that only fill up the embedding.
    fn without_padding(&self) -> GgufVocabulary {
        let mut v = self.clone();
        while let Some((token, &UNUSED)) = v.tokens.last().zip(v.token_types.last()) {
            if token.trim_end_matches('_') != padding(v.tokens.len() - 1) {
                break;
            }
            v.tokens.pop();
            v.token_types.pop();
            v.scores.truncate(v.tokens.len());
        }
        v
    }

    /// Tokens that are found whole in a text, as `added_tokens` has them.
    fn added_json(&self) -> Vec<Value> {
        let kinds = self.tokens.iter().zip(&self.token_types).enumerate();
        kinds
            .filter(|(_, (token, kind))| {
                matches!(**kind, CONTROL | UNKNOWN | USER_DEFINED) && !token.is_empty()
            })
            .map(|(id, (token, kind))| {
                json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                        "normalized": false, "special": *kind != USER_DEFINED })
            })
            .collect()
    }

    fn token(&self, id: Option<u32>) -> Option<&String> {
        self.tokens.get(id? as usize)
    }

    fn adds_bos(&self) -> bool {
        self.add_bos.unwrap_or_else(|| prefixes_bos(self)) && self.token(self.bos).is_some()
    }

    fn adds_eos(&self) -> bool {
        self.add_eos.unwrap_or(false) && self.token(self.eos).is_some()
    }

    /// The post-processor that puts the opening and the end token around a text.
    fn around(&self) -> Value {
        let bos = self.token(self.bos).zip(self.bos).filter(|_| self.adds_bos());
        let eos = self.token(self.eos).zip(self.eos).filter(|_| self.adds_eos());
        if bos.is_none() && eos.is_none() {
            return Value::Null;
        }
        let text = |name: &str, kind: u8| -> Vec<Value> {
            let special = |token: &String| json!({ "SpecialToken": { "id": token, "type_id": kind } });
            let sequence = json!({ "Sequence": { "id": name, "type_id": kind } });
            let opening = bos.map(|(token, _)| special(token));
            opening.into_iter().chain([sequence]).chain(eos.map(|(token, _)| special(token))).collect()
        };
        let both = [bos, eos].into_iter().flatten();
        let named: Map<String, Value> = both
            .map(|(token, id)| (token.clone(), json!({ "id": token, "ids": [id], "tokens": [token] })))
            .collect();
        let pair = [text("A", 0), text("B", 1)].concat();
        json!({ "type": "TemplateProcessing", "single": text("A", 0), "pair": pair, "special_tokens": named })
    }

    fn roles_json(&self) -> Map<String, Value> {
        let roles = [
            ("bos_token", self.bos),
            ("eos_token", self.eos),
            ("pad_token", self.pad),
            ("unk_token", self.unk),
        ];
        roles.into_iter().filter_map(|(name, id)| Some((name.to_owned(), json!(self.token(id)?)))).collect()
    }

    fn config(&self, templates: &TemplateSources, context: Option<usize>) -> Value {
        let mut out = self.roles_json();
        out.insert("add_bos_token".to_owned(), json!(self.adds_bos()));
        out.insert("add_eos_token".to_owned(), json!(self.adds_eos()));
        if self.model == "gpt2" {
            out.insert("add_prefix_space".to_owned(), json!(self.add_space_prefix.unwrap_or(false)));
        }
        let added = self.added_json().into_iter().filter_map(|mut token| {
            let id = token.as_object_mut()?.remove("id")?;
            Some((id.to_string(), token))
        });
        out.insert("added_tokens_decoder".to_owned(), Value::Object(added.collect()));
        out.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
        if let Some(context) = context {
            out.insert("model_max_length".to_owned(), json!(context));
        }
        out.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        if let Some(template) = templates.to_json() {
            out.insert("chat_template".to_owned(), template);
        }
        Value::Object(out)
    }

    /// Tokens with their ids, as far as they are the model's own: added tokens at the end continue them.
    fn entries(&self) -> impl Iterator<Item = (&String, usize)> {
        let added = |kind: &i32| matches!(*kind, CONTROL | UNKNOWN | USER_DEFINED);
        let own = match self.token_types.iter().rposition(|kind| !added(kind)) {
            Some(last) => last + 1,
            None => self.tokens.len(),
        };
        let own = if self.token_types.is_empty() { self.tokens.len() } else { own };
        self.tokens.iter().take(own).zip(0..)
    }
}

fn byte_level_json(v: &GgufVocabulary, rules: &Rules) -> Value {
    let whole =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    let by_gpt2 = json!({ "type": "ByteLevel", "add_prefix_space": rules.prefix_space, "trim_offsets": true,
                          "use_regex": true });
    let split = |expression: &str| json!({ "type": "Split", "pattern": { "Regex": expression }, "behavior": "Isolated", "invert": false });
    let sequence = |steps: [Value; 2]| json!({ "type": "Sequence", "pretokenizers": steps });
    let pre_tokenizer = match &rules.split {
        Split::Gpt2 => by_gpt2,
        Split::SmolLm => sequence([json!({ "type": "Digits", "individual_digits": true }), by_gpt2]),
        Split::Llama3 => sequence([split(LLAMA3), whole]),
        Split::Qwen2 => sequence([split(QWEN2), whole]),
        Split::Pattern(own) => sequence([split(own.source()), whole]),
        Split::Whole => whole,
    };
    let vocab: Map<String, Value> = v.entries().map(|(token, id)| (token.clone(), id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": v.added_json(),
        "normalizer": if rules.nfc { json!({ "type": "NFC" }) } else { Value::Null },
        "pre_tokenizer": pre_tokenizer,
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                   "ignore_merges": rules.ignore_merges, "vocab": vocab, "merges": v.merges },
    })
}

/// `vocab.json` and `merges.txt`, which older programs read.
fn vocab_merges(v: &GgufVocabulary) -> [Vec<u8>; 2] {
    let vocab: Map<String, Value> = v.entries().map(|(token, id)| (token.clone(), id.into())).collect();
    let mut merges = "#version: 0.2\n".to_owned();
    for merge in &v.merges {
        merges.push_str(merge);
        merges.push('\n');
    }
    [Value::Object(vocab).to_string().into_bytes(), merges.into_bytes()]
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
