//! A completion that takes turns with a person, as llama.cpp's interactive mode does.

use std::io::BufRead;

use anyhow::Context;
use sai_generation::FinishReason;

use super::Writer;
use crate::text_file::{BOM, utf8, without_line_end};
use crate::ui::Thousands;

#[derive(clap::Args)]
#[command(next_help_heading = "Taking turns")]
pub(super) struct TalkArgs {
    /// Let the person speak after each answer
    #[arg(short, long)]
    interactive: bool,

    /// Let the person speak first
    #[arg(long, alias = "interactive_first")]
    interactive_first: bool,

    /// Put this before what the person types
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, alias = "in_prefix")]
    in_prefix: String,

    /// Put this after it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, alias = "in_suffix")]
    in_suffix: String,

    /// When the context is full, keep this many of its first tokens; -1 keeps the whole prompt
    #[arg(long, value_name = "N", default_value_t = -1, value_parser = crate::cli::whole_of::<i64>(-1..=i64::from(i32::MAX)))]
    keep: i64,
}

impl TalkArgs {
    /// Whether a person takes part.
    pub(super) fn is_on(&self) -> bool {
        self.interactive || self.interactive_first
    }
}

/// Answers and lets the person speak in turn until the input ends. `prompt` is the length of the prompt.
pub(super) fn talk(
    writer: &mut Writer<'_, '_>,
    args: &TalkArgs,
    prompt: usize,
    unescape: impl Fn(&str) -> String,
) -> anyhow::Result<()> {
    let keep = usize::try_from(args.keep).map_or(prompt, |keep| keep.min(prompt));
    let (prefix, suffix) = (unescape(&args.in_prefix), unescape(&args.in_suffix));
    if writer.ui.in_is_terminal() {
        writer.ui.note("Ctrl-C stops an answer; Ctrl-C again or Ctrl-D leaves");
    }
    writer.view.show_prompt()?;
    let mut listens = args.interactive_first || writer.tokens.is_empty();
    let mut lines = 0;
    loop {
        if listens {
            lines += 1;
            if !hear(writer, lines, &prefix, &suffix)? {
                return Ok(());
            }
        }
        listens = true;
        make_room(writer, keep);
        let answer = writer.answer()?;
        if answer.finish_reason == FinishReason::Stop
            && let Some(stop) = writer.close_turn(&answer)
        {
            writer.view.reverse_prompt(&stop)?;
        }
        writer.view.turn_ends()?;
    }
}

/// Adds what the person says next, on line `number`; false where there is no more. An empty line hands the turn back as it
/// is.
fn hear(writer: &mut Writer<'_, '_>, number: u64, prefix: &str, suffix: &str) -> anyhow::Result<bool> {
    writer.view.person_speaks(prefix)?;
    // While nothing is said there is nothing to stop: Ctrl-C leaves at once.
    writer.interrupt.arm();
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_until(b'\n', &mut bytes);
    writer.interrupt.clear();
    let read = read.context("standard input")?;
    writer.view.person_spoke(if read == 0 { "" } else { suffix })?;
    if read == 0 {
        return Ok(false);
    }
    let text = utf8(bytes, format_args!("standard input, line {number}"))?;
    let text = text.strip_prefix(BOM).filter(|_| number == 1).unwrap_or(&text);
    let said = without_line_end(text);
    if said.is_empty() {
        return Ok(true);
    }
    // A line's end is part of what is said, in the form in which models have met it.
    let line = if said.len() < text.len() { format!("{said}\n") } else { said.to_owned() };
    let tokenizer = &writer.model.tokenizer;
    writer.tokens.extend(tokenizer.encode(prefix));
    writer.tokens.extend(tokenizer.encode_plain(&line));
    writer.tokens.extend(tokenizer.encode(suffix));
    Ok(true)
}

/// When the next answer may not fit, forgets half of what stands between the kept start and the end.
fn make_room(writer: &mut Writer<'_, '_>, keep: usize) {
    let length = writer.session.context_length();
    let wanted = writer.n_predict.unwrap_or(usize::MAX).min(length / 4).max(1);
    let mut forgotten = 0;
    while writer.tokens.len() + wanted > length {
        let start = keep.min(writer.tokens.len());
        let half = (writer.tokens.len() - start).div_ceil(2);
        if half == 0 {
            break;
        }
        writer.tokens.drain(start..start + half);
        forgotten += half;
    }
    if forgotten > 0 {
        writer.ui.note(format_args!(
            "the context of {} tokens is full; the oldest {} after the first {} are forgotten",
            Thousands(length as u64),
            Thousands(forgotten as u64),
            Thousands(keep as u64)
        ));
    }
}
