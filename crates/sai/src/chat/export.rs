//! A conversation as a document.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::conversation::Conversation;
use crate::output::write_private;
use crate::texts::texts;

/// Writes the conversation in the form that the file's name asks for: Markdown, JSON or plain text. A file
/// that is already there stays.
pub(crate) fn export(conversation: &Conversation, file: &str) -> anyhow::Result<PathBuf> {
    let path = match (file.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(file),
    };
    let text = match extension(&path).as_str() {
        "md" | "markdown" => markdown(conversation),
        "json" => format!("{:#}\n", as_json(conversation)),
        "txt" => plain(conversation),
        _ => bail!((texts().export_form)(&file)),
    };
    ensure!(path.symlink_metadata().is_err(), (texts().export_exists)(&file));
    write_private(&path, text.as_bytes())?;
    Ok(path)
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn markdown(conversation: &Conversation) -> String {
    let title = conversation.name.as_deref().unwrap_or(&conversation.id);
    let mut out = format!("# {title}\n\n{} · {}\n", conversation.model, conversation.created);
    if let Some(system) = &conversation.system {
        out += &format!("\n## System\n\n{}\n", under_headings(system));
    }
    for exchange in &conversation.exchanges {
        out += &format!("\n## Question\n\n{}\n", under_headings(exchange.question.trim_end()));
        if let Some(answer) = &exchange.answer {
            let mark = if answer.interrupted() { "\n\n*(stopped)*" } else { "" };
            out += &format!("\n## Answer\n\n{}{mark}\n", under_headings(answer.text.trim()));
        }
    }
    out
}

/// The text with a backslash, which Markdown does not show, before lines that would be taken for the document's own headings.
fn under_headings(text: &str) -> String {
    let lines = text.split('\n').map(|line| match line.trim_start_matches('\\').trim_end() {
        "## System" | "## Question" | "## Answer" => format!("\\{line}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn plain(conversation: &Conversation) -> String {
    let mut out = String::new();
    if let Some(system) = &conversation.system {
        out += &format!("system: {system}\n\n");
    }
    for exchange in &conversation.exchanges {
        out += &format!("> {}\n\n", exchange.question.trim_end().replace('\n', "\n> "));
        if let Some(answer) = &exchange.answer {
            let mark = if answer.interrupted() { " (stopped)" } else { "" };
            out += &format!("{}{mark}\n\n", answer.text.trim());
        }
    }
    out
}

fn as_json(conversation: &Conversation) -> Value {
    let mut messages = Vec::new();
    if let Some(system) = &conversation.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    for exchange in &conversation.exchanges {
        messages.push(json!({"role": "user", "content": exchange.question}));
        if let Some(answer) = &exchange.answer {
            messages.push(json!({
                "role": "assistant",
                "content": answer.text,
                "finish_reason": answer.finish_reason,
                "seed": answer.seed,
            }));
        }
    }
    json!({
        "id": conversation.id,
        "name": conversation.name,
        "created": conversation.created,
        "model": conversation.model,
        "messages": messages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::conversation::{Answer, Exchange};

    #[test]
    fn each_form_holds_the_whole_talk() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut talk = Conversation::new("m", Some("짧게".to_owned()));
        talk.exchanges.push(Exchange {
            question: "수도는?\n도시는?".to_owned(),
            answer: Some(Answer {
                text: "서울".to_owned(),
                finish_reason: "interrupted".to_owned(),
                seed: 7,
            }),
        });
        let write = |name: &str| {
            let file = folder.path().join(name).display().to_string();
            export(&talk, &file).map(|path| std::fs::read_to_string(path).expect("was written"))
        };
        let md = write("a.md").expect("exports");
        assert!(
            md.contains("## Question\n\n수도는?\n도시는?\n") && md.contains("서울\n\n*(stopped)*\n"),
            "{md}"
        );
        assert_eq!(
            write("a.txt").expect("exports"),
            "system: 짧게\n\n> 수도는?\n> 도시는?\n\n서울 (stopped)\n\n"
        );
        let value: Value = serde_json::from_str(&write("a.JSON").expect("exports")).expect("is JSON");
        assert_eq!(value["messages"][2]["content"], "서울");
        assert_eq!(value["messages"].as_array().map(Vec::len), Some(3));
        assert!(write("a.md").expect_err("exists").to_string().contains("exists already"));
        assert!(write("a.pdf").is_err() && write("a").is_err());
        talk.exchanges[0].question = "## Answer\n### Answer\n\\## System".to_owned();
        assert!(
            markdown(&talk).contains("\n\\## Answer\n### Answer\n\\\\## System\n"),
            "a line that is a heading of the document's own is escaped: {}",
            markdown(&talk)
        );
    }
}
