//! `sai corpus text`: the main text of a page.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use sai_cleaning::html::Extract;
use sai_cleaning::normalise::Normalise;
use sai_cleaning::{charset, html, wiki};

use crate::ui::{Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai corpus text page.html
  curl -s https://example.org | sai corpus text -
  sai corpus text --markup wiki article.wiki | sai corpus language -";

/// Bytes of a file that are read.
const MOST: u64 = 64 << 20;

/// Print the main text of pages: no menus, no footers, one character for what is one, in UTF-8.
///
/// The encoding is found by the bytes and by what the page says of itself. Lists and titles stand on lines of their own, the rows of
/// a table on one each. Several files follow one another with an empty line between.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Text {
    /// Pages; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// What the files are; told from each of them where not given
    #[arg(long, value_enum)]
    markup: Option<Markup>,

    /// Encoding that the server said, such as euc-kr
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,

    /// Leave the page's title out where the text does not begin with it
    #[arg(long)]
    no_title: bool,

    /// Leave characters as they are: no repair, no NFC, no shortening of ㅋㅋㅋ
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Markup {
    /// HTML
    Html,
    /// MediaWiki's
    Wiki,
    /// None
    Plain,
}

impl Text {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for (i, file) in self.files.iter().enumerate() {
            let text = self.text(file, ui)?;
            if i > 0 {
                out.write_all(b"\n")?;
            }
            out.write_all(text.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    fn text(&self, file: &Path, ui: &Ui) -> anyhow::Result<String> {
        let (name, bytes) = read(file, ui)?;
        let decoded = charset::decode(&bytes, self.charset.as_deref())
            .map_err(|error| anyhow!("{name}: it is {error}"))?;
        let text = match self.markup.unwrap_or_else(|| markup(file, &decoded.text)) {
            Markup::Html => {
                let page =
                    html::text(&decoded.text, &Extract { title: !self.no_title, ..Extract::default() });
                if page.cuts != html::Cuts::default() {
                    let (tags, bytes) = (Thousands(page.cuts.tags as u64), Thousands(page.cuts.bytes as u64));
                    ui.warn(format_args!("{name}: {tags} tags and {bytes} bytes are left out, for they are too deep or too many"));
                }
                page.text
            }
            Markup::Wiki => wiki::text(&decoded.text),
            Markup::Plain => decoded.text,
        };
        if self.raw {
            return Ok(text);
        }
        let normal = Normalise::default().apply(&text);
        if normal.damage.is_lost() {
            ui.warn(format_args!("{name}: much of it was read in a wrong encoding before, and is lost"));
        }
        Ok(normal.text.into_owned())
    }
}

/// The bytes of a file, and what it is called.
fn read(file: &Path, ui: &Ui) -> anyhow::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let cannot = || format!("{name}: cannot be read");
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).with_context(cannot)?.take(MOST + 1).read_to_end(&mut bytes)
    };
    read.with_context(cannot)?;
    if bytes.len() as u64 > MOST {
        bytes.truncate(MOST as usize);
        ui.warn(format_args!("{name}: only its first 64 MiB are read"));
    }
    Ok((name, bytes))
}

/// What a file is, by its name and by its beginning.
fn markup(file: &Path, text: &str) -> Markup {
    let extension = file.extension().map(|end| end.to_ascii_lowercase());
    match extension.as_deref().and_then(|end| end.to_str()) {
        Some("html" | "htm" | "xhtml") => return Markup::Html,
        Some("wiki" | "mediawiki") => return Markup::Wiki,
        Some("txt" | "md") => return Markup::Plain,
        _ => {}
    }
    let head = text[..text.floor_char_boundary(4096)].to_ascii_lowercase();
    let tags = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<div",
        "<p>",
        "<p ",
        "<table",
        "<meta",
        "<article",
        "<h1",
    ];
    if tags.iter().any(|tag| head.contains(tag)) {
        Markup::Html
    } else if head.contains("[[") && (head.contains("'''") || head.contains("{{") || head.contains("\n== ")) {
        Markup::Wiki
    } else {
        Markup::Plain
    }
}
