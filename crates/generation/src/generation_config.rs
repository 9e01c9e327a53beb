//! How a model's makers say that its tokens are best chosen: `generation_config.json` of a folder, as `transformers` reads
//! it, and `general.sampling.*` of a GGUF file, as llama.cpp does.

use crate::{Error, Sampling};
use sai_formats::gguf::{Metadata, Value};
use sai_formats::json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use std::io::ErrorKind;
use std::path::Path;

/// The file of a folder that has it.
const FILE: &str = "generation_config.json";

/// What is said; `None` is what is not. Values may be out of range: [`Sampling::check`] says so where they are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationConfig {
    /// As of [`Sampling`], and so the others.
    pub temperature: Option<f32>,
    /// Over 1, tokens that were there become less likely.
    pub repetition_penalty: Option<f32>,
    /// The likeliest tokens that have this share.
    pub top_p: Option<f32>,
    /// This many of the likeliest; less than 1 is off.
    pub top_k: Option<i64>,
    /// Tokens of at least this share of the likeliest one's.
    pub min_p: Option<f32>,
}

impl GenerationConfig {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == GenerationConfig::default()
    }

    /// The settings that follow from it: [`Sampling`]'s own where it says nothing.
    pub fn sampling(&self) -> Sampling {
        let own = Sampling::default();
        Sampling {
            temperature: self.temperature.unwrap_or(own.temperature),
            repetition_penalty: self.repetition_penalty.unwrap_or(own.repetition_penalty),
            top_p: self.top_p.unwrap_or(own.top_p),
            top_k: self.top_k.map_or(own.top_k, |k| usize::try_from(k).unwrap_or(0)),
            min_p: self.min_p.unwrap_or(own.min_p),
            ..own
        }
    }

    /// What a GGUF file says.
    pub(crate) fn of_gguf(metadata: &Metadata) -> Result<GenerationConfig, Error> {
        let read = || -> Result<GenerationConfig, sai_formats::Error> {
            Ok(GenerationConfig {
                temperature: metadata.f32("general.sampling.temp")?,
                repetition_penalty: metadata.f32("general.sampling.penalty_repeat")?,
                top_p: metadata.f32("general.sampling.top_p")?,
                top_k: metadata.i64("general.sampling.top_k")?,
                min_p: metadata.f32("general.sampling.min_p")?,
            })
        };
        Ok(read().map_err(sai_decoder::Error::from)?)
    }

    /// What a Hugging Face folder says.
    ///
    /// # Errors
    /// Its file cannot be read, or is not of its form.
    pub fn of_folder(folder: &Path) -> Result<GenerationConfig, Error> {
        #[derive(Deserialize)]
        struct Switch {
            do_sample: Option<bool>,
        }
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(GenerationConfig::default()),
            Err(source) => return Err(sai_decoder::Error::Read { path, source }.into()),
        };
        let wrong = |e: json::JsonError| sai_decoder::Error::Config {
            path: path.clone(),
            fact: format!("does not say how to choose tokens: {e}; fetch it again, or remove it"),
        };
        let file: serde_json::Value = json::read(&bytes).map_err(wrong)?;
        let said: GenerationConfig = json::of(&file).map_err(wrong)?;
        Ok(match json::of::<Switch>(&file).map_err(wrong)?.do_sample {
            // The likeliest token always, whatever else is said.
            Some(false) => GenerationConfig { temperature: Some(0.0), ..said },
            _ => said,
        })
    }

    /// The same as metadata.
    pub(crate) fn entries(&self) -> Vec<(String, Value)> {
        let float = |x: Option<f32>| x.map(Value::F32);
        let top_k = self.top_k.map(|k| Value::I32(i32::try_from(k).unwrap_or(0)));
        [
            ("top_k", top_k),
            ("top_p", float(self.top_p)),
            ("min_p", float(self.min_p)),
            ("temp", float(self.temperature)),
            ("penalty_repeat", float(self.repetition_penalty)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((format!("general.sampling.{key}"), value?)))
        .collect()
    }

    /// Writes it over what a folder's file says.
    pub fn write_into(&self, config: &mut Map<String, serde_json::Value>) {
        if let Some(temperature) = self.temperature {
            config.insert("do_sample".to_owned(), json!(temperature > 0.0));
        }
        // A temperature of 0 is said by `do_sample`: `transformers` wants others to be above 0.
        let float = |x: Option<f32>| x.map(|x| x.to_string().parse::<f64>().unwrap_or(f64::from(x)));
        for (key, value) in [
            ("temperature", float(self.temperature.filter(|&t| t > 0.0)).map(|x| json!(x))),
            ("top_k", self.top_k.map(|k| json!(k.max(0)))),
            ("top_p", float(self.top_p).map(|x| json!(x))),
            ("min_p", float(self.min_p).map(|x| json!(x))),
            ("repetition_penalty", float(self.repetition_penalty).map(|x| json!(x))),
        ] {
            if let Some(value) = value {
                config.insert(key.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<GenerationConfig, Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), json).unwrap();
        GenerationConfig::of_folder(folder.path())
    }

    #[test]
    fn a_folder_says_how_it_is_sampled() {
        assert!(of("{}").unwrap().is_empty());
        assert!(of(r#"{"eos_token_id": [1, 2], "transformers_version": "4.31.0"}"#).unwrap().is_empty());
        let said = of(r#"{"do_sample": true, "temperature": 0.3, "top_k": -1, "top_p": null}"#).unwrap();
        assert_eq!(
            said,
            GenerationConfig { temperature: Some(0.3), top_k: Some(-1), ..GenerationConfig::default() }
        );
        let sampling = said.sampling();
        assert_eq!((sampling.temperature, sampling.top_k, sampling.top_p), (0.3, 0, 0.95));
        assert_eq!(of(r#"{"do_sample": false, "temperature": 0.9}"#).unwrap().sampling().temperature, 0.0);
        let error = of(r#"{"temperature": "hot"}"#).unwrap_err().to_string();
        assert!(error.contains("generation_config.json") && error.contains("remove it"), "{error}");
    }

    #[test]
    fn both_forms_say_the_same() {
        let said = GenerationConfig {
            temperature: Some(0.3),
            top_p: Some(0.9),
            top_k: Some(40),
            ..GenerationConfig::default()
        };
        let metadata = Metadata::new(Path::new("m.gguf"), said.entries()).unwrap();
        assert_eq!(GenerationConfig::of_gguf(&metadata).unwrap(), said);
        let mut config = Map::new();
        said.write_into(&mut config);
        let text = serde_json::Value::Object(config).to_string();
        assert_eq!(text, r#"{"do_sample":true,"temperature":0.3,"top_k":40,"top_p":0.9}"#);
        assert_eq!(of(&text).unwrap(), said);
        let greedy = GenerationConfig { temperature: Some(0.0), ..GenerationConfig::default() };
        let mut config = Map::new();
        greedy.write_into(&mut config);
        assert_eq!(of(&serde_json::Value::Object(config).to_string()).unwrap(), greedy);
    }
}
