//! The models of the arguments, by the names that requests have for them.

use std::path::Path;

use anyhow::bail;
use sai_generation::Model;
use sai_server::{ModelEntry, OpenError};

use super::Serve;
use super::adapter::Adapter;
use crate::cli::{Device, ModelArgs, OverrideArgs};
use crate::models::open_within;
use crate::ui::Ui;

impl Serve {
    /// The names, as requests have them.
    pub(super) fn names(&self) -> Vec<String> {
        let models = self.model.iter().map(|spec| named(spec).0);
        models.chain(self.lora.iter().filter_map(|spec| Some(spec.split_once('=')?.0.to_owned()))).collect()
    }

    pub(super) fn entries(&self, ui: &Ui) -> anyhow::Result<Vec<ModelEntry>> {
        let mut entries: Vec<ModelEntry> = self.model.iter().map(|spec| self.entry(spec, ui)).collect();
        for spec in &self.lora {
            let Some((name, rest)) =
                spec.split_once('=').filter(|(name, rest)| !name.is_empty() && !rest.is_empty())
            else {
                bail!("--lora {spec}: write NAME=FOLDER, or NAME=FOLDER@MODEL");
            };
            let (folder, base) = match rest.rsplit_once('@') {
                Some((folder, base)) => (folder, Some(base)),
                None => (rest, None),
            };
            let asked = match base {
                None => &self.model[0],
                Some(base) => match self.model.iter().find(|spec| named(spec).0 == base) {
                    Some(spec) => spec,
                    None => bail!("--lora {spec}: there is no --model called {base}"),
                },
            };
            let (parent, base) = named(asked);
            let adapter = Adapter::new(Path::new(folder), base, self.args(base), ui)?;
            entries.push(ModelEntry {
                name: name.to_owned(),
                aliases: Vec::new(),
                parent: Some(parent),
                open: Box::new(move |most| adapter.open(most).map_err(refusal)),
            });
        }
        Ok(entries)
    }

    fn entry(&self, spec: &str, ui: &Ui) -> ModelEntry {
        let (name, asked) = named(spec);
        let (args, ui) = (self.args(asked), ui.clone());
        ModelEntry {
            name,
            aliases: vec![asked.to_owned()],
            parent: None,
            open: Box::new(move |most| open_within(&args, most, &ui).map_err(refusal)),
        }
    }

    fn args(&self, model: &str) -> ModelArgs {
        ModelArgs {
            model: model.to_owned(),
            threads: self.threads,
            context: self.context,
            device: Device::Auto,
            chat_template: self.chat_template.clone(),
            cache_type: self.cache_type,
            overrides: OverrideArgs { override_kv: Vec::new() },
        }
    }
}

/// A model's name and where it is: `NAME=MODEL`, or the file's name of a path, or what was asked for.
fn named(spec: &str) -> (String, &str) {
    match spec.split_once('=') {
        Some((name, asked)) if !name.is_empty() && !asked.is_empty() && !Path::new(spec).exists() => {
            (name.to_owned(), asked)
        }
        _ => {
            let path = Path::new(spec);
            let stem = if path.is_file() { path.file_stem() } else { path.file_name() };
            let name = stem.filter(|_| path.exists()).map(|name| name.to_string_lossy().into_owned());
            (name.unwrap_or_else(|| spec.to_owned()), spec)
        }
    }
}

fn refusal(error: anyhow::Error) -> OpenError {
    let need = error.chain().find_map(|cause| match cause.downcast_ref::<sai_generation::Error>() {
        Some(sai_generation::Error::Memory { need, .. }) => Some(need.total()),
        _ => None,
    });
    OpenError { fact: crate::ui::one_line(&error), need }
}

/// Opens a model that lies in a folder, with the rest as of `args`.
pub(super) fn open_folder(
    folder: &Path,
    args: &ModelArgs,
    most: Option<u64>,
    ui: &Ui,
) -> anyhow::Result<Model> {
    open_within(&ModelArgs { model: folder.display().to_string(), ..args.clone() }, most, ui)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_as_it_is_asked_for_or_named() {
        for (spec, name, asked) in [
            ("mini", "mini", "mini"),
            ("small=mini", "small", "mini"),
            ("owner/name:Q4_K_M", "owner/name:Q4_K_M", "owner/name:Q4_K_M"),
            ("=x", "=x", "=x"),
        ] {
            assert_eq!(named(spec), (name.to_owned(), asked));
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.b-q4_0.gguf");
        std::fs::write(&file, "").unwrap();
        assert_eq!(named(&file.display().to_string()).0, "a.b-q4_0");
    }
}
