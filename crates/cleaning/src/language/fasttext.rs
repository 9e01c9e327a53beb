//! A fastText model of the user's, such as `lid.176.bin`, `lid.176.ftz` or GlotLID.

use std::borrow::Cow;
use std::path::Path;

use super::{Form, Language};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}; give a fastText model of languages, such as lid.176.bin or lid.176.ftz")]
pub struct FastTextError {
    path: String,
    what: String,
}

/// A model that tells languages.
pub struct FastText {
    model: fasttext_pure_rs::FastText,
}

impl FastText {
    /// Opens a model, quantised or not.
    pub fn open(path: &Path) -> Result<Self, FastTextError> {
        let fail = |what: String| FastTextError { path: path.display().to_string(), what };
        let model = fasttext_pure_rs::FastText::load(path).map_err(|error| fail(error.to_string()))?;
        // A model of words has no labels, and one of something else than languages has others.
        match model.predict("the river runs to the sea", 1, 0.0) {
            Ok(answers) if answers.first().is_some_and(|answer| answer.label.starts_with("__label__")) => {
                Ok(Self { model })
            }
            Ok(_) => Err(fail("has no labels of languages".to_owned())),
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// The likeliest language; `None` where the model has no answer.
    pub fn detect(&self, text: &str) -> Option<Language> {
        // The model reads a line.
        let line: Cow<'_, str> =
            if text.contains('\n') { text.replace('\n', " ").into() } else { text.into() };
        let answers = self.model.predict(&line, 1, 0.0).ok()?;
        let answer = answers.into_iter().next()?;
        let label = answer.label.strip_prefix("__label__").unwrap_or(&answer.label);
        Some(Language { code: Cow::Owned(code(label)), probability: answer.probability, form: Form::Plain })
    }
}

impl std::fmt::Debug for FastText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FastText").field("dim", &self.model.dim()).finish()
    }
}

/// `kor_Hang` of GlotLID and NLLB as `ko`, where the two letters are known; else as the model says.
fn code(label: &str) -> String {
    let (language, script) = label.split_once('_').unwrap_or((label, ""));
    let short = match language {
        "kor" if script == "Latn" => "ko-Latn",
        "kor" => "ko",
        "eng" => "en",
        "jpn" => "ja",
        "zho" | "cmn" => "zh",
        "deu" => "de",
        "fra" => "fr",
        "spa" => "es",
        "por" => "pt",
        "ita" => "it",
        "rus" => "ru",
        "und" => "und",
        "zxx" => "zxx",
        _ => label,
    };
    short.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, b"GGUF and more of it, and more of it").unwrap();
        let error = FastText::open(&path).unwrap_err().to_string();
        assert!(error.contains("model.bin") && error.contains("lid.176.ftz"), "{error}");
        assert!(FastText::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn labels_of_three_letters_are_shortened() {
        assert_eq!(
            (code("kor_Hang").as_str(), code("ko").as_str(), code("eng_Latn").as_str()),
            ("ko", "ko", "en")
        );
    }
}
