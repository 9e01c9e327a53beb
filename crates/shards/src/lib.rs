//! # shards: tokens at rest
//!
//! In: documents of `documents` and a tokenizer. Out: a folder of token shards that a trainer maps into memory. [`pack`]
//! makes it, [`Shards::open`] reads it: any document's tokens by its number, its language and source, and the bytes
//! of text that it was, so that losses can be said in bits per byte.
//!
//! ## A folder
//!
//! `shard-00000.tokens`, `shard-00001.tokens`, … and `pack.json`, which is written last: a folder without it is not
//! finished. It names each shard with its length and the checksum of its header, and the totals by language.
//!
//! ## A shard, version 1
//!
//! Everything is little-endian. A header of 256 bytes:
//!
//! | byte | type | what |
//! | --- | --- | --- |
//! | 0 | 8 bytes | `saitoken` |
//! | 8 | u32 | version, 1 |
//! | 12 | u32 | bytes of a token: 2 where the vocabulary has at most 65,536 entries, else 4 |
//! | 16 | u32 | entries of the vocabulary |
//! | 20 | u32 | number of the shard |
//! | 24 | u64 | documents |
//! | 32 | u64 | tokens |
//! | 40 | u64 | bytes of the documents' texts |
//! | 48 | u32 | names of languages and sources |
//! | 52 | u32 | bytes of these names |
//! | 56 | u32 | the token that ends each document, or 2³² - 1 |
//! | 60 | u32 | 0 |
//! | 64 | SHA-256 | fingerprint of the tokenizer |
//! | 96 | SHA-256 | fingerprint of the job: inputs, options, tokenizer |
//! | 128 | SHA-256 | of the tokens |
//! | 160 | SHA-256 | of the index |
//! | 192 | 32 bytes | 0 |
//! | 224 | SHA-256 | of the 224 bytes before |
//!
//! Then the tokens, one document after another; zeros up to a multiple of 8; and the index: for each document a u64,
//! how many tokens of the shard are before its end; for each a u32, the bytes of its text; for each a u32, the number
//! of its language among the names, or 2³² - 1; for each a u32, that of its source; for each name a u32, where it ends
//! among the bytes of names; these bytes, in UTF-8.
//!
//! ## What is promised
//!
//! The same inputs, options and tokenizer give the same bytes, whatever the number of threads and however often the
//! work was interrupted: a shard takes its name when it is whole and on the disk, and [`pack`] goes on after the last
//! one. Opening looks at the header and the index and holds every length against the file's; after it no access fails
//! or panics. Tokens are compared with their checksum, and with the size of the vocabulary, by [`Shards::verify`]. A
//! shard that was packed with another tokenizer, cut short or damaged is refused by its name.
//!
//! Where a document is used, and how often, is the trainer's business.

#[cfg(target_endian = "big")]
compile_error!("shards are mapped as they lie, which is little-endian");

mod error;
mod header;
mod index;
mod manifest;
mod pack;
mod set;
mod shard;
mod write;

pub use error::Error;
pub use header::{Header, NONE};
pub use manifest::{Total, Totals};
pub use pack::{PackOptions, Packed, Progress, pack};
pub use set::Shards;
pub use shard::{Document, Shard, Tokens};
