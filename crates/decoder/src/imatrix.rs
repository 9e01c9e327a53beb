//! Importance matrices: for each matrix of a model, the mean square of what each column is multiplied with.
//!
//! The file is llama.cpp's GGUF form: for a matrix `NAME` a tensor `NAME.in_sum2`, (1, columns), with the sums of
//! squares over all tokens, and `NAME.counts`, (1, 1), with how many tokens those were. Names are GGUF's, whatever
//! file the model came from, so that one imatrix serves both.
//!
//! llama.cpp's older form, `.dat`, is read too ([`dat`]).

mod dat;

use crate::Error;
use crate::family::FAMILIES;
use crate::weights::Names;
use sai_formats::gguf::{self, Array, Gguf, Value};
use sai_formats::{Bytes, DType, Tensor, TensorSpec};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

/// How much each column of each matrix matters, found on some text.
#[derive(Clone, Debug)]
pub struct Imatrix {
    path: PathBuf,
    datasets: Vec<String>,
    chunks: u32,
    chunk_size: u32,
    entries: BTreeMap<String, Entry>,
}

/// Sums over the tokens that a matrix was multiplied with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// For each column, the sum of squares.
    pub(crate) sums: Vec<f32>,
    /// How many tokens.
    pub(crate) count: f32,
}

impl Imatrix {
    /// One that was just made, from `chunks` chunks of at most `chunk_size` tokens of `datasets`.
    pub(crate) fn new(
        datasets: Vec<String>,
        chunks: u32,
        chunk_size: u32,
        entries: BTreeMap<String, Entry>,
    ) -> Imatrix {
        Imatrix { path: PathBuf::new(), datasets, chunks, chunk_size, entries }
    }

    /// Reads a file, sai's or llama.cpp's.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds something else.
    pub fn open(path: &Path) -> Result<Imatrix, Error> {
        Imatrix::from_bytes(sai_formats::map_file(path)?, path)
    }

    /// Reads a file that is in memory; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`open`](Imatrix::open).
    pub fn from_bytes(bytes: Bytes, path: &Path) -> Result<Imatrix, Error> {
        if dat::seems(&bytes) {
            return dat::read(&bytes, path);
        }
        let file = Gguf::from_bytes(bytes, path)?;
        let wrong = |fact: String| Error::Imatrix { path: path.to_path_buf(), fact };
        if file.metadata.str("general.type")? != Some("imatrix") {
            return Err(wrong("this GGUF is no importance matrix; make one with `sai imatrix`".to_owned()));
        }
        let mut entries = BTreeMap::new();
        for sums in &file.tensors {
            let Some(name) = sums.name.strip_suffix(SUMS) else { continue };
            let entry = file.tensors.get(&format!("{name}{COUNTS}")).map(|counts| entry(sums, counts));
            match entry {
                Some(Ok(Some(entry))) => _ = entries.insert(name.to_owned(), entry),
                Some(Err(error)) => return Err(error),
                Some(Ok(None)) | None => {
                    let name = name.escape_debug();
                    return Err(wrong(format!(
                        "the sums and the count of `{name}` do not make finite means; make it again with `sai imatrix`"
                    )));
                }
            }
        }
        if entries.is_empty() {
            return Err(wrong("it has no sums of any tensor; make it again with `sai imatrix`".to_owned()));
        }
        let datasets = file.metadata.strings("imatrix.datasets")?.unwrap_or_default();
        Ok(Imatrix {
            path: path.to_path_buf(),
            datasets: datasets.into_iter().map(str::to_owned).collect(),
            chunks: file.metadata.u32("imatrix.chunk_count")?.unwrap_or(0),
            chunk_size: file.metadata.u32("imatrix.chunk_size")?.unwrap_or(0),
            entries,
        })
    }

    /// Writes the file, in place of one of that name.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, target: &Path) -> Result<(), Error> {
        let text = |text: &str| Value::String(text.to_owned());
        let metadata = [
            ("general.type", text("imatrix")),
            ("imatrix.datasets", Value::Array(Array::from_strings(&self.datasets))),
            ("imatrix.chunk_count", Value::U32(self.chunks)),
            ("imatrix.chunk_size", Value::U32(self.chunk_size)),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let spec = |name: String, columns| TensorSpec { name, dtype: DType::F32, shape: vec![1, columns] };
        let specs = self.entries.iter().flat_map(|(name, entry)| {
            [spec(format!("{name}{SUMS}"), entry.sums.len()), spec(format!("{name}{COUNTS}"), 1)]
        });
        let mut writer = gguf::create(target, &metadata, specs.collect())?;
        for entry in self.entries.values() {
            let bytes: Vec<u8> = entry.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
            writer.write(&bytes)?;
            writer.write(&entry.count.to_le_bytes())?;
        }
        Ok(writer.finish()?)
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The texts that it was made from.
    pub fn datasets(&self) -> &[String] {
        &self.datasets
    }

    /// How many chunks of text it was made from.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// How many matrices it knows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Their names, as GGUF files have them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The mean square of what each column of a matrix, by its GGUF name, was multiplied with.
    pub fn importance(&self, name: &str) -> Option<Vec<f32>> {
        let entry = self.entries.get(name)?;
        Some(entry.sums.iter().map(|sum| sum / entry.count).collect())
    }

    /// Holds it to a model's tensors: each matrix of a layer is known with its width, and nothing else is.
    ///
    /// # Errors
    /// It was made from another model.
    pub(crate) fn check<'s>(&self, specs: impl Iterator<Item = &'s TensorSpec>) -> Result<(), Error> {
        let specs: HashMap<&str, &TensorSpec> = specs.map(|spec| (spec.name.as_str(), spec)).collect();
        let wrong = |fact: String| Error::Imatrix {
            path: self.path.clone(),
            fact: format!("{fact}; it is of another model: make one of this model with `sai imatrix`"),
        };
        for (name, entry) in &self.entries {
            let shown = name.escape_debug();
            let Some(spec) = specs.get(name.as_str()) else {
                return Err(wrong(format!(
                    "it has importances for `{shown}`, which the model does not have"
                )));
            };
            let (known, columns) = (entry.sums.len(), spec.shape.last().copied().unwrap_or(1));
            if known != columns {
                return Err(wrong(format!(
                    "it has importances of {known} columns for `{shown}`, which has {columns} in the model"
                )));
            }
        }
        // The head and the embedding are left out by llama.cpp.
        let ours = |name: &&&str| name.starts_with("blk.") && specs[**name].shape.len() > 1;
        match specs.keys().filter(ours).find(|name| !self.entries.contains_key(**name)) {
            Some(name) => Err(wrong(format!("it has no importances for `{}`", name.escape_debug()))),
            None => Ok(()),
        }
    }
}

/// The entry of a matrix; `None` where its numbers make no means.
fn entry(sums: &Tensor, counts: &Tensor) -> Result<Option<Entry>, Error> {
    let (sums, counts) = (sums.to_f32()?, counts.to_f32()?);
    // A matrix of several experts has a count for each, which no model that sai runs has.
    let [count] = counts[..] else { return Ok(None) };
    Ok(Entry::of(sums, count))
}

impl Entry {
    /// `None` where the numbers make no means.
    fn of(sums: Vec<f32>, count: f32) -> Option<Entry> {
        let whole = count.is_finite() && count > 0.0;
        // A mean may be past the largest number though the sum is not, where there is less than one token.
        let mean = |sum: &f32| *sum >= 0.0 && (sum / count).is_finite();
        (whole && sums.iter().all(mean)).then_some(Entry { sums, count })
    }
}

/// A matrix's name in GGUF files, from its name in either kind of file.
pub(crate) fn gguf_name(name: &str) -> String {
    let all = FAMILIES.iter().flat_map(|family| family.folder);
    let found = all.map(|naming| Names::HuggingFace(naming)).find_map(|names| names.to_gguf(name));
    found.unwrap_or_else(|| name.to_owned())
}
