//! `sai push`: a model to the Hub.

mod files;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;

use self::files::Gathered;
use crate::confirm::confirm;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::models::hub::Push as Target;
use crate::terminal::clean::visible;
use crate::terminal::style::width;
use crate::ui::{Size, Ui};

const EXAMPLES: &str = "\
Examples:
  sai push run/ owner/name --private           a run's newest checkpoint
  sai push nano/ owner/nano                    what `sai make` made: folder, GGUF files, card
  sai push nano/nano-q8_0.gguf owner/nano-gguf
  sai push merged/ owner/name --revision v2 --message \"Learn from more conversations\"";

/// Push a model to the Hub: a run's folder, a Hugging Face folder or a GGUF file, with its card (README.md).
///
/// Shows what it sends and where, and asks. The repository is made where there is none; what is in it stays, and files of the
/// same names are replaced in one commit. Checkpoints, states of optimizers and hidden files are left out. A push that was
/// stopped is gone on with by the same command. The token is HF_TOKEN's, or the one that `hf auth login` keeps.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Push {
    /// Folder or GGUF file
    #[arg(value_name = "FOLDER|FILE")]
    source: PathBuf,

    /// Repository of the Hub (owner/name)
    #[arg(value_name = "OWNER/NAME")]
    repository: String,

    /// Make the repository a private one
    #[arg(long)]
    private: bool,

    /// Branch to commit to; made where it is not there
    #[arg(long, value_name = "BRANCH")]
    revision: Option<String>,

    /// Message of the commit
    #[arg(short, long, value_name = "TEXT", default_value = "Upload the model with sai")]
    message: String,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Push {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        if self.message.trim().is_empty() {
            bail!("--message is empty; say in a line what is new");
        }
        let gathered = files::gather(&self.source)?;
        let target = Target::open(&self.repository, self.revision.as_deref())?;
        if self.private && target.is_private() == Some(false) {
            bail!(
                "{}: the repository is public already; make it private in its settings, or leave --private out",
                target.name()
            );
        }
        let plan = plan(&gathered, &target, self.private);
        if !self.yes || !ui.is_quiet() {
            write!(std::io::stderr(), "{}", visible(&plan))?;
        }
        if !confirm(&format!("Push to {}?", target.name()), self.yes, ui)? {
            ui.note("nothing is sent");
            return Ok(());
        }

        let interrupt = Interrupt::install_with_term("")?;
        let stop = || interrupt.pending();
        let Some(pushed) = target.send(&gathered.files, self.private, &self.message, ui, &stop)? else {
            ui.note("stopped; the same command goes on where it was");
            std::process::exit(EXIT_INTERRUPTED);
        };
        let commit = match &pushed.commit {
            Some(commit) => format!("commit {}", visible(commit)),
            None => "nothing is new".to_owned(),
        };
        let mut facts = vec![commit];
        if pushed.unchanged > 0 {
            facts.push(format!("{} unchanged", files_of(pushed.unchanged)));
        }
        if pushed.stored > 0 {
            facts.push(format!("{} in the Hub's storage before", files_of(pushed.stored)));
        }
        ui.note(facts.join(", "));
        Ok(writeln!(std::io::stdout(), "{}", pushed.page)?)
    }
}

/// What is sent and what is not, and where it goes.
fn plan(gathered: &Gathered, target: &Target, private: bool) -> String {
    let wide = gathered.files.iter().map(|file| width(&file.name)).max().unwrap_or(0);
    let mut out = String::new();
    // Writing to a string does not fail.
    for note in &gathered.notes {
        let _ = writeln!(out, "{note}");
    }
    for file in &gathered.files {
        let gap = " ".repeat(wide - width(&file.name));
        let replaces = if target.has(&file.name) { "  replaces what is there" } else { "" };
        let _ = writeln!(out, "  {}{gap}  {:>10}{replaces}", file.name, Size(file.bytes).to_string());
    }
    if !gathered.left_out.is_empty() {
        let left: Vec<_> = gathered.left_out.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        let _ = writeln!(out, "left out: {}", left.join(", "));
    }
    let total = gathered.files.iter().map(|file| file.bytes).sum();
    let seen = match target.is_private() {
        Some(true) => "which is private",
        Some(false) => "which is public",
        None if private => "a new repository, private",
        None => "a new repository, public",
    };
    let (files, hub) = (files_of(gathered.files.len()), target.endpoint());
    let _ = writeln!(out, "{files}, {}, to {} at {hub}, {seen}", Size(total), target.name());
    out
}

fn files_of(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
