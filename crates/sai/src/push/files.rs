//! Which files of a folder are a model's, and which stay at home.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::models::hub::{CARD, Outgoing};

/// What a push takes, and what it leaves.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Those that are sent, by name.
    pub(super) files: Vec<Outgoing>,
    /// What is left out, and why.
    pub(super) left_out: Vec<(String, &'static str)>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// The files of `source`: a GGUF file with the card beside it, a Hugging Face folder, or the folder of a run, of which the
/// newest checkpoint is sent.
///
/// # Errors
/// It is no model, or a file of it cannot be read or sent.
pub(super) fn gather(source: &Path) -> anyhow::Result<Gathered> {
    let named = || source.display().to_string();
    let mut gathered = Gathered::default();
    if source.metadata().with_context(named)?.is_file() {
        if !is_gguf(source) {
            bail!("{}: a push is of a GGUF file or a folder; give one of these", named());
        }
        gathered.files.push(outgoing(source, String::new())?);
        let card = source.with_file_name(CARD);
        if is_card(&card) {
            gathered.files.push(outgoing(&card, String::new())?);
        }
    } else if is_model(source) {
        gathered.folder(source, "")?;
    } else if is_model(&source.join("model")) {
        let model = source.join("model");
        gathered.notes.push(format!("{} is the folder of a run; its model is {}", named(), model.display()));
        gathered.folder(&model, "")?;
        gathered.run(source)?;
    } else {
        bail!(
            "{}: it is no model's folder: it has no config.json, no adapter_config.json and no GGUF file",
            named()
        );
    }
    gathered.files.sort_by(|a, b| a.name.cmp(&b.name));
    gathered.left_out.sort();
    if !gathered.files.iter().any(|file| file.name == CARD) {
        gathered.notes.push(format!("there is no card ({CARD}); the Hub shows the model without one"));
    }
    Ok(gathered)
}

impl Gathered {
    /// Takes the files under `folder`.
    fn folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry.with_context(|| folder.display().to_string())?.path();
            let (name, is_folder) = (name(&path)?, path.is_dir());
            if let Some(why) = stays(&name, &path) {
                let slash = if is_folder { "/" } else { "" };
                self.left_out.push((format!("{prefix}{name}{slash}"), why));
            } else if is_folder {
                self.folder(&path, &format!("{prefix}{name}/"))?;
            } else {
                self.files.push(outgoing(&path, prefix.to_owned())?);
            }
        }
        Ok(())
    }

    /// What else is in the folder of a run: its card goes along, where the model has none.
    fn run(&mut self, run: &Path) -> anyhow::Result<()> {
        let has_card = self.files.iter().any(|file| file.name == CARD);
        for entry in fs::read_dir(run).with_context(|| run.display().to_string())?.flatten() {
            let path = entry.path();
            let name = name(&path)?;
            match name.as_str() {
                "model" => {}
                CARD if !has_card => self.files.push(outgoing(&path, String::new())?),
                _ => {
                    let slash = if path.is_dir() { "/" } else { "" };
                    self.left_out.push((format!("{name}{slash}"), "of the run, not of the model"));
                }
            }
        }
        Ok(())
    }
}

/// Why a file or folder is not sent; `None` where it is.
fn stays(name: &str, path: &Path) -> Option<&'static str> {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| name.starts_with(beginning));
    let ends = |ends: &[&str]| ends.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    if name.starts_with('.') {
        return Some("hidden");
    }
    let linked = path.is_symlink();
    if path.is_dir() {
        return match name {
            "checkpoints" => Some("checkpoints"),
            "stages" => Some("stages of a making"),
            "__pycache__" => Some("made by Python"),
            _ if linked => Some("a link to a folder"),
            _ if begins(&["checkpoint-", "step-", "global_step"]) => Some("checkpoints"),
            _ => None,
        };
    }
    // The folder of a checkpoint has the state of its training beside the model.
    let of_training = ["optimizer.", "scheduler.", "scaler.", "rng_state"];
    match name {
        "state.json" | "trainer_state.json" => Some("state of a training"),
        "manifest.json" if path.with_file_name("stages").is_dir() => Some("record of a making"),
        _ if begins(&of_training) && !ends(&[".md", ".txt"]) => Some("state of a training"),
        _ if ends(&[".part", ".incomplete", ".lock", ".tmp", "~"]) => Some("not finished"),
        _ if !path.is_file() => Some("no file"),
        _ => None,
    }
}

fn outgoing(path: &Path, prefix: String) -> anyhow::Result<Outgoing> {
    let named = || path.display().to_string();
    let bytes = path.metadata().with_context(named)?.len();
    fs::File::open(path).with_context(named)?;
    Ok(Outgoing { name: prefix + &name(path)?, path: path.to_owned(), bytes })
}

/// The name of a file, as the Hub takes one.
fn name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().unwrap_or_default();
    let text = name.to_str().filter(|text| !text.contains(|c: char| c.is_control() || c == '\\'));
    text.map(str::to_owned)
        .with_context(|| format!("{}: the Hub takes no such name; rename it", path.display()))
}

/// Whether a folder has a model in it.
fn is_model(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let ggufs = || -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    has("config.json") || has("adapter_config.json") || ggufs().iter().any(|path| is_gguf(path))
}

fn is_gguf(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// Whether this is the card of a model, and not what tells of a project: a card begins with front matter.
fn is_card(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim_start_matches('\u{feff}').starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, file).expect("a file");
        }
        home
    }

    fn names(gathered: &Gathered) -> Vec<&str> {
        gathered.files.iter().map(|file| file.name.as_str()).collect()
    }

    fn left(gathered: &Gathered) -> Vec<&str> {
        gathered.left_out.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn checkpoints_and_optimizer_states_and_hidden_files_stay() {
        let home = home(&[
            "config.json",
            "model.safetensors",
            "README.md",
            "1_Pooling/config.json",
            ".git/config",
            ".env",
            "checkpoints/step-10/model.safetensors",
            "checkpoint-500/model.safetensors",
            "stages/sample/documents/ko.jsonl",
            "manifest.json",
            "optimizer.pt",
            "optimizer.safetensors",
            "scheduler.pt",
            "rng_state_0.pth",
            "state.json",
            "trainer_state.json",
            "model.gguf.part",
        ]);
        let gathered = gather(home.path()).expect("a model");
        assert_eq!(
            names(&gathered),
            ["1_Pooling/config.json", "README.md", "config.json", "model.safetensors"]
        );
        let mut wanted = [
            ".env",
            ".git/",
            "checkpoint-500/",
            "checkpoints/",
            "manifest.json",
            "model.gguf.part",
            "optimizer.pt",
            "optimizer.safetensors",
            "rng_state_0.pth",
            "scheduler.pt",
            "stages/",
            "state.json",
            "trainer_state.json",
        ];
        wanted.sort_unstable();
        assert_eq!(left(&gathered), wanted);
        assert!(gathered.notes.is_empty());
    }

    #[test]
    fn of_a_run_its_newest_checkpoint_is_sent() {
        let home = home(&[
            "run/recipe.toml",
            "run/metrics.jsonl",
            "run/README.md",
            "run/model/config.json",
            "run/model/model.safetensors",
            "run/model/optimizer.safetensors",
            "run/checkpoints/step-1/config.json",
        ]);
        let gathered = gather(&home.path().join("run")).expect("a run");
        assert_eq!(names(&gathered), ["README.md", "config.json", "model.safetensors"]);
        assert_eq!(
            left(&gathered),
            ["checkpoints/", "metrics.jsonl", "optimizer.safetensors", "recipe.toml"]
        );
        assert!(gathered.notes[0].contains("its model is"));
    }

    #[test]
    fn a_gguf_goes_with_the_card_beside_it_and_not_with_what_tells_of_a_project() {
        let home = home(&["m.gguf", "README.md", "notes.txt"]);
        let gathered = gather(&home.path().join("m.gguf")).expect("a file");
        assert_eq!(names(&gathered), ["m.gguf"]);
        assert!(gathered.notes[0].contains("no card"));
        fs::write(home.path().join("README.md"), "---\nlicense: mit\n---\n").expect("a card");
        let gathered = gather(&home.path().join("m.gguf")).expect("a file");
        assert_eq!(names(&gathered), ["README.md", "m.gguf"]);
        let error = gather(&home.path().join("notes.txt")).expect_err("is no model").to_string();
        assert!(error.contains("a GGUF file or a folder"), "{error}");
    }

    #[test]
    fn a_folder_without_a_model_is_not_sent() {
        let home = home(&["a.txt", "sub/config.json"]);
        let error = gather(home.path()).expect_err("is no model").to_string();
        assert!(error.contains("no config.json"), "{error}");
        assert!(gather(&home.path().join("none")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_are_not_followed_and_links_to_files_are() {
        let home = home(&["blobs/ab", "snapshot/config.json"]);
        let at = |name: &str| home.path().join(name);
        std::os::unix::fs::symlink("../blobs/ab", at("snapshot/model.safetensors")).expect("a link");
        std::os::unix::fs::symlink("..", at("snapshot/up")).expect("a link");
        std::os::unix::fs::symlink("nowhere", at("snapshot/gone.json")).expect("a link");
        let gathered = gather(&at("snapshot")).expect("a model");
        assert_eq!(names(&gathered), ["config.json", "model.safetensors"]);
        assert_eq!(left(&gathered), ["gone.json", "up/"]);
    }
}
