//! `sai finetune --inspect`: conversations with the tokens that are trained on.

use std::io::Write as _;

use sai_tokenizer::Tokenizer;
use sai_trainer::{Conversations, Example};

use crate::terminal::clean::visible;
use crate::terminal::style::{Color, Span, Style, paint};
use crate::ui::{Thousands, Ui};

/// Prints the first `n` conversations in the order of training. What is trained on is green, or stands in `⟦ ⟧` where
/// there are no colours.
pub(super) fn print(
    conversations: &Conversations,
    tokenizer: &Tokenizer,
    n: usize,
    ui: &Ui,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    // Each once.
    let n = n.min(conversations.trained() as usize);
    for (i, example) in conversations.examples().take(n).enumerate() {
        let trained: usize = example.answers.iter().map(|answer| answer.len()).sum();
        let title = format!(
            "{} · {} line {} · {} of {} tokens trained on",
            i + 1,
            visible(&example.path.display().to_string()),
            Thousands(example.line),
            Thousands(trained as u64),
            Thousands(example.tokens.len() as u64)
        );
        match ui.out_color() {
            true => writeln!(out, "{}", paint(&[Span::new(&title, Style::DIM)], true))?,
            false => writeln!(out, "{title}")?,
        }
        writeln!(out, "{}\n", marked(&example, tokenizer, ui.out_color()))?;
    }
    Ok(())
}

fn marked(example: &Example<'_>, tokenizer: &Tokenizer, color: bool) -> String {
    let text = |part: &[u32]| tokenizer.decode_shown(part);
    let (mut line, mut at) = (String::new(), 0);
    for answer in &example.answers {
        line += &visible(&text(&example.tokens[at..answer.start]));
        let said = text(&example.tokens[answer.clone()]);
        match color {
            true => line += &paint(&[Span::new(&said, Style::color(Color::Green))], true),
            false => line += &format!("⟦{}⟧", visible(&said)),
        }
        at = answer.end;
    }
    line + &visible(&text(&example.tokens[at..]))
}
