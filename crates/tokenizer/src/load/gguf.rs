//! Vocabularies from GGUF metadata.

use std::borrow::Cow;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::pre::guess;
use crate::added::AddedToken;
use crate::byte_level::{ByteLevel, Rules};
use crate::error::{Error, one_line, quoted};
use crate::library::Library;
use crate::split::Split;
use crate::template::SpecialTokens;
use crate::tokenizer::{Roles, Tokenizer};

/// The `tokenizer.ggml.*` facts of a GGUF, as the file gives them.
#[derive(Clone, Debug, Default)]
pub struct GgufVocabulary {
    /// The file, for messages.
    pub path: PathBuf,
    /// `tokenizer.ggml.model`: `gpt2` is byte-level BPE, `llama` is SentencePiece BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`: how byte-level BPE cuts words.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id; `gpt2` in GPT-2's byte alphabet, control tokens as they are.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. May be
    /// empty: all normal.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`: pairs with a space between. A `llama` vocabulary whose scores are all alike has its order
    /// from them.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.scores`, which SentencePiece merges by.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.eom_token_id`.
    pub eom: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub pad: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// A key of sai's own, `sai.tokenizer.prepend_scheme`: that the space in front is put as Metaspace puts it, `always`
    /// or `first`, where none is there already.
    pub prepend_scheme: Option<String>,
}

pub(crate) const NORMAL: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const CONTROL: i32 = 3;
pub(crate) const USER_DEFINED: i32 = 4;
pub(crate) const UNUSED: i32 = 5;
pub(crate) const BYTE: i32 = 6;

/// What a `pre` name means: rules, and whether a BOS is added where the file does not say.
///
/// Names that llama.cpp gives to the same expressions are taken together. Qwen2's own tokenizer composes text first and
/// so does this, which llama.cpp leaves out: decomposed Korean is where they would differ.
fn rules(pre: &str) -> Option<(Rules, bool)> {
    let (split, ignore_merges, add_bos) = match pre {
        "default" | "gpt-2" | "gpt2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "jina-es"
        | "jina-de" | "jina-v2-es" | "jina-v2-de" | "gigachat" | "a.x-4.0" | "mellum" | "roberta-bpe" => {
            (Split::Gpt2, false, false)
        }
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
            (Split::SmolLm, false, false)
        }
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => {
            (Split::Llama3, true, true)
        }
        "dbrx" | "smaug-bpe" => (Split::Llama3, false, false),
        "qwen2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "stablelm2" => (Split::Qwen2, false, false),
        _ => return None,
    };
    Some((Rules { ignore_merges, nfc: pre == "qwen2", ..Rules::new(split) }, add_bos))
}

/// How a byte-level vocabulary cuts words: its `pre`, or what its tokens tell where it has none, as converters wrote
/// before the key existed, or one that says that the converter did not know. Then there is a note, too.
fn pre_of(v: &GgufVocabulary) -> (Cow<'_, str>, Option<String>) {
    let said = match v.pre.as_deref() {
        None => "is missing",
        Some("default") => "is `default`",
        Some(pre) => return (pre.into(), None),
    };
    let guess = guess(v);
    let name = guess.name;
    let note = if guess.certain {
        format!("tokenizer.ggml.pre {said}; the tokens are such as {name} makes, and text is cut so")
    } else {
        format!(
            "tokenizer.ggml.pre {said}, and text is cut as {name}, which may be wrong; say what the model was trained with, \
             for example --override-kv tokenizer.ggml.pre=str:llama-bpe (or gpt-2, smollm, qwen2)"
        )
    };
    (name.into(), Some(note))
}

/// The rules that a byte-level vocabulary's `pre` stands for.
pub(crate) fn rules_of(v: &GgufVocabulary) -> Result<Rules, Error> {
    let (pre, _) = pre_of(v);
    let Some((rules, _)) = rules(&pre) else {
        let fact = format!(
            "tokenizer.ggml.pre is {}; sai knows gpt-2, smollm, llama-bpe and qwen2: use the Hugging Face folder with its \
             tokenizer.json, or --override-kv tokenizer.ggml.pre=str:NAME if it is one of these by another name",
            quoted(&one_line(&pre))
        );
        return Err(Error::unsupported(&v.path, fact));
    };
    let prefix_space = v.add_space_prefix.unwrap_or(false) && rules.split == Split::Gpt2;
    Ok(Rules { prefix_space, ..rules })
}

/// Whether a BOS goes before a text where the file does not say.
pub(crate) fn prefixes_bos(v: &GgufVocabulary) -> bool {
    match v.model.as_str() {
        "gpt2" => rules(&pre_of(v).0).is_some_and(|(_, add_bos)| add_bos),
        _ => true,
    }
}

impl Tokenizer {
    /// A tokenizer from a GGUF's metadata.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model or pre-tokeniser that sai does not know, [`Error::Vocabulary`] where
    /// tokens, types, merges and scores contradict each other.
    pub fn from_gguf(mut vocabulary: GgufVocabulary) -> Result<Tokenizer, Error> {
        let mut notes = vocabulary.drop_stray_roles();
        let v = &vocabulary;
        let count = v.tokens.len();
        if count == 0 || u32::try_from(count).is_err() {
            return Err(Error::vocabulary(&v.path, format!("tokenizer.ggml.tokens has {count} entries")));
        }
        for (name, length) in [("token_type", v.token_types.len()), ("scores", v.scores.len())] {
            if length != 0 && length != count {
                let fact = format!("tokenizer.ggml.{name} has {length} entries for {count} tokens");
                return Err(Error::vocabulary(&v.path, fact));
            }
        }
        let tokenizer = match v.model.as_str() {
            "gpt2" => {
                notes.extend(pre_of(v).1);
                byte_level(v)
            }
            "llama" => {
                if has_flat_scores(v) && v.merges.is_empty() {
                    let fact = "tokenizer.ggml.scores are all alike and there are no merges: text is cut otherwise than in \
                                training; convert the model again";
                    notes.push(fact.to_owned());
                }
                sentence_piece(v)
            }
            other => {
                let fact = format!(
                    "tokenizer.ggml.model is {}; sai runs `gpt2` and `llama` from a GGUF, for this one use the Hugging Face folder with its tokenizer.json",
                    quoted(&one_line(other))
                );
                Err(Error::unsupported(&v.path, fact))
            }
        };
        Ok(tokenizer?.with_notes(notes))
    }
}

impl GgufVocabulary {
    /// Takes back roles whose ids lie outside of the vocabulary and that nothing needs: padding and the unknown token, and
    /// any that is -1, by which some converters say that there is none. Gives a note for each.
    pub fn drop_stray_roles(&mut self) -> Vec<String> {
        let count = self.tokens.len();
        let mut notes = Vec::new();
        for (role, id, needed) in [
            ("bos", &mut self.bos, true),
            ("eos", &mut self.eos, true),
            ("eot", &mut self.eot, true),
            ("eom", &mut self.eom, true),
            ("padding", &mut self.pad, false),
            ("unknown", &mut self.unk, false),
        ] {
            if let Some(stray) = id.filter(|&id| id as usize >= count && (id == u32::MAX || !needed)) {
                let stray = if stray == u32::MAX { "-1".to_owned() } else { stray.to_string() };
                notes.push(format!(
                    "tokenizer.ggml.{role}_token_id is {stray} of a vocabulary of {count} tokens, and taken for none"
                ));
                *id = None;
            }
        }
        notes
    }
}

/// The pairs of `tokenizer.ggml.merges`.
fn merges(v: &GgufVocabulary) -> Result<Vec<(&str, &str)>, Error> {
    let pairs = v.merges.iter().enumerate().map(|(rank, merge)| {
        // A piece may itself begin with a space in files of old converters.
        let cut = merge.char_indices().skip(1).find(|&(_, c)| c == ' ').map(|(at, _)| at);
        cut.map(|cut| (&merge[..cut], &merge[cut + 1..])).ok_or_else(|| {
            Error::vocabulary(&v.path, format!("merge {rank} is {}, not two pieces", quoted(merge)))
        })
    });
    pairs.collect()
}

/// Whether a vocabulary's scores say nothing of an order.
fn has_flat_scores(v: &GgufVocabulary) -> bool {
    let mut scores =
        v.scores.iter().zip(0u32..).filter(|&(_, id)| kind(v, id) == NORMAL).map(|(score, _)| score);
    let first = scores.next();
    scores.all(|score| Some(score.to_bits()) == first.map(|first| first.to_bits()))
}

fn kind(v: &GgufVocabulary, id: u32) -> i32 {
    v.token_types.get(id as usize).copied().unwrap_or(1)
}

fn added(v: &GgufVocabulary) -> Vec<AddedToken> {
    let tokens = v.tokens.iter().zip(0u32..);
    tokens
        .filter_map(|(token, id)| match kind(v, id) {
            CONTROL | UNKNOWN => Some(AddedToken::special(id, token)),
            USER_DEFINED => Some(AddedToken { special: false, ..AddedToken::special(id, token) }),
            _ => None,
        })
        .collect()
}

fn roles(v: &GgufVocabulary) -> Roles {
    Roles {
        bos: v.bos,
        eos: v.eos,
        eot: v.eot,
        eom: v.eom,
        pad: v.pad,
        unk: v.unk,
        add_bos: v.add_bos.unwrap_or_else(|| prefixes_bos(v)),
        add_eos: v.add_eos.unwrap_or(false),
        named: SpecialTokens::default(),
    }
}

fn byte_level(v: &GgufVocabulary) -> Result<Tokenizer, Error> {
    let rules = rules_of(v)?;
    let merges = merges(v)?;
    let is_text = |id| !matches!(kind(v, id), CONTROL | UNKNOWN | USER_DEFINED | UNUSED);
    let bpe = ByteLevel::new(&v.tokens, is_text, merges.into_iter(), rules, &v.path, &v.path)?;
    Tokenizer::byte_level(&v.tokens, added(v), roles(v), bpe, &v.path)
}

/// SentencePiece BPE, as LLaMA 2 has it, run by the library.
fn sentence_piece(v: &GgufVocabulary) -> Result<Tokenizer, Error> {
    let file = sentence_piece_json(v)?;
    let loaded = Library::from_json(&file.to_string(), &v.path)?;
    Tokenizer::library(loaded, "SentencePiece BPE".to_owned(), roles(v), &v.path)
}

/// The pairs of a SentencePiece vocabulary in the order in which they merge: by the score of what they make, or, where
/// scores tell nothing, as a list of merges says.
fn pairs(v: &GgufVocabulary) -> Result<Vec<[&str; 2]>, Error> {
    let ids = crate::table::index(&v.tokens, &v.path)?;
    if has_flat_scores(v) && !v.merges.is_empty() {
        let pairs = merges(v)?;
        for (rank, (left, right)) in pairs.iter().enumerate() {
            let made = format!("{left}{right}");
            if let Some(piece) = [*left, right, &made].into_iter().find(|piece| !ids.contains_key(piece)) {
                let fact = format!("merge {rank} names {}, which is not in the vocabulary", quoted(piece));
                return Err(Error::vocabulary(&v.path, fact));
            }
        }
        return Ok(pairs.into_iter().map(|(left, right)| [left, right]).collect());
    }
    if v.scores.is_empty() {
        return Err(Error::vocabulary(
            &v.path,
            "tokenizer.ggml.scores is missing, which SentencePiece merges by",
        ));
    }
    let mut merges: Vec<(f32, usize, u32, u32, &str, &str)> = Vec::new();
    for (piece, id) in v.tokens.iter().zip(0u32..) {
        // A piece of absurd length would have as many splits; the library of real ones ends far below.
        if !matches!(kind(v, id), 1 | USER_DEFINED) || piece.len() > 1024 {
            continue;
        }
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right)) {
                merges.push((v.scores[id as usize], at, l, r, left, right));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3)));
    Ok(merges.into_iter().map(|m| [m.4, m.5]).collect())
}

/// The vocabulary as a `tokenizer.json`.
pub(crate) fn sentence_piece_json(v: &GgufVocabulary) -> Result<Value, Error> {
    let merges = pairs(v)?;
    let unknown = v.unk.and_then(|id| v.tokens.get(id as usize));
    let added_tokens: Vec<_> = added(v)
        .into_iter()
        .map(|t| {
            json!({ "id": t.id, "content": t.content, "special": t.special, "normalized": false,
                    "lstrip": false, "rstrip": false, "single_word": false })
        })
        .collect();
    let prefix = v.add_space_prefix.unwrap_or(true);
    let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let (normalizers, pre_tokenizer) = match v.prepend_scheme.as_deref().filter(|_| prefix) {
        Some(scheme @ ("always" | "first")) => {
            let metaspace =
                json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false });
            (Vec::new(), metaspace)
        }
        Some(other) => {
            let fact = format!("sai.tokenizer.prepend_scheme is {}, neither always nor first", quoted(other));
            return Err(Error::vocabulary(&v.path, fact));
        }
        None if prefix => (vec![json!({ "type": "Prepend", "prepend": "▁" }), space], Value::Null),
        None => (vec![space], Value::Null),
    };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let normalizer = match normalizers.is_empty() {
        true => Value::Null,
        false => json!({ "type": "Sequence", "normalizers": normalizers }),
    };
    let vocab: serde_json::Map<String, Value> =
        v.tokens.iter().zip(0u32..).map(|(token, id)| (token.clone(), id.into())).collect();
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": { "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true,
                   "ignore_merges": false, "vocab": vocab, "merges": merges },
    }))
}
