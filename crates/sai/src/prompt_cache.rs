//! `--prompt-cache FILE`: what a session has computed, kept for the next run.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use sai_generation::Session;

use crate::ui::{Thousands, Ui};

/// Whether what is computed is kept. Shared by the verbs that continue a text.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PromptCacheArgs {
    /// Keep the KV cache of what is computed in FILE, and take from it what the next run begins with alike; a file of
    /// another kind is left alone
    #[arg(long, value_name = "FILE", alias = "prompt_cache")]
    prompt_cache: Option<PathBuf>,
}

impl PromptCacheArgs {
    /// Refuses a file that is no prompt cache, before any work is done: it would be replaced.
    ///
    /// # Errors
    /// There is such a file, in one line.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        Ok(self.prompt_cache.as_deref().map_or(Ok(()), sai_generation::check_prompt_cache_target)?)
    }

    /// Fills the session from the file, where there is one. A cache that does not fit is said, and left to be
    /// replaced: it can cost time, never the answer.
    pub(crate) fn load(&self, session: &mut Session<'_>, ui: &Ui) -> anyhow::Result<()> {
        let Some(file) = &self.prompt_cache else { return Ok(()) };
        if !exists(file)? {
            return Ok(());
        }
        match session.load(file) {
            Ok(tokens) => ui.note(format_args!(
                "{} tokens from {}",
                Thousands(tokens as u64),
                crate::terminal::clean::visible(&file.display().to_string())
            )),
            Err(error) => ui.error(&anyhow!("{error}; it is not used, and will be written anew")),
        }
        Ok(())
    }

    /// Writes the file.
    pub(crate) fn save(&self, session: &Session<'_>) -> anyhow::Result<()> {
        match &self.prompt_cache {
            Some(file) if session.context_used() > 0 => Ok(session.save(file)?),
            _ => Ok(()),
        }
    }
}

fn exists(file: &Path) -> anyhow::Result<bool> {
    file.try_exists().with_context(|| format!("{}: cannot be looked at", file.display()))
}
