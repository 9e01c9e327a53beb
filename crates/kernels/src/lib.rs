//! # kernels: the operations of a decoder on a device
//!
//! In: activations in f32, weights in whatever type their file has. Out: activations. What a decoder
//! needs of a machine is the [`Device`] trait, some operations named for what they compute; a machine is an
//! implementor. The CPU is here; a GPU is a second implementor and not a second model.
//!
//! A weight matrix ([`Device::Matrix`]) is a stack of tensors with the same inputs, so that query, key and
//! value projections are one product. On the CPU each is multiplied in the type that it is stored in: floats where
//! the file is mapped, with f32 activations; quantised blocks repacked into tiles, with activations rounded to bytes, in
//! integers (`cpu/tile/`).
//!
//! What training needs besides is the [`Training`] trait: a backward beside each forward, the loss, and AdamW, in f32.
//!
//! Each operation is a file: first what it means, then its fast forms, then tests that hold every form to
//! the meaning on odd shapes and each instruction set of the machine. Instruction sets are found at run time,
//! so one binary serves every processor of its architecture. Threads are one persistent pool
//! (`cpu/pool.rs`); nothing here starts another.
//!
//! This room knows no model: how many layers there are, and which tensor is a query projection, is
//! `decoder`'s business. It reads the layouts of blocks from `formats` and nothing else of it. It never
//! prints, reads a file, or asks the environment.

// A kernel takes what it computes on, and loops over indices are what compiles to vectors.
#![allow(clippy::too_many_arguments, clippy::needless_range_loop)]

mod cpu;
mod device;
mod error;
mod training;

pub use cpu::{Buffer, Cache, Cpu, Limits, Matrix, Table};
pub use device::{
    Activation, Attention, CacheShape, CacheType, Device, Heads, NormKind, PAGE, Pointwise, RopeStyle, Span,
};
pub use error::Error;
pub use training::{AdamWStep, LossSums, LowRank, Training, View};
