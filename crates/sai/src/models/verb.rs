//! `sai models`: what is here, what can be fetched, how large, under which licence; and taking away.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};

use super::catalogue::{self, ENTRIES, Entry};
use super::here::{self, Here, Place};
use super::hub::{HubId, LocalRepository};
use super::remove::{Removal, bytes_of};
use super::{built_in, folders};
use crate::confirm::confirm;
use crate::terminal::clean::visible;
use crate::terminal::style::width;
use crate::ui::{Size, Ui};

const EXAMPLES: &str = "\
Examples:
  sai models                            what is here, and what a short name fetches
  sai models --json
  sai models remove 42dot-sft           from the Hub cache, all its revisions
  sai models remove owner/name@v1       one of them; what others have too stays
  sai models remove model.gguf          from a models folder";

/// List models: what is here, what can be fetched by a short name, how large, under which licence; and remove them.
///
/// Here is what is built in, what lies in $SAI_MODELS (else ./models and ~/.cache/sai/models), and what the Hub cache holds,
/// which all of Hugging Face's tools share. No network is asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Models {
    #[command(subcommand)]
    action: Option<Action>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    Remove(Remove),
}

/// Remove a model from the Hub cache or from a models folder.
///
/// Shows what goes and how large it is, and asks. Nothing outside of these folders is touched: of a link the link goes, not
/// what it leads to.
#[derive(clap::Args)]
struct Remove {
    /// Short name, Hub id (owner/name[@revision]), or file or folder of a models folder
    name: String,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Models {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        if let Some(Action::Remove(remove)) = self.action {
            return remove.run(ui);
        }
        let here = here::all()?;
        let missing: Vec<&Entry> =
            ENTRIES.iter().filter(|entry| !here.iter().any(|here| here.is(entry))).collect();
        let text = match self.json {
            true => format!("{:#}\n", json(&here)),
            false => table(&here, &missing),
        };
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }
}

impl Here {
    fn is(&self, entry: &Entry) -> bool {
        self.entry.is_some_and(|own| own.name == entry.name)
    }

    /// Where it is, in words.
    fn place(&self) -> String {
        match &self.place {
            Place::BuiltIn => "built in".to_owned(),
            Place::Models(path) if path.is_symlink() => format!("{}, a link", path.display()),
            Place::Models(path) => path.display().to_string(),
            Place::Hub(repository) => {
                let mut words = format!("Hub cache, {}", repository.repo);
                if repository.revisions.len() > 1 {
                    let _ = write!(words, ", {} revisions", repository.revisions.len());
                }
                if repository.unfinished {
                    words += ", a download of it is not finished";
                }
                words
            }
        }
    }
}

/// Two lines a model: its name, size and what it is; its licence.
fn table(here: &[Here], missing: &[&Entry]) -> String {
    let rows = |rows: Vec<[String; 4]>| {
        let wide = rows.iter().map(|[name, ..]| width(name)).max().unwrap_or(0);
        let mut out = String::new();
        for [name, size, what, licence] in rows {
            let gap = " ".repeat(wide - width(&name));
            // Writing to a string does not fail.
            let _ = writeln!(out, "  {name}{gap}  {size:>9}  {what}");
            let _ = writeln!(out, "  {}  {}", " ".repeat(wide + 11), licence);
        }
        out
    };
    let mut out = "Here\n".to_owned();
    out += &rows(
        here.iter()
            .map(|here| {
                let licence = here.licence.clone().unwrap_or_else(|| "licence unknown".to_owned());
                [here.name.clone(), Size(here.bytes).to_string(), here.place(), licence]
                    .map(|text| visible(&text).into_owned())
            })
            .collect(),
    );
    if missing.is_empty() {
        return out;
    }
    out += "\nCan be fetched, by `--model NAME`; sizes are about\n";
    out += &rows(
        missing
            .iter()
            .map(|entry| {
                let accept = if entry.gated { ", to be accepted on the Hub first" } else { "" };
                let licence = format!("{}{accept}", entry.licence);
                [entry.name.to_owned(), Size(entry.bytes).to_string(), entry.about.to_owned(), licence]
            })
            .collect(),
    );
    out
}

fn json(here: &[Here]) -> Value {
    let here_json = here.iter().map(|here| {
        let (place, path, repository) = match &here.place {
            Place::BuiltIn => ("built-in", None, None),
            Place::Models(path) => ("models", Some(path), None),
            Place::Hub(repository) => ("hub", Some(&repository.folder), Some(repository)),
        };
        let revisions = repository.map(|repository| {
            let revisions = repository.revisions.iter();
            revisions.map(|known| json!({ "commit": known.commit, "names": known.names })).collect::<Vec<_>>()
        });
        json!({
            "name": here.name, "place": place, "path": path, "bytes": here.bytes, "licence": here.licence,
            "repository": repository.map(|repository| &repository.repo), "revisions": revisions,
            "finished": repository.is_none_or(|repository| !repository.unfinished),
        })
    });
    let catalogue = ENTRIES.iter().filter(|entry| entry.repository.is_some()).map(|entry| {
        json!({
            "name": entry.name, "repository": entry.repository, "family": entry.family, "bytes": entry.bytes,
            "licence": entry.licence, "gated": entry.gated, "about": entry.about,
            "here": here.iter().any(|here| here.is(entry)),
        })
    });
    json!({ "here": here_json.collect::<Vec<_>>(), "catalogue": catalogue.collect::<Vec<_>>() })
}

impl Remove {
    fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let removal = find(&self.name)?;
        let mut shown = Vec::new();
        shown.extend(removal.paths.iter().take(SHOWN).map(|path| format!("  {}", path.display())));
        if removal.paths.len() > SHOWN {
            shown.push(format!("  and {} more", removal.paths.len() - SHOWN));
        }
        shown.extend(removal.stays.iter().map(|stays| format!("stays: {stays}")));
        ui.note(visible(&shown.join("\n")));
        let question = format!("Remove {} ({})?", visible(&removal.what), Size(removal.bytes));
        if !confirm(&question, self.yes, ui)? {
            ui.note("nothing is removed");
            return Ok(());
        }
        removal.run()?;
        ui.note(format_args!("removed {}, {}", visible(&removal.what), Size(removal.bytes)));
        Ok(())
    }
}

/// Files that are shown before they go.
const SHOWN: usize = 8;

/// What removing `asked` would take away.
fn find(asked: &str) -> anyhow::Result<Removal> {
    if asked.eq_ignore_ascii_case(built_in::NAME) {
        bail!("{asked}: it is part of the program, and cannot be removed from it");
    }
    let entry = catalogue::find(asked);
    if let Some(removal) = in_folders(entry.and_then(|entry| entry.file).unwrap_or(asked))? {
        return Ok(removal);
    }
    let id = HubId::parse(entry.and_then(|entry| entry.repository).unwrap_or(asked));
    if let Some(id) = &id
        && let Some(repository) = LocalRepository::find(&id.repo)?
    {
        if let Some(file) = &id.file {
            bail!("{asked}: a revision is removed as a whole; leave `:{file}` out");
        }
        // `main` may be said or meant; whether it was said decides.
        let revision = asked.contains('@').then_some(id.revision.as_str());
        return repository.removal(revision);
    }
    let places = folders().iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    bail!("{asked}: there is no such model in {places} or the Hub cache; `sai models` lists what is here")
}

/// The removal of a model of this name from the first models folder that has it.
fn in_folders(name: &str) -> anyhow::Result<Option<Removal>> {
    let is_name = Path::new(name).components().count() == 1 && !matches!(name, "." | ".." | "");
    let Some(root) = folders().into_iter().find(|root| is_name && root.join(name).symlink_metadata().is_ok())
    else {
        return Ok(None);
    };
    let path = root.join(name);
    // A link to a model that is gone is of no use to anyone.
    let dangles = path.is_symlink() && !path.exists();
    if !dangles && !here::is_model(&path) {
        bail!("{}: it is neither a GGUF file nor the folder of a model; remove it by hand", path.display());
    }
    let kind = if path.is_symlink() { ", which is a link" } else { "" };
    let bytes = bytes_of(&path);
    let what = format!("{}{kind}", path.display());
    let stays = path.is_symlink().then(|| "what the link leads to".to_owned());
    Ok(Some(Removal { what, root, paths: vec![path], bytes, stays }))
}
