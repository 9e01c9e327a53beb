//! `sai completions` and `sai man`: what shells and `man` know of the command, from its own definition.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::ui::Ui;

/// Print a script that lets a shell complete verbs and flags.
///
/// bash: sai completions bash > ~/.local/share/bash-completion/completions/sai
/// zsh: sai completions zsh > a folder of $fpath, as _sai
/// fish: sai completions fish > ~/.config/fish/completions/sai.fish
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sai", &mut script);
        Ok(io::Write::write_all(&mut io::stdout(), &script)?)
    }
}

/// Print the manual page, or write a page for every verb.
///
/// sai man | man -l -                     reads it
/// sai man ~/.local/share/man/man1        keeps it, for `man sai` and `man sai-chat`
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Man {
    /// Folder to write sai.1, sai-chat.1 and the others into
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let Some(folder) = self.folder else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return Ok(io::Write::write_all(&mut io::stdout(), &page)?);
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        clap_mangen::generate_to(Cli::command(), &folder)
            .with_context(|| format!("{}: cannot be written", folder.display()))?;
        ui.note(format_args!("{}: written, one page for each verb", folder.display()));
        Ok(())
    }
}
