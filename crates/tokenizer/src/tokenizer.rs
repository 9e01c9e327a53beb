//! The [`Tokenizer`]: one type over every kind of vocabulary.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use crate::added::{AddedToken, AddedTokens};
use crate::byte_level::{ByteLevel, Words, composition_map, spell};
use crate::encoder::Caches;
use crate::error::Error;
use crate::library::{Joining, Library, Loaded};
use crate::merge::Scratch;
use crate::stream::Stream;
use crate::table::{TokenTable, piece_bytes, printable};
use crate::template::SpecialTokens;

/// How a vocabulary encodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// Byte-level BPE, sai's own.
    ByteLevelBpe,
    /// Through the `tokenizers` library.
    Library,
}

/// What a tokenizer is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerInfo {
    /// How it encodes.
    pub kind: Kind,
    /// `byte-level BPE`, or what the file calls its model.
    pub model: String,
    /// The pre-tokeniser: `gpt-2`, `smollm`, `llama-bpe`, `qwen2`, or `its own`.
    pub pre_tokenizer: String,
    /// `NFC`, `none`, or `its own`.
    pub normalizer: String,
    /// How many tokens there are, added ones included.
    pub vocab_size: usize,
    /// How many merges, where the kind has them.
    pub merges: usize,
    /// How many of the 256 bytes have no token: text with them loses them (13 of them are never in UTF-8).
    pub missing_bytes: usize,
    /// Special tokens by id.
    pub specials: Vec<(u32, String)>,
}

/// Ids with a role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) eot: Option<u32>,
    pub(crate) eom: Option<u32>,
    pub(crate) pad: Option<u32>,
    pub(crate) unk: Option<u32>,
    pub(crate) add_bos: bool,
    pub(crate) add_eos: bool,
    /// Texts that a configuration names, for templates.
    pub(crate) named: SpecialTokens,
}

pub(crate) enum Engine {
    ByteLevel(Box<ByteLevel>),
    Library { library: Box<Library>, model: String },
}

/// A vocabulary that encodes text into ids and decodes ids into text. Cheap to share: every call takes `&self`.
pub struct Tokenizer {
    pub(crate) engine: Engine,
    table: TokenTable,
    pub(crate) added: AddedTokens,
    pub(crate) roles: Roles,
    ends: Vec<u32>,
    notes: Vec<String>,
    pub(crate) caches: Caches,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("facts", &self.facts()).field("roles", &self.roles).finish()
    }
}

/// Special tokens by which models of known families end a turn or a text.
pub(crate) const END_NAMES: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|endofturn|>",
    "<|stop|>",
    "<|return|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<eos>",
    "</s>",
];

impl Tokenizer {
    pub(crate) fn byte_level(
        tokens: &[String],
        added: Vec<AddedToken>,
        roles: Roles,
        engine: ByteLevel,
        path: &Path,
    ) -> Result<Tokenizer, Error> {
        let added = AddedTokens::new(added, path, |t| engine.normalize(t).into_owned())?;
        let table = TokenTable::new(tokens.iter().zip(0u32..).map(|(piece, id)| match added.get(id) {
            Some(token) => Cow::Borrowed(token.content.as_bytes()),
            None => piece_bytes(piece),
        }));
        Tokenizer::assemble(Engine::ByteLevel(Box::new(engine)), table, added, roles, path)
    }

    pub(crate) fn library(
        loaded: Loaded,
        model: String,
        roles: Roles,
        path: &Path,
    ) -> Result<Tokenizer, Error> {
        let added = AddedTokens::new(loaded.added, path, str::to_owned)?;
        let engine = Engine::Library { library: Box::new(loaded.library), model };
        Tokenizer::assemble(engine, loaded.table, added, roles, path)
    }

    fn assemble(
        engine: Engine,
        table: TokenTable,
        added: AddedTokens,
        roles: Roles,
        path: &Path,
    ) -> Result<Tokenizer, Error> {
        let named = [
            ("bos", roles.bos),
            ("eos", roles.eos),
            ("eot", roles.eot),
            ("eom", roles.eom),
            ("pad", roles.pad),
            ("unk", roles.unk),
        ];
        for (role, id) in named {
            if let Some(id) = id.filter(|&id| id as usize >= table.len()) {
                let fact = format!("the {role} token has id {id} of a vocabulary of {} tokens", table.len());
                return Err(Error::vocabulary(path, fact));
            }
        }
        let by_name = END_NAMES.iter().filter_map(|name| added.id_of(name));
        let special = by_name.filter(|&id| added.get(id).is_some_and(|t| t.special));
        let mut ends = Vec::new();
        for id in roles.eos.into_iter().chain(roles.eot).chain(roles.eom).chain(special) {
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
        Ok(Tokenizer { engine, table, added, roles, ends, notes: Vec::new(), caches: Caches::default() })
    }

    pub(crate) fn with_notes(mut self, notes: Vec<String>) -> Tokenizer {
        self.notes.extend(notes);
        self
    }

    /// What a person should know of how its files were read, one line each; mostly nothing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same tokenizer with more ids that end generation, as a model's `generation_config.json` may name.
    /// Ids outside the vocabulary are passed over.
    pub fn with_ends(mut self, ids: &[u32]) -> Tokenizer {
        for &id in ids {
            if (id as usize) < self.table.len() && !self.ends.contains(&id) {
                self.ends.push(id);
            }
        }
        self
    }

    /// Ids of a text in which special tokens are meant: `<|im_end|>` becomes its id. Nothing is added.
    ///
    /// With vocabularies of the `tokenizers` library a text may be refused, which here gives no ids;
    /// [`Tokenizer::encode_with_offsets`] says why.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_text(text, false)
    }

    /// Ids of a text that a person wrote: `<|im_end|>` in it stays text. Added tokens that are not special are
    /// still found, as models expect them to be.
    pub fn encode_plain(&self, text: &str) -> Vec<u32> {
        self.encode_text(text, true)
    }

    fn encode_text(&self, text: &str, plain: bool) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut words = self.caches.take();
        self.encode_into(text, plain, &mut words, &mut ids);
        self.caches.give_back(words);
        ids
    }

    pub(crate) fn encode_into(&self, text: &str, plain: bool, words: &mut Words, ids: &mut Vec<u32>) {
        let bpe = match &self.engine {
            Engine::ByteLevel(bpe) => bpe,
            Engine::Library { library, .. } => {
                let found = library.encode(text, plain).unwrap_or_default();
                return ids.extend(found.into_iter().map(|(id, _)| id));
            }
        };
        for raw in self.added.cut_raw(text, plain) {
            if let Some(id) = raw.id {
                ids.push(id);
                continue;
            }
            let normal = bpe.normalize(&text[raw.start..raw.end]);
            for piece in self.added.cut_normalized(&normal, plain) {
                match piece.id {
                    Some(id) => ids.push(id),
                    None => bpe.encode(&normal[piece.start..piece.end], words, ids),
                }
            }
        }
    }

    /// How many words a text is cut into before merges, which never cross the border of one; added tokens are not
    /// looked for. A vocabulary of the `tokenizers` library cuts as it likes, and has `None`.
    pub fn word_count(&self, text: &str) -> Option<usize> {
        let Engine::ByteLevel(bpe) = &self.engine else { return None };
        let mut count = 0;
        bpe.rules.split.for_each_range(text, |_, _| count += 1);
        Some(count)
    }

    /// [`Tokenizer::encode`] with the bytes of `text` that each id stands for.
    ///
    /// A character split over tokens gives ranges that cut it. Where normalisation changed the text, a range
    /// covers the characters that were composed.
    ///
    /// # Errors
    /// [`Error::Text`] where the `tokenizers` library refuses the text; byte-level BPE never does.
    pub fn encode_with_offsets(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, Error> {
        self.encode_placed(text, false)
    }

    /// [`Tokenizer::encode_plain`] with the bytes of `text` that each id stands for.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_with_offsets`].
    pub fn encode_plain_with_offsets(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, Error> {
        self.encode_placed(text, true)
    }

    fn encode_placed(&self, text: &str, plain: bool) -> Result<Vec<(u32, Range<usize>)>, Error> {
        let bpe = match &self.engine {
            Engine::ByteLevel(bpe) => bpe,
            Engine::Library { library, .. } => return library.encode(text, plain),
        };
        let mut out = Vec::new();
        let (mut ids, mut scratch) = (Vec::new(), Scratch::default());
        for raw in self.added.cut_raw(text, plain) {
            if let Some(id) = raw.id {
                out.push((id, raw.start..raw.end));
                continue;
            }
            let original = &text[raw.start..raw.end];
            let normal = bpe.normalize(original);
            let map = matches!(normal, Cow::Owned(_)).then(|| composition_map(original));
            let place = |range: Range<usize>| match &map {
                None => raw.start + range.start..raw.start + range.end,
                Some(map) => {
                    let first =
                        map.partition_point(|&(composed, _)| composed <= range.start).saturating_sub(1);
                    let last = map.partition_point(|&(composed, _)| composed < range.end).min(map.len() - 1);
                    raw.start + map[first].1..raw.start + map[last].1
                }
            };
            for piece in self.added.cut_normalized(&normal, plain) {
                if let Some(id) = piece.id {
                    out.push((id, place(piece.start..piece.end)));
                    continue;
                }
                ids.clear();
                let body = &normal[piece.start..piece.end];
                let mut words = Vec::new();
                bpe.encode_words(body, &mut scratch, &mut ids, |word, range| words.push((word.len(), range)));
                // A prefixed space stands before the body and belongs to no byte of it.
                let total: usize = words.iter().map(|(length, _)| length).sum();
                let extra = total.saturating_sub(body.len());
                let mut at = 0;
                for (length, range) in words {
                    spell(&self.table, &ids[range], at..at + length, |id, r| {
                        let clip = |byte: usize| piece.start + byte.saturating_sub(extra);
                        out.push((id, place(clip(r.start)..clip(r.end))));
                    });
                    at += length;
                }
            }
        }
        Ok(out)
    }

    /// The text of ids without special tokens. U+FFFD stands for bytes that are not UTF-8. Ids outside the
    /// vocabulary are passed over.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_ids(ids, false)
    }

    /// The text of ids, special tokens shown.
    pub fn decode_with_special(&self, ids: &[u32]) -> String {
        self.decode_ids(ids, true)
    }

    /// The text of ids for people: special tokens shown, and bytes that are no UTF-8 as `<0xEA>`.
    pub fn decode_shown(&self, ids: &[u32]) -> String {
        match &self.engine {
            Engine::ByteLevel(_) => printable(&self.joined_bytes(ids, true)),
            Engine::Library { library, .. } => library.decode(ids, true),
        }
    }

    fn decode_ids(&self, ids: &[u32], with_special: bool) -> String {
        if let Engine::Library { library, .. } = &self.engine {
            return library.decode(ids, with_special);
        }
        let bytes = self.joined_bytes(ids, with_special);
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }

    fn joined_bytes(&self, ids: &[u32], with_special: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids.iter().filter(|&&id| with_special || !self.is_special(id)) {
            bytes.extend_from_slice(self.bytes(id).unwrap_or_default());
        }
        bytes
    }

    /// The bytes that a token stands for, which may be part of a character; `None` outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> Option<Cow<'_, [u8]>> {
        self.bytes(id).map(Cow::Borrowed)
    }

    pub(crate) fn bytes(&self, id: u32) -> Option<&[u8]> {
        self.table.get(id)
    }

    /// A token for people: its text, with bytes that are not whole characters as `<0xEA>`; empty outside the
    /// vocabulary.
    pub fn token_text(&self, id: u32) -> String {
        self.bytes(id).map(printable).unwrap_or_default()
    }

    /// Whether a token steers the model rather than being text.
    pub fn is_special(&self, id: u32) -> bool {
        self.added.get(id).is_some_and(|t| t.special)
    }

    /// The id of an added token, or of the one token that is exactly this text.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.added.id_of(text).or_else(|| match &self.engine {
            Engine::ByteLevel(bpe) => bpe.id_of(text.as_bytes()),
            Engine::Library { library, .. } => library.id_of(text),
        })
    }

    /// How many tokens there are, added ones included. Ids run from 0 to one less. A model's embedding may
    /// have more rows, never fewer.
    pub fn vocab_size(&self) -> usize {
        self.table.len()
    }

    /// The token that opens a text.
    pub fn bos(&self) -> Option<u32> {
        self.roles.bos
    }

    /// All tokens that end a turn or a text, the named end-of-text token first.
    pub fn eos(&self) -> &[u32] {
        &self.ends
    }

    /// The token that fills a batch.
    pub fn pad(&self) -> Option<u32> {
        self.roles.pad
    }

    /// The token for what the vocabulary cannot say.
    pub fn unk(&self) -> Option<u32> {
        self.roles.unk
    }

    /// Whether the model expects [`Tokenizer::bos`] before plain text. A chat template writes its own.
    pub fn add_bos(&self) -> bool {
        self.roles.add_bos && self.roles.bos.is_some()
    }

    /// Whether the model expects an end token after plain text.
    pub fn add_eos(&self) -> bool {
        self.roles.add_eos && self.roles.eos.is_some()
    }

    /// The special tokens that have names, as templates ask for them.
    pub fn special_tokens(&self) -> SpecialTokens {
        let mut tokens = SpecialTokens::default();
        let ids = [
            ("bos_token", self.roles.bos),
            ("eos_token", self.roles.eos),
            ("pad_token", self.roles.pad),
            ("unk_token", self.roles.unk),
        ];
        for (name, id) in ids {
            if let Some(id) = id {
                tokens.set(name, self.token_text(id));
            }
        }
        self.roles.named.iter().for_each(|(name, text)| tokens.set(name, text));
        tokens
    }

    /// The text of [`Tokenizer::bos`], as templates ask for it; empty without one.
    pub fn bos_text(&self) -> String {
        self.roles.bos.map(|id| self.token_text(id)).unwrap_or_default()
    }

    /// The text of the named end-of-text token; empty without one.
    pub fn eos_text(&self) -> String {
        self.roles.eos.map(|id| self.token_text(id)).unwrap_or_default()
    }

    /// Added tokens, special and not, in the order of the file.
    pub fn added_tokens(&self) -> impl Iterator<Item = &AddedToken> {
        self.added.iter()
    }

    /// Decodes ids as they come.
    pub fn stream(&self) -> Stream<'_> {
        Stream::new(self)
    }

    pub(crate) fn joining(&self) -> Joining {
        match &self.engine {
            Engine::ByteLevel(_) => Joining::Bytes { strip: false },
            Engine::Library { library, .. } => library.joining(),
        }
    }

    /// How this vocabulary encodes.
    pub fn kind(&self) -> Kind {
        match self.engine {
            Engine::ByteLevel(_) => Kind::ByteLevelBpe,
            Engine::Library { .. } => Kind::Library,
        }
    }

    /// What this tokenizer is, for people.
    pub fn facts(&self) -> TokenizerInfo {
        let mut specials: Vec<(u32, String)> =
            self.added.iter().filter(|t| t.special).map(|t| (t.id, t.content.clone())).collect();
        specials.sort();
        let (model, pre_tokenizer, normalizer, merges, missing_bytes) = match &self.engine {
            Engine::ByteLevel(bpe) => (
                "byte-level BPE".to_owned(),
                bpe.rules.split.name(),
                if bpe.rules.nfc { "NFC" } else { "none" },
                bpe.merges(),
                bpe.missing_bytes(),
            ),
            Engine::Library { model, .. } => (model.clone(), "its own", "its own", 0, 0),
        };
        TokenizerInfo {
            kind: self.kind(),
            model,
            pre_tokenizer: pre_tokenizer.to_owned(),
            normalizer: normalizer.to_owned(),
            vocab_size: self.vocab_size(),
            merges,
            missing_bytes,
            specials,
        }
    }
}
