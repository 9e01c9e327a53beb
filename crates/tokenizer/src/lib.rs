//! # tokenizer
