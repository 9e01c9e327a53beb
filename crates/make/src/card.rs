//! The model's card: what it is, of what it was made, what it knows, what it is not good for.

use crate::stages::RunContext;
use crate::{Error, Evaluation};
use sai_generation::{Config, GenerationConfig};
use sai_judge::TextTable;
use sai_samples::Count;
use sai_trainer::{FinetuneRecipe, Length, Metrics, Recipe};
use std::fmt::Write;
use std::path::Path;

/// Conversations that a card shows; the report shows all.
const SHOWN: usize = 8;
/// What stands where figures would, if there are none.
pub(crate) const NOT_HELD_OUT: &str =
    "No text was held out, so that it is not known how well it predicts what it was not trained on.";

/// What is known of a model when all but its card is made.
pub(crate) struct Facts {
    pub(crate) counts: Vec<Count>,
    pub(crate) evaluation: Evaluation,
    /// What a judge said; none where the recipe names none.
    pub(crate) judged: Option<Vec<TextTable>>,
    pub(crate) config: Config,
    pub(crate) pretrain: Recipe,
    pub(crate) finetune: FinetuneRecipe,
    pub(crate) pretrained: Vec<Metrics>,
    pub(crate) finetuned: Vec<Metrics>,
}

impl Facts {
    pub(crate) fn gather(at: &RunContext<'_>) -> Result<Facts, Error> {
        Ok(Facts {
            counts: json(&at.folder.counts())?,
            evaluation: json(&at.folder.evaluation())?,
            judged: at.recipe.judge.model.as_ref().map(|_| json(&at.folder.judged())).transpose()?,
            config: Config::open(at.folder.root())?.1,
            pretrain: at.recipe.pretrain(at.folder)?,
            finetune: at.recipe.finetune(at.folder)?,
            pretrained: sai_trainer::metrics(&at.folder.stage(crate::Stage::Pretrain))?,
            finetuned: sai_trainer::metrics(&at.folder.stage(crate::Stage::Finetune))?,
        })
    }

    /// The card, as Markdown with the front matter that the Hub reads.
    pub(crate) fn card(&self, at: &RunContext<'_>) -> Result<String, Error> {
        let (recipe, card) = (at.recipe, &at.recipe.card);
        let mut out = front_matter(at);
        let title = card.title.as_ref().unwrap_or(&recipe.name);
        let quantized = crate::files::name(at.folder.root(), &at.folder.quantized(recipe)?);
        let _ = writeln!(out, "# {title}\n");
        if let Some(about) = &card.about {
            let _ = writeln!(out, "{}\n", about.trim());
        }
        let _ = writeln!(
            out,
            "{} parameters, {} tokens of context. Made with sai {}, by one command and the recipe below.\n",
            thousands(self.config.parameters()),
            thousands(self.config.context_length as u64),
            env!("CARGO_PKG_VERSION"),
        );
        let _ = writeln!(
            out,
            "```sh\nsai chat -m .                          # this folder, as Hugging Face has them\n\
             sai chat -m {quantized}   # in fewer bits\n```\n"
        );
        let _ = writeln!(out, "## What it learnt from\n\n{}", self.data());
        let _ = writeln!(out, "## What it knows\n\n{}", self.figures());
        if !self.evaluation.tables.is_empty() {
            let rules = at.recipe.evaluate.profile.version();
            let _ = writeln!(
                out,
                "Tasks by the prompts, rules and metrics of lm-evaluation-harness ({rules}), with standard errors.\n"
            );
            for table in &self.evaluation.tables {
                let _ = writeln!(out, "{}", crate::tasks::markdown(table));
            }
        }
        if let Some(said) = self.conversations() {
            let _ =
                writeln!(out, "## What it says\n\nThe likeliest answers, as they are recorded.\n\n{said}");
        }
        if let Some(tables) = &self.judged {
            let judge = recipe.judge.model.as_deref().unwrap_or_default();
            let _ = writeln!(
                out,
                "## What a judge says\n\nAnswers to prompts, before and after quantisation, graded by `{judge}`, which may be wrong, and no \
                 better a judge than it is a model. `stages/judge/report.html` has every answer and grade.\n"
            );
            for table in tables {
                let _ = writeln!(out, "### {}\n\n{}\n{}\n", table.title, table.markdown(), table.remark);
            }
        }
        if let Some(limits) = &card.limits {
            let _ = writeln!(out, "## Limits\n\n{}\n", limits.trim());
        }
        let _ = writeln!(out, "## How it was made\n\n{}", self.settings(at));
        Ok(out)
    }

    /// Whether there was text to measure a model by.
    pub(crate) fn predicts(&self) -> bool {
        self.evaluation.models.iter().any(|model| !model.languages.is_empty())
    }

    /// Every source with its licence.
    fn data(&self) -> String {
        let mut out = String::from(
            "| source | language | licence | kind | how many | of text | held out |\n\
             | --- | --- | --- | --- | ---: | ---: | ---: |\n",
        );
        for count in &self.counts {
            let named =
                |name: &str| if name.is_empty() { "not said".to_owned() } else { name.replace('|', "\\|") };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                named(&count.source),
                count.lang,
                named(&count.license),
                count.kind,
                thousands(count.taken),
                megabytes(count.bytes),
                thousands(count.held_out),
            );
        }
        out
    }

    /// Bits a byte and perplexity, before and after quantisation.
    fn figures(&self) -> String {
        if !self.predicts() {
            return format!("{NOT_HELD_OUT}\n");
        }
        let mut out = String::from(
            "On held-out text, which it was never trained on. Bits a byte do not depend on the vocabulary. Fine-tuning makes \
             answers likelier, and plain text less so.\n\n\
             | model | size | language | documents | bits a byte | perplexity |\n\
             | --- | ---: | --- | ---: | ---: | ---: |\n",
        );
        for model in &self.evaluation.models {
            for found in &model.languages {
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {:.4} | {:.3} |",
                    model.name,
                    megabytes(model.bytes),
                    found.language,
                    thousands(found.documents),
                    found.bits_per_byte,
                    found.perplexity
                );
            }
        }
        out
    }

    /// The first conversations.
    fn conversations(&self) -> Option<String> {
        let mut out = String::new();
        for talk in self.evaluation.conversations.iter().take(SHOWN) {
            for turn in talk {
                let end = if turn.ended { "" } else { " …" };
                let line = |text: &str| text.trim().replace('\n', "\n> ");
                let _ = writeln!(out, "> **{}**\n>\n> {}{end}\n>", line(&turn.said), line(&turn.answer));
            }
            out.push('\n');
        }
        (!out.is_empty()).then_some(out)
    }

    /// The settings that decide on it, and the recipe.
    fn settings(&self, at: &RunContext<'_>) -> String {
        let (c, p, f) = (&self.config, &self.pretrain, &self.finetune);
        let length = match f.length {
            Length::Epochs(epochs) => format!("{epochs} epochs"),
            Length::Steps(steps) => format!("{} steps", thousands(steps)),
        };
        let file = at.recipe.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sets: String = at.recipe.overrides().iter().map(|said| format!(" --set '{said}'")).collect();
        let drawn = generation_config(&at.recipe.convert.sampling);
        let mut out = String::from("| | |\n| --- | --- |\n");
        for (name, value) in [
            ("layers", c.num_layers.to_string()),
            ("width", format!("{}, feed-forward {}", c.hidden_size, c.intermediate_size)),
            ("heads", format!("{}, of keys and values {}", c.num_heads, c.num_kv_heads)),
            ("vocabulary", format!("{} rows", thousands(c.vocab_size as u64))),
            (
                "pretraining",
                format!(
                    "{} steps of {} tokens, context {}, learning rate {:e}",
                    thousands(p.steps),
                    thousands(p.batch_tokens),
                    p.context,
                    p.optimizer.learning_rate
                ),
            ),
            ("fine-tuning", format!("{length}, learning rate {:e}", f.optimizer.learning_rate)),
            ("seed", at.recipe.seed.to_string()),
            ("sampling", drawn),
        ] {
            let _ = writeln!(out, "| {name} | {value} |");
        }
        let recipe = at.recipe.text().trim_end();
        let _ = writeln!(
            out,
            "\n```sh\nsai make {file}{sets} -o {name}\n```\n\n<details><summary>{file}</summary>\n\n```toml\n{recipe}\n```\n\n</details>",
            name = at.recipe.name,
        );
        out
    }
}

/// How tokens are best drawn, in words.
fn generation_config(said: &GenerationConfig) -> String {
    let number = |name: &str, value: Option<f32>| value.map(|value| format!("{name} {value}"));
    let words = [
        number("temperature", said.temperature),
        number("top-p", said.top_p),
        said.top_k.map(|k| format!("top-k {k}")),
        number("min-p", said.min_p),
        number("repetition penalty", said.repetition_penalty),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { "as you like".to_owned() } else { words.join(", ") }
}

/// What the Hub reads of a card.
fn front_matter(at: &RunContext<'_>) -> String {
    let card = &at.recipe.card;
    let mut out = String::from("---\n");
    let list = |out: &mut String, key: &str, values: &[String]| {
        if !values.is_empty() {
            let _ = writeln!(out, "{key}:");
            for value in values {
                let _ = writeln!(out, "- {}", quoted(value));
            }
        }
    };
    list(&mut out, "language", &card.languages);
    if let Some(license) = &card.license {
        let _ = writeln!(out, "license: {}", quoted(license));
    }
    out += "library_name: transformers\npipeline_tag: text-generation\n";
    let mut tags = vec!["sai".to_owned(), "llama".to_owned(), "conversational".to_owned()];
    tags.extend(card.tags.iter().cloned());
    list(&mut out, "tags", &tags);
    out + "---\n\n"
}

/// A YAML string: plain where it can be nothing else, and otherwise as JSON, which YAML reads.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '_'].contains(&c);
    let word = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic()) && text.chars().all(plain);
    // A few words mean something else in YAML; `no` is Norwegian too.
    let other = ["no", "yes", "on", "off", "true", "false", "null", "y", "n"];
    match word && !other.contains(&text.to_ascii_lowercase().as_str()) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read(path).map_err(|e| Error::io(path, "read the file", e))?;
    serde_json::from_slice(&text).map_err(|e| {
        Error::data(path, format!("is not as it was made: {e}; make its stage again with --from"))
    })
}

/// 98,362,432.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes for a person.
pub(crate) fn megabytes(bytes: u64) -> String {
    match bytes as f64 {
        n if n >= 1e9 => format!("{:.2} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.1} kB", n / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_reads_what_was_meant() {
        for (text, yaml) in [
            ("ko", "ko"),
            ("apache-2.0", "apache-2.0"),
            ("no", "\"no\""),
            ("a: b", "\"a: b\""),
            ("한국어", "\"한국어\""),
            ("1.0", "\"1.0\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(text), yaml);
        }
    }
}
