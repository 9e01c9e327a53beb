//! A report as text for people and as JSON for programs.

use std::io::Write;

use sai_formats::Container;
use sai_formats::gguf::Value as Meta;
use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr;

use super::facts::{Report, meta_json};
use super::verdict::Verdict;
use crate::terminal::clean::visible;
use crate::ui::{Size, Thousands};

/// What to show besides the facts.
pub(super) struct Sections {
    pub(super) tensors: bool,
    pub(super) metadata: bool,
}

/// How many lines of a template the summary shows, and how much of a line.
const TEMPLATE_LINES: usize = 4;
const LINE_CHARS: usize = 96;

/// How many elements of an array `--metadata` shows.
const ARRAY_ELEMENTS: usize = 6;

pub(super) fn template(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(template) = &report.template else {
        anyhow::bail!("{}: it has no chat template", report.path);
    };
    writeln!(out, "{}", visible(template))?;
    Ok(())
}

pub(super) fn text(
    report: &Report,
    container: &Container,
    sections: &Sections,
    color: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let heading = |text: &str| if color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    writeln!(out, "{}", heading(&visible(&report.path)))?;
    let tensors = container.tensors();
    writeln!(
        out,
        "{}, {} in {} tensors",
        report.container,
        Size(report.bytes),
        Thousands(tensors.len() as u64)
    )?;

    writeln!(out, "\n{}", heading("Model"))?;
    let mut rows: Vec<(String, String)> =
        report.model.iter().map(|(name, value)| ((*name).to_owned(), words(value))).collect();
    rows.push(("parameters".to_owned(), Thousands(report.parameters).to_string()));
    if let Some(bits) = report.bits() {
        rows.push(("weights".to_owned(), format!("{} bytes, {bits:.2} bits each", Thousands(report.bytes))));
    }
    columns(&rows, out)?;

    writeln!(out, "\n{}", heading("Tensors"))?;
    writeln!(out, "  {:<8} {:>7} {:>17} {:>17}", "type", "number", "parameters", "bytes")?;
    for sum in &report.types {
        let (number, parameters, bytes) =
            (Thousands(sum.tensors), Thousands(sum.parameters), Thousands(sum.bytes));
        writeln!(out, "  {:<8} {number:>7} {parameters:>17} {bytes:>17}", sum.name)?;
    }
    if sections.tensors {
        all_tensors(container, out)?;
    }

    if !report.tokenizer.is_empty() {
        writeln!(out, "\n{}", heading("Tokenizer"))?;
        let rows: Vec<(String, String)> =
            report.tokenizer.iter().map(|(name, value)| ((*name).to_owned(), words(value))).collect();
        columns(&rows, out)?;
    }
    if let Some(template) = &report.template {
        writeln!(out, "\n{}", heading("Chat template"))?;
        first_lines(template, out)?;
    }
    if sections.metadata
        && let Container::Gguf(gguf) = container
    {
        writeln!(out, "\n{}", heading("Metadata"))?;
        let rows: Vec<(String, String)> =
            gguf.metadata.iter().map(|(key, value)| (visible(key).into_owned(), meta_words(value))).collect();
        columns(&rows, out)?;
    }

    let (mark, color_code) = match report.verdict {
        Verdict::Runs(_) => ("sai can run it", 32),
        Verdict::Cannot(_) => ("sai cannot run it", 33),
    };
    let (Verdict::Runs(why) | Verdict::Cannot(why)) = &report.verdict;
    let mark = if color { format!("\x1b[1;{color_code}m{mark}\x1b[0m") } else { mark.to_owned() };
    writeln!(out, "\n{mark}: {}", visible(why))?;
    for note in &report.notes {
        writeln!(out, "note: {}", visible(note))?;
    }
    Ok(())
}

pub(super) fn json(
    report: &Report,
    container: &Container,
    sections: &Sections,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let keyed = |facts: &[(&'static str, Value)]| {
        Value::Object(facts.iter().map(|(name, v)| (name.replace([' ', '-'], "_"), v.clone())).collect())
    };
    let types: Map<String, Value> = report
        .types
        .iter()
        .map(|t| {
            let sum = json!({ "tensors": t.tensors, "parameters": t.parameters, "bytes": t.bytes });
            (t.name.to_owned(), sum)
        })
        .collect();
    let (runs, why) = match &report.verdict {
        Verdict::Runs(why) => (true, why),
        Verdict::Cannot(why) => (false, why),
    };
    let mut object = json!({
        "path": report.path,
        "container": report.container,
        "model": keyed(&report.model),
        "parameters": report.parameters,
        "bytes": report.bytes,
        "bits_per_weight": report.bits(),
        "types": types,
        "tokenizer": keyed(&report.tokenizer),
        "chat_template": report.template,
        "runs": runs,
        "why": why,
        "notes": report.notes,
    });
    if sections.tensors {
        let list = container.tensors().iter().map(
            |t| json!({ "name": t.name, "type": t.dtype.name(), "shape": t.shape, "bytes": t.data.len() }),
        );
        object["tensors"] = list.collect();
    }
    if sections.metadata
        && let Container::Gguf(gguf) = container
    {
        let entries = gguf.metadata.iter().map(|(key, value)| (key.to_owned(), meta_json(value)));
        object["metadata"] = Value::Object(entries.collect());
    }
    serde_json::to_writer_pretty(&mut *out, &object).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn all_tensors(container: &Container, out: &mut dyn Write) -> std::io::Result<()> {
    let tensors = container.tensors();
    let names: Vec<_> = tensors.iter().map(|t| visible(&t.name)).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    writeln!(out)?;
    for (tensor, name) in tensors.iter().zip(&names) {
        let shape: Vec<String> = tensor.shape.iter().map(|n| Thousands(*n as u64).to_string()).collect();
        let pad = width - name.width();
        let (shape, bytes) = (shape.join(" × "), Thousands(tensor.data.len() as u64));
        writeln!(out, "  {name}{:pad$}  {:<6} {shape:>22} {bytes:>15}", "", tensor.dtype.name())?;
    }
    Ok(())
}

fn first_lines(template: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let shown = visible(template);
    let mut whole = true;
    for (i, line) in shown.lines().enumerate() {
        if i == TEMPLATE_LINES {
            whole = false;
            break;
        }
        let mut start: String = line.chars().take(LINE_CHARS).collect();
        if start.len() < line.len() {
            start.push('…');
            whole = false;
        }
        writeln!(out, "  {start}")?;
    }
    if !whole {
        let length = Thousands(template.chars().count() as u64);
        writeln!(out, "  ({length} characters in all; --template prints them)")?;
    }
    Ok(())
}

fn columns(rows: &[(String, String)], out: &mut dyn Write) -> std::io::Result<()> {
    let width = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    for (name, value) in rows {
        let pad = width - name.width();
        writeln!(out, "  {name}{:pad$}  {value}", "")?;
    }
    Ok(())
}

/// A fact's value for people. An id is no quantity and keeps its digits together.
fn words(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(n) => match n.as_u64() {
            Some(n) => Thousands(n).to_string(),
            None => match n.as_f64() {
                Some(x) if x >= 1.0 && x.fract() == 0.0 && x < 1e15 => Thousands(x as u64).to_string(),
                Some(x) if x != 0.0 && x.abs() < 1e-3 => format!("{x:e}"),
                _ => n.to_string(),
            },
        },
        Value::String(text) => visible(text).replace('\n', "⏎"),
        Value::Object(token) => {
            let id = token.get("id").unwrap_or(&Value::Null);
            match token.get("text").and_then(Value::as_str) {
                Some(piece) => format!("{id} {}", visible(piece).replace('\n', "⏎")),
                None => id.to_string(),
            }
        }
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Null => "none".to_owned(),
    }
}

/// A metadata value in one line.
fn meta_words(value: &Meta) -> String {
    let cut = |text: &str| {
        let mut start: String = text.chars().take(LINE_CHARS).collect();
        if start.len() < text.len() {
            start.push('…');
        }
        visible(&start).replace('\n', "⏎")
    };
    match value {
        Meta::Array(array) => {
            let mut items: Vec<String> = array.iter().take(ARRAY_ELEMENTS).map(|v| cut(&plain(&v))).collect();
            if array.len() > items.len() {
                items.push("…".to_owned());
            }
            format!("{} × {}: {}", Thousands(array.len() as u64), array.element().name(), items.join(", "))
        }
        other => cut(&plain(other)),
    }
}

fn plain(value: &Meta) -> String {
    match meta_json(value) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
