//! `sai tokenizer encode`: a text's tokens.

use std::io::{Read, Write};
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::VocabularyArgs;
use crate::terminal::clean::quoted;
use crate::terminal::style::{Color, Span, Style, paint};
use crate::ui::{Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai tokenizer encode \"값이 얼마예요?\"
  sai tokenizer encode --tokenizer folder/ --file text.txt --offsets
  echo hello | sai tokenizer encode --ids | sai tokenizer decode";

/// Encode a text into tokens: its pieces in turns of colour, their ids, and how many there are.
///
/// Nothing is added to the text and nothing taken from it, a newline at its end included.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Encode {
    /// Text; several are joined by spaces. Without one, and without --file, standard input is read
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    text: Vec<String>,

    /// Take the text from a file (UTF-8)
    #[arg(short, long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,

    #[command(flatten)]
    vocabulary: VocabularyArgs,

    /// Leave special tokens that are written in the text text, as for what a person types
    #[arg(long)]
    plain: bool,

    #[command(flatten)]
    form: Form,
}

/// How tokens are shown.
#[derive(Args)]
#[group(multiple = false)]
struct Form {
    /// Only the ids, on one line
    #[arg(long)]
    ids: bool,

    /// A line a token: its id, its bytes from..to in the text, its text
    #[arg(long)]
    offsets: bool,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl Encode {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let text = self.text()?;
        let tokenizer = self.vocabulary.open(ui)?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if self.form.ids {
            let ids = if self.plain { tokenizer.encode_plain(&text) } else { tokenizer.encode(&text) };
            writeln!(out, "{}", joined(&ids))?;
            return Ok(out.flush()?);
        }
        let placed = if self.plain {
            tokenizer.encode_plain_with_offsets(&text)?
        } else {
            tokenizer.encode_with_offsets(&text)?
        };
        let ids: Vec<u32> = placed.iter().map(|(id, _)| *id).collect();
        let piece = |id: u32| tokenizer.token_text(id);
        let rate = text.len() as f64 / ids.len().max(1) as f64;
        if self.form.json {
            let pieces: Vec<String> = ids.iter().map(|&id| piece(id)).collect();
            let offsets: Vec<[usize; 2]> = placed.iter().map(|(_, r)| [r.start, r.end]).collect();
            let object = json!({
                "tokens": ids.len(), "bytes": text.len(), "bytes_per_token": rate,
                "ids": ids, "pieces": pieces, "offsets": offsets,
            });
            writeln!(out, "{object}")?;
            return Ok(out.flush()?);
        }
        if self.form.offsets {
            for (id, Range { start, end }) in &placed {
                writeln!(out, "{id:>7}  {:>13}  {}", format!("{start}..{end}"), quoted(&piece(*id)))?;
            }
        } else {
            write_pieces(&mut out, &ids, piece, ui.out_color())?;
            writeln!(out, "{}", joined(&ids))?;
        }
        out.flush()?;
        let (tokens, bytes) = (Thousands(ids.len() as u64), Thousands(text.len() as u64));
        ui.note(format_args!("{tokens} tokens · {bytes} bytes · {rate:.2} bytes a token"));
        Ok(())
    }

    fn text(&self) -> anyhow::Result<String> {
        let (bytes, name) = match &self.file {
            Some(path) => {
                let name = path.display().to_string();
                (std::fs::read(path).with_context(|| format!("{name}: cannot be read"))?, name)
            }
            None if !self.text.is_empty() => return Ok(self.text.join(" ")),
            None => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("standard input: cannot be read")?;
                (bytes, "standard input".to_owned())
            }
        };
        crate::text_file::utf8(bytes, name)
    }
}

/// The text piece by piece: in turns of colour, or with bars between where there is none.
fn write_pieces(
    out: &mut impl Write,
    ids: &[u32],
    piece: impl Fn(u32) -> String,
    color: bool,
) -> std::io::Result<()> {
    const TURNS: [Color; 4] = [Color::Green, Color::Cyan, Color::Yellow, Color::Magenta];
    for (at, &id) in ids.iter().enumerate() {
        let text = piece(id);
        if color {
            let style = Style { underline: true, ..Style::color(TURNS[at % TURNS.len()]) };
            write!(out, "{}", paint(&[Span::new(&text, style)], true))?;
        } else {
            let bar = if at == 0 { "" } else { "|" };
            write!(out, "{bar}{}", Span::plain(&text).text())?;
        }
    }
    writeln!(out)
}

fn joined(ids: &[u32]) -> String {
    let texts: Vec<String> = ids.iter().map(u32::to_string).collect();
    texts.join(" ")
}
