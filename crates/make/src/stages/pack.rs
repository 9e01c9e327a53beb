//! `sai tokenizer pack`: documents as token shards.

use super::{RunContext, StageJob, StageOutcome, threads};
use crate::event::StageContext;
use crate::{Error, Stage, files};
use sai_shards::{PackOptions, Progress};
use sai_tokenizer::Tokenizer;
use std::ops::ControlFlow;

/// Tokens of a shard where nothing else is said.
const SHARD: u64 = 100_000_000;

pub(crate) fn job(at: &RunContext<'_>) -> Result<StageJob, Error> {
    StageJob::default()
        .set("shard_tokens", at.recipe.pack.shard_tokens.unwrap_or(SHARD))
        .reads(at, at.folder.documents())?
        .reads(at, at.folder.stage(Stage::Tokenizer))
}

pub(crate) fn run(
    at: &RunContext<'_>,
    told: &mut StageContext<'_>,
) -> Result<ControlFlow<(), StageOutcome>, Error> {
    let vocabulary = at.folder.stage(Stage::Tokenizer);
    let tokenizer = Tokenizer::from_folder(&vocabulary)?;
    let documents = sai_documents::find(&[at.folder.documents().to_string_lossy()])?;
    let options = PackOptions {
        shard_tokens: at.recipe.pack.shard_tokens.unwrap_or(SHARD),
        threads: threads(at),
        end: tokenizer.eos().first().copied(),
        tokenizer_name: vocabulary.to_string_lossy().into_owned(),
    };
    let out = at.folder.stage(Stage::Pack);
    let mut so_far = |p: Progress| told.of(p.bytes_done, p.bytes_total, "");
    let reading = sai_documents::Options::default();
    let packed = match sai_shards::pack(&out, &tokenizer, documents, reading, &options, &mut so_far)? {
        ControlFlow::Continue(packed) => packed,
        ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
    };
    let all = packed.totals.all;
    let summary = format!(
        "{} tokens of {} documents, {:.2} bytes each",
        all.tokens,
        all.documents,
        all.text_bytes as f64 / all.tokens.max(1) as f64
    );
    Ok(ControlFlow::Continue(StageOutcome { outputs: files::below(at.folder.root(), &out)?, summary }))
}
