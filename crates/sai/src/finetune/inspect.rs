//! `sai finetune --inspect`: conversations with the tokens that are trained on, or pairs with those that are compared.

use std::io::Write as _;
use std::path::Path;

use sai_tokenizer::Tokenizer;
use sai_trainer::{Conversations, Place, Text};

use crate::terminal::clean::visible;
use crate::terminal::style::{Color, Span, Style, paint};
use crate::ui::{Thousands, Ui};

/// Prints the first `n` conversations in the order of training. What is trained on is green, or stands in `⟦ ⟧` where
/// there are no colours. Of a pair the rejected conversation follows the chosen one, from where they part, in red.
pub(super) fn print(
    conversations: &Conversations,
    tokenizer: &Tokenizer,
    n: usize,
    ui: &Ui,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let color = ui.out_color();
    // Each once.
    let n = n.min(conversations.trained() as usize);
    for (i, example) in conversations.examples().take(n).enumerate() {
        let title = title(i + 1, example.path, example.place, &example.texts);
        writeln!(out, "{}", if color { paint(&[Span::new(&title, Style::DIM)], true) } else { title })?;
        match example.texts.as_slice() {
            [chosen, rejected] => {
                let shared = shared(chosen, rejected);
                let chosen = marked(chosen, 0, tokenizer, color.then_some(Color::Green));
                let rejected = marked(rejected, shared, tokenizer, color.then_some(Color::Red));
                writeln!(out, "{chosen}\n  or, rejected:\n{rejected}\n")?;
            }
            texts => {
                for text in texts {
                    writeln!(out, "{}\n", marked(text, 0, tokenizer, color.then_some(Color::Green)))?;
                }
            }
        }
    }
    Ok(())
}

fn title(number: usize, path: &Path, place: Place, texts: &[Text<'_>]) -> String {
    let place = format!("{number} · {} {place}", visible(&path.display().to_string()));
    let answers = |text: &Text<'_>| Thousands(text.answers.iter().map(|answer| answer.len() as u64).sum());
    match texts {
        [chosen, rejected] => {
            format!("{place} · {} tokens are preferred to {}", answers(chosen), answers(rejected))
        }
        texts => {
            let each = texts.iter().map(|text| {
                let all = Thousands(text.tokens.len() as u64);
                format!(" · {} of {all} tokens trained on", answers(text))
            });
            place + &each.collect::<String>()
        }
    }
}

/// The tokens before either's first answer.
fn shared(a: &Text<'_>, b: &Text<'_>) -> usize {
    let first = |text: &Text<'_>| text.answers.first().map_or(0, |answer| answer.start);
    first(a).min(first(b))
}

/// A text from token `from` on, with its answers in a colour or between brackets.
fn marked(text: &Text<'_>, from: usize, tokenizer: &Tokenizer, color: Option<Color>) -> String {
    let shown = |part: &[u32]| tokenizer.decode_shown(part);
    let (mut line, mut at) = (String::new(), from);
    for answer in &text.answers {
        line += &visible(&shown(&text.tokens[at..answer.start]));
        let said = shown(&text.tokens[answer.clone()]);
        match color {
            Some(color) => line += &paint(&[Span::new(&said, Style::color(color))], true),
            None => line += &format!("⟦{}⟧", visible(&said)),
        }
        at = answer.end;
    }
    line + &visible(&shown(&text.tokens[at..]))
}
