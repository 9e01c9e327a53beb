//! What can be wrong with a file, with the facts that a person needs to act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::DType;
use crate::shown::{Grouped, Quoted, ShapeShown, Shown};

/// Why a file could not be opened, read or written.
///
/// Displays as one line: the file, the fact, and after a semicolon the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("{}: could not {doing}: {source}", Shown::path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as an infinitive without "to": "open the file".
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The path does not hold a model that this crate reads.
    #[error("{}: {found}", Shown::path(path))]
    NotAModel {
        /// The file or folder.
        path: PathBuf,
        /// What it seems to be instead.
        found: FileKind,
    },
    /// A header count or length promises more than the file can hold, or the file ends inside its header.
    #[error(
        "{}: {} needs {} bytes at byte {} of a file of {} bytes; the download was cut short or the file is \
         damaged; fetch it again", Shown::path(path), Shown(part), Grouped(*bytes), Grouped(*at), Grouped(*length)
    )]
    HeaderPastEnd {
        /// The file.
        path: PathBuf,
        /// Which part of the header: "the key of metadata entry 3", "the list of 17 tensors".
        part: String,
        /// Where that part starts.
        at: u64,
        /// How long it says it is, at least.
        bytes: u64,
        /// The file's length.
        length: u64,
    },
    /// A GGUF version that this crate does not read.
    #[error("{}: GGUF version {version} is not readable (versions 2 and 3 are); {}",
        Shown::path(path),
        if *version < 2 { "convert the model again with a current llama.cpp" }
        else { "a newer sai may read it, or the file is damaged" })]
    GgufVersion {
        /// The file.
        path: PathBuf,
        /// The version in its header.
        version: u32,
    },
    /// A GGUF file written for big-endian machines.
    #[error(
        "{}: this GGUF file (version {version}) is big-endian, and only little-endian files are readable; \
         fetch the little-endian one",
        Shown::path(path)
    )]
    BigEndian {
        /// The file.
        path: PathBuf,
        /// The version, read in the file's own byte order.
        version: u32,
    },
    /// A model split over several GGUF files, of which one was opened.
    #[error(
        "{}: this is part {} of a model split over {parts} GGUF files; join them with \
         `llama-gguf-split --merge`", Shown::path(path), part + 1
    )]
    GgufSplit {
        /// The file.
        path: PathBuf,
        /// Which part it is, from 0.
        part: u32,
        /// How many there are.
        parts: u32,
    },
    /// Something is wrong with a metadata key.
    #[error("{}: metadata key {}: {problem}", Shown::path(path), Quoted(key))]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The tensor's bytes end after the file does.
    #[error(
        "{}: tensor {} ends at byte {} of a file of {} bytes; the download was cut short; fetch it again",
        Shown::path(path), Quoted(tensor), Grouped(*end), Grouped(*length)
    )]
    TensorPastEnd {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// One past its last byte, counted from the start of the file.
        end: u64,
        /// The file's length.
        length: u64,
    },
    /// Something else is wrong with a tensor.
    #[error("{}: tensor {}: {problem}", Shown::path(path), Quoted(tensor))]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// The JSON header of a safetensors file is wrong.
    #[error(
        "{}: the safetensors header {}; the file is damaged; fetch it again",
        Shown::path(path),
        Shown(problem)
    )]
    SafetensorsHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a predicate: "is not JSON: …".
        problem: String,
    },
    /// The index of a sharded model is wrong.
    #[error("{}: the index {}; fetch it again", Shown::path(path), Shown(problem))]
    Index {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it, as a predicate.
        problem: String,
    },
    /// The index names a shard that is not there.
    #[error(
        "{}: shard {} is missing ({tensors} tensors, {} among them); fetch it into the same folder",
        Shown::path(path),
        Quoted(shard),
        Quoted(tensor)
    )]
    MissingShard {
        /// The index file.
        path: PathBuf,
        /// The shard's file name.
        shard: String,
        /// One tensor that it should hold.
        tensor: String,
        /// How many tensors it should hold.
        tensors: usize,
    },
    /// The index says that a shard holds a tensor, and it does not.
    #[error(
        "{}: tensor {} is not in this shard, though {} says so; index and shards come from different models; \
         fetch them again together",
        Shown::path(path),
        Quoted(tensor),
        Shown::path(index)
    )]
    NotInShard {
        /// The shard.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The index file.
        index: PathBuf,
    },
    /// Two shards hold a tensor of the same name.
    #[error(
        "{}: tensor {} is also in {}; the folder mixes files of different models; fetch it anew",
        Shown::path(path),
        Quoted(tensor),
        Shown::path(other)
    )]
    InTwoShards {
        /// The second shard.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The first shard.
        other: PathBuf,
    },
    /// Bytes and elements handed to [`dequantize`](crate::dequantize) do not belong together.
    #[error("{elements} elements of {dtype} do not fill {bytes} bytes")]
    Length {
        /// The element type.
        dtype: DType,
        /// The length of the bytes.
        bytes: usize,
        /// The elements asked for.
        elements: usize,
    },
    /// sai cannot compute with this type.
    #[error("{dtype} values cannot be turned into numbers; {NO_FOREIGN}")]
    Unsupported {
        /// The type.
        dtype: DType,
    },
    /// A number that cannot be quantised.
    #[error("element {element} is {value:e}, which {dtype} cannot hold; {}", NotHeld(*value))]
    CannotHold {
        /// The type that was to hold it.
        dtype: DType,
        /// Its place among the numbers that were given.
        element: usize,
        /// The number.
        value: f32,
    },
    /// The importances of columns do not belong to these numbers.
    #[error("importances of {columns} columns do not belong to rows of {elements} elements")]
    Importance {
        /// How many importances there are.
        columns: usize,
        /// How many numbers there are.
        elements: usize,
    },
    /// What a writer was told to write does not fit together.
    #[error("{}: {}; nothing was written", Shown::path(path), Shown(problem))]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

pub(crate) const NO_FOREIGN: &str =
    "use a file in F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 or Q2_K to Q6_K";

/// The way out of a number that a type cannot hold.
struct NotHeld(f32);

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_finite() {
            "use bf16 or f32, which reach further"
        } else {
            "the training that made it went wrong, or the file is damaged; take another checkpoint"
        })
    }
}

/// What a path seems to be, where it is no model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A file of no bytes.
    Empty,
    /// The text that git keeps in place of a large file.
    LfsPointer,
    /// A web page saved under a model's name.
    WebPage,
    /// A PyTorch checkpoint.
    Pickle,
    /// A GGML file from before GGUF.
    OldGgml,
    /// JSON or other text.
    Text,
    /// Some other file, of these first bytes.
    Unknown(Vec<u8>),
    /// A socket, pipe or device.
    NotAFile,
    /// A folder with PyTorch checkpoints only; the name of one.
    PickleFolder(String),
    /// A folder with GGUF files and no safetensors; the name of one.
    GgufFolder(String),
    /// A folder with an adapter and no model.
    Adapter,
    /// A folder with several `.safetensors` files and no index; the name of one.
    NoIndex(String),
    /// A folder with weights and no `config.json`.
    NoConfig,
    /// A folder, where a GGUF's metadata was to be said otherwise.
    NoMetadata,
    /// A folder with `config.json` and no weights.
    NoWeights,
    /// A folder with neither.
    NoModel,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileKind::Empty => f.write_str("the file is empty; fetch it again"),
            FileKind::LfsPointer => f.write_str(
                "this is a git-lfs pointer, not the weights; run `git lfs pull` in its folder, or fetch the file itself",
            ),
            FileKind::WebPage => f.write_str(
                "this is a web page, not a model; the download link led to a page; fetch the file itself",
            ),
            FileKind::Pickle => f.write_str(
                "this is a PyTorch checkpoint (pickle, which can run code when read); convert it to safetensors",
            ),
            FileKind::OldGgml => {
                f.write_str("this is a GGML file from before GGUF; convert the original model to GGUF")
            }
            FileKind::Text => f.write_str("this is text, not a model; give a .gguf file or a model's folder"),
            FileKind::Unknown(start) => {
                f.write_str("this is neither GGUF nor safetensors (it starts with bytes")?;
                start.iter().take(8).try_for_each(|byte| write!(f, " {byte:02x}"))?;
                f.write_str("); give a .gguf file or a model's folder")
            }
            FileKind::NotAFile => f.write_str("this is neither a file nor a folder; give a .gguf file or a model's folder"),
            FileKind::PickleFolder(name) => write!(
                f,
                "the folder's weights are PyTorch checkpoints ({}: pickle, which can run code when read); convert \
                 them to safetensors",
                Shown(name)
            ),
            FileKind::GgufFolder(name) => {
                write!(f, "the folder has no .safetensors file, but GGUF; give the file itself: {}", Shown(name))
            }
            FileKind::Adapter => f.write_str(
                "the folder has an adapter (LoRA) and no model; make one of both with `sai merge BASE ADAPTER MERGED`",
            ),
            FileKind::NoIndex(name) => write!(
                f,
                "the folder has several .safetensors files ({} among them) and no model.safetensors.index.json; fetch \
                 the index too",
                Shown(name)
            ),
            FileKind::NoMetadata => f.write_str(
                "metadata is overridden in a GGUF only, and this is a Hugging Face folder; change its config.json or \
                 tokenizer files instead",
            ),
            FileKind::NoConfig => f.write_str("the folder has weights but no config.json; fetch it into the same folder"),
            FileKind::NoWeights => {
                f.write_str("the folder has a config.json but no .safetensors file; fetch the weights into it")
            }
            FileKind::NoModel => f.write_str(
                "the folder has neither config.json nor .safetensors files; give a .gguf file or a model's folder",
            ),
        }
    }
}

/// What is wrong with a metadata key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// It is there twice.
    #[error("it is there twice; the file is damaged; convert the model again")]
    Duplicate,
    /// No value type has this number.
    #[error("there is no value type {0}; the file is damaged; fetch it again")]
    UnknownType(u32),
    /// A boolean that is neither 0 nor 1.
    #[error("a boolean is {0}; the file is damaged; fetch it again")]
    NotBool(u8),
    /// A string that is not UTF-8.
    #[error("its text is not UTF-8; convert the model again")]
    NotUtf8,
    /// A string within an array that is not UTF-8.
    #[error("the text of its element {0} is not UTF-8; convert the model again")]
    ElementNotUtf8(usize),
    /// Arrays within arrays, deeper than any model needs.
    #[error("arrays are nested deeper than {0}; the file is damaged; fetch it again")]
    TooDeep(usize),
    /// `general.alignment` is no power of two.
    #[error("an alignment of {0} is not a power of two; convert the model again")]
    Alignment(u32),
    /// The value is of another type.
    #[error("{expected} was expected and {found} found; convert the model again")]
    WrongType {
        /// What the reader wanted: "an unsigned number".
        expected: &'static str,
        /// What is there: "text".
        found: String,
    },
    /// The key is not there.
    #[error("it is missing; convert the model again")]
    Missing,
}

/// What is wrong with a tensor.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// Two tensors of a file have this name.
    #[error("it is there twice; the file is damaged; fetch it again")]
    Duplicate,
    /// More dimensions than GGUF knows.
    #[error("it has {0} dimensions, and at most 4 are possible; the file is damaged; fetch it again")]
    TooManyDimensions(u32),
    /// A dimension is zero.
    #[error("its shape {} has a zero; the file is damaged; fetch it again", ShapeShown(.0))]
    ZeroDimension(Vec<u64>),
    /// Elements or bytes do not fit 64 bits.
    #[error("its shape {} is too large for any file; the file is damaged; fetch it again", ShapeShown(.0))]
    Overflow(Vec<u64>),
    /// No element type has this number.
    #[error("there is no element type {0}; a newer sai may know it, or the file is damaged")]
    UnknownType(u32),
    /// An element type that GGML has withdrawn.
    #[error("its element type {0} was withdrawn from GGML; convert the model again")]
    WithdrawnType(&'static str),
    /// Rows that do not fill whole blocks.
    #[error("rows of {row} do not divide into {dtype} blocks of {}; convert the model again", dtype.block_len())]
    RaggedRows {
        /// Elements a row.
        row: u64,
        /// The element type.
        dtype: DType,
    },
    /// It does not start at a multiple of the file's alignment.
    #[error(
        "it starts at offset {offset}, which {alignment} does not divide; the file is damaged; fetch it again"
    )]
    Misaligned {
        /// Where it starts, from the start of the data.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// It shares bytes with another tensor.
    #[error("it overlaps tensor {}; the file is damaged; fetch it again", Quoted(.0))]
    Overlaps(String),
    /// sai cannot compute with its type.
    #[error("it is of type {0}, which sai cannot run; {NO_FOREIGN}")]
    CannotRun(DType),
    /// Its shape and its bytes disagree.
    #[error(
        "shape {} of {dtype} does not fill {bytes} bytes; the file is damaged; fetch it again",
        ShapeShown(shape)
    )]
    Length {
        /// The shape, outermost first.
        shape: Vec<u64>,
        /// The element type.
        dtype: DType,
        /// The length of its bytes.
        bytes: u64,
    },
    /// Its bytes start before the end of the tensor before it, or leave a gap.
    #[error("it starts at offset {start}, and {expected} was expected; the file is damaged; fetch it again")]
    Offset {
        /// Where it starts, from the start of the data.
        start: u64,
        /// Where it had to start.
        expected: u64,
    },
    /// A value does not fit the type that it was to be stored in.
    #[error("its value {value} is past the largest of {dtype}; choose bf16 or f32")]
    TooLarge {
        /// The value.
        value: f32,
        /// The type.
        dtype: DType,
    },
}

impl Error {
    /// The file or folder that the error is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::Io { path, .. }
            | Error::NotAModel { path, .. }
            | Error::HeaderPastEnd { path, .. }
            | Error::GgufVersion { path, .. }
            | Error::BigEndian { path, .. }
            | Error::GgufSplit { path, .. }
            | Error::Key { path, .. }
            | Error::TensorPastEnd { path, .. }
            | Error::Tensor { path, .. }
            | Error::SafetensorsHeader { path, .. }
            | Error::Index { path, .. }
            | Error::MissingShard { path, .. }
            | Error::NotInShard { path, .. }
            | Error::InTwoShards { path, .. }
            | Error::Write { path, .. } => Some(path),
            Error::Length { .. }
            | Error::Unsupported { .. }
            | Error::CannotHold { .. }
            | Error::Importance { .. } => None,
        }
    }

    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Error {
        Error::Io { path: path.to_owned(), doing, source }
    }

    pub(crate) fn key(path: &Path, key: &str, problem: KeyProblem) -> Error {
        Error::Key { path: path.to_owned(), key: key.to_owned(), problem }
    }

    pub(crate) fn tensor(path: &Path, tensor: &str, problem: TensorProblem) -> Error {
        Error::Tensor { path: path.to_owned(), tensor: tensor.to_owned(), problem }
    }

    pub(crate) fn found(path: &Path, found: FileKind) -> Error {
        Error::NotAModel { path: path.to_owned(), found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_file_reads_as_promised() {
        let error = Error::TensorPastEnd {
            path: "model.gguf".into(),
            tensor: "blk.3.ffn_up.weight".into(),
            end: 98_401_120,
            length: 98_362_432,
        };
        assert_eq!(
            error.to_string(),
            "model.gguf: tensor `blk.3.ffn_up.weight` ends at byte 98,401,120 of a file of 98,362,432 bytes; the \
             download was cut short; fetch it again"
        );
    }

    #[test]
    fn hostile_names_stay_on_one_line() {
        let name = format!("a\nb\u{1b}[31m\u{202e}한글{}", "x".repeat(1000));
        let shown = Error::key(Path::new("m\n.gguf"), &name, KeyProblem::Duplicate).to_string();
        assert!(shown.starts_with("m\\n.gguf: metadata key `a\\nb\\u{1b}[31m\\u{202e}한글xxx"), "{shown}");
        assert!(shown.len() < 400 && !shown.contains('\n'));
    }
}
