//! # formats: weights at rest
//!
//! In: a path. Out: [`Tensors`], a catalogue of names, shapes, types and bytes over a memory map, and for GGUF the
//! [metadata](gguf::Metadata) beside it.

mod bytes;
mod dequantize;
mod dtype;
mod error;
mod tensors;

pub mod blocks;

pub use bytes::Bytes;
pub use dequantize::{dequantize, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0};
pub use dtype::{DType, Foreign};
pub use error::{Error, Found, KeyProblem, TensorProblem};
pub use tensors::{Tensor, Tensors};
