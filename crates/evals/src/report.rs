//! Tables, charts and samples as one page that needs nothing else.

use crate::{Sample, Table, Task, TaskResult, Uncontaminated};
use html_escape::encode_double_quoted_attribute as escaped;
use serde_json::{Value, json};
use std::fmt::Write;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
/// Documents of a task and a model that are in the page at most; files of samples have all.
const SAMPLES: usize = 200;

/// What a page shows.
pub struct Report<'r> {
    /// Its heading.
    pub title: &'r str,
    /// How it was measured: names and values.
    pub facts: &'r [(String, String)],
    /// Tables, each with the SVG of its bars.
    pub tables: &'r [(Table, String)],
    /// Tasks, and what models made of them in the same order.
    pub tasks: &'r [&'r Task],
    /// Models and their results.
    pub models: &'r [(String, Vec<TaskResult>)],
    /// Of each model: results without documents that occur in a corpus, where that was looked for.
    pub uncontaminated: &'r [(String, Vec<Uncontaminated>)],
}

/// The page, in HTML.
pub fn report(of: &Report<'_>) -> String {
    let title = escaped(of.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>\n"
    );
    for (name, value) in of.facts {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
    }
    out += "</dl>\n";
    for (table, chart) in of.tables {
        let _ = write!(out, "<h2>{}</h2>\n{}{chart}\n", escaped(&table.title), rows(table));
    }
    for (model, tasks) in of.uncontaminated {
        let _ = writeln!(out, "<h2>{} without documents that occur in the corpus</h2>", escaped(model));
        out += &uncontaminated(tasks);
    }
    out += "<h2>Documents</h2>\n<p class=\"pick\"><select id=\"model\" aria-label=\"model\"></select>\
            <select id=\"task\" aria-label=\"task\"></select><select id=\"which\" aria-label=\"which\">\
            <option value=\"all\">all</option><option value=\"right\">right</option><option value=\"wrong\">wrong</option>\
            </select><button id=\"before\">◂</button><span id=\"count\"></span><button id=\"after\">▸</button></p>\n\
            <div id=\"sample\"></div>\n";
    // Nothing in it ends the script.
    let data = samples(of).to_string().replace('<', "\\u003c");
    let _ = write!(
        out,
        "<script type=\"application/json\" id=\"samples\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    out
}

fn rows(table: &Table) -> String {
    let mut out = String::from("<div class=\"wide\"><table>\n<tr><th></th>");
    let class = |i: usize| if i < table.published { " class=\"published\"" } else { "" };
    for (i, name) in table.columns.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(i), escaped(name));
    }
    out += "</tr>\n";
    for (name, cells) in &table.rows {
        let _ = write!(out, "<tr><td>{}</td>", escaped(name));
        for (i, cell) in cells.iter().enumerate() {
            let figure = match cell {
                None => "–".to_owned(),
                Some(cell) => {
                    let error = cell.stderr.map(|stderr| format!(" <small>±{stderr:.3}</small>"));
                    format!("{:.3}{}", cell.value, error.unwrap_or_default())
                }
            };
            let _ = write!(out, "<td{}>{figure}</td>", class(i));
        }
        out += "</tr>\n";
    }
    if let Some(average) = &table.average {
        out += "<tr class=\"average\"><td>average</td>";
        for (i, mean) in average.iter().enumerate() {
            let _ = write!(
                out,
                "<td{}>{}</td>",
                class(i),
                mean.map_or("–".to_owned(), |mean| format!("{mean:.3}"))
            );
        }
        out += "</tr>\n";
    }
    out += "</table></div>\n";
    if !table.missing.is_empty() {
        let _ = writeln!(out, "<p>No average: {} were not asked.</p>", escaped(&table.missing.join(", ")));
    }
    out
}

fn uncontaminated(tasks: &[Uncontaminated]) -> String {
    let mut out = String::from(
        "<div class=\"wide\"><table>\n<tr><th>task</th><th>documents</th><th>occur</th><th>too short</th><th>metric</th>\
         <th>without them</th></tr>\n",
    );
    for of in tasks {
        for figure in &of.figures {
            let error =
                figure.stderr.map(|stderr| format!(" <small>±{stderr:.3}</small>")).unwrap_or_default();
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.3}{error}</td></tr>",
                escaped(&of.task),
                of.documents,
                of.found,
                of.too_short,
                figure.metric.key(),
                figure.value
            );
        }
    }
    out + "</table></div>\n"
}

fn samples(of: &Report<'_>) -> Value {
    let mut parts = Vec::new();
    for (model, results) in of.models {
        for (task, result) in of.tasks.iter().zip(results) {
            let shown: Vec<Value> =
                result.samples.iter().take(SAMPLES).map(|one| sample(task, one)).collect();
            parts.push(json!({
                "model": model, "task": result.task, "documents": result.samples.len(), "samples": shown,
            }));
        }
    }
    parts.into()
}

fn sample(task: &Task, one: &Sample) -> Value {
    let question = &one.judged.question;
    if let Some(how) = &task.file.generate {
        let filtered = how.filtered(&one.judged.said);
        let right = filtered.iter().any(|(_, said)| how.exact_match(said, &question.choices[0]));
        let choices = [("said", &one.judged.said), ("right", &question.choices[0])];
        let choices = choices.map(|(score, text)| json!({"score": score, "text": text}));
        return json!({
            "place": one.place, "context": question.contexts[0], "choices": choices, "gold": 1, "chosen": 0, "right": right,
        });
    }
    let choices = question.choices.iter().zip(&one.judged.logprobs);
    let choices: Value =
        choices.map(|(text, logprob)| json!({"score": format!("{logprob:.3}"), "text": text})).collect();
    let chosen = one.judged.chosen();
    json!({
        "place": one.place, "context": question.contexts[question.gold], "choices": choices, "gold": question.gold,
        "chosen": chosen, "right": chosen == question.gold,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cell, Judged, Question};

    #[test]
    fn what_documents_and_names_say_is_text_and_never_a_part_of_the_page() {
        let evil = "</script><script>alert(1)</script>";
        let tasks = Task::own().expect("sound tasks");
        let question = Question {
            contexts: vec![evil.to_owned()],
            choices: vec![evil.to_owned()],
            ..Question::default()
        };
        let sample = Sample {
            number: 0,
            place: evil.to_owned(),
            subtask: None,
            judged: Judged { question, logprobs: vec![-1.0], said: String::new() },
            greedy: vec![true],
        };
        let result = TaskResult {
            task: "kobest_boolq".to_owned(),
            profile: crate::Profile::Main,
            figures: Vec::new(),
            subtasks: Vec::new(),
            bits_per_byte: None,
            documents: 1,
            available: 1,
            examples: 0,
            cut: 0,
            requests: 1,
            known: 0,
            data: Vec::new(),
            samples: vec![sample],
        };
        let table = Table {
            title: "Korean".to_owned(),
            columns: vec![evil.to_owned()],
            published: 0,
            rows: vec![("kobest_boolq".to_owned(), vec![Some(Cell { value: 0.3344, stderr: Some(0.0126) })])],
            average: Some(vec![None]),
            missing: Vec::new(),
        };
        let page = report(&Report {
            title: evil,
            facts: &[("model".to_owned(), evil.to_owned())],
            tables: &[(table, "<svg></svg>".to_owned())],
            tasks: &[&tasks[0]],
            models: &[(evil.to_owned(), vec![result])],
            uncontaminated: &[],
        });
        assert!(!page.contains("<script>alert"), "{page}");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("0.334 <small>±0.013</small>") && page.contains("&lt;/script&gt;"), "{page}");
        assert!(!page.contains("http"), "a page that fetches nothing");
    }
}
