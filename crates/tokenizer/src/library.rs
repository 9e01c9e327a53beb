//! Vocabularies that are not byte-level BPE, through the `tokenizers` library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::Tokenizer as Inner;
use tokenizers::models::ModelWrapper;

use crate::added::AddedToken;
use crate::error::{Error, one_line};
use crate::table::{TokenTable, piece_bytes, place};

/// A vocabulary that the library runs.
pub(crate) struct Library {
    /// Reads special tokens in a text.
    marked: Inner,
    /// Leaves them text.
    plain: Inner,
    joining: Joining,
}

/// How tokens join to text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Joining {
    /// The bytes of one after the other, less a space before the first if `strip`.
    Bytes { strip: bool },
    /// As the library's decoder likes.
    Decoder,
}

/// A vocabulary that the library has read, and that may still be added to.
pub(crate) struct Parsed(Inner);

/// What loading through the library tells.
pub(crate) struct Loaded {
    pub(crate) library: Library,
    pub(crate) table: TokenTable,
    pub(crate) added: Vec<AddedToken>,
}

impl Library {
    /// From the text of a `tokenizer.json`.
    pub(crate) fn from_json(json: &str, path: &Path) -> Result<Loaded, Error> {
        Library::parse(json, path)?.loaded(path)
    }

    /// Reads the text of a `tokenizer.json`.
    pub(crate) fn parse(json: &str, path: &Path) -> Result<Parsed, Error> {
        // The library trusts its files; a panic of its own on a damaged one becomes the error it should be.
        let mut inner = catch_unwind(AssertUnwindSafe(|| Inner::from_bytes(json)))
            .map_err(|_| Error::malformed(path, "the tokenizers library cannot read it"))?
            .map_err(|e| Error::malformed(path, unreadable(&e.to_string())))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| Error::malformed(path, one_line(&e.to_string())))?;
        // Merges that are skipped at random are for training; here a text has one form.
        if let ModelWrapper::BPE(bpe) = inner.get_model()
            && bpe.dropout.is_some()
        {
            let mut always = bpe.clone();
            always.dropout = None;
            inner.with_model(always);
        }
        Ok(Parsed(inner))
    }
}

/// What the library says of a file, without the names of its types.
fn unreadable(fact: &str) -> String {
    match fact.split_once("untagged enum ") {
        Some((_, name)) => {
            let words = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let part = words.trim_end_matches("Wrapper").trim_end_matches("Untagged");
            format!("its {} is of no kind that the tokenizers library knows", part.to_lowercase())
        }
        None => one_line(fact),
    }
}

impl Parsed {
    /// How many tokens there are.
    pub(crate) fn size(&self) -> usize {
        self.0.get_vocab_size(true)
    }

    /// The id of a token as the vocabulary spells it.
    pub(crate) fn id_of(&self, piece: &str) -> Option<u32> {
        self.0.token_to_id(piece)
    }

    /// Adds tokens, whose ids are those that the library gives.
    pub(crate) fn add(&mut self, tokens: &[AddedToken], path: &Path) -> Result<(), Error> {
        let tokens = tokens.iter().map(|t| tokenizers::AddedToken {
            content: t.content.clone(),
            single_word: t.single_word,
            lstrip: t.lstrip,
            rstrip: t.rstrip,
            normalized: t.normalized,
            special: t.special,
        });
        let added = self.0.add_tokens(tokens);
        added.map(|_| ()).map_err(|e| Error::malformed(path, one_line(&e.to_string())))
    }

    /// Ready to encode.
    pub(crate) fn loaded(self, path: &Path) -> Result<Loaded, Error> {
        let marked = self.0;
        let entries: Vec<(String, u64)> =
            marked.get_vocab(true).into_iter().map(|(token, id)| (token, u64::from(id))).collect();
        let pieces = place(entries, path)?;
        let mut added: Vec<AddedToken> = marked
            .get_added_tokens_decoder()
            .into_iter()
            .map(|(id, t)| AddedToken {
                id,
                content: t.content,
                special: t.special,
                normalized: t.normalized,
                lstrip: t.lstrip,
                rstrip: t.rstrip,
                single_word: t.single_word,
            })
            .collect();
        added.sort_by_key(|t| t.id);
        let decoder = marked.get_decoder().and_then(|d| serde_json::to_value(d).ok()).unwrap_or_default();
        let byte_level = decoder["type"] == "ByteLevel";
        let joining = joining(&decoder);
        let table = TokenTable::new(pieces.iter().zip(0u32..).map(|(piece, id)| {
            let literal = added.binary_search_by_key(&id, |t| t.id).is_ok();
            if literal {
                piece.as_bytes().into()
            } else if byte_level {
                piece_bytes(piece)
            } else {
                sentence_piece_bytes(piece).into()
            }
        }));
        let mut plain = marked.clone();
        plain.set_encode_special_tokens(true);
        Ok(Loaded { library: Library { marked, plain, joining }, table, added })
    }
}

impl Library {
    /// Ids and their byte ranges in `text`.
    pub(crate) fn encode(
        &self,
        text: &str,
        plain: bool,
    ) -> Result<Vec<(u32, std::ops::Range<usize>)>, Error> {
        let inner = if plain { &self.plain } else { &self.marked };
        let encoding = catch_unwind(AssertUnwindSafe(|| inner.encode(text, false)))
            .map_err(|_| Error::Text { fact: "the tokenizers library gave up".to_owned() })?
            .map_err(|e| Error::Text { fact: one_line(&e.to_string()) })?;
        let ranges = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(ranges).collect())
    }

    /// The vocabulary as a `tokenizer.json` has it.
    pub(crate) fn json(&self, path: &Path) -> Result<serde_json::Value, Error> {
        serde_json::to_value(&self.marked).map_err(|e| Error::malformed(path, one_line(&e.to_string())))
    }

    /// All tokens as the vocabulary spells them, with their ids.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (String, u32)> {
        self.marked.get_vocab(true).into_iter()
    }

    pub(crate) fn joining(&self) -> Joining {
        self.joining
    }

    /// The id of a piece as the vocabulary spells it.
    pub(crate) fn id_of(&self, piece: &str) -> Option<u32> {
        self.marked.token_to_id(piece)
    }

    /// The text of ids, as the vocabulary's decoder joins them.
    pub(crate) fn decode(&self, ids: &[u32], with_special: bool) -> String {
        self.marked.decode(ids, !with_special).unwrap_or_default()
    }
}

/// Reads off a decoder whether it only joins bytes.
fn joining(decoder: &serde_json::Value) -> Joining {
    if decoder["type"] == "ByteLevel" {
        return Joining::Bytes { strip: false };
    }
    let steps = decoder["decoders"].as_array().map_or(&[][..], Vec::as_slice);
    let kinds: Vec<&str> = steps.iter().filter_map(|step| step["type"].as_str()).collect();
    match kinds.as_slice() {
        ["Replace", "ByteFallback", "Fuse"] => Joining::Bytes { strip: false },
        ["Replace", "ByteFallback", "Fuse", "Strip"] => Joining::Bytes { strip: steps[3]["start"] == 1 },
        _ => Joining::Decoder,
    }
}

/// What a SentencePiece stands for: `▁` is a space, `<0xEA>` a byte.
fn sentence_piece_bytes(piece: &str) -> Vec<u8> {
    let byte = piece
        .strip_prefix("<0x")
        .and_then(|p| p.strip_suffix('>'))
        .filter(|hex| hex.len() == 2)
        .and_then(|hex| u8::from_str_radix(hex, 16).ok());
    match byte {
        Some(byte) => vec![byte],
        None => piece.replace('▁', " ").into_bytes(),
    }
}
