//! Conversations, kept as they happen.
//!
//! A conversation is one file of JSON lines: the first says what it is, each further line is a message. The
//! file is written whole beside itself, synced and renamed over, so that a crash leaves every finished turn.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::random;
use crate::output::write_private;
use crate::texts::texts;

/// A file larger than this was not written by a person talking.
const LARGEST: u64 = 256 << 20;
const VERSION: u32 = 1;

/// A conversation: exchanges under a system prompt.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) created: String,
    pub(crate) model: String,
    pub(crate) system: Option<String>,
    pub(crate) exchanges: Vec<Exchange>,
    /// What the file looked like when this process last read or wrote it.
    stamp: Option<(SystemTime, u64)>,
}

/// A question and, once it was given, its answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exchange {
    pub(crate) question: String,
    pub(crate) answer: Option<Answer>,
}

/// What the model said and why it stopped there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// `stop`, `length`, `interrupted`, …
    pub(crate) finish_reason: String,
    pub(crate) seed: u64,
}

impl Answer {
    /// Whether Ctrl-C ended it.
    pub(crate) fn interrupted(&self) -> bool {
        self.finish_reason == "interrupted"
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    sai_conversation: u32,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    created: String,
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Line {
    User {
        content: String,
    },
    Assistant {
        content: String,
        #[serde(default)]
        finish_reason: String,
        #[serde(default)]
        seed: u64,
    },
}

impl Conversation {
    /// An empty one. It reaches the disk with its first question.
    pub(crate) fn new(model: &str, system: Option<String>) -> Self {
        let now = jiff::ZonedDateTime::now();
        Self {
            id: format!("{}-{:04x}", now.strftime("%Y%m%d-%H%M%S"), random() & 0xffff),
            name: None,
            created: now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            model: model.to_owned(),
            system,
            exchanges: Vec::new(),
            stamp: None,
        }
    }

    fn to_lines(&self) -> anyhow::Result<String> {
        let mut out = serde_json::to_string(&Header {
            sai_conversation: VERSION,
            id: self.id.clone(),
            name: self.name.clone(),
            created: self.created.clone(),
            model: self.model.clone(),
            system: self.system.clone(),
        })?;
        for exchange in &self.exchanges {
            out.push('\n');
            out += &serde_json::to_string(&Line::User { content: exchange.question.clone() })?;
            if let Some(answer) = &exchange.answer {
                out.push('\n');
                out += &serde_json::to_string(&Line::Assistant {
                    content: answer.text.clone(),
                    finish_reason: answer.finish_reason.clone(),
                    seed: answer.seed,
                })?;
            }
        }
        out.push('\n');
        Ok(out)
    }

    fn from_lines(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().context("the file is empty")?;
        let header: Header = serde_json::from_str(first).context("line 1 is not a conversation's header")?;
        ensure!(
            header.sai_conversation == VERSION,
            "written by another version of sai (format {}, this one reads {VERSION})",
            header.sai_conversation
        );
        let mut exchanges: Vec<Exchange> = Vec::new();
        for (i, line) in lines {
            match serde_json::from_str(line).with_context(|| format!("line {} is not a message", i + 1))? {
                Line::User { content } => exchanges.push(Exchange { question: content, answer: None }),
                Line::Assistant { content, finish_reason, seed } => match exchanges.last_mut() {
                    Some(exchange) if exchange.answer.is_none() => {
                        exchange.answer = Some(Answer { text: content, finish_reason, seed });
                    }
                    _ => bail!("line {} answers no question", i + 1),
                },
            }
        }
        Ok(Self {
            id: header.id,
            name: header.name,
            created: header.created,
            model: header.model,
            system: header.system,
            exchanges,
            stamp: None,
        })
    }
}

/// The folder of conversations.
pub(crate) struct Store {
    folder: PathBuf,
}

/// A saved conversation in a list.
pub(crate) struct Saved {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) first_question: String,
    pub(crate) exchanges: usize,
    path: PathBuf,
    changed: SystemTime,
}

impl Store {
    /// The folder is made when something is first saved.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.jsonl"))
    }

    /// Writes the conversation. If another process has written it meanwhile, both are kept: this one goes on
    /// under a new id, which is returned.
    pub(crate) fn save(&self, conversation: &mut Conversation) -> anyhow::Result<Option<String>> {
        make_folder(&self.folder)?;
        let mut forked = None;
        let mut path = self.path(&conversation.id);
        if stamp(&path) != conversation.stamp {
            conversation.id = format!("{}-{:04x}", conversation.id, random() & 0xffff);
            conversation.name = None;
            path = self.path(&conversation.id);
            forked = Some(conversation.id.clone());
        }
        write_private(&path, conversation.to_lines()?.as_bytes())?;
        conversation.stamp = stamp(&path);
        Ok(forked)
    }

    /// The conversation by its name, its id or the beginning of its id; `last` is the one changed last.
    pub(crate) fn load(&self, which: &str) -> anyhow::Result<Conversation> {
        let saved = self.list()?;
        let found = if which == "last" {
            saved.first().context(texts().none_saved)?
        } else {
            let named: Vec<&Saved> =
                saved.iter().filter(|s| s.name.as_deref() == Some(which) || s.id == which).collect();
            let begun: Vec<&Saved> = saved.iter().filter(|s| s.id.starts_with(which)).collect();
            match (&named[..], &begun[..]) {
                ([one, ..], _) | ([], [one]) => *one,
                ([], []) => bail!((texts().no_conversation)(&which, &self.folder.display())),
                ([], many) => {
                    bail!((texts().many_conversations)(&which, &many.len()))
                }
            }
        };
        read(&found.path)
    }

    /// All that can be read, the last changed first.
    pub(crate) fn list(&self) -> anyhow::Result<Vec<Saved>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(self.folder.display().to_string()),
        };
        let mut saved = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|e| e != "jsonl") {
                continue;
            }
            // A file that somebody broke must not hide the others.
            let (Ok(conversation), Ok(changed)) = (read(&path), entry.metadata().and_then(|m| m.modified()))
            else {
                continue;
            };
            saved.push(Saved {
                id: conversation.id,
                name: conversation.name,
                first_question: conversation
                    .exchanges
                    .first()
                    .map(|e| e.question.clone())
                    .unwrap_or_default(),
                exchanges: conversation.exchanges.len(),
                path,
                changed,
            });
        }
        saved.sort_by(|a, b| b.changed.cmp(&a.changed).then_with(|| b.id.cmp(&a.id)));
        Ok(saved)
    }
}

fn read(path: &Path) -> anyhow::Result<Conversation> {
    let named = || path.display().to_string();
    let size = fs::metadata(path).with_context(named)?.len();
    ensure!(size <= LARGEST, "{}: {size} bytes is no conversation", named());
    let before = stamp(path);
    let text = fs::read_to_string(path).with_context(named)?;
    let mut conversation = Conversation::from_lines(&text).with_context(named)?;
    // The file's name is the id, whatever the file says: it decides where the next turn is written.
    if let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) {
        id.clone_into(&mut conversation.id);
    }
    conversation.stamp = before;
    Ok(conversation)
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A folder that only its owner reads.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("a/conversations");
        (home, Store::new(folder))
    }

    fn talk() -> Conversation {
        let mut talk = Conversation::new("m", Some("친절하게".to_owned()));
        talk.exchanges = vec![
            Exchange {
                question: "여러\n줄 \"질문\"\u{2028}".to_owned(),
                answer: Some(Answer {
                    text: "답".to_owned(),
                    finish_reason: "interrupted".to_owned(),
                    seed: u64::MAX,
                }),
            },
            Exchange { question: "아직".to_owned(), answer: None },
        ];
        talk
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let (_home, store) = store();
        assert!(store.load("last").is_err());
        let mut first = talk();
        assert_eq!(store.save(&mut first).expect("saves"), None);
        first.name = Some("여행".to_owned());
        assert_eq!(store.save(&mut first).expect("saves again in place"), None);
        for which in ["last", "여행", &first.id, &first.id[..12]] {
            let loaded = store.load(which).expect("loads");
            assert_eq!(
                (&loaded.id, &loaded.system, &loaded.exchanges),
                (&first.id, &first.system, &first.exchanges)
            );
            assert_eq!(loaded.created, first.created);
        }
        for which in ["", "../x", "nothing"] {
            let error = store.load(which).map(|c| c.id);
            assert!(error.is_err() || which.is_empty(), "{which}: {error:?}");
        }
    }

    #[test]
    fn two_processes_lose_nothing() {
        let (_home, store) = store();
        let mut mine = talk();
        store.save(&mut mine).expect("saves");
        let mut theirs = store.load("last").expect("loads");
        theirs.exchanges.push(Exchange { question: "다른 창".to_owned(), answer: None });
        assert_eq!(store.save(&mut theirs).expect("saves"), None);
        mine.exchanges.clear();
        let forked = store.save(&mut mine).expect("saves").expect("goes on under a new id");
        assert_eq!(store.load(&theirs.id).expect("loads").exchanges.len(), 3);
        assert_eq!(store.load(&forked).expect("loads").exchanges.len(), 0);
    }

    #[test]
    fn broken_files_are_named_and_hide_nothing() {
        let (_home, store) = store();
        store.save(&mut talk()).expect("saves");
        let header = r#"{"sai_conversation":1,"id":"x","created":"","model":"m"}"#;
        for (text, fact) in [
            (String::new(), "empty"),
            ("{}".to_owned(), "header"),
            (header.replace(":1,", ":2,"), "version"),
            (format!("{header}\nnot json\n"), "line 2"),
            (format!("{header}\n{{\"role\":\"assistant\",\"content\":\"a\"}}\n"), "answers no question"),
            (format!("{header}\n{{\"role\":\"user\",\"con"), "line 2"),
        ] {
            let path = store.path("broken");
            fs::write(&path, text).expect("writes");
            let error = format!("{:#}", read(&path).expect_err("is broken"));
            assert!(error.contains("broken.jsonl") && error.contains(fact), "{error}");
            assert_eq!(store.list().expect("lists").len(), 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_home, store) = store();
        let mut talk = talk();
        store.save(&mut talk).expect("saves");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(&store.folder), mode(&store.path(&talk.id))), (0o700, 0o600));
    }
}
