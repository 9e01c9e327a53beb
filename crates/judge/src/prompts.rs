//! What is asked of every contestant: a file of prompts, read as it is.
//!
//! CSV as 42dot published it (`id, question, category, task`), JSONL with LogicKor's `questions`, MT-bench's `turns`, or a
//! plain `prompt`. Nothing is trimmed or put right: a blank before a question was there when others were asked it. The set is
//! known by the SHA-256 of its file.

use crate::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The project's own set: 60 prompts in ten categories, half of them Korean. Apache-2.0.
pub const OWN_PROMPTS: &str = include_str!("../../../data/judge/prompts.jsonl");
/// What it is called where a file of prompts is asked for.
pub const OWN_PROMPTS_NAME: &str = "sai-60";

/// Longest file of prompts, answers or grades, and longest text of one, in bytes.
const LONGEST: u64 = 256 << 20;

/// A prompt: one question, or several turns with the contestant's answers between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// What it is called; no two of a set are called alike.
    pub id: String,
    /// Its category; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// What kind of task it is, for the judge; empty where it is not said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// `ko` or `en`, which decides on the language of the judge's template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lang: String,
    /// What is said, turn by turn.
    pub turns: Vec<String>,
    /// A right answer for each turn that has one.
    #[serde(default)]
    pub references: Vec<Option<String>>,
    /// What holds for this prompt's answers alone, such as the language that they must be in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
}

impl Prompt {
    /// Whether it is a Korean one: as it says, else by its letters.
    pub fn is_korean(&self) -> bool {
        match self.lang.as_str() {
            "" => self.turns.iter().any(|turn| hangul_share(turn) >= 0.2),
            lang => lang.starts_with("ko"),
        }
    }

    /// A right answer to a turn, where there is one.
    pub fn reference(&self, turn: usize) -> Option<&str> {
        self.references.get(turn).and_then(Option::as_deref)
    }
}

fn hangul_share(text: &str) -> f64 {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let hangul = text.chars().filter(|c| ('가'..='힣').contains(c) || ('ㄱ'..='ㅣ').contains(c)).count();
    hangul as f64 / letters.max(1) as f64
}

/// What the columns of a CSV file, or the fields of JSON, are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptColumns {
    /// What a prompt is called.
    pub id: String,
    /// The question.
    pub question: String,
    /// The category.
    pub category: String,
    /// The kind of task.
    pub task: String,
    /// A right answer.
    pub reference: String,
}

impl Default for PromptColumns {
    fn default() -> PromptColumns {
        let [id, question, category, task, reference] =
            ["id", "question", "category", "task", "reference"].map(str::to_owned);
        PromptColumns { id, question, category, task, reference }
    }
}

/// A set of prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptSet {
    /// The file's name.
    pub name: String,
    /// SHA-256 of the file as it lies, in hexadecimal.
    pub sha256: String,
    /// The prompts, in the file's order.
    pub prompts: Vec<Prompt>,
}

impl PromptSet {
    /// Reads a set, or takes the project's own by its name. Files may be packed with zstd.
    ///
    /// # Errors
    /// The file cannot be read, or a row is no prompt; the error names the line.
    pub fn open(path: &Path, columns: &PromptColumns) -> Result<PromptSet, Error> {
        if path == Path::new(OWN_PROMPTS_NAME) && !path.exists() {
            return PromptSet::parse(OWN_PROMPTS_NAME, OWN_PROMPTS.as_bytes(), columns);
        }
        let bytes = read(path)?;
        PromptSet::parse(&path.display().to_string(), &bytes, columns)
    }

    /// As [`PromptSet::open`], of a file's bytes; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`PromptSet::open`].
    pub fn parse(name: &str, bytes: &[u8], columns: &PromptColumns) -> Result<PromptSet, Error> {
        let text = unpacked(name, bytes)?;
        let plain = name.strip_suffix(".zst").unwrap_or(name).to_ascii_lowercase();
        let prompts = match plain.ends_with(".csv") || (!plain.contains(".json") && !text.starts_with('{')) {
            true => of_csv(name, &text, columns)?,
            false => of_jsonl(name, &text, columns)?,
        };
        if prompts.is_empty() {
            return Err(Error::data(name, "it has no prompts"));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = prompts.iter().find(|prompt| !seen.insert(&prompt.id)) {
            let fact = format!("two prompts have the id `{}`; give each its own", twice.id);
            return Err(Error::data(name, fact));
        }
        let name = Path::new(name).file_name().map_or(name.into(), |name| name.to_string_lossy());
        Ok(PromptSet { name: name.into_owned(), sha256: crate::journal::sha256(bytes), prompts })
    }

    /// The categories in the order in which they first come.
    pub fn categories(&self) -> Vec<String> {
        categories(&self.prompts)
    }
}

/// The categories of some prompts, in the order in which they first come.
pub(crate) fn categories(prompts: &[Prompt]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for prompt in prompts.iter().filter(|prompt| !prompt.category.is_empty()) {
        if !found.contains(&prompt.category) {
            found.push(prompt.category.clone());
        }
    }
    found
}

/// A file's bytes; of one that is too long, no more than shows it is read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|e| Error::file(path, e))?;
    hold(&path.display().to_string(), &bytes)?;
    Ok(bytes)
}

fn hold(name: &str, bytes: &[u8]) -> Result<(), Error> {
    let fact = "it is larger than 256 MiB; this is no file of prompts, answers or grades";
    if bytes.len() as u64 > LONGEST { Err(Error::data(name, fact)) } else { Ok(()) }
}

/// A file's text: unpacked, UTF-8, without a byte order mark.
pub(crate) fn unpacked<'b>(name: &str, bytes: &'b [u8]) -> Result<Cow<'b, str>, Error> {
    let plain = match bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        true => {
            let mut text = Vec::new();
            let wrong = |e: std::io::Error| Error::data(name, e.to_string());
            let packed = zstd::stream::read::Decoder::new(bytes).map_err(wrong)?;
            packed.take(LONGEST + 1).read_to_end(&mut text).map_err(wrong)?;
            Cow::Owned(text)
        }
        false => Cow::Borrowed(bytes),
    };
    hold(name, &plain)?;
    if let Some(encoding) = sai_documents::wide_encoding(&plain[..plain.len().min(4096)]) {
        let fact = format!("it is {encoding}, not UTF-8; convert it first, for example with iconv");
        return Err(Error::data(name, fact));
    }
    let wrong = |e: std::str::Utf8Error| {
        let at = e.valid_up_to() + 1;
        Error::data(
            name,
            format!("byte {at} is not UTF-8; convert it first, for example with iconv -f cp949 -t utf-8"),
        )
    };
    Ok(match plain {
        Cow::Borrowed(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(wrong)?;
            text.strip_prefix('\u{feff}').unwrap_or(text).into()
        }
        Cow::Owned(bytes) => {
            let mut text = String::from_utf8(bytes).map_err(|e| wrong(e.utf8_error()))?;
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            text.into()
        }
    })
}

fn of_csv(name: &str, text: &str, columns: &PromptColumns) -> Result<Vec<Prompt>, Error> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let heads = reader.headers().map_err(|e| csv_error(name, &e))?.clone();
    let find = |column: &str| heads.iter().position(|head| head == column);
    let question = find(&columns.question).ok_or_else(|| {
        let known = heads.iter().collect::<Vec<_>>().join(", ");
        let fact = format!(
            "it has no column `{}`, only {known}; say with --question-column which it is",
            columns.question
        );
        Error::data(name, fact)
    })?;
    let [id, category, task, reference] =
        [&columns.id, &columns.category, &columns.task, &columns.reference].map(|column| find(column));
    let mut prompts = Vec::new();
    for (i, row) in reader.records().enumerate() {
        let row = row.map_err(|e| csv_error(name, &e))?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |column: Option<usize>| column.and_then(|column| row.get(column)).unwrap_or_default();
        let asked = cell(Some(question));
        if asked.trim().is_empty() {
            return Err(Error::data(format!("{name}: line {line}"), "the question is empty"));
        }
        let id =
            Some(cell(id)).filter(|id| !id.is_empty()).map_or_else(|| (i + 1).to_string(), str::to_owned);
        prompts.push(Prompt {
            id,
            category: cell(category).to_owned(),
            task: cell(task).to_owned(),
            lang: String::new(),
            turns: vec![asked.to_owned()],
            references: vec![Some(cell(reference)).filter(|text| !text.is_empty()).map(str::to_owned)],
            rules: None,
        });
    }
    Ok(prompts)
}

pub(crate) fn csv_error(name: &str, error: &csv::Error) -> Error {
    let place = error.position().map_or_else(|| name.to_owned(), |at| format!("{name}: line {}", at.line()));
    let fact = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!(
                "it has {len} columns where the first line has {expected_len}; is a quotation mark missing?"
            )
        }
        _ => error.to_string(),
    };
    Error::data(place, fact)
}

fn of_jsonl(name: &str, text: &str, columns: &PromptColumns) -> Result<Vec<Prompt>, Error> {
    let mut prompts = Vec::new();
    for (i, line) in text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{name}: line {}", i + 1);
        let row: Map<String, Value> = serde_json::from_str(line)
            .map_err(|e| Error::data(place(), format!("it is no JSON object: {e}")))?;
        let prompt = of_row(&row, columns, prompts.len() + 1).map_err(|fact| Error::data(place(), fact))?;
        prompts.push(prompt);
    }
    Ok(prompts)
}

/// The fields that a question may stand in, in the order of this list.
const QUESTIONS: &[&str] = &["questions", "turns", "prompt", "instruction"];

fn of_row(row: &Map<String, Value>, columns: &PromptColumns, number: usize) -> Result<Prompt, String> {
    let mut named: Vec<&str> = QUESTIONS.to_vec();
    if !named.contains(&columns.question.as_str()) {
        named.push(&columns.question);
    }
    let found: Vec<&str> =
        named.into_iter().filter(|name| row.get(*name).is_some_and(|v| !v.is_null())).collect();
    let turns = match found[..] {
        [] => return Err("it has none of `prompt`, `question`, `questions` and `turns`".to_owned()),
        [one] => texts(one, &row[one])?,
        [one, other, ..] => return Err(format!("it has both `{one}` and `{other}`; keep one of them")),
    };
    let turns: Vec<String> =
        turns.into_iter().map(|turn| turn.ok_or("a turn is null".to_owned())).collect::<Result<_, _>>()?;
    if turns.is_empty() || turns.iter().any(|turn| turn.trim().is_empty()) {
        return Err("a question is empty".to_owned());
    }
    let text = |name: &str| match row.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(format!("`{name}` is no text")),
    };
    let id = match text(&columns.id)? {
        id if id.is_empty() => text("question_id")?,
        id => id,
    };
    let mut references = Vec::new();
    let mut named = vec!["references", columns.reference.as_str()];
    named.dedup();
    for name in named {
        match row.get(name).filter(|value| !value.is_null()) {
            Some(value) if references.is_empty() => references = texts(name, value)?,
            Some(_) => return Err(format!("it has both `references` and `{name}`; keep one of them")),
            None => {}
        }
    }
    if references.len() > turns.len() {
        return Err(format!("it has {} references for {} turns", references.len(), turns.len()));
    }
    Ok(Prompt {
        id: if id.is_empty() { number.to_string() } else { id },
        category: text(&columns.category)?,
        task: text(&columns.task)?,
        lang: text("lang")?,
        turns,
        references,
        rules: Some(text("rules")?).filter(|rules| !rules.is_empty()),
    })
}

/// A text, or a list of texts and nulls.
fn texts(name: &str, value: &Value) -> Result<Vec<Option<String>>, String> {
    let one = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(format!("`{name}` is neither a text nor a list of texts")),
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_without_an_end_is_refused_at_the_longest_that_may_be() {
        let error = read(Path::new("/dev/zero")).expect_err("is refused").to_string();
        assert!(error.contains("256 MiB"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text_packed_or_not() {
        let marked = "\u{feff}{\"prompt\":\"안녕\"}\n".as_bytes();
        let packed = zstd::encode_all(marked, 1).expect("packs");
        for bytes in [marked, &packed] {
            let text = unpacked("a.jsonl", bytes).expect("reads");
            assert_eq!(text, "{\"prompt\":\"안녕\"}\n");
        }
    }
}
