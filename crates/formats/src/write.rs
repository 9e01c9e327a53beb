//! Writing a model, one tensor at a time, so that no more than one is ever in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::{DType, Error, WriteBehind};

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// How its elements are stored.
    pub dtype: DType,
    /// Row-major, outermost dimension first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// The bytes of the tensor; `None` where its rows do not fill whole blocks, or the count overflows.
    pub fn bytes(&self) -> Option<usize> {
        self.dtype.bytes_for(self.shape.last().copied().unwrap_or(1))?;
        self.dtype.bytes_for(self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?)
    }
}

/// A model file being written: its header is fixed, its tensors follow in the order that
/// [`next_tensor`](Writer::next_tensor) asks for them.
///
/// The file grows under a temporary name beside its target and takes the target's name in
/// [`finish`](Writer::finish), after it has reached the disk. Dropped before that, it leaves no trace.
#[derive(Debug)]
pub struct Writer {
    target: PathBuf,
    file: BufWriter<WriteBehind>,
    temporary: TempPath,
    specs: Vec<TensorSpec>,
    /// For each tensor, how many zero bytes follow it.
    padding: Vec<usize>,
    /// The tensor being written.
    at: usize,
    /// Its bytes that are still to come.
    left: usize,
}

impl Writer {
    /// Starts a file with `header`. `padding` has an entry for each tensor.
    pub(crate) fn start(
        target: &Path,
        header: &[u8],
        specs: Vec<TensorSpec>,
        padding: Vec<usize>,
    ) -> Result<Writer, Error> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temporary = temporary(folder).map_err(|e| Error::io(target, "create a file beside it", e))?;
        let (file, temporary) = temporary.into_parts();
        let mut writer = Writer {
            target: target.to_owned(),
            file: BufWriter::with_capacity(1 << 20, WriteBehind::new(file)),
            temporary,
            specs,
            padding,
            at: 0,
            left: 0,
        };
        writer.put(header)?;
        writer.arrive()?;
        Ok(writer)
    }

    /// The tensor whose bytes are due next, or whose bytes have begun; `None` when all are written.
    pub fn next_tensor(&self) -> Option<&TensorSpec> {
        self.specs.get(self.at)
    }

    /// Appends bytes of the [due tensor](Writer::next_tensor): all of them, or a part.
    ///
    /// # Errors
    /// More bytes than the tensor has, or the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > self.left {
            let problem = match self.next_tensor() {
                Some(spec) => {
                    let (name, more) = (&spec.name, bytes.len() - self.left);
                    format!("tensor `{name}` was given {more} bytes more than its shape holds")
                }
                None => format!("{} bytes came after the last tensor", bytes.len()),
            };
            return Err(Error::Write { path: self.target.clone(), problem });
        }
        self.put(bytes)?;
        self.left -= bytes.len();
        if self.left == 0 && self.at < self.specs.len() {
            self.pad()?;
            self.at += 1;
            self.arrive()?;
        }
        Ok(())
    }

    /// Brings the file to the disk and gives it its name, in place of what had it before.
    ///
    /// # Errors
    /// Tensors are not all written, or the disk refuses.
    pub fn finish(mut self) -> Result<(), Error> {
        if let Some(spec) = self.next_tensor() {
            let problem = format!("tensor `{}` lacks {} bytes", spec.name, self.left);
            return Err(Error::Write { path: self.target, problem });
        }
        let fail = |e| Error::io(&self.target, "write the file", e);
        self.file.flush().map_err(fail)?;
        self.file.get_mut().sync_all().map_err(fail)?;
        self.temporary.persist(&self.target).map_err(|e| fail(e.error))?;
        // The new name reaches the disk with its folder; where folders cannot be opened there is nothing to do.
        #[cfg(unix)]
        if let Some(parent) = self.target.parent() {
            let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(folder).and_then(|f| f.sync_all()).map_err(fail)?;
        }
        Ok(())
    }

    /// Looks at the tensor at `at`, and passes those that have no bytes.
    fn arrive(&mut self) -> Result<(), Error> {
        while let Some(spec) = self.specs.get(self.at) {
            self.left = spec.bytes().unwrap_or(0);
            if self.left > 0 {
                break;
            }
            self.pad()?;
            self.at += 1;
        }
        Ok(())
    }

    fn pad(&mut self) -> Result<(), Error> {
        let mut zeros = self.padding.get(self.at).copied().unwrap_or(0);
        while zeros > 0 {
            let some = zeros.min(4096);
            self.put(&[0; 4096][..some])?;
            zeros -= some;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.target, "write the file", e))
    }
}

/// Refuses tensors that cannot be written: names that are there twice, shapes that do not fit their type.
pub(crate) fn check(target: &Path, specs: &[TensorSpec]) -> Result<(), Error> {
    let wrong = |problem| Err(Error::Write { path: target.to_owned(), problem });
    let mut seen = std::collections::HashSet::new();
    for spec in specs {
        if !seen.insert(spec.name.as_str()) {
            return wrong(format!("tensor `{}` is given twice", spec.name));
        }
        if spec.bytes().is_none() {
            let TensorSpec { name, dtype, shape } = spec;
            return wrong(format!("tensor `{name}` of shape {shape:?} does not fill {dtype} blocks"));
        }
    }
    Ok(())
}

/// A new file in `folder`, readable by whom the user's umask says, as any other file is.
fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sai-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
