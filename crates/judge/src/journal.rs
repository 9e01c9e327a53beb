//! Every reply as it came, by a hash of what was asked: a killed run loses nothing and asks nothing twice.

use crate::Error;
use crate::chat::{ChatRequest, Reply};
use sai_formats::{JsonLines, JsonLinesError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What every line begins with.
const BEGINS: &str = "{\"key\":";

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The hash of what was asked; see [`key`].
    pub key: String,
    /// Who replied, for whoever reads the file; so are the next three.
    pub model: String,
    /// The prompt's id.
    pub prompt: String,
    /// The turn, from 0.
    pub turn: usize,
    /// Whose answers were shown, in the order of their seats; none where an answer was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<String>,
    /// What came back.
    pub reply: Reply,
}

/// Replies by what was asked.
pub struct Journal {
    path: PathBuf,
    known: HashMap<String, Reply>,
    file: Option<JsonLines>,
}

impl Journal {
    /// Opens a journal to go on with it, or begins one.
    ///
    /// # Errors
    /// The file cannot be read or written, or has a line that is no reply.
    pub fn open(path: &Path) -> Result<Journal, Error> {
        let (file, entries) = JsonLines::open(path, BEGINS).map_err(|e| wrong(path, e))?;
        Ok(Journal { path: path.to_owned(), known: replies(entries), file: Some(file) })
    }

    /// Reads a journal, and leaves it as it is, for another process may write in it; one that is not there is empty.
    ///
    /// # Errors
    /// The file cannot be read, or has a line that is no reply.
    pub fn read(path: &Path) -> Result<Journal, Error> {
        let (_, entries) = JsonLines::read(path, BEGINS).map_err(|e| wrong(path, e))?;
        Ok(Journal { path: path.to_owned(), known: replies(entries), file: None })
    }

    /// How many replies it has.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The reply to what a key stands for.
    pub fn get(&self, key: &str) -> Option<&Reply> {
        self.known.get(key)
    }

    /// Writes a reply down before anything is done with it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn put(&mut self, entry: Entry) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.append(&entry).and_then(|()| file.flush()).map_err(|e| Error::file(&self.path, e))?;
        }
        self.known.insert(entry.key, entry.reply);
        Ok(())
    }
}

fn replies(entries: Vec<Entry>) -> HashMap<String, Reply> {
    entries.into_iter().map(|entry| (entry.key, entry.reply)).collect()
}

fn wrong(path: &Path, error: JsonLinesError) -> Error {
    match error {
        JsonLinesError::Io(e) => Error::file(path, e),
        JsonLinesError::Line(line) => Error::data(
            format!("{}: line {line}", path.display()),
            "it is no reply that sai wrote; remove the line, or name another run",
        ),
    }
}

/// The hash of a request to the model that `identity` stands for. `prompt` is the id of the prompt that it is of: two may have the
/// same words, and answers from a file of their own. `repeat` tells apart askings that are to be independent, and `attempt` those
/// after a reply that could not be read.
pub(crate) fn key(
    identity: &str,
    prompt: &str,
    request: &ChatRequest,
    repeat: usize,
    attempt: usize,
) -> String {
    let mut sum = Sha256::new();
    let mut part = |bytes: &[u8]| {
        sum.update((bytes.len() as u64).to_le_bytes());
        sum.update(bytes);
    };
    part(identity.as_bytes());
    part(prompt.as_bytes());
    for message in &request.messages {
        part(message.role.as_bytes());
        part(message.content.as_bytes());
    }
    let schema = request.schema.as_ref().map(ToString::to_string).unwrap_or_default();
    part(schema.as_bytes());
    part(&request.temperature.to_le_bytes());
    for number in [request.max_tokens as u64, request.seed, repeat as u64, attempt as u64] {
        part(&number.to_le_bytes());
    }
    hex(&sum.finalize()[..16])
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sai_generation::Message;

    fn request(text: &str) -> ChatRequest {
        let messages = vec![Message::new("user", text)];
        ChatRequest { messages, max_tokens: 9, temperature: 0.0, seed: 0, schema: None }
    }

    #[test]
    fn a_key_stands_for_all_that_was_asked_and_of_whom() {
        let plain = key("m", "1", &request("a"), 0, 0);
        assert_eq!(plain, key("m", "1", &request("a"), 0, 0));
        let others = [
            key("n", "1", &request("a"), 0, 0),
            key("m", "2", &request("a"), 0, 0),
            key("m", "1", &request("b"), 0, 0),
            key("m", "1", &request("a"), 1, 0),
            key("m", "1", &request("a"), 0, 1),
            key("m", "1", &ChatRequest { max_tokens: 10, ..request("a") }, 0, 0),
            key("m", "1", &ChatRequest { temperature: 0.5, ..request("a") }, 0, 0),
            key("m", "1", &ChatRequest { seed: 1, ..request("a") }, 0, 0),
            key("m", "1", &ChatRequest { schema: Some(true.into()), ..request("a") }, 0, 0),
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(&plain, other, "{i}");
        }
    }

    #[test]
    fn a_reply_is_in_the_file_when_it_was_put() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("verdicts.jsonl");
        let mut journal = Journal::open(&path).expect("opens");
        let entry = Entry {
            key: "k".to_owned(),
            model: "m".to_owned(),
            prompt: "1".to_owned(),
            turn: 0,
            seats: Vec::new(),
            reply: Reply::plain("안녕"),
        };
        journal.put(entry).expect("writes");
        // Not dropped: as if the program were killed now.
        assert_eq!(Journal::read(&path).expect("reads").get("k"), Some(&Reply::plain("안녕")));
        // A report reads while another process is in the middle of a line.
        let begun = std::fs::read_to_string(&path).expect("reads") + "{\"key\":\"l";
        std::fs::write(&path, &begun).expect("writes");
        assert_eq!(Journal::read(&path).expect("reads").len(), 1);
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), begun);
        std::mem::forget(journal);
        std::fs::write(&path, "{\"key\":\"k\"}\n").expect("writes");
        let wrong = Journal::open(&path).err().expect("is refused").to_string();
        assert!(wrong.contains("line 1") && wrong.contains("no reply"), "{wrong}");
    }
}
