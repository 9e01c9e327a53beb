//! A SentencePiece BPE vocabulary, as LLaMA 2 and Mistral have it, back into scores.
//!
//! The `tokenizers` library merges by a list of pairs, SentencePiece by the score of the piece that a pair makes.
//! Both say the same where each piece's pairs stand together and are all the ways to cut it in two, which is how
//! converters make such a list. Then a piece's score is how early its pairs come.

use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::gguf::piece_type;
use crate::error::{Error, quoted};
use crate::library::Library;
use crate::load::gguf::{GgufVocabulary, NORMAL, USER_DEFINED};
use crate::tokenizer::Tokenizer;

pub(super) fn facts(
    tokenizer: &Tokenizer,
    library: &Library,
    model: &str,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<GgufVocabulary, Error> {
    let refuse = |fact: String| Err(Error::unsupported(path, fact));
    let file = library.json(path)?;
    let bpe = &file["model"];
    if bpe["type"] != "BPE" || bpe["byte_fallback"] != true {
        return refuse(format!(
            "its vocabulary is of the kind {}; sai writes byte-level BPE and SentencePiece BPE into a GGUF, use the folder as it is",
            quoted(model)
        ));
    }
    let Some(prefix) = space_prefix(&file) else {
        return refuse("its normaliser is not SentencePiece's, and GGUF has no place for another".to_owned());
    };
    let where_put = match prefix {
        Prefix::None | Prefix::Always => None,
        Prefix::Metaspace("first") => Some("a text"),
        Prefix::Metaspace(_) => Some("a text, and before a piece after a special token,"),
    };
    if let Some(place) = where_put {
        notes.push(format!(
            "a space goes before {place} only where none is, which this file says to sai; llama.cpp puts one before every text \
             and every such piece"
        ));
    }
    let unknown = bpe["unk_token"].as_str();
    let mut tokens = vec![String::new(); tokenizer.vocab_size()];
    for (piece, id) in library.entries() {
        if let Some(token) = tokens.get_mut(id as usize) {
            *token = piece;
        }
    }
    let ids = 0..tokens.len() as u32;
    let token_types: Vec<i32> =
        ids.zip(&tokens).map(|(id, piece)| piece_type(tokenizer, id, piece, unknown)).collect();
    let Some(order) = merge_order(&bpe["merges"], &tokens, &token_types) else {
        return refuse(
            "its merges are not those of a SentencePiece vocabulary, which GGUF keeps scores of alone; use the folder as it is"
                .to_owned(),
        );
    };
    let merged = order.len();
    let scores =
        tokens.iter().zip(&token_types).enumerate().map(|(id, (piece, kind))| match order.get(piece) {
            Some(place) => -(*place as f32),
            None if *kind == NORMAL => -((merged + id) as f32),
            None => 0.0,
        });
    Ok(GgufVocabulary {
        model: "llama".to_owned(),
        pre: Some("default".to_owned()),
        scores: scores.collect(),
        tokens,
        token_types,
        add_space_prefix: Some(prefix != Prefix::None),
        prepend_scheme: match prefix {
            Prefix::Metaspace(scheme) => Some(scheme.to_owned()),
            _ => None,
        },
        ..GgufVocabulary::default()
    })
}

/// The space that a text is given in front.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    /// One more, whatever is there.
    Always,
    /// By this scheme of Metaspace, where there is none.
    Metaspace(&'static str),
}

/// Which space a text is given in front; `None` where spaces are not turned into `▁` as SentencePiece does.
fn space_prefix(file: &Value) -> Option<Prefix> {
    let steps = match &file["normalizer"] {
        Value::Null => &[],
        one if one["type"] == "Sequence" => one["normalizers"].as_array()?.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_prepend = |step: &Value| step["type"] == "Prepend" && step["prepend"] == "▁";
    let is_replace = |step: &Value| {
        step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁"
    };
    let before = &file["pre_tokenizer"];
    match (steps, before) {
        ([replace], Value::Null) if is_replace(replace) => Some(Prefix::None),
        ([prepend, replace], Value::Null) if is_prepend(prepend) && is_replace(replace) => {
            Some(Prefix::Always)
        }
        ([], step) if step["type"] == "Metaspace" && step["replacement"] == "▁" && step["split"] == false => {
            match step["prepend_scheme"].as_str()? {
                "never" => Some(Prefix::None),
                "first" => Some(Prefix::Metaspace("first")),
                "always" => Some(Prefix::Metaspace("always")),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The place of each piece that merges make; `None` where the list is not what scores would give.
fn merge_order(merges: &Value, tokens: &[String], types: &[i32]) -> Option<FxHashMap<String, usize>> {
    let known: FxHashSet<&str> = tokens.iter().map(String::as_str).collect();
    let mut pairs: FxHashSet<(&str, &str)> = FxHashSet::default();
    let mut order: FxHashMap<String, usize> = FxHashMap::default();
    let mut last = String::new();
    for merge in merges.as_array()? {
        let (left, right) = match merge {
            Value::String(text) => text.split_once(' ')?,
            other => (other[0].as_str()?, other[1].as_str()?),
        };
        pairs.insert((left, right));
        let made = format!("{left}{right}");
        if made != last {
            if order.insert(made.clone(), order.len()).is_some() {
                return None;
            }
            last = made;
        }
    }
    for (piece, _) in tokens.iter().zip(types).filter(|(_, kind)| matches!(**kind, NORMAL | USER_DEFINED)) {
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if known.contains(left) && known.contains(right) && !pairs.contains(&(left, right)) {
                return None;
            }
        }
    }
    Some(order)
}
