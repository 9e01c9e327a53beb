//! Where vocabularies come from.

pub(crate) mod gguf;
