//! `vocab.json` + `merges.txt`, as GPT-2 and 42dot publish them.

use std::path::Path;

use rustc_hash::FxHashSet;

use super::config::Config;
use super::entries::{AddedFacts, Entries, two_pieces, utf8, vocabulary};
use super::{Vocabulary, roles};
use crate::added::AddedToken;
use crate::byte_level::{ByteLevel, Rules};
use crate::error::{Error, quoted};
use crate::split::Split;
use crate::tokenizer::Tokenizer;

/// The contents of the files with their names for messages.
pub(crate) struct Files<'f> {
    pub(crate) vocab: (&'f [u8], &'f Path),
    pub(crate) merges: (&'f [u8], &'f Path),
    pub(crate) added_tokens: Option<(&'f [u8], &'f Path)>,
    pub(crate) config_path: &'f Path,
    /// How many rows the embedding has, where that is known.
    pub(crate) rows: Option<usize>,
}

/// Tokenizer classes that these two files are byte-level BPE for, and how each cuts words.
fn split_of(class: Option<&str>) -> Option<(Split, bool)> {
    // The fast variants and transformers' own names for them.
    match class.map(|c| c.strip_suffix("Fast").unwrap_or(c)) {
        None | Some("GPT2Tokenizer" | "PreTrainedTokenizer" | "TokenizersBackend") => {
            Some((Split::Gpt2, false))
        }
        Some("Qwen2Tokenizer") => Some((Split::Qwen2, true)),
        _ => None,
    }
}

/// Reads the two files and what stands beside them.
pub(crate) fn read(files: &Files<'_>, config: &mut Config) -> Result<Tokenizer, Error> {
    let (vocab_bytes, vocab_path) = files.vocab;
    let (merges_bytes, merges_path) = files.merges;
    let class = config.tokenizer_class.as_deref();
    let Some((split, nfc)) = split_of(class) else {
        let class = quoted(class.unwrap_or_default());
        let fact = format!(
            "tokenizer_class is {class}; from vocab.json and merges.txt sai runs GPT2Tokenizer and Qwen2Tokenizer, for others it needs tokenizer.json"
        );
        return Err(Error::unsupported(files.config_path, fact));
    };
    let entries: Entries = vocabulary(vocab_bytes, vocab_path)?;
    let text = utf8(merges_bytes, merges_path)?;
    let mut merges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let pieces = two_pieces(line).ok_or_else(|| {
            Error::malformed(merges_path, format!("line {} is {}, not two pieces", number + 1, quoted(line)))
        })?;
        merges.push(pieces);
    }

    let mut added = config.added(files.config_path)?;
    if let Some((bytes, path)) = files.added_tokens {
        let listed: Entries = vocabulary(bytes, path)?;
        let known: FxHashSet<String> = added.iter().map(|t| t.content.clone()).collect();
        for (content, id) in listed.0.into_iter().filter(|(content, _)| !known.contains(content)) {
            let Ok(id) = u32::try_from(id) else {
                return Err(Error::vocabulary(path, format!("added token {} has id {id}", quoted(&content))));
            };
            added.push(AddedToken { special: false, normalized: true, ..AddedToken::special(id, content) });
        }
    }
    // What has a role is special though no list says so; GPT-2's end token is all roles by default.
    let has_default = entries.0.iter().any(|(token, _)| token == "<|endoftext|>");
    if has_default {
        config.default_roles("<|endoftext|>");
    }
    let roles_named = config.roles();
    for content in roles_named.into_iter().flatten() {
        if added.iter().any(|t| t.content == content) {
            continue;
        }
        if let Some(id) =
            entries.0.iter().find(|(token, _)| token == content).and_then(|(_, id)| u32::try_from(*id).ok())
        {
            added.push(AddedToken::special(id, content));
        }
    }
    for token in &mut added {
        token.special |= roles_named.into_iter().flatten().any(|named| named == token.content);
    }

    // Tokens that are named and have no id yet take the next ones.
    let own: Vec<AddedFacts> = added.iter().map(AddedFacts::of).collect();
    let more = config.beside(&own, &[], files.config_path)?;
    let mut vocabulary = Vocabulary::new(entries.0, added, vocab_path)?;
    let mut notes = Vec::new();
    vocabulary.add_beside(more, files.rows, vocab_path, &mut notes)?;
    let roles = roles(config, None, |text| vocabulary.id_of(text), files.config_path)?;
    let prefix_space = config.add_prefix_space.unwrap_or(false) && split == Split::Gpt2;
    let rules = Rules { prefix_space, nfc, ..Rules::new(split) };
    let Vocabulary { tokens, added, apart } = vocabulary;
    let is_text = |id: u32| apart.binary_search(&id).is_err();
    let bpe = ByteLevel::new(&tokens, is_text, merges.into_iter(), rules, vocab_path, merges_path)?;
    Ok(Tokenizer::byte_level(&tokens, added, roles, bpe, vocab_path)?.with_notes(notes))
}
