//! Which documents: the flags of verbs that read a corpus.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use sai_documents::{Amount, Column, Columns, Error, Format, Options};
use sai_samples::SampleSize;

use crate::generate::escape::unescape;
use crate::ui::Ui;

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
pub(crate) struct ReadingArgs {
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

    /// What stands between the documents of a text file, \n for a new line; a file is one document where not given
    #[arg(long, value_name = "TEXT", value_parser = separator)]
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
    pub(super) fn find(&self, ui: &Ui) -> anyhow::Result<(Vec<PathBuf>, Options)> {
        Ok((find(ui, &self.input)?, self.reading.options()))
    }
}

impl ReadingArgs {
    pub(crate) fn options(&self) -> Options {
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
                url: None,
            },
            format,
            separator: self.separator.clone(),
            skip_broken: self.skip_broken,
            streams: self.streams,
            ..Options::default()
        }
    }
}

/// The files that inputs name. Says what else is in their folders.
pub(crate) fn find(ui: &Ui, inputs: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let found = sai_documents::find_files(inputs)?;
    if let Some(names) = sai_documents::file_names(&found.left_out) {
        ui.note(format_args!("not read, for they are no documents: {names}"));
    }
    Ok(found.files)
}

/// Says of broken documents which flag helps, of those that [`ReadingArgs`] has.
pub(crate) fn advise(error: anyhow::Error) -> anyhow::Error {
    let of_make = |error: &anyhow::Error| match error.downcast_ref() {
        Some(sai_make::Error::Documents(inner)) => Some(advice(inner)),
        _ => None,
    };
    let of_shards = |error: &anyhow::Error| match error.downcast_ref() {
        Some(sai_shards::Error::Documents(inner)) => Some(advice(inner)),
        _ => None,
    };
    let found = error.downcast_ref().map(advice).or_else(|| of_make(&error)).or_else(|| of_shards(&error));
    match found.flatten() {
        Some(text) => anyhow!(text),
        None => error,
    }
}

fn advice(error: &Error) -> Option<String> {
    let flag = |column: Column| match column {
        Column::Text => Some("--text-column"),
        Column::Lang => Some("--lang-column"),
        Column::Source => Some("--source-column"),
        Column::License | Column::Url => None,
    };
    let another = |column: Option<Column>| {
        column.and_then(flag).map_or_else(String::new, |flag| format!(", name another column with {flag}"))
    };
    match error {
        Error::Broken { path, place, fact, column } => {
            let (path, another) = (path.display(), another(*column));
            Some(format!(
                "{path}: {place}: {fact}; mend it{another}, or pass over what is broken with --skip-broken"
            ))
        }
        Error::Column { column, .. } => {
            flag(*column).map(|flag| format!("{error}; name another with {flag}"))
        }
        Error::MostBroken { column, .. } => {
            column.and_then(flag).map(|flag| format!("{error}; name another column with {flag}"))
        }
        _ => None,
    }
}

/// A separator; what a shell hands on as a backslash and a letter is meant as llama.cpp means it.
fn separator(text: &str) -> Result<String, String> {
    match unescape(text) {
        text if text.is_empty() => Err("it is empty; leave it out where a file is one document".to_owned()),
        text => Ok(text),
    }
}

/// The units of a number, for messages.
const UNITS: &str = "k, M, G and T are thousands of each other";

/// A number with or without a unit: `100M`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    match Amount::parse(text) {
        Some(Amount::Count(count)) if count > 0 => Ok(count),
        Some(Amount::Bytes(_)) => {
            Err(format!("`{text}` is of bytes, and this is none; give one such as 500k or 100M"))
        }
        _ => Err(format!("`{text}` is no count; give one such as 500000, 500k or 100M ({UNITS})")),
    }
}

/// Bytes: `8M`, `8MB`, `8MiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    match Amount::parse(text) {
        Some(Amount::Count(bytes) | Amount::Bytes(bytes)) if bytes > 0 => Ok(bytes),
        _ => Err(format!(
            "`{text}` is no number of bytes; give one such as 500MB or 4GiB ({UNITS}, KiB is 1024 bytes)"
        )),
    }
}

/// What to take of each language: `ko=10M` documents, `ko=10MB` of text.
pub(super) fn share(text: &str) -> Result<(String, SampleSize), String> {
    let (language, amount) =
        text.split_once('=').ok_or("a share is a language and a number, such as ko=10M or ko=10MB")?;
    let size = match Amount::parse(amount) {
        Some(Amount::Count(texts)) if texts > 0 => SampleSize::Texts(texts),
        Some(Amount::Bytes(bytes)) if bytes > 0 => SampleSize::Bytes(bytes),
        _ => {
            return Err(format!(
                "`{amount}` is no number of documents (500k, 10M) and none of bytes (10MB, 10MiB)"
            ));
        }
    };
    Ok((language.to_owned(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units() {
        for (text, number) in
            [("1", 1), ("20k", 20_000), ("1.5M", 1_500_000), ("100M", 100_000_000), ("2G", 2_000_000_000)]
        {
            assert_eq!(count(text), Ok(number));
            assert_eq!(bytes(text), Ok(number));
        }
        for text in ["", "M", "0", "0.5", "-1", "x", "99999999999G"] {
            assert!(count(text).is_err_and(|e| e.contains("no count")), "{text}");
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(count("10MB").is_err_and(|e| e.contains("of bytes")));
        assert_eq!((bytes("4GB"), bytes("4GiB")), (Ok(4_000_000_000), Ok(4 << 30)));
    }

    #[test]
    fn shares_are_documents_or_bytes_as_in_a_recipe() {
        let ko = |size| Ok(("ko".to_owned(), size));
        assert_eq!(share("ko=10M"), ko(SampleSize::Texts(10_000_000)));
        assert_eq!(share("ko=1.5k"), ko(SampleSize::Texts(1500)));
        assert_eq!(share("ko=10MB"), ko(SampleSize::Bytes(10_000_000)));
        assert_eq!(share("ko=10MiB"), ko(SampleSize::Bytes(10 << 20)));
        for wrong in ["ko", "ko=", "ko=-1", "ko=0", "ko=many", "ko=1e400", "ko=M"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_separator_that_is_typed_in_a_shell_is_what_it_means() {
        assert_eq!(separator(r"\n---\n").as_deref(), Ok("\n---\n"));
        assert_eq!(separator("\n").as_deref(), Ok("\n"));
        assert_eq!(separator(r"\\n").as_deref(), Ok(r"\n"));
        assert!(separator("").is_err());
    }
}
