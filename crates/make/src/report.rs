//! `report.html`: the making on one page, with nothing fetched from elsewhere.

use crate::card::{Facts, NOT_HELD_OUT, megabytes, thousands};
use crate::stages::RunContext;
use crate::{Error, Stage};
use html_escape::encode_text as escape;
use sai_documents::{Options, Reader};
use sai_tokenizer::Tokenizer;
use sai_tokenizer::eval::{SYLLABLES, judge, syllables};
use sai_trainer::{Sample, curves, page, read_samples};
use std::fmt::Write;
use std::ops::ControlFlow;

/// Bytes of held-out text of a language by which the vocabulary is judged.
const JUDGED: usize = 500_000;

impl Facts {
    /// The page.
    pub(crate) fn report(&self, at: &RunContext<'_>) -> Result<String, Error> {
        let mut out = page(&at.recipe.name);
        out += &self.overview(at);
        out += &stages(at);
        out += "<h2>What it learnt from</h2>";
        out += &self.sources();
        out += "<h2>Vocabulary</h2>";
        out += &vocabulary(at)?;
        for (stage, metrics, name) in [
            (Stage::Pretrain, &self.pretrained, "Pretraining"),
            (Stage::Finetune, &self.finetuned, "Fine-tuning"),
        ] {
            let run = at.folder.stage(stage);
            let _ = write!(out, "<h1>{name}</h1>");
            out += &curves(&run, metrics)?;
            out += &said(&read_samples(&run));
        }
        out += "<h1>What it knows and says</h1>";
        out += &self.knows();
        out += &self.tasks();
        out += &self.talks();
        out += &self.judged();
        let _ = write!(out, "<h2>Recipe</h2><pre>{}</pre>", escape(at.recipe.text()));
        out += "</html>\n";
        Ok(out)
    }

    fn overview(&self, at: &RunContext<'_>) -> String {
        let c = &self.config;
        let machine = at.options.machine.iter().map(|(name, fact)| (name.clone(), fact.clone()));
        let facts = [
            ("Parameters", thousands(c.parameters())),
            ("Shape", format!("{} layers of width {}, {} heads", c.num_layers, c.hidden_size, c.num_heads)),
            ("Vocabulary", format!("{} rows", thousands(c.vocab_size as u64))),
            ("Context", format!("{} tokens", thousands(c.context_length as u64))),
            ("sai", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let facts = facts.map(|(name, fact)| (name.to_owned(), fact));
        pairs(facts.into_iter().chain(machine))
    }

    fn sources(&self) -> String {
        let rows = self.counts.iter().map(|count| {
            let or = |text: &str| if text.is_empty() { "not said".to_owned() } else { text.to_owned() };
            vec![
                or(&count.source),
                count.lang.clone(),
                or(&count.license),
                count.kind.clone(),
                thousands(count.taken),
                megabytes(count.bytes),
                thousands(count.held_out),
            ]
        });
        table(&["source", "language", "licence", "kind", "how many", "of text", "held out"], rows)
    }

    fn knows(&self) -> String {
        let models = self.evaluation.models.iter();
        let rows = models.flat_map(|model| {
            model.languages.iter().map(|found| {
                vec![
                    model.name.clone(),
                    megabytes(model.bytes),
                    found.language.clone(),
                    thousands(found.documents),
                    format!("{:.4}", found.bits_per_byte),
                    format!("{:.3}", found.perplexity),
                ]
            })
        });
        let heads = ["model", "size", "held-out text", "documents", "bits a byte", "perplexity"];
        match self.predicts() {
            true => table(&heads, rows),
            false => format!("<p>{NOT_HELD_OUT}</p>"),
        }
    }

    fn judged(&self) -> String {
        let Some(tables) = &self.judged else { return String::new() };
        let mut out = "<h2>What a judge says</h2>".to_owned();
        for one in tables {
            let heads: Vec<&str> = one.cells.first().into_iter().flatten().map(String::as_str).collect();
            let rows = table(&heads, one.cells.iter().skip(1).cloned());
            let _ = write!(out, "<h3>{}</h3>{rows}<p>{}</p>", escape(&one.title), escape(&one.remark));
        }
        out
    }

    fn tasks(&self) -> String {
        let mut out = String::new();
        for of in &self.evaluation.tables {
            let heads: Vec<&str> =
                std::iter::once(of.title.as_str()).chain(of.columns.iter().map(String::as_str)).collect();
            let rows = of.rows.iter().map(|(name, cells)| {
                let cell = |cell: &Option<sai_evals::Cell>| {
                    cell.map_or("–".to_owned(), |c| format!("{:.3}", c.value))
                };
                std::iter::once(name.clone()).chain(cells.iter().map(cell)).collect()
            });
            out += &table(&heads, rows);
        }
        out
    }

    fn talks(&self) -> String {
        let mut out = String::new();
        for talk in &self.evaluation.conversations {
            out += "<p>";
            for turn in talk {
                let end = if turn.ended { "" } else { " <i>(did not end)</i>" };
                let _ =
                    write!(out, "<b>{}</b><br>{}{end}<br>", escape(&turn.said), escape(turn.answer.trim()));
            }
            out += "</p>";
        }
        out
    }
}

/// What was done, what came of it, and how long it took.
fn stages(at: &RunContext<'_>) -> String {
    let made = Stage::ALL.iter().filter_map(|stage| Some((stage, at.manifest.stages.get(stage)?)));
    let finished = || made.clone().filter(|(_, made)| made.finished);
    let rows = finished().map(|(stage, made)| {
        let bytes = made.outputs.values().map(|file| file.bytes).sum();
        let seconds = format!("{:.1} s", made.seconds);
        vec![stage.name().to_owned(), made.summary.clone(), seconds, megabytes(bytes)]
    });
    let all: f64 = finished().map(|(_, made)| made.seconds).sum();
    let last = vec!["all".to_owned(), String::new(), format!("{all:.1} s"), String::new()];
    format!("<h2>Stages</h2>{}", table(&["stage", "what came of it", "time", "files"], rows.chain([last])))
}

/// How well the vocabulary suits the held-out texts.
fn vocabulary(at: &RunContext<'_>) -> Result<String, Error> {
    let tokenizer = Tokenizer::from_folder(&at.folder.stage(Stage::Tokenizer))?;
    let mut rows = Vec::new();
    for (language, path) in at.folder.held_out_documents()? {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        for batch in Reader::open(vec![path], Options::default())? {
            for document in batch?.documents() {
                if bytes < JUDGED {
                    bytes += document.text.len();
                    texts.push(document.text.to_owned());
                }
            }
        }
        let all = judge(&tokenizer, texts.iter().map(String::as_str), |_| ControlFlow::Continue(()))?;
        let ControlFlow::Continue(found) = all else { continue };
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        rows.push(vec![
            language,
            format!("{:.2}", found.bytes_per_token()),
            number(found.tokens_per_eojeol()),
            number(found.tokens_per_word()),
            format!("{:.1} %", 100.0 * found.returned().0),
        ]);
    }
    let whole = syllables(&tokenizer);
    let heads =
        ["held-out text", "bytes a token", "tokens an eojeol", "tokens an English word", "comes back"];
    Ok(format!(
        "<p>{} tokens; {whole} of the {SYLLABLES} syllables are one token.</p>{}",
        thousands(tokenizer.vocab_size() as u64),
        table(&heads, rows.into_iter())
    ))
}

/// What the model said on the way.
fn said(samples: &[Sample]) -> String {
    let item = |s: &Sample| {
        format!("<p>After step {}: <b>{}</b> {}</p>", s.step, escape(&s.prompt), escape(&s.text))
    };
    samples.iter().map(item).collect()
}

fn pairs(rows: impl Iterator<Item = (String, String)>) -> String {
    let rows: String =
        rows.map(|(name, fact)| format!("<tr><th>{}<td>{}", escape(&name), escape(&fact))).collect();
    format!("<table>{rows}</table>")
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: String = heads.iter().map(|head| format!("<th>{}", escape(head))).collect();
    let row = |cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<td>{}", escape(cell))).collect();
        format!("<tr>{cells}")
    };
    format!("<table><tr>{head}{}</table>", rows.map(row).collect::<String>())
}
