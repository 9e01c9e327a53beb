//! Which documents: the flags of verbs that read a corpus.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sai_corpus::{Columns, Format, Options};

/// Documents, and how they are read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Documents")]
pub(super) struct DocumentArgs {
    /// Files, folders or globs: JSONL (plain, gzip or zstd), Parquet, or text
    #[arg(short, long, value_name = "FILE", num_args = 1.., required = true)]
    input: Vec<String>,

    #[command(flatten)]
    pub(super) reading: ReadingArgs,
}

/// How documents are read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Documents")]
pub(super) struct ReadingArgs {
    /// Key or column of a document's text
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,

    /// Key or column of its language
    #[arg(long, default_value = "lang", value_name = "NAME")]
    lang_column: String,

    /// Key or column of where it comes from
    #[arg(long, default_value = "source", value_name = "NAME")]
    source_column: String,

    /// What the files hold; told from each of them where not given
    #[arg(long, value_enum)]
    format: Option<FormatArg>,

    /// What stands between the documents of a text file; a file is one document where not given
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,

    /// Count broken documents and pass over them, instead of ending at the first
    #[arg(long)]
    skip_broken: bool,

    /// Files to read side by side; their documents follow one another block by block
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = crate::cli::whole(1..=1024))]
    streams: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Jsonl,
    Parquet,
    Text,
}

impl DocumentArgs {
    /// The files, and how to read them.
    pub(super) fn find(&self) -> anyhow::Result<(Vec<PathBuf>, Options)> {
        Ok((sai_corpus::find(&self.input)?, self.reading.options()))
    }
}

impl ReadingArgs {
    pub(super) fn options(&self) -> Options {
        let format = self.format.map(|format| match format {
            FormatArg::Jsonl => Format::Jsonl,
            FormatArg::Parquet => Format::Parquet,
            FormatArg::Text => Format::Text,
        });
        Options {
            columns: Columns {
                text: self.text_column.clone(),
                lang: Some(self.lang_column.clone()),
                source: Some(self.source_column.clone()),
                license: None,
            },
            format,
            separator: self.separator.clone(),
            skip_broken: self.skip_broken,
            streams: self.streams,
            ..Options::default()
        }
    }
}

/// A count with or without k, M or G: `100M`.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no count; give one such as 500000, 500k or 100M");
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|&count| count > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units() {
        for (text, number) in [("1", 1), ("20k", 20_000), ("100M", 100_000_000), ("2G", 2_000_000_000)] {
            assert_eq!(count(text), Ok(number));
        }
        for text in ["", "M", "0", "1.5M", "-1", "x", "99999999999G"] {
            assert!(count(text).is_err_and(|e| e.contains("no count")), "{text}");
        }
    }
}
