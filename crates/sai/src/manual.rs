//! `sai completions` and `sai man`: what shells and `man` know of the command, from its own definition.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap_complete::Shell;

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
        clap_complete::generate(self.shell, &mut crate::cli::command(), "sai", &mut script);
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
            clap_mangen::Man::new(crate::cli::command()).render(&mut page)?;
            return Ok(io::Write::write_all(&mut io::stdout(), &page)?);
        };
        let mut command = crate::cli::command().disable_help_subcommand(true);
        command.build();
        let pages = pages(&command)?;
        for (name, _) in &pages {
            let path = folder.join(name);
            if path.symlink_metadata().is_ok() && !is_page(&path) {
                bail!("{}: it is there already and is no manual page; choose another folder", path.display());
            }
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        for (name, page) in &pages {
            crate::output::write_whole(&folder.join(name), page)?;
        }
        ui.note(format_args!("{}: written, one page for each verb", folder.display()));
        Ok(())
    }
}

/// The pages of a built command and of all its verbs, each with the name of its file.
fn pages(command: &clap::Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        all.extend(pages(verb)?);
    }
    let (man, mut page) = (clap_mangen::Man::new(command.clone()), Vec::new());
    man.render(&mut page)?;
    all.push((man.get_filename(), page));
    Ok(all)
}

/// Whether a file begins as a manual page does.
fn is_page(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(".ie") || text.starts_with(".TH"))
}
