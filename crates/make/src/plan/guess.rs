//! What a stage that was never done will take: by what its recipe asks for, and by rates that small machines have. Half or
//! twice as much would not surprise.

use crate::stages::{RunContext, sample};
use crate::{Error, Stage};
use sai_samples::SampleSize;
use std::path::PathBuf;

/// Bytes of a document and of a conversation's line, as they come from files and as rules make them.
const DOCUMENT: u64 = 1500;
const LINE: u64 = 400;
const MADE_DOCUMENT: u64 = 150;
const MADE_DIALOGUE: u64 = 350;
const MADE_LINE: u64 = 340;
/// Bytes of text to a byte of a compressed file.
const COMPRESSED: u64 = 4;
/// Bytes of a token of a vocabulary's files, of a token in shards with its share of all else, and of card and report.
const VOCABULARY: u64 = 60;
const PACKED: f64 = 2.7;
const CARD: u64 = 300_000;
/// Bytes of text a second that are drawn, counted, and packed, and of weights that are quantised.
const DRAWN: f64 = 30e6;
const COUNTED: f64 = 30e6;
const ENCODED: f64 = 50e6;
const QUANTIZED: f64 = 50e6;

/// A sample that is yet to be drawn, in bytes.
pub(super) struct Expected {
    documents: u64,
    conversations: u64,
    /// Of the files that it is drawn from, unpacked.
    read: u64,
}

impl Expected {
    pub(super) fn of(at: &RunContext<'_>) -> Result<Expected, Error> {
        let recipe = at.recipe.sample()?;
        let mut found = Expected { documents: 0, conversations: 0, read: 0 };
        for entry in &recipe.documents {
            let there = found.open(at, &entry.input)?;
            found.documents += taken(entry.take, there, DOCUMENT);
        }
        for entry in &recipe.conversations {
            let there = found.open(at, &entry.input)?;
            let lines = taken(entry.take, there, LINE);
            found.conversations += lines;
            found.documents += if entry.also_documents { lines / 2 } else { 0 };
        }
        if let Some(rules) = &recipe.rules {
            found.documents += rules.documents * MADE_DOCUMENT + rules.dialogues * MADE_DIALOGUE;
            found.conversations += rules.conversations * MADE_LINE;
        }
        Ok(found)
    }

    /// Bytes of conversations.
    pub(super) fn conversations(&self) -> u64 {
        self.conversations
    }

    /// Bytes of text in some files.
    fn open(&mut self, at: &RunContext<'_>, inputs: &[String]) -> Result<u64, Error> {
        let near = sample::near(at);
        let inputs: Vec<String> =
            inputs.iter().map(|input| near.join(input).to_string_lossy().into_owned()).collect();
        let size = |path: &PathBuf| {
            let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
            let plain =
                ["jsonl", "json", "txt"].iter().any(|end| path.extension().is_some_and(|e| e == *end));
            if plain { bytes } else { bytes * COMPRESSED }
        };
        let bytes = sai_documents::find(&inputs)?.iter().map(size).sum();
        self.read += bytes;
        Ok(bytes)
    }

    /// Seconds of a stage but the trainings; `token` is the time of a token of training.
    pub(super) fn seconds(&self, at: &RunContext<'_>, stage: Stage, token: f64) -> Result<f64, Error> {
        let documents = self.documents as f64;
        Ok(match stage {
            Stage::Sample => (self.read as f64 + documents + self.conversations as f64) / DRAWN,
            Stage::Tokenizer => documents / COUNTED,
            Stage::Pack => documents / ENCODED,
            Stage::Quantize => 4.0 * parameters(at)? as f64 / QUANTIZED,
            // A pass forward is a third of a step of training, and there are three models.
            Stage::Evaluate => {
                let text = documents * at.recipe.sample()?.held_out;
                let said: usize = at.recipe.evaluate.ask.iter().map(|ask| ask.turns().len()).sum();
                token * (text / super::BYTES_A_TOKEN + (said as u64 * super::TOKENS) as f64)
            }
            _ => 0.1,
        })
    }

    /// Bytes of a stage's files but the trainings' and the converted model's.
    pub(super) fn disk(&self, at: &RunContext<'_>, stage: Stage) -> Result<Option<u64>, Error> {
        let recipe = at.recipe.pretrain(at.folder)?;
        let rows = recipe.config(at.recipe.path())?.vocab_size;
        Ok(match stage {
            Stage::Sample => Some(self.documents / COMPRESSED + self.conversations),
            Stage::Tokenizer => Some(at.recipe.vocab_size(rows) as u64 * VOCABULARY),
            Stage::Pack => Some((self.documents as f64 / super::BYTES_A_TOKEN * PACKED) as u64),
            Stage::Quantize => {
                let dtype = at.recipe.mix()?.dtype();
                Some(parameters(at)? * dtype.block_bytes() as u64 / dtype.block_len() as u64)
            }
            Stage::Card => Some(CARD),
            _ => None,
        })
    }
}

fn parameters(at: &RunContext<'_>) -> Result<u64, Error> {
    Ok(at.recipe.pretrain(at.folder)?.config(at.recipe.path())?.parameters())
}

/// Bytes of what is taken of so many.
fn taken(take: SampleSize, there: u64, each: u64) -> u64 {
    match take {
        SampleSize::All => there,
        SampleSize::Texts(texts) => there.min(texts * each),
        SampleSize::Bytes(bytes) => there.min(bytes),
    }
}
