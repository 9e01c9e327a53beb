//! # formats
