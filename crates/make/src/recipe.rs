//! The recipe of a making: a name, a seed, and a table for each stage.

use crate::folder::Folder;
use crate::{Error, Stage};
use sai_decoder::Mix;
use sai_evals::Profile;
use sai_formats::DType;
use sai_generation::GenerationConfig;
use sai_samples::{RulesShare, SampleRecipe};
use sai_trainer::recipe::{Keys, RecipeText, nearest, read};
use sai_trainer::{FinetuneRecipe, Model, Recipe};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, Deserializer};

/// Everything that decides on a model, from its text to its card.
pub struct MakeRecipe {
    /// The model's name, of which its files' names are made.
    pub name: String,
    /// What all chance is drawn by, where a stage does not say its own.
    pub seed: u64,
    /// The vocabulary.
    pub tokenizer: Vocabulary,
    /// The shards.
    pub pack: Pack,
    /// The model in its other form.
    pub convert: Convert,
    /// The model in fewer bits.
    pub quantize: Quantize,
    /// What is asked of it.
    pub evaluate: Evaluate,
    /// Who grades its answers.
    pub judge: Judge,
    /// What its card says.
    pub card: Card,
    text: String,
    path: PathBuf,
    overrides: Vec<String>,
}

/// `[tokenizer]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Vocabulary {
    /// Tokens, special ones and the 256 bytes included; as many as the model has rows where not given.
    pub vocab_size: Option<usize>,
    /// Where text is cut into words: `gpt2`, `llama3`, `qwen2`, `smollm`, or a regular expression.
    pub pattern: Option<String>,
    /// Whether text is brought to Unicode's composed form first.
    pub nfc: bool,
    /// How often a pair must be met to become a token.
    pub min_frequency: Option<u64>,
    /// Two tokens are not joined where they have so many bytes together, or more.
    pub max_token_length: Option<usize>,
}

/// `[pack]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pack {
    /// Tokens of a shard, at least.
    pub shard_tokens: Option<u64>,
}

/// `[convert]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Convert {
    dtype: Option<String>,
    /// How the model's tokens are best chosen, for whoever runs it.
    pub sampling: GenerationConfig,
}

/// `[quantize]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Quantize {
    #[serde(rename = "type")]
    mix: Option<String>,
}

/// `[evaluate]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Evaluate {
    /// What is said to the model: a question, or the turns of a conversation.
    pub ask: Vec<RecordedPrompt>,
    /// Tokens of an answer at most.
    pub answer_tokens: Option<usize>,
    /// Bytes of held-out text of each language that are read, at most.
    pub bytes: Option<usize>,
    /// Tasks and groups of lm-evaluation-harness that are asked.
    pub tasks: Vec<String>,
    /// The folder of their data, from the recipe's.
    pub data: Option<PathBuf>,
    /// By whose rules.
    pub profile: Profile,
    /// Examples before each question; the task's own number where not given.
    pub fewshot: Option<usize>,
    /// Documents of each task at most.
    pub limit: Option<usize>,
}

/// `[judge]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Judge {
    /// The model that judges, by what `--model` takes; without one, nothing is judged.
    pub model: Option<String>,
    /// The prompts, from the recipe's folder; the 60 that come with sai where not given.
    pub prompts: Option<PathBuf>,
    /// Tokens of an answer at most.
    pub answer_tokens: Option<usize>,
    /// The first prompts alone.
    pub limit: Option<usize>,
}

/// What a person says in a conversation that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`ask` is a list of questions, or of lists of what is said turn by turn")]
pub enum RecordedPrompt {
    /// One question.
    Once(String),
    /// Several turns, with the model's answers between them.
    Turns(Vec<String>),
}

impl RecordedPrompt {
    /// The turns.
    pub fn turns(&self) -> &[String] {
        match self {
            RecordedPrompt::Once(one) => std::slice::from_ref(one),
            RecordedPrompt::Turns(turns) => turns,
        }
    }
}

/// `[card]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Card {
    /// The heading; the model's name where not given.
    pub title: Option<String>,
    /// What the model is, in a paragraph.
    pub about: Option<String>,
    /// Languages, as the Hub names them.
    pub languages: Vec<String>,
    /// The licence of the weights, as the Hub names it.
    pub license: Option<String>,
    /// Further tags.
    pub tags: Vec<String>,
    /// What it is not good for.
    pub limits: Option<String>,
}

const HEAD: &[&str] = &["name", "seed"];
const TOKENIZER: Keys = &[("", &["vocab_size", "pattern", "nfc", "min_frequency", "max_token_length"])];
const PACK: Keys = &[("", &["shard_tokens"])];
const CONVERT: Keys = &[
    ("", &["dtype", "sampling"]),
    ("sampling", &["temperature", "repetition_penalty", "top_p", "top_k", "min_p"]),
];
const QUANTIZE: Keys = &[("", &["type"])];
const EVALUATE: Keys =
    &[("", &["ask", "answer_tokens", "bytes", "tasks", "data", "profile", "fewshot", "limit"])];
const JUDGE: Keys = &[("", &["model", "prompts", "answer_tokens", "limit"])];
const CARD: Keys = &[("", &["title", "about", "languages", "license", "tags", "limits"])];
/// All that may stand outside of tables, and the tables.
const TOP: Keys = &[(
    "",
    &[
        "name",
        "seed",
        "sample",
        "tokenizer",
        "pack",
        "pretrain",
        "finetune",
        "convert",
        "quantize",
        "evaluate",
        "judge",
        "card",
    ],
)];
/// Tables without which there is no model.
const NEEDED: [Stage; 3] = [Stage::Sample, Stage::Pretrain, Stage::Finetune];

#[derive(Default, Deserialize)]
struct Head {
    name: Option<String>,
    seed: Option<u64>,
}

impl MakeRecipe {
    /// Reads a recipe. `overrides` are `key=value` with dotted keys, as in `pretrain.steps=100`.
    ///
    /// # Errors
    /// The file cannot be read; a key is unknown, or has a value that makes no sense. The message says the line.
    pub fn open(path: &Path, overrides: &[String]) -> Result<MakeRecipe, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the recipe", e))?;
        MakeRecipe::parse(&text, path, overrides)
    }

    /// As [`MakeRecipe::open`], for a text; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`MakeRecipe::open`].
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<MakeRecipe, Error> {
        let said = RecipeText { text, path, table: None, overrides };
        let head = head(&said)?;
        let recipe = MakeRecipe {
            name: head.name.unwrap_or_default(),
            seed: head.seed.unwrap_or(42),
            tokenizer: read(&said.table("tokenizer"), TOKENIZER, &[])?.0,
            pack: read(&said.table("pack"), PACK, &[])?.0,
            convert: read(&said.table("convert"), CONVERT, &[])?.0,
            quantize: read(&said.table("quantize"), QUANTIZE, &[])?.0,
            evaluate: evaluate(&said)?,
            judge: judge(&said)?,
            card: read(&said.table("card"), CARD, &[])?.0,
            text: text.to_owned(),
            path: path.to_owned(),
            overrides: overrides.to_owned(),
        };
        recipe.check()?;
        Ok(recipe)
    }

    /// What is wrong with any stage is said before the first one runs.
    fn check(&self) -> Result<(), Error> {
        let plain = |c: char| c.is_alphanumeric() || ['-', '_', '.'].contains(&c);
        if self.name.is_empty() || self.name.starts_with(['.', '-']) || !self.name.chars().all(plain) {
            let fact = format!("`name` is {:?}; a model's name is letters, digits, -, _ and .", self.name);
            return Err(self.wrong(fact));
        }
        self.check_sample()?;
        let anywhere = Folder::new(Path::new(""));
        let pretrain = self.pretrain(&anywhere)?;
        if let Model::From { .. } = pretrain.model {
            let fact = "`pretrain.model.from`: a making begins from nothing; give the shape of a model";
            return Err(self.wrong(fact));
        }
        let rows = pretrain.config(&self.path)?.vocab_size;
        if self.vocab_size(rows) > rows {
            let fact = format!(
                "`tokenizer.vocab_size` is {}, more than the {rows} of `pretrain.model.vocab_size`",
                self.vocab_size(rows)
            );
            return Err(self.wrong(fact));
        }
        if self.finetune(&anywhere)?.lora.is_some() {
            let fact = "[finetune.lora]: an adapter is no model of its own; leave it out";
            return Err(self.wrong(fact));
        }
        if let Err(e) = self.convert.sampling.sampling().check() {
            return Err(self.wrong(format!("[convert.sampling]: {e}")));
        }
        let (dtype, mix) = (self.dtype()?, self.mix()?.name());
        if dtype.to_string().eq_ignore_ascii_case(mix) {
            let fact = format!("`quantize.type` is {mix}, and so is `convert.dtype` (f16 where not given)");
            return Err(self.wrong(fact));
        }
        Ok(())
    }

    /// Without documents there is no pretraining, and without conversations no fine-tuning.
    fn check_sample(&self) -> Result<(), Error> {
        let sample = self.sample()?;
        let made = |count: fn(&RulesShare) -> u64| sample.rules.as_ref().map_or(0, count);
        let documents = made(|rules| rules.documents.saturating_add(rules.dialogues));
        let conversations = made(|rules| rules.conversations);
        sample.check().map_err(|e| self.wrong(e.to_string()))?;
        let lacks = if sample.documents.is_empty() && documents == 0 {
            "documents` and `rules` give no documents to learn to read from"
        } else if sample.conversations.is_empty() && conversations == 0 {
            "conversations` and `rules` give no conversations to learn to answer from"
        } else {
            return Ok(());
        };
        Err(self.wrong(format!("`sample.{lacks}")))
    }

    /// The stages of this recipe, in their order: all, but for a judge where none is named.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + use<> {
        let judged = self.judge.model.is_some();
        Stage::ALL.into_iter().filter(move |&stage| judged || stage != Stage::Judge)
    }

    /// Tokens of the vocabulary, for a model of `rows` rows.
    pub(crate) fn vocab_size(&self, rows: usize) -> usize {
        self.tokenizer.vocab_size.unwrap_or(rows)
    }

    /// The recipe's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The recipe's text, as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What was said otherwise.
    pub fn overrides(&self) -> &[String] {
        &self.overrides
    }

    /// What is drawn and made to learn from.
    ///
    /// # Errors
    /// The table makes no sense.
    pub fn sample(&self) -> Result<SampleRecipe, Error> {
        Ok(read(&self.given(Stage::Sample, &[])?.said(), &[], &[])?.0)
    }

    /// The recipe of pretraining in a run's folder.
    ///
    /// # Errors
    /// As [`Recipe::open`].
    pub fn pretrain(&self, folder: &Folder) -> Result<Recipe, Error> {
        let given = [("data", folder.stage(Stage::Pack)), ("tokenizer", folder.stage(Stage::Tokenizer))];
        Ok(Recipe::of(&self.given(Stage::Pretrain, &given)?.said())?)
    }

    /// The recipe of fine-tuning in a run's folder.
    ///
    /// # Errors
    /// As [`FinetuneRecipe::open`].
    pub fn finetune(&self, folder: &Folder) -> Result<FinetuneRecipe, Error> {
        let mut given = vec![("data", folder.conversations()), ("model.from", folder.stage(Stage::Pretrain))];
        if !self.replays() {
            return Ok(FinetuneRecipe::of(&self.given(Stage::Finetune, &given)?.said())?);
        }
        given.push(("replay.data", folder.stage(Stage::Pack)));
        let mut all = self.given(Stage::Finetune, &given)?;
        // What pretraining held out stays so; first, for what is said counts.
        let share = self.pretrain(folder)?.validation_share;
        all.overrides.insert(0, format!("finetune.replay.validation_share={share:?}"));
        Ok(FinetuneRecipe::of(&all.said())?)
    }

    /// Whether fine-tuning reads the documents of pretraining again.
    pub(crate) fn replays(&self) -> bool {
        let table: toml::Table = toml::from_str(&self.text).unwrap_or_default();
        let within = table.get(Stage::Finetune.name()).and_then(|finetune| finetune.get("replay"));
        within.is_some()
            || self.overrides.iter().any(|said| said.trim_start().starts_with("finetune.replay."))
    }

    /// The type of the weights in the GGUF file.
    ///
    /// # Errors
    /// It is none of f32, f16 and bf16.
    pub fn dtype(&self) -> Result<DType, Error> {
        match self.convert.dtype.as_deref().unwrap_or("f16") {
            "f32" => Ok(DType::F32),
            "f16" => Ok(DType::F16),
            "bf16" => Ok(DType::BF16),
            other => Err(self.wrong(format!("`convert.dtype` is {other:?}, none of f32, f16, bf16"))),
        }
    }

    /// The type of the weights in the quantised file.
    ///
    /// # Errors
    /// There is no such type.
    pub fn mix(&self) -> Result<Mix, Error> {
        let name = self.quantize.mix.as_deref().unwrap_or("q8_0");
        Mix::from_name(name).ok_or_else(|| {
            let names = Mix::ALL.map(Mix::name).join(", ");
            self.wrong(format!("`quantize.type` is {name:?}, none of {names}"))
        })
    }

    /// The table of a stage that another room knows.
    pub(crate) fn said(&self, table: &'static str) -> RecipeText<'_> {
        RecipeText { text: &self.text, path: &self.path, table: Some(table), overrides: &self.overrides }
    }

    /// The table of a stage, with what other stages and the recipe's head give to it.
    fn given(&self, stage: Stage, given: &[(&str, PathBuf)]) -> Result<Given<'_>, Error> {
        let name = stage.name();
        let table: toml::Table = toml::from_str(&self.text).map_err(|e| self.wrong(e.message()))?;
        let table = table.get(name);
        let within = |key: &str| key.split('.').try_fold(table?, |table, key| table.get(key));
        let in_text = |key: &str| within(key).is_some();
        let in_overrides = |key: &str| {
            let dotted = format!("{name}.{key}");
            self.overrides.iter().any(|said| said.split('=').next().is_some_and(|k| k.trim() == dotted))
        };
        let said = |key: &str| in_text(key) || in_overrides(key);
        let mut overrides = self.overrides.clone();
        for (key, path) in given {
            if said(key) {
                let fact = format!("`{name}.{key}` is what the stages before make; leave it out");
                return Err(self.wrong(fact));
            }
            let path = toml::Value::String(path.to_string_lossy().into_owned());
            overrides.push(format!("{name}.{key}={path}"));
        }
        if !said("seed") {
            overrides.push(format!("{name}.seed={}", self.seed));
        }
        Ok(Given { recipe: self, table: name, overrides })
    }

    fn wrong(&self, fact: impl Into<String>) -> Error {
        wrong(&self.path, String::new(), fact)
    }
}

/// `[evaluate]`; of no bytes every model would be a perfect one.
fn evaluate(said: &RecipeText<'_>) -> Result<Evaluate, Error> {
    let (found, places): (Evaluate, _) = read(&said.table("evaluate"), EVALUATE, &[])?;
    for (key, value) in
        [("bytes", found.bytes), ("answer_tokens", found.answer_tokens), ("limit", found.limit)]
    {
        if value == Some(0) {
            let fact = format!("`evaluate.{key}` is 0; give at least 1, or leave it out");
            return Err(places.wrong(said.path, key, fact).into());
        }
    }
    if found.tasks.is_empty() != found.data.is_none() {
        let (key, fact) = match found.tasks.is_empty() {
            true => {
                ("data", "`evaluate.data` is the folder of tasks' data; name the tasks with `evaluate.tasks`")
            }
            false => ("tasks", "`evaluate.tasks` wants `evaluate.data`, the folder of the tasks' data"),
        };
        return Err(places.wrong(said.path, key, fact).into());
    }
    // A name that is no task is said before the first stage.
    if let Err(error) = sai_evals::select(&sai_evals::Task::own()?, &found.tasks) {
        return Err(places.wrong(said.path, "tasks", format!("`evaluate.tasks`: {error}")).into());
    }
    Ok(found)
}

/// `[judge]`; settings of a judge that is not named would be passed over.
fn judge(said: &RecipeText<'_>) -> Result<Judge, Error> {
    let (found, places): (Judge, _) = read(&said.table("judge"), JUDGE, &[])?;
    for (key, value) in [("answer_tokens", found.answer_tokens), ("limit", found.limit)] {
        if value == Some(0) {
            let fact = format!("`judge.{key}` is 0; give at least 1, or leave it out");
            return Err(places.wrong(said.path, key, fact).into());
        }
    }
    let others = found.prompts.is_some() || found.answer_tokens.is_some() || found.limit.is_some();
    if found.model.as_ref().is_some_and(|model| model.trim().is_empty()) || (found.model.is_none() && others)
    {
        return Err(wrong(
            said.path,
            String::new(),
            "[judge]: `model` names no judge; give one, or leave the table out",
        ));
    }
    Ok(found)
}

/// A stage's table, and all that is said of it elsewhere.
struct Given<'r> {
    recipe: &'r MakeRecipe,
    table: &'static str,
    overrides: Vec<String>,
}

impl Given<'_> {
    fn said(&self) -> RecipeText<'_> {
        RecipeText { overrides: &self.overrides, ..self.recipe.said(self.table) }
    }
}

fn wrong(path: &Path, place: String, fact: impl Into<String>) -> Error {
    sai_trainer::Error::Recipe { path: path.to_owned(), place, fact: fact.into() }.into()
}

/// What stands outside of tables; and that no table is unknown or missing.
fn head(said: &RecipeText<'_>) -> Result<Head, Error> {
    let line = |at: usize| format!("line {}", 1 + said.text.bytes().take(at).filter(|&b| b == b'\n').count());
    let damaged = |e: toml::de::Error| {
        let place = e.span().map_or_else(String::new, |span| line(span.start));
        wrong(said.path, place, e.message().lines().next().unwrap_or_default())
    };
    let whole = DeTable::parse(said.text).map_err(damaged)?;
    let unknown = |key: &str| match nearest(TOP, key) {
        Some(near) => format!("`{}` is no table or key of a recipe; `{near}` is", key.escape_debug()),
        None => format!("`{}` is no table or key of a recipe", key.escape_debug()),
    };
    for (key, _) in whole.get_ref() {
        if !TOP[0].1.contains(&key.get_ref().as_ref()) {
            return Err(wrong(said.path, line(key.span().start), unknown(key.get_ref())));
        }
    }
    let mut mine = Vec::new();
    for over in said.overrides {
        let key = over.split(['=', '.']).next().unwrap_or_default().trim();
        if HEAD.contains(&key) {
            mine.push(over.clone());
        } else if Stage::named(key).is_none() {
            return Err(wrong(said.path, format!("--set {over}"), unknown(key)));
        }
    }
    if let Some(stage) = NEEDED.iter().find(|stage| !whole.get_ref().contains_key(stage.name())) {
        let fact = format!("lacks the table [{stage}]");
        return Err(wrong(said.path, String::new(), fact));
    }
    let over: Head = read(&RecipeText { text: "", overrides: &mine, ..*said }, &[("", HEAD)], &[])?.0;
    let text = Head::deserialize(Deserializer::from(whole)).map_err(damaged)?;
    Ok(Head { name: over.name.or(text.name), seed: over.seed.or(text.seed) })
}
