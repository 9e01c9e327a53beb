//! # formats: weights at rest
//!
//! In: a path, or the bytes of a GGUF file ([`Source`]). Out: [`Tensors`], a catalogue of names, shapes, types and bytes over a memory map, and for GGUF the
//! [metadata](gguf::Metadata) beside it. [`open`] tells by its contents what is there; [`gguf`] and
//! [`safetensors`] are the two containers, each with a reader and a [`Writer`]. A third is a new file here and
//! nothing elsewhere.
//!
//! Weights are plain floats or quantised blocks. [`DType`] names and measures them, [`blocks`] has their layouts,
//! [`dequantize`] turns them into `f32`, bit-equal to the reference that quantised files are made against, and
//! [`quantize`] turns `f32` into them, with the least error that its search finds.
//!
//! Files are hostile until checked. Everything that a header promises (counts, lengths, extents, offsets) is held
//! against the file's length before it is believed and before memory is asked for, so that a header costs memory in
//! proportion to the bytes it has on disk. After opening succeeds, no access can fail or panic: every
//! [`Tensor`] has exactly the bytes that its shape and type need. The bytes themselves are any bytes; a block of
//! garbage dequantises to garbage.
//!
//! The JSON files beside the weights are read by [`json`], which takes what Python writes.
//!
//! Files are written under a temporary name and renamed when they are whole and on the disk; only [`JsonLines`] grows, for
//! journals of long work.
//!
//! This room knows nothing of models: that `blk.0.attn_q.weight` is a query projection is the decoder's business.
//! It never prints, starts no threads but those that sync what is being written, and copies weights only when asked for
//! numbers.

mod behind;
mod bytes;
mod cast;
mod dequantize;
mod dtype;
mod error;
mod folder;
mod json_lines;
mod open;
mod quantize;
mod recognise;
mod shown;
mod source;
mod tensors;
mod whole;
mod write;

pub mod blocks;
pub mod gguf;
pub mod json;
pub mod safetensors;

pub use behind::WriteBehind;
pub use bytes::Bytes;
pub use dequantize::{dequantize, numbers, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};
pub use dtype::{DType, UnsupportedType};
pub use error::{Error, FileKind, KeyProblem, TensorProblem};
pub use folder::FolderWriter;
pub use json_lines::{JsonLines, JsonLinesError};
pub use open::{Container, open};
pub use quantize::quantize;
pub use recognise::map as map_file;
pub use source::Source;
pub use tensors::{Tensor, Tensors};
pub use whole::{write_private, write_whole};
pub use write::{TensorSpec, Writer};
