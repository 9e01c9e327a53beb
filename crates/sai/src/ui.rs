//! Everything that a person sees of `sai` besides the answers themselves.
//!
//! Answers and results go to standard output; notices, progress and errors go to standard error, so that
//! a pipe carries results only. Colours and bars appear on a terminal alone, and never where `NO_COLOR` is set.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::clean::visible;
use crate::texts::texts;

/// How to speak to the person: which streams are terminals, whether colours are welcome, how much to say.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    out_terminal: bool,
    err_terminal: bool,
    in_terminal: bool,
    out_color: bool,
    err_color: bool,
    quiet: bool,
}

impl Ui {
    /// Looks at the three streams and at `NO_COLOR` and `TERM`. `quiet` keeps notices back, errors never.
    pub(crate) fn new(quiet: bool) -> Self {
        let color_welcome = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|v| v != "dumb");
        let (out_terminal, err_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            out_terminal,
            err_terminal,
            in_terminal: io::stdin().is_terminal(),
            out_color: color_welcome && out_terminal,
            err_color: color_welcome && err_terminal,
            quiet,
        }
    }

    /// The same, with notices kept back.
    pub(crate) fn hushed(&self) -> Self {
        Self { quiet: true, ..self.clone() }
    }

    /// Whether standard output is a terminal.
    pub(crate) fn out_is_terminal(&self) -> bool {
        self.out_terminal
    }

    /// Whether standard error is a terminal: whether somebody watches.
    pub(crate) fn err_is_terminal(&self) -> bool {
        self.err_terminal
    }

    /// Whether standard input is a terminal: whether a person types.
    pub(crate) fn in_is_terminal(&self) -> bool {
        self.in_terminal
    }

    /// Whether notices are kept back.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether colours may be written to standard output.
    pub(crate) fn out_color(&self) -> bool {
        self.out_color
    }

    /// Whether colours may be written to standard error.
    pub(crate) fn err_color(&self) -> bool {
        self.err_color
    }

    /// A notice on standard error, one line, dim on a terminal.
    pub(crate) fn note(&self, text: impl Display) {
        if self.quiet {
            return;
        }
        // A closed standard error is no reason to stop the work.
        let _ = if self.err_color {
            writeln!(io::stderr(), "\x1b[2m{text}\x1b[0m")
        } else {
            writeln!(io::stderr(), "{text}")
        };
    }

    /// Something that a person should know before they rely on the result. `quiet` does not keep it back.
    pub(crate) fn warn(&self, text: impl Display) {
        let text = text.to_string();
        let text = visible(&text);
        let _ = if self.err_color {
            writeln!(io::stderr(), "\x1b[33mwarning:\x1b[0m {text}")
        } else {
            writeln!(io::stderr(), "warning: {text}")
        };
    }

    /// The one line that a failed command leaves.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let text = visible(&one_line(error)).into_owned();
        let _ = if self.err_color {
            writeln!(io::stderr(), "\x1b[1;31msai:\x1b[0m {text}")
        } else {
            writeln!(io::stderr(), "sai: {text}")
        };
    }

    /// A bar over `total` steps of work, hidden where standard error is no terminal.
    pub(crate) fn bar(&self, total: u64, what: &str) -> ProgressBar {
        self.styled(total, what, "{msg} [{bar:30}] {pos}/{len} {per_sec} {eta} left")
    }

    /// A bar over the steps of work that knows itself how long the rest takes, and says it as the bar's prefix.
    pub(crate) fn steps_bar(&self, what: &str) -> ProgressBar {
        self.styled(0, what, "{msg} [{bar:30}] {pos}/{len} {prefix}")
    }

    /// A bar over `total` bytes, hidden where standard error is no terminal.
    pub(crate) fn bytes_bar(&self, total: u64, what: &str) -> ProgressBar {
        self.styled(total, what, "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
    }

    fn styled(&self, total: u64, what: &str, template: &str) -> ProgressBar {
        let target = if self.err_terminal && !self.quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar
    }
}

/// The whole chain of causes as one line. A library's message often repeats its source; a cause that the
/// text so far already holds is left out.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    joined(error, |cause| cause.downcast_ref().and_then(texts().engine_error))
}

/// The same as libraries say it, for JSON, which is English everywhere.
pub(crate) fn english_line(error: &anyhow::Error) -> String {
    joined(error, |_| None)
}

/// The causes of an error in one line, in other words where `in_other_words` has some.
fn joined(
    error: &anyhow::Error,
    in_other_words: impl Fn(&(dyn std::error::Error + 'static)) -> Option<String>,
) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = in_other_words(cause).unwrap_or_else(|| cause.to_string());
        if !text.contains(cause.trim()) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(cause.trim());
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the error is a reader that went away, as in `sai inspect M | head`: no fault, nothing to say.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// A number with its thousands apart: 98,362,432.
pub(crate) struct Thousands(pub(crate) u64);

impl Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad_integral(true, "", &text)
    }
}

/// Bytes for a person: `93.8 MiB`.
pub(crate) struct Size(pub(crate) u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let (mut value, mut unit) = (self.0 as f64 / 1024.0, 0);
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{value:.1} {}", UNITS[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (98_362_432, "98,362,432")] {
            assert_eq!(Thousands(n).to_string(), text);
        }
        assert_eq!(format!("{:>7}", Thousands(1234)), "  1,234");
    }

    #[test]
    fn sizes_read_well() {
        for (n, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (98_362_432, "93.8 MiB")] {
            assert_eq!(Size(n).to_string(), text);
        }
    }

    #[test]
    fn an_error_is_one_line_and_says_nothing_twice() {
        let error = anyhow::anyhow!("no such file")
            .context("m.gguf: no such file\n  fetch it")
            .context("cannot open");
        assert_eq!(one_line(&error), "cannot open: m.gguf: no such file fetch it");
    }
}
