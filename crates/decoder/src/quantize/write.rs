//! The file of a plan: pieces of tensors, each quantised by all threads while the one before is written.

use super::{Plan, PlannedTensor};
use crate::Error;
use rayon::prelude::*;
use sai_formats::{Tensor, Writer, gguf, numbers, quantize};
use std::ops::ControlFlow;
use std::path::Path;

/// Weights of a piece: enough to keep the threads busy, few enough to be little memory.
const PIECE: usize = 4 << 20;
/// Weights that a thread takes at a time: few enough that no thread waits long for another at the end of a tensor.
const SHARE: usize = 16 << 10;

impl Plan<'_> {
    /// Writes the file, in place of one of that name, with `threads` threads (0: one per core). It takes its name
    /// when it is whole and on the disk; stopped before (`Break`), it leaves nothing.
    ///
    /// `progress` hears how many bytes of tensors are made, and may stop the work. The bytes do not depend on the threads.
    ///
    /// # Errors
    /// A weight that its type cannot hold, a type that sai does not read, or the disk refuses.
    pub fn write(
        &self,
        target: &Path,
        threads: usize,
        progress: &mut (dyn FnMut(u64) -> ControlFlow<()> + Send),
    ) -> Result<ControlFlow<()>, Error> {
        let specs = self.tensors.iter().map(PlannedTensor::spec).collect();
        let mut writer = gguf::create(target, &self.metadata, specs)?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::Threads)?;
        if pool.install(|| self.fill(&mut writer, progress))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        writer.finish()?;
        Ok(ControlFlow::Continue(()))
    }

    fn fill(
        &self,
        writer: &mut Writer,
        progress: &mut (dyn FnMut(u64) -> ControlFlow<()> + Send),
    ) -> Result<ControlFlow<()>, Error> {
        // One piece is made while the other is written.
        let (mut ready, mut next) = (Vec::new(), Vec::new());
        let mut done = 0;
        for planned in &self.tensors {
            let tensor = planned.source.tensor()?;
            let rows = (PIECE / tensor.columns().max(1)).max(1);
            for first in (0..tensor.rows()).step_by(rows) {
                let rows = rows.min(tensor.rows() - first);
                let (written, made) =
                    rayon::join(|| writer.write(&ready), || piece(planned, &tensor, first, rows, &mut next));
                written?;
                made?;
                std::mem::swap(&mut ready, &mut next);
                done += ready.len() as u64;
                if progress(done).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            // A mapped source is read once.
            tensor.data.release();
        }
        writer.write(&ready)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// `rows` rows of a tensor from row `first` on, in the type that it gets.
fn piece(
    planned: &PlannedTensor<'_>,
    tensor: &Tensor,
    first: usize,
    rows: usize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (from, to, columns) = (tensor.dtype, planned.dtype, tensor.columns());
    let unreadable = || Error::Formats(sai_formats::Error::Unsupported { dtype: from });
    let source_row = from.bytes_for(columns).ok_or_else(unreadable)?;
    let source = tensor.data.get(first * source_row..(first + rows) * source_row).ok_or_else(unreadable)?;
    if from == to && !from.is_float() {
        out.clear();
        out.extend_from_slice(source);
        return Ok(());
    }
    let target_row = to.bytes_for(columns).ok_or_else(unreadable)?;
    out.resize(rows * target_row, 0);
    let share = (SHARE / columns).max(1);
    out.par_chunks_mut(share * target_row)
        .zip(source.par_chunks(share * source_row))
        .enumerate()
        .try_for_each_init(Vec::new, |room: &mut Vec<f32>, (i, (out, source))| {
            let values = numbers(from, source, source.len() / source_row * columns, room)?;
            quantize(to, values, planned.importance.as_deref(), out)
                .map_err(|error| located(error, tensor, first + i * share))
        })
}

/// Says of which tensor, row and column an error speaks.
fn located(error: sai_formats::Error, tensor: &Tensor, first_row: usize) -> Error {
    match error {
        sai_formats::Error::CannotHold { dtype, element, value } => {
            let columns = tensor.columns();
            Error::CannotHold {
                path: tensor.file.to_path_buf(),
                tensor: tensor.name.escape_debug().to_string(),
                row: first_row + element / columns,
                source: Box::new(sai_formats::Error::CannotHold { dtype, element: element % columns, value }),
            }
        }
        other => other.into(),
    }
}
