//! A vocabulary from documents: what `sai tokenizer train` and the stage of a making have in common.

use crate::Error;
use sai_documents::{Reader, in_order};
use sai_formats::FolderWriter;
use sai_tokenizer::train::{Counter, RoleNames, Trained};
use sai_tokenizer::{TemplateSources, Tokenizer};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What counting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentCounts {
    /// Broken documents that were passed over.
    pub broken: usize,
    /// How long a thread counted, reading left out.
    pub busy: Duration,
}

/// Counts the words of every document of `reader` on `threads` threads. `progress` hears how many bytes of how many are
/// read, and may end the work.
///
/// # Errors
/// A document cannot be read, or the words take more memory than the counter may.
pub fn count_documents(
    counter: &Counter,
    reader: Reader,
    threads: usize,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<ControlFlow<(), DocumentCounts>, Error> {
    let busy = AtomicU64::new(0);
    let (mut broken, mut failed) = (0, None);
    let flow = in_order(
        reader,
        threads,
        || counter.worker(),
        |worker, batch| {
            let began = Instant::now();
            let counted = batch.documents().try_for_each(|document| worker.add(document.text));
            busy.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            counted.map(|()| batch.broken().len())
        },
        |finished| match finished.result {
            Ok(passed_over) => {
                broken += passed_over;
                progress(finished.bytes_done, finished.bytes_total)
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let busy = Duration::from_nanos(busy.into_inner()) / threads.max(1) as u32;
    Ok(flow.map_continue(|()| DocumentCounts { broken, busy }))
}

/// Writes a vocabulary as a Hugging Face folder, once it is seen that it can be read again.
///
/// # Errors
/// The folder is there already, or the disk refuses.
pub fn write_vocabulary(
    out: &Path,
    trained: &Trained,
    roles: &RoleNames,
    templates: &TemplateSources,
) -> Result<(), Error> {
    let files = trained.files(roles, templates)?;
    let folder = FolderWriter::start(out, false)?;
    for (name, bytes) in &files {
        folder.add(name, bytes)?;
    }
    Tokenizer::from_folder(folder.path())?;
    Ok(folder.finish()?)
}
