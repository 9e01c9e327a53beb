//! `sai tokenizer train`: a vocabulary from documents.

use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::vocabulary::{count_documents, write_vocabulary};
use crate::{Error, Stage, files};
use sai_documents::{Columns, Options, Reader};
use sai_tokenizer::train::{Counter, Pattern, Recipe, RoleNames};
use sai_tokenizer::{ChatTemplate, TemplateSources};
use std::ops::ControlFlow;

/// The special tokens of models that sai makes: what ends a text, what stands around turns, what fills up batches.
const SPECIAL: [&str; 4] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"];
/// Bytes for words where nobody says how many there are.
const MEMORY: u64 = 4 << 30;

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    let wanted = &at.recipe.tokenizer;
    let rows = at.recipe.pretrain(at.folder)?.config(at.recipe.path())?.vocab_size;
    let said = |n: Option<usize>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
    StageJob::default()
        .set("vocab_size", at.recipe.vocab_size(rows))
        .set("pattern", wanted.pattern.as_deref().unwrap_or("llama3"))
        .set("nfc", wanted.nfc)
        .set("min_frequency", wanted.min_frequency.unwrap_or(2))
        .set("max_token_length", said(wanted.max_token_length))
        .reads(at, at.folder.documents())
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let wanted = &at.recipe.tokenizer;
    let rows = at.recipe.pretrain(at.folder)?.config(at.recipe.path())?.vocab_size;
    let recipe = Recipe {
        pattern: Pattern::new(wanted.pattern.as_deref().unwrap_or("llama3"))?,
        vocab_size: at.recipe.vocab_size(rows),
        nfc: wanted.nfc,
        specials: SPECIAL.map(str::to_owned).to_vec(),
        min_frequency: wanted.min_frequency.unwrap_or(2),
        max_token_length: wanted.max_token_length,
    };
    let role = |name: &str| Some(name.to_owned());
    let asked = recipe.vocab_size;
    let counter = Counter::new(recipe, memory(at))?;
    let documents = sai_documents::find(&[at.folder.documents().to_string_lossy()])?;
    let read =
        Options { columns: Columns { lang: None, source: None, ..Columns::default() }, ..Options::default() };
    let (threads, reader) = (threads(at), Reader::open(documents, read)?);
    let mut so_far = |done, total: u64| told.of(done, 2 * total, "counting words");
    if count_documents(&counter, reader, threads, &mut so_far)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let (text, words) = (counter.text(), counter.distinct());
    let learnt =
        counter.learn(threads, &mut |tokens| told.of(asked as u64 + tokens, 2 * asked as u64, "learning"))?;
    let Some(trained) = learnt else { return Ok(ControlFlow::Break(())) };
    if trained.len() < asked {
        told.warn(&format!("{} tokens and not {asked}: no more pairs are met often enough", trained.len()));
    }
    let roles = RoleNames { bos: role(SPECIAL[0]), eos: role(SPECIAL[0]), pad: role(SPECIAL[3]) };
    let template =
        TemplateSources { default: Some(ChatTemplate::CHATML_JINJA.to_owned()), named: Vec::new() };
    let out = at.folder.stage(Stage::Tokenizer);
    write_vocabulary(&out, &trained, &roles, &template)?;
    let summary = format!(
        "{} tokens, from {:.1} MB of text with {words} distinct words",
        trained.len(),
        text as f64 / 1e6
    );
    Ok(ControlFlow::Continue(StageOutcome { outputs: files::below(at.folder.root(), &out)?, summary }))
}

fn memory(at: &RunContext<'_>) -> usize {
    usize::try_from(at.options.memory.unwrap_or(MEMORY)).unwrap_or(usize::MAX)
}
