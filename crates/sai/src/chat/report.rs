//! What is said about an answer: its line, its table, its JSON.

use std::time::Duration;

use serde::Serialize;

use crate::terminal::clean::quoted;
use crate::terminal::style::{Span, fit, width};
use crate::terminal::wrap::wrap;
use crate::texts::texts;
use crate::ui::Thousands;

/// The figures of one answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) finish_reason: String,
    pub(crate) seed: u64,
    pub(crate) usage: Usage,
    pub(crate) timings: Timings,
    pub(crate) context: Context,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: usize,
    /// Of the prompt's tokens, those computed in an earlier turn.
    pub(crate) cached_tokens: usize,
    pub(crate) completion_tokens: usize,
    /// Tokens that were guessed before they were chosen, and those of them that were chosen.
    #[serde(skip_serializing_if = "none")]
    pub(crate) drafted_tokens: usize,
    #[serde(skip_serializing_if = "none")]
    pub(crate) accepted_tokens: usize,
}

fn none(count: &usize) -> bool {
    *count == 0
}

/// Seconds, and tokens per second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Timings {
    pub(crate) load_seconds: f64,
    pub(crate) prefill_seconds: f64,
    pub(crate) first_token_seconds: f64,
    pub(crate) decode_seconds: f64,
    pub(crate) tokens_per_second: f64,
}

/// How full the context is.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Context {
    pub(crate) used: usize,
    pub(crate) length: usize,
    /// Of the conversation's oldest exchanges, those that no longer fit.
    pub(crate) dropped_exchanges: usize,
}

impl Timings {
    /// The first token comes from the prompt; decoding gives the others.
    pub(crate) fn new(
        load: Duration,
        prefill: Duration,
        first: Duration,
        decode: Duration,
        tokens: usize,
    ) -> Self {
        let decode_seconds = decode.as_secs_f64();
        let steps = tokens.saturating_sub(1) as f64;
        Self {
            load_seconds: rounded(load.as_secs_f64()),
            prefill_seconds: rounded(prefill.as_secs_f64()),
            first_token_seconds: rounded(first.as_secs_f64()),
            decode_seconds: rounded(decode_seconds),
            tokens_per_second: if decode_seconds > 0.0 { rounded(steps / decode_seconds) } else { 0.0 },
        }
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

impl Figures {
    /// The line under an answer.
    pub(crate) fn line(&self) -> String {
        let (usage, timings) = (&self.usage, &self.timings);
        let texts = texts();
        let mut parts = vec![(texts.tokens)(&Thousands(usage.completion_tokens as u64))];
        if usage.completion_tokens > 1 {
            parts.push((texts.tokens_per_second)(&format_args!("{:.1}", timings.tokens_per_second)));
        }
        parts.push((texts.first_after)(&format_args!("{:.2}", timings.first_token_seconds)));
        let [used, length] = [self.context.used, self.context.length].map(|n| Thousands(n as u64));
        parts.push((texts.context)(&used, &length));
        match self.finish_reason.as_str() {
            "interrupted" => parts.insert(0, texts.figures_stopped.to_owned()),
            "length" => parts.push(texts.cut_by_length.to_owned()),
            "context_full" | "contextfull" => parts.push(texts.cut_by_context.to_owned()),
            _ => {}
        }
        parts.join(" · ")
    }

    /// The lines of `/stats`.
    pub(crate) fn table(&self) -> Vec<(&'static str, String)> {
        let (usage, timings) = (&self.usage, &self.timings);
        let prefilled = usage.prompt_tokens.saturating_sub(usage.cached_tokens);
        let rate =
            if timings.prefill_seconds > 0.0 { prefilled as f64 / timings.prefill_seconds } else { 0.0 };
        let texts = texts();
        let [load, prompt, first, answer, guessed, seed, context] = texts.stats;
        let mut rows = vec![
            (load, format!("{:.2} s", timings.load_seconds)),
            (
                prompt,
                (texts.stats_prompt)(usage.prompt_tokens, usage.cached_tokens, timings.prefill_seconds, rate),
            ),
            (first, (texts.stats_first)(&format_args!("{:.2}", timings.first_token_seconds))),
            (
                answer,
                (texts.stats_answer)(
                    usage.completion_tokens,
                    timings.decode_seconds,
                    timings.tokens_per_second,
                    &self.finish_reason,
                ),
            ),
            (seed, self.seed.to_string()),
            (context, (texts.stats_context)(&self.context.used, &self.context.length)),
        ];
        if usage.drafted_tokens > 0 {
            rows.insert(4, (guessed, (texts.stats_guessed)(&usage.accepted_tokens, &usage.drafted_tokens)));
        }
        rows
    }
}

/// Lines of names and values, the values below each other and wrapped to `columns`.
pub(crate) fn aligned<'a>(rows: impl IntoIterator<Item = (&'a str, String)>, columns: usize) -> String {
    let rows: Vec<(&str, String)> = rows.into_iter().collect();
    let widest = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let room = columns.saturating_sub(widest + 4).max(20);
    let mut out = String::new();
    for (name, value) in rows {
        for (i, row) in wrap(&[Span::plain(&value)], room).iter().enumerate() {
            let value: String = row.iter().map(Span::text).collect();
            out += format!("  {}  {value}", fit(if i == 0 { name } else { "" }, widest)).trim_end();
            out.push('\n');
        }
    }
    out
}

/// A token as the debug table shows it.
pub(crate) struct TokenRow {
    pub(crate) text: String,
    pub(crate) probability: f32,
    pub(crate) picked: bool,
}

const PIECE: usize = 20;

/// One step of an answer: the likeliest tokens as the model gave them, and beside them after the samplers.
pub(crate) fn step_table(
    number: usize,
    token: u32,
    text: &str,
    raw: &[TokenRow],
    processed: &[TokenRow],
) -> String {
    let mut out = format!("step {number}: {} ({token})\n", quoted(text));
    for row in 0..raw.len().max(processed.len()) {
        let side = |side: &[TokenRow]| match side.get(row) {
            Some(shown) => format!(
                "{} {} {:>7.3} %",
                if shown.picked { "▸" } else { " " },
                fit(&quoted(&shown.text), PIECE),
                shown.probability * 100.0
            ),
            None => " ".repeat(PIECE + 12),
        };
        out += format!("  {}   │ {}", side(raw), side(processed)).trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures {
            finish_reason: "stop".to_owned(),
            seed: 7,
            usage: Usage {
                prompt_tokens: 30,
                cached_tokens: 10,
                completion_tokens: 21,
                drafted_tokens: 0,
                accepted_tokens: 0,
            },
            timings: Timings::new(
                Duration::from_millis(500),
                Duration::from_millis(250),
                Duration::from_millis(300),
                Duration::from_secs(2),
                21,
            ),
            context: Context { used: 1051, length: 2048, dropped_exchanges: 0 },
        }
    }

    #[test]
    fn the_line_says_what_happened() {
        let mut figures = figures();
        assert_eq!(figures.line(), "21 tokens · 10.0 tok/s · first after 0.30 s · context 1,051 of 2,048");
        figures.finish_reason = "interrupted".to_owned();
        assert!(figures.line().starts_with("stopped · 21 tokens"));
        figures.finish_reason = "length".to_owned();
        assert!(figures.line().ends_with("cut short by max-new-tokens"));
        let table = aligned(figures.table(), 80);
        assert!(
            table.contains("  prompt       30 tokens, 10 of them kept from before; 0.25 s, 80.0 tok/s\n"),
            "{table}"
        );
        assert!(!table.contains("guessed"), "{table}");
        (figures.usage.drafted_tokens, figures.usage.accepted_tokens) = (12, 9);
        let table = aligned(figures.table(), 80);
        assert!(table.contains("  guessed      9 of 12 tokens rightly\n"), "{table}");
    }

    #[test]
    fn candidates_align_whatever_they_hold() {
        let shown = |text: &str, probability, picked| TokenRow { text: text.to_owned(), probability, picked };
        let raw = [shown(" 안녕하세요", 0.5, true), shown("\n\x1b[2J", 0.25, false)];
        let table = step_table(3, 9, " 안녕하세요", &raw, &[shown(" 안녕하세요", 1.0, true)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "step 3: \" 안녕하세요\" (9)");
        assert_eq!(lines[1], "  ▸ \" 안녕하세요\"         50.000 %   │ ▸ \" 안녕하세요\"        100.000 %");
        assert_eq!(lines[2], "    \"\\n\\u{1b}[2J\"         25.000 %   │");
        let bar = |line: &str| width(line.split('│').next().unwrap_or(""));
        assert_eq!(bar(lines[1]), bar(lines[2]));
    }
}
