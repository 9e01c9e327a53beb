//! `sai perplexity`: how well a model predicts a text.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::cli::ModelArgs;
use crate::ui::{Thousands, Ui};

/// Tokens of a window where nothing else is asked for, as llama-perplexity has them.
const WINDOW: usize = 512;

/// Measure the perplexity of a text, as llama-perplexity does.
///
/// The text is cut into windows; in each, the second half is scored given what comes before it. The figure is
/// the exponential of the mean cross-entropy (negative log-likelihood) of a token: the lower, the better. Windows are 512 tokens unless --context says
/// otherwise.
#[derive(clap::Args)]
pub(crate) struct Perplexity {
    /// Text to measure on (UTF-8)
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    model: ModelArgs,

    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Perplexity {
    pub(crate) fn run(mut self, ui: &Ui) -> anyhow::Result<()> {
        let file = self.file.display();
        let text = crate::text_file::read(&self.file)?;
        let window = self.model.context.unwrap_or(WINDOW);
        self.model.context = Some(window);
        let model = crate::models::open(&self.model, ui)?;
        let tokens = model.encode_text(&text);
        let bar = ui.bar((tokens.len() / window.max(1)) as u64, "perplexity");
        let found = sai_generation::perplexity(&model, &tokens, window, &mut |so_far, _| {
            bar.set_position(so_far.windows as u64);
            bar.set_message(format!("perplexity {:.4}", so_far.perplexity));
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        let found = found.with_context(|| file.to_string())?;
        let mut out = std::io::stdout().lock();
        if self.json {
            let object = json!({
                "perplexity": found.perplexity, "uncertainty": found.uncertainty, "tokens": found.scored_tokens,
                "windows": found.windows, "window": window, "model": self.model.model,
            });
            writeln!(out, "{object}")?;
        } else {
            writeln!(
                out,
                "perplexity {:.4} ± {:.4} ({} tokens scored in {} windows of {window})",
                found.perplexity,
                found.uncertainty,
                Thousands(found.scored_tokens as u64),
                Thousands(found.windows as u64)
            )?;
        }
        Ok(())
    }
}
