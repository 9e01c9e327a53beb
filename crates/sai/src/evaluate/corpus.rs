//! `--check-corpus`: which documents of tasks occur in what a model may have been trained on.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::bail;
use sai_documents::{Batch, Options, Reader};
use sai_evals::{Contamination, Exam};
use sai_generation::Tokenizer;
use sai_shards::Shards;

use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::Ui;

/// Reads a corpus, a folder of documents or of token shards, and says what occurs of the exams. `models` are the names of those
/// whose vocabularies may have packed it.
pub(super) fn check(
    folder: &Path,
    exams: &[Exam<'_>],
    models: &[String],
    interrupt: &Interrupt,
    ui: &Ui,
) -> anyhow::Result<Contamination> {
    let mut seen = Contamination::new(exams);
    match folder.join("pack.json").is_file() {
        true => shards(folder, &mut seen, models, interrupt, ui)?,
        false => documents(folder, &mut seen, interrupt, ui)?,
    }
    Ok(seen)
}

fn documents(folder: &Path, seen: &mut Contamination, interrupt: &Interrupt, ui: &Ui) -> anyhow::Result<()> {
    let files = crate::tokenizer::documents::find(ui, &[folder.to_string_lossy().into_owned()])?;
    let reader = Reader::open(files, Options { skip_broken: true, ..Options::default() })?;
    let bar = ui.bytes_bar(reader.bytes_total(), "corpus");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut read, mut broken) = (0, 0);
    let looked = &*seen;
    let work = |(): &mut (), batch: Batch| {
        let documents: Vec<_> = batch.documents().collect();
        let runs: Vec<u64> = documents.iter().flat_map(|document| looked.look(document.text)).collect();
        (documents.len(), batch.broken().len(), runs)
    };
    let mut found = Vec::new();
    let flow = sai_documents::in_order(
        reader,
        threads,
        || (),
        work,
        |batch| {
            let (documents, of_batch, runs) = batch.result;
            read += documents;
            broken += of_batch;
            found.extend(runs);
            bar.set_position(batch.bytes_done);
            if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    )?;
    bar.finish_and_clear();
    if flow.is_break() {
        std::process::exit(EXIT_INTERRUPTED);
    }
    seen.mark(&found);
    if broken > 0 {
        ui.warn(format_args!("{}: {broken} broken documents were passed over", folder.display()));
    }
    if read == 0 {
        bail!("{}: there is no document in it, so that nothing could occur", folder.display());
    }
    Ok(())
}

fn shards(
    folder: &Path,
    seen: &mut Contamination,
    models: &[String],
    interrupt: &Interrupt,
    ui: &Ui,
) -> anyhow::Result<()> {
    let shards = Shards::open(folder, None)?;
    let tokenizer = vocabulary(&shards, folder, models, ui)?;
    let all = shards.totals().all.documents;
    let bar = ui.bar(all, "corpus");
    for number in 0..all {
        let Some(document) = shards.document(number) else { break };
        let tokens: Vec<u32> = document.tokens.iter().filter(|&token| Some(token) != shards.end()).collect();
        let runs = seen.look(&tokenizer.decode(&tokens));
        seen.mark(&runs);
        if number % 256 == 0 {
            bar.set_position(number);
            if interrupt.pending() {
                bar.finish_and_clear();
                std::process::exit(EXIT_INTERRUPTED);
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// The vocabulary that a folder was packed with.
fn vocabulary(shards: &Shards, folder: &Path, models: &[String], ui: &Ui) -> anyhow::Result<Tokenizer> {
    let packed_with = shards.tokenizer();
    let there = Path::new(packed_with).exists().then(|| packed_with.to_owned());
    for name in there.iter().chain(models) {
        let tokenizer = crate::models::tokenizer(name, &[], ui)?;
        if tokenizer.fingerprint()? == shards.fingerprint() {
            return Ok(tokenizer);
        }
    }
    bail!(
        "{}: it was packed with the vocabulary of {packed_with}, which none of the models has; name a model that has it, or check \
         the documents that it was packed from",
        folder.display()
    )
}
