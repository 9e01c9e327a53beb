//! # decoder
