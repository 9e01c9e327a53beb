//! How a completion is shown: as text while it comes, as lines of log-probabilities, or as JSON.

use std::io::{self, Write};

use sai_generation::{Completion, FinishReason, Request, Step};
use sai_tokenizer::Tokenizer;
use serde_json::json;

use super::OutputArgs;
use crate::terminal::clean::visible;
use crate::ui::Ui;

const PROMPT: &str = "\x1b[33m";
const PERSON: &str = "\x1b[1;32m";
const PLAIN: &str = "\x1b[0m";

/// What is shown of a completion.
pub(super) struct View {
    json: bool,
    logprobs: bool,
    color: bool,
    /// Standard output is a terminal, which text must not steer.
    terminal: bool,
    prompt: String,
    /// The prompt is on the screen, or shall not be.
    prompt_shown: bool,
    /// The last character that was written was a newline.
    at_line_start: bool,
    /// Bytes of the answer that are written.
    shown: usize,
    ui: Ui,
}

impl View {
    pub(super) fn new(args: &OutputArgs, ui: &Ui, prompt: String) -> Self {
        Self {
            json: args.json,
            logprobs: args.logprobs.is_some(),
            color: args.color && ui.out_color(),
            terminal: ui.out_is_terminal(),
            prompt_shown: args.no_display_prompt || args.json || args.logprobs.is_some(),
            prompt,
            at_line_start: true,
            shown: 0,
            ui: ui.clone(),
        }
    }

    /// What gives the terminal back when the command leaves in the middle: colours off, a new line.
    pub(super) fn last_words(&self) -> &'static str {
        match (self.terminal && !self.json, self.color) {
            (true, true) => "\x1b[0m\n",
            (true, false) => "\n",
            _ => "",
        }
    }

    fn is_text(&self) -> bool {
        !self.json && !self.logprobs
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.terminal {
            out.write_all(visible(text).as_bytes())?;
        } else {
            out.write_all(text.as_bytes())?;
        }
        if let Some(last) = text.chars().last() {
            self.at_line_start = last == '\n';
        }
        out.flush()
    }

    fn paint(&mut self, code: &str) -> io::Result<()> {
        if self.color { io::stdout().lock().write_all(code.as_bytes()) } else { Ok(()) }
    }

    /// Whether what is written next begins a line.
    pub(super) fn at_line_start(&self) -> bool {
        self.at_line_start
    }

    /// Shows the prompt, once. It waits for this until the text goes on, so that progress has its own line.
    pub(super) fn show_prompt(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.prompt_shown, true) {
            return Ok(());
        }
        let prompt = std::mem::take(&mut self.prompt);
        self.paint(PROMPT)?;
        self.write(&prompt)?;
        self.paint(PLAIN)
    }

    pub(super) fn step(&mut self, step: &Step, tokenizer: &Tokenizer) -> io::Result<()> {
        if self.is_text() {
            self.show_prompt()?;
            self.shown += step.text.len();
            return self.write(&step.text);
        }
        if !self.logprobs {
            return Ok(());
        }
        let piece = |id: u32| tokenizer.decode_with_special(&[id]);
        let mut out = io::stdout().lock();
        if self.json {
            let top: Vec<_> = step
                .raw
                .iter()
                .map(|c| json!({ "token": c.token, "text": piece(c.token), "logprob": c.probability.ln() }))
                .collect();
            let line = json!({ "token": step.token, "text": piece(step.token), "logprob": step.logprob, "top": top });
            writeln!(out, "{line}")?;
        } else {
            let quoted = |id: u32| format!("{:?}", piece(id));
            write!(out, "{:>9.4}  {:<18}", step.logprob, quoted(step.token))?;
            for c in &step.raw {
                write!(out, "  {} {:.1} %", quoted(c.token), c.probability * 100.0)?;
            }
            writeln!(out)?;
        }
        out.flush()
    }

    /// The end of an answer: its object where JSON was asked for, and its figures for a person who watches.
    pub(super) fn end(&mut self, completion: &Completion, request: &Request) -> io::Result<()> {
        let (usage, timings) = (&completion.usage, &completion.timings);
        let rate = per_second(usage.completion_tokens.saturating_sub(1), timings.decode.as_secs_f64());
        if self.json {
            let object = json!({
                "prompt": self.prompt,
                "text": completion.text,
                "finish_reason": completion.finish_reason,
                "usage": {
                    "prompt_tokens": usage.prompt_tokens,
                    "cached_tokens": usage.cached_tokens,
                    "completion_tokens": usage.completion_tokens,
                    "drafted_tokens": usage.drafted_tokens,
                    "accepted_tokens": usage.accepted_tokens,
                },
                "seed": request.sampling.seed,
                "seconds_to_first_token": timings.time_to_first_token.as_secs_f64(),
                "tokens_per_second": rate,
            });
            let mut out = io::stdout().lock();
            writeln!(out, "{object}")?;
            return out.flush();
        }
        if self.is_text() {
            self.show_prompt()?;
            // What was held back because it might have become a stop text or a character.
            let shown = std::mem::take(&mut self.shown);
            self.write(completion.text.get(shown..).unwrap_or_default())?;
            if !self.at_line_start && self.terminal {
                self.write("\n")?;
            }
        }
        if self.ui.err_is_terminal() {
            let fresh = usage.prompt_tokens.saturating_sub(usage.cached_tokens);
            let read = per_second(fresh, timings.prefill.as_secs_f64());
            let why = match completion.finish_reason {
                FinishReason::Stop => "the text ended",
                FinishReason::Length => "--n-predict was reached",
                FinishReason::Interrupted => "stopped by Ctrl-C",
                FinishReason::ContextFull => "the context is full",
                FinishReason::ConstraintFailed => "the grammar took too much work",
            };
            let guessed = match usage.drafted_tokens {
                0 => String::new(),
                drafted => format!("; {} of {drafted} guesses were right", usage.accepted_tokens),
            };
            self.ui.note(format_args!(
                "{} tokens at {rate:.1} a second{guessed}; prompt of {} at {read:.0}; seed {}; {why}",
                usage.completion_tokens, usage.prompt_tokens, request.sampling.seed
            ));
        }
        Ok(())
    }

    /// The text at which the model handed over belongs to what was said.
    pub(super) fn reverse_prompt(&mut self, text: &str) -> io::Result<()> {
        if self.is_text() { self.write(text) } else { Ok(()) }
    }

    /// A turn of an interactive text ends: the person speaks on a new line.
    pub(super) fn turn_ends(&mut self) -> io::Result<()> {
        if self.is_text() && !self.at_line_start { self.write("\n") } else { Ok(()) }
    }

    pub(super) fn person_speaks(&mut self, prefix: &str) -> io::Result<()> {
        if !self.is_text() || !self.ui.in_is_terminal() {
            return Ok(());
        }
        self.paint(PERSON)?;
        let mark = if prefix.is_empty() { "> " } else { prefix };
        self.write(mark)?;
        self.paint("")
    }

    pub(super) fn person_spoke(&mut self, suffix: &str) -> io::Result<()> {
        if !self.is_text() {
            return Ok(());
        }
        self.paint(PLAIN)?;
        // The terminal itself wrote the newline that ended the line.
        self.at_line_start = true;
        if self.ui.in_is_terminal() { self.write(suffix) } else { Ok(()) }
    }
}

fn per_second(count: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
