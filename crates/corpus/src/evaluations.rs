//! Evaluation sets, from files of any form: what is looked for is every text in them.

use std::path::PathBuf;

use sai_cleaning::decontaminate::{DecontaminateOptions, Evaluations};
use sai_documents::{Format, Options, Reader};
use serde_json::Value;

use crate::error::Error;
use crate::sources::{self, format_of};

/// Reads the sets: each file is one, called by its name.
pub(crate) fn read(files: &[PathBuf], options: DecontaminateOptions) -> Result<Evaluations, Error> {
    let mut sets = Evaluations::new(options);
    for path in files {
        sets.begin(&path.file_name().unwrap_or_default().to_string_lossy());
        let before = sets.len();
        // Lines are taken as they stand, for a task's keys are its own.
        let format = match format_of(path)? {
            Some(sources::Format::Jsonl) => Format::Lines,
            Some(sources::Format::Parquet) => {
                return Err(Error::file(
                    path,
                    "a table; write the evaluation set as JSONL, with `to_json` of Hugging Face `datasets`",
                ));
            }
            _ => Format::Text,
        };
        let is_json = format == Format::Lines;
        let separator = (!is_json).then(|| "\n".to_owned());
        let options = Options { format: Some(format), separator, ..Options::default() };
        for batch in Reader::open(vec![path.clone()], options)? {
            for line in batch?.documents() {
                let plain = sai_documents::json::without_nan(line.text);
                match is_json {
                    true => {
                        let value: Value = serde_json::from_str(plain.as_deref().unwrap_or(line.text))
                            .map_err(|e| {
                                Error::file(
                                    path,
                                    format!("{}: {}", line.place, sai_documents::json::fact(&e)),
                                )
                            })?;
                        add(&mut sets, &value);
                    }
                    false => sets.add(line.text),
                }
            }
        }
        if sets.len() == before {
            return Err(Error::file(
                path,
                "an evaluation set of which nothing can be looked for: its texts are too short",
            ));
        }
    }
    Ok(sets)
}

/// Every text of a value, and an answer behind its question.
fn add(sets: &mut Evaluations, value: &Value) {
    match value {
        Value::String(text) => sets.add(text),
        Value::Array(values) => values.iter().for_each(|value| add(sets, value)),
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            if let (Some(question), Some(answer)) = (text("question"), text("answer")) {
                sets.add_answer(question, answer);
            }
            object.values().for_each(|value| add(sets, value));
        }
        _ => {}
    }
}
