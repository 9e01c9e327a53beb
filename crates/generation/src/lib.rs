//! # generation
