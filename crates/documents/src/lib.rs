//! # documents: reading and writing them
//!
//! In: files, folders and globs of JSONL, Parquet and plain text, compressed with gzip or zstd or not at all, told
//! apart by what they hold. Out: [`Batch`]es of documents, each with its text, its language and its source as the
//! [`Columns`] name them, and the file and line that it stands in.
//!
//! The order is always the same: by the names of the files, whatever the number of threads. [`Reader`] reads and
//! decompresses on threads of its own and hands out [`Raw`] blocks of whole lines; whoever takes one turns it into
//! documents with [`Raw::parse`] on its own thread, so that the parsing spreads over as many threads as the work
//! behind it. [`in_order`] does this for work that wants every core and its results in order; as an iterator a
//! [`Reader`] gives batches to a single thread. Queues are short: a reader that is not asked reads no further, and
//! one that is dropped ends its threads.
//!
//! Files are hostile. What is compressed is decompressed in pieces, so that a bomb costs time and no memory but zstd's
//! window; a line, or a document of a text file, has a limit. A file that is of no kind that is read, such as a JSON
//! array, a table of text or UTF-16, is refused as a whole, with the way out. A line that is no document is an error with
//! its file and its number, or is counted and passed over where [`Options::skip_broken`] says so; a file of which most
//! is broken is an error all the same. The memory in use is some blocks of [`Options::block`] bytes for each thread, and
//! as much as the longest document.
//!
//! A [`Writer`] makes a file of documents, of JSON lines under zstd or of Parquet, that takes its name when it is whole.
//!
//! This room prints nothing and knows nothing of tokens, nor of what makes a document good.

mod amount;
mod batch;
mod corpus_folder;
mod cut;
mod error;
mod in_order;
mod inputs;
pub mod json;
mod options;
mod parquet;
mod parse;
mod reader;
mod sniff;
mod source;
mod spares;
mod write;

pub use amount::Amount;
pub use batch::{Batch, BrokenDocument, Document, FileCounts};
pub use corpus_folder::{MANIFEST, MANIFEST_FORMAT};
pub use error::{Column, Error, Place};
pub use in_order::{BatchResult, in_order, ordered};
pub use inputs::{InputFiles, file_names, find, find_files, is_parquet};
pub use options::{Columns, Format, Options};
pub use reader::{Raw, Reader};
pub use sniff::wide_encoding;
pub use write::{Writer, WrittenAs, WrittenFile, write_whole};
