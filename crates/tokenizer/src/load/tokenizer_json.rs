//! `tokenizer.json`: what of it is byte-level BPE goes our own way, the rest through the library.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::config::Config;
use super::entries::{AddedFacts, Entries, Merge, utf8, vocabulary};
use super::{Vocabulary, numbered, roles};
use crate::byte_level::{ByteLevel, Rules};
use crate::error::{Error, quoted};
use crate::library::Library;
use crate::split::Split;
use crate::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedFacts>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    vocab: Entries,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

/// What the files beside a `tokenizer.json` say.
pub(crate) struct Beside<'b> {
    pub(crate) config: &'b Config,
    /// Tokens and ids of `added_tokens.json`.
    pub(crate) listed: &'b [(String, u64)],
    /// How many rows the embedding has, where that is known.
    pub(crate) rows: Option<usize>,
}

/// Reads a `tokenizer.json` with what the files beside it add.
pub(crate) fn read(bytes: &[u8], path: &Path, beside: &Beside<'_>) -> Result<Tokenizer, Error> {
    let file: File = vocabulary(bytes, path)?;
    let opening = opening_token(&file.post_processor).map(str::to_owned);
    let mut notes = Vec::new();
    if let Some(dropout) = file.model.dropout.filter(|&share| share != 0.0) {
        notes.push(format!(
            "`dropout` {dropout} of {} is left out: a text always has the same ids here",
            path.display()
        ));
    }
    if let Some(rules) = byte_level_rules(&file) {
        return byte_level(file, rules, path, beside, opening.as_deref(), notes);
    }
    let model = file.model.kind.clone().unwrap_or_else(|| "BPE".to_owned());
    let more = beside.config.beside(&file.added_tokens, beside.listed, path)?;
    let mut library = Library::parse(utf8(bytes, path)?, path)?;
    let more = numbered(more, |text| library.id_of(text), library.size(), beside.rows, path, &mut notes)?;
    library.add(&more, path)?;
    let loaded = library.loaded(path)?;
    let ids = |text: &str| loaded.library.id_of(text);
    let roles = roles(beside.config, opening.as_deref(), ids, path)?;
    Ok(Tokenizer::library(loaded, model, roles, path)?.with_notes(notes))
}

fn byte_level(
    file: File,
    rules: Rules,
    path: &Path,
    beside: &Beside<'_>,
    opening: Option<&str>,
    mut notes: Vec<String>,
) -> Result<Tokenizer, Error> {
    let more = beside.config.beside(&file.added_tokens, beside.listed, path)?;
    let added = file
        .added_tokens
        .iter()
        .map(|facts| {
            let id = facts.id.ok_or_else(|| {
                Error::malformed(path, format!("added token {} has no id", quoted(&facts.content)))
            })?;
            facts.token(id, path)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut merges = Vec::with_capacity(file.model.merges.len());
    for (rank, merge) in file.model.merges.iter().enumerate() {
        let pieces = merge.pieces();
        merges.push(pieces.ok_or_else(|| Error::malformed(path, format!("merge {rank} is not two pieces")))?);
    }
    let mut vocabulary = Vocabulary::new(file.model.vocab.0, added, path)?;
    vocabulary.add_beside(more, beside.rows, path, &mut notes)?;
    let unknown = match &file.model.unk_token {
        None => None,
        Some(token) => Some(vocabulary.id_of(token).ok_or_else(|| {
            Error::vocabulary(path, format!("unk_token {} is not in the vocabulary", quoted(token)))
        })?),
    };
    let rules = Rules { unknown, fuse_unknown: file.model.fuse_unk, ..rules };
    let roles = roles(beside.config, opening, |text| vocabulary.id_of(text), path)?;
    let Vocabulary { tokens, added, apart } = vocabulary;
    let is_text = |id: u32| apart.binary_search(&id).is_err();
    let bpe = ByteLevel::new(&tokens, is_text, merges.into_iter(), rules, path, path)?;
    Ok(Tokenizer::byte_level(&tokens, added, roles, bpe, path)?.with_notes(notes))
}

/// The rules of a file that is byte-level BPE of a kind we know; `None` sends it to the library.
fn byte_level_rules(file: &File) -> Option<Rules> {
    let model = &file.model;
    let empty = |affix: &Option<String>| affix.as_deref().unwrap_or_default().is_empty();
    let plain = matches!(model.kind.as_deref(), None | Some("BPE"))
        && empty(&model.continuing_subword_prefix)
        && empty(&model.end_of_word_suffix)
        && !model.byte_fallback
        && !model.vocab.0.is_empty()
        && kind(&file.decoder) == Some("ByteLevel");
    let nfc = match kind(&file.normalizer) {
        None if file.normalizer.is_null() => false,
        Some("NFC") => true,
        Some("Sequence") => match steps(&file.normalizer, "normalizers") {
            [] => false,
            [one] if kind(one) == Some("NFC") => true,
            _ => return None,
        },
        _ => return None,
    };
    if !plain || !known_post_processor(&file.post_processor) {
        return None;
    }
    let (split, prefix_space) = match steps(&file.pre_tokenizer, "pretokenizers") {
        [one] => byte_level_step(one, Split::Gpt2)?,
        [digits, last] if kind(digits) == Some("Digits") => {
            if digits.get("individual_digits").and_then(Value::as_bool) != Some(true) {
                return None;
            }
            byte_level_step(last, Split::SmolLm)
                .filter(|(split, prefix)| *split == Split::SmolLm && !prefix)?
        }
        [split, last] if kind(split) == Some("Split") => {
            let (whole, prefix) = byte_level_step(last, Split::Gpt2)?;
            if whole != Split::Whole || prefix {
                return None;
            }
            (known_split(split)?, false)
        }
        _ => return None,
    };
    Some(Rules { prefix_space, nfc, ignore_merges: model.ignore_merges, ..Rules::new(split) })
}

fn kind(value: &Value) -> Option<&str> {
    value.get("type").and_then(Value::as_str)
}

/// The steps of a sequence, or the value itself as the one step.
fn steps<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    match value {
        Value::Null => &[],
        _ if kind(value) == Some("Sequence") => {
            value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
        }
        one => std::slice::from_ref(one),
    }
}

/// A `ByteLevel` pre-tokeniser: what it cuts by where its own expression is on, and its prefix space.
fn byte_level_step(step: &Value, with_regex: Split) -> Option<(Split, bool)> {
    if kind(step) != Some("ByteLevel") {
        return None;
    }
    let prefix = step.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(true);
    let regex = step.get("use_regex").and_then(Value::as_bool).unwrap_or(true);
    Some((if regex { with_regex } else { Split::Whole }, prefix))
}

/// A `Split` by an expression, every match a piece; `None` also where the engine does not take the expression, so
/// that the library says what it has against it.
fn known_split(step: &Value) -> Option<Split> {
    let isolated = step.get("behavior").and_then(Value::as_str) == Some("Isolated");
    let inverted = step.get("invert").and_then(Value::as_bool).unwrap_or(false);
    let pattern = step.get("pattern")?.get("Regex")?.as_str()?;
    if isolated && !inverted { Split::new(pattern).ok() } else { None }
}

/// Post-processors change no id but by the tokens that they put around a text.
fn known_post_processor(value: &Value) -> bool {
    value.is_null()
        || steps(value, "processors")
            .iter()
            .all(|step| matches!(kind(step), Some("ByteLevel" | "TemplateProcessing")))
}

/// The token that a post-processor puts before a text.
fn opening_token(value: &Value) -> Option<&str> {
    let template = steps(value, "processors").iter().find(|step| kind(step) == Some("TemplateProcessing"))?;
    let first = template.get("single")?.as_array()?.first()?;
    first.get("SpecialToken")?.get("id")?.as_str()
}
