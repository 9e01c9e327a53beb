//! Where things are in a run's folder.

use crate::{Error, MakeRecipe, Stage, files, manifest};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A run's folder: a Hugging Face folder with GGUF files, a card and a report, and below `stages/` what they were made
/// of.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at `root`, which need not be there.
    pub fn new(root: &Path) -> Folder {
        Folder { root: root.to_owned() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of a stage are.
    pub fn stage(&self, stage: Stage) -> PathBuf {
        self.root.join("stages").join(stage.name())
    }

    /// Documents to learn from.
    pub fn documents(&self) -> PathBuf {
        self.stage(Stage::Sample).join("documents")
    }

    /// Documents that are never learnt from, a file a language.
    pub fn held_out(&self) -> PathBuf {
        self.stage(Stage::Sample).join("held-out")
    }

    /// The languages that have held-out documents, each with its file; none where nothing was held out.
    ///
    /// # Errors
    /// The folder is there and cannot be looked into.
    pub fn held_out_documents(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        if !self.held_out().is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for name in files::below(&self.root, &self.held_out())? {
            let path = self.root.join(name);
            let language = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if language != "conversations" {
                found.push((language, path));
            }
        }
        Ok(found)
    }

    /// Conversations to learn from.
    pub fn conversations(&self) -> PathBuf {
        self.stage(Stage::Sample).join("conversations")
    }

    /// What the sample has of each source.
    pub fn counts(&self) -> PathBuf {
        self.stage(Stage::Sample).join("counts.json")
    }

    /// The folder of the weights that a training ended with.
    pub fn trained(&self, stage: Stage) -> PathBuf {
        self.stage(stage).join("model")
    }

    /// The GGUF file before quantisation.
    pub fn gguf(&self, recipe: &MakeRecipe) -> Result<PathBuf, Error> {
        let dtype = recipe.dtype()?.to_string().to_lowercase();
        Ok(self.root.join(format!("{}-{dtype}.gguf", recipe.name)))
    }

    /// The GGUF file after it.
    pub fn quantized(&self, recipe: &MakeRecipe) -> Result<PathBuf, Error> {
        Ok(self.root.join(format!("{}-{}.gguf", recipe.name, recipe.mix()?.name())))
    }

    /// What was found out.
    pub fn evaluation(&self) -> PathBuf {
        self.stage(Stage::Evaluate).join("evaluation.json")
    }

    /// What a judge said, as tables.
    pub fn judged(&self) -> PathBuf {
        self.stage(Stage::Judge).join("judge.json")
    }

    /// Whether the folder is a making's, or may become one.
    ///
    /// # Errors
    /// It has files of something else.
    pub(crate) fn own(&self) -> Result<(), Error> {
        let root = &self.root;
        let mut entries = root.read_dir().into_iter().flatten().filter_map(Result::ok);
        let stranger = entries.any(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        if stranger && ![manifest::NAME, "stages/.lock"].iter().any(|name| root.join(name).is_file()) {
            let fact = "has files, and none is a manifest of `sai make`; give another folder with -o";
            return Err(Error::data(root, fact));
        }
        Ok(())
    }

    /// Makes the folder, and keeps other processes out of it until the file is closed.
    pub(crate) fn claim(&self) -> Result<File, Error> {
        self.own()?;
        let root = &self.root;
        std::fs::create_dir_all(root.join("stages")).map_err(|e| Error::io(root, "make the folder", e))?;
        let path = root.join("stages/.lock");
        let file = File::create(&path).map_err(|e| Error::io(&path, "create the file", e))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Error::data(root, "another process makes a model in it; wait for it, or give another -o"))
            }
            Err(std::fs::TryLockError::Error(e)) => Err(Error::io(&path, "lock the file", e)),
        }
    }
}
