//! `sai corpus language`: the language of each line.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use sai_cleaning::language::{FastText, Form, detect_with, document};

const EXAMPLES: &str = "\
Examples:
  sai corpus language lines.txt
  sai corpus text page.html | sai corpus language --whole -
  sai corpus language --model lid.176.ftz lines.txt | awk -F '\\t' '$1 == \"ko\"'";

/// Bytes of a line that its language is told by; what follows is printed and not looked at.
const LOOKED_AT: usize = 1 << 20;

/// Print the language of each line and its probability before it, with tabs between.
///
/// Codes are ko, en, ja, zh and others of BCP 47; ko-Latn is Korean in Latin letters, zxx is no language (code, numbers), und is
/// unknown. Scripts are asked first, then the commonest words of some twenty languages and a small model.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Language {
    /// Lines of text (UTF-8); - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,

    /// A fastText model to ask in place of the small one, such as lid.176.bin or lid.176.ftz
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,

    /// The file as one document: its language, then the share of each language in its paragraphs
    #[arg(long)]
    whole: bool,
}

impl Language {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let model = self.model.as_deref().map(FastText::open).transpose()?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if self.whole {
            let text = crate::text_file::read(&self.file)?;
            let found = document(&text, model.as_ref());
            writeln!(
                out,
                "{}\t{:.3}{}",
                found.language.code,
                found.language.probability,
                form(found.language.form)
            )?;
            let letters: usize = found.paragraphs.iter().map(|(_, count)| count).sum();
            for (code, count) in &found.paragraphs {
                writeln!(out, "  {code}\t{:.3}", *count as f64 / letters.max(1) as f64)?;
            }
            return Ok(out.flush()?);
        }
        let name = self.file.display();
        if self.file == Path::new("-") {
            lines(std::io::stdin().lock(), &mut out, model.as_ref()).context("standard input")?;
        } else {
            let file = File::open(&self.file).with_context(|| format!("{name}: cannot be read"))?;
            lines(BufReader::new(file), &mut out, model.as_ref())?;
        }
        Ok(out.flush()?)
    }
}

/// Says which form it is, where it is not plain.
fn form(form: Form) -> &'static str {
    match form {
        Form::Mixed => "\tmixed",
        Form::Plain | Form::Code | Form::Romanised => "",
    }
}

/// Prints the lines of `reader` with their languages. A line may be as long as it likes.
fn lines(mut reader: impl BufRead, out: &mut impl Write, model: Option<&FastText>) -> anyhow::Result<()> {
    let mut head = Vec::new();
    loop {
        head.clear();
        let mut said = false;
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                if !said && !head.is_empty() {
                    say(&head, out, model)?;
                    out.write_all(b"\n")?;
                }
                return Ok(());
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let used = end.map_or(buffer.len(), |end| end + 1);
            if said {
                out.write_all(piece)?;
            } else {
                head.extend_from_slice(piece);
            }
            if !said && (end.is_some() || head.len() >= LOOKED_AT) {
                say(&head, out, model)?;
                said = true;
            }
            reader.consume(used);
            if end.is_some() {
                out.write_all(b"\n")?;
                break;
            }
        }
    }
}

fn say(line: &[u8], out: &mut impl Write, model: Option<&FastText>) -> anyhow::Result<()> {
    let language = detect_with(&String::from_utf8_lossy(line), model);
    write!(out, "{}\t{:.3}\t", language.code, language.probability)?;
    Ok(out.write_all(line)?)
}
