//! Tasks: what is in their files (`task_file.rs`), and rows as questions.

use crate::task_file::{Prompt, TaskFile};
use crate::templates::{environment, merged, told};
use crate::{Error, Metric, Profile};
use minijinja::Environment;
use minijinja::value::{Serde, Value};
use std::path::Path;

/// The tasks that are part of sai.
const OWN: &[(&str, &str)] = &[
    ("kobest_boolq", include_str!("../tasks/kobest_boolq.toml")),
    ("kobest_copa", include_str!("../tasks/kobest_copa.toml")),
    ("kobest_hellaswag", include_str!("../tasks/kobest_hellaswag.toml")),
    ("kobest_sentineg", include_str!("../tasks/kobest_sentineg.toml")),
    ("kobest_wic", include_str!("../tasks/kobest_wic.toml")),
    ("anli_r1", include_str!("../tasks/anli_r1.toml")),
    ("anli_r2", include_str!("../tasks/anli_r2.toml")),
    ("anli_r3", include_str!("../tasks/anli_r3.toml")),
    ("arc_challenge", include_str!("../tasks/arc_challenge.toml")),
    ("arc_easy", include_str!("../tasks/arc_easy.toml")),
    ("boolq", include_str!("../tasks/boolq.toml")),
    ("hellaswag", include_str!("../tasks/hellaswag.toml")),
    ("openbookqa", include_str!("../tasks/openbookqa.toml")),
    ("piqa", include_str!("../tasks/piqa.toml")),
    ("record", include_str!("../tasks/record.toml")),
    ("rte", include_str!("../tasks/rte.toml")),
    ("truthfulqa_mc1", include_str!("../tasks/truthfulqa_mc1.toml")),
    ("truthfulqa_mc2", include_str!("../tasks/truthfulqa_mc2.toml")),
    ("wic", include_str!("../tasks/wic.toml")),
    ("winogrande", include_str!("../tasks/winogrande.toml")),
    ("click", include_str!("../tasks/click.toml")),
    ("haerae", include_str!("../tasks/haerae.toml")),
    ("kmmlu", include_str!("../tasks/kmmlu.toml")),
    ("mmlu", include_str!("../tasks/mmlu.toml")),
    ("gsm8k", include_str!("../tasks/gsm8k.toml")),
];

/// A task whose templates are known to be sound.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its file.
    pub file: TaskFile,
    /// The file's path, or its name among sai's own.
    pub origin: String,
    env: Environment<'static>,
}

/// What a row says, by one profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// For each choice, what stands before it.
    pub contexts: Vec<String>,
    /// The choices, without the delimiter; the right answer alone where it is to be written.
    pub choices: Vec<String>,
    /// What stands before a choice.
    pub delimiter: String,
    /// The right one's number.
    pub gold: usize,
    /// The items that the choices are made of.
    pub items: Vec<String>,
    /// Which choices are right, for `mc2`.
    pub labels: Vec<bool>,
    /// Right answers, for `f1` and `em`.
    pub answers: Vec<String>,
}

impl Question {
    /// The question with its answer, as an example before another.
    pub fn example(&self) -> String {
        let (context, choice) = (&self.contexts[self.gold], &self.choices[self.gold]);
        format!("{context}{}{choice}", self.delimiter)
    }
}

impl Task {
    /// All tasks that are part of sai.
    ///
    /// # Errors
    /// None but by a mistake in sai; a test holds them all.
    pub fn own() -> Result<Vec<Task>, Error> {
        OWN.iter().map(|(name, text)| Task::parse(text, &format!("task {name}"))).collect()
    }

    /// A task of a person's own.
    ///
    /// # Errors
    /// The file cannot be read, or is no task.
    pub fn open(path: &Path) -> Result<Task, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
        Task::parse(&text, &path.display().to_string())
    }

    /// A task from its file's text.
    ///
    /// # Errors
    /// It is no TOML, lacks a key, or has a template or an expression that cannot be read.
    pub fn parse(text: &str, origin: &str) -> Result<Task, Error> {
        let wrong = |fact: String| Error::Task { origin: origin.to_owned(), fact };
        let file: TaskFile = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            wrong(format!("line {line}: {}", e.message().replace('\n', " ")))
        })?;
        let task = Task { file, origin: origin.to_owned(), env: environment() };
        if task.file.metrics.is_empty() {
            return Err(wrong("`metrics` is empty; name at least one, as `acc`".to_owned()));
        }
        for (profile, part) in [(Profile::Polyglot, "[polyglot]"), (Profile::Main, "[main]")] {
            task.check(&task.prompt(profile))
                .map_err(|fact| wrong(format!("[prompt] with {part}: {fact}")))?;
        }
        Ok(task)
    }

    fn check(&self, prompt: &Prompt) -> Result<(), String> {
        let written = self.file.metrics.contains(&Metric::ExactMatch);
        if written != self.file.generate.is_some() || (written && self.file.metrics.len() > 1) {
            return Err("`exact_match` and [generate] want each other, and no other metric".to_owned());
        }
        match &self.file.generate {
            Some(_) if prompt.context.is_none() || prompt.target.is_none() => {
                return Err("it wants `context` and `target`".to_owned());
            }
            Some(generate) => generate.check()?,
            None if prompt.context.is_none() || prompt.gold.is_none() => {
                return Err("it wants `context` and `gold`".to_owned());
            }
            None if prompt.choices.is_some() == prompt.items.is_some() => {
                return Err("it wants either `choices`, the same for all rows, or `items`".to_owned());
            }
            None => {}
        }
        let needs = |metric: Metric| self.file.metrics.contains(&metric);
        if needs(Metric::Mc2) && prompt.labels.is_none() {
            return Err("`mc2` wants `labels`".to_owned());
        }
        if (needs(Metric::F1) || needs(Metric::Em)) && prompt.answers.is_none() {
            return Err("`f1` and `em` want `answers`".to_owned());
        }
        let templates = [&prompt.context, &prompt.choice, &prompt.description, &prompt.target];
        for template in templates.into_iter().flatten() {
            self.env.template_from_str(template).map_err(|e| format!("`{template}`: {}", told(&e)))?;
        }
        let expressions = [&prompt.items, &prompt.gold, &prompt.labels, &prompt.answers, &self.file.subtasks];
        for expression in expressions.into_iter().flatten() {
            self.env.compile_expression(expression).map_err(|e| format!("`{expression}`: {}", told(&e)))?;
        }
        Ok(())
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The prompt of a profile.
    pub fn prompt(&self, profile: Profile) -> Prompt {
        let own = match profile {
            Profile::Polyglot => &self.file.polyglot,
            Profile::Main => &self.file.main,
        };
        self.file.prompt.with(own)
    }

    /// What a row says.
    ///
    /// # Errors
    /// In words: a column that is missing, a label out of range, an empty choice, or what a template does not find.
    pub fn question(&self, row: &serde_json::Value, profile: Profile) -> Result<Question, String> {
        for column in &self.file.columns {
            if row.get(column).is_none_or(serde_json::Value::is_null) {
                let all = self.file.columns.join(", ");
                return Err(format!("no column `{column}`; the task {} wants {all}", self.name()));
            }
        }
        let prompt = self.prompt(profile);
        let row = Value::from(Serde(row));
        let context = prompt.context.as_deref().unwrap_or_default();
        let delimiter = prompt.delimiter.clone().unwrap_or_else(|| " ".to_owned());
        if let Some(target) = &prompt.target {
            let target = self.render(target, &row)?;
            return Ok(Question {
                contexts: vec![self.render(context, &row)?],
                choices: vec![target.clone()],
                delimiter,
                answers: vec![target],
                ..Question::default()
            });
        }
        let items: Vec<Value> = match (&prompt.choices, &prompt.items) {
            (Some(choices), _) => choices.iter().map(|choice| Value::from(choice.as_str())).collect(),
            (None, items) => self.list(items.as_deref().unwrap_or_default(), &row)?,
        };
        let mut question = Question {
            delimiter,
            items: items.iter().map(Value::to_string).collect(),
            ..Question::default()
        };
        for item in &items {
            let with_item = merged(&row, [("item", item.clone())]);
            let choice = match (&prompt.choice, &prompt.choices) {
                (Some(template), _) => self.render(template, &with_item)?,
                (None, _) => item.to_string(),
            };
            if choice.is_empty() {
                return Err(format!("choice {} is empty", question.choices.len() + 1));
            }
            question.choices.push(choice);
            question.contexts.push(self.render(context, &with_item)?);
        }
        let n = question.choices.len();
        if n == 0 {
            return Err("it has no choices".to_owned());
        }
        let with_items = merged(&row, [("items", Value::from(items))]);
        let gold = self.value(prompt.gold.as_deref().unwrap_or_default(), &with_items)?;
        question.gold = usize::try_from(gold.clone()).ok().filter(|&gold| gold < n).ok_or_else(|| {
            format!("the right choice is number {gold} (from 0), and there are {n} choices")
        })?;
        if let Some(labels) = &prompt.labels {
            let labels = self.list(labels, &with_items)?;
            if labels.len() != n {
                return Err(format!("it has {} labels for {n} choices", labels.len()));
            }
            question.labels = labels.iter().map(Value::is_true).collect();
        }
        if let Some(answers) = &prompt.answers {
            question.answers = self.list(answers, &with_items)?.iter().map(Value::to_string).collect();
        }
        Ok(question)
    }

    /// What stands before the examples and the question of a row.
    ///
    /// # Errors
    /// In words: what the template does not find.
    pub fn description(&self, row: &serde_json::Value, profile: Profile) -> Result<String, String> {
        match &self.prompt(profile).description {
            Some(template) => self.render(template, &Value::from(Serde(row))),
            None => Ok(String::new()),
        }
    }

    /// What a row belongs to within the task.
    ///
    /// # Errors
    /// In words: what the expression does not find.
    pub fn subtask(&self, row: &serde_json::Value) -> Result<Option<String>, String> {
        let Some(expression) = &self.file.subtasks else { return Ok(None) };
        let value = self.value(expression, &Value::from(Serde(row)))?.to_string();
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    fn render(&self, template: &str, context: &Value) -> Result<String, String> {
        self.env.render_str(template, context.clone()).map_err(|e| told(&e))
    }

    fn value(&self, expression: &str, context: &Value) -> Result<Value, String> {
        let compiled = self.env.compile_expression(expression).map_err(|e| told(&e))?;
        compiled.eval(context.clone()).map_err(|e| told(&e))
    }

    fn list(&self, expression: &str, context: &Value) -> Result<Vec<Value>, String> {
        let value = self.value(expression, context)?;
        let items = value.try_iter().map_err(|_| format!("`{expression}` is no list"))?;
        Ok(items.collect())
    }
}

/// The tasks that `asked` names: tasks, groups, or `all`, which is the groups of the published tables. Each once, in the
/// order of `tasks`.
///
/// # Errors
/// A name that is none.
pub fn select<'t>(tasks: &'t [Task], asked: &[String]) -> Result<Vec<&'t Task>, Error> {
    let is = |task: &Task, name: &str| {
        let groups = &task.file.groups;
        task.name() == name
            || groups.iter().any(|group| group == name)
            || (name == "all" && groups.iter().any(|group| group == "kobest" || group == "english"))
    };
    for name in asked {
        if !tasks.iter().any(|task| is(task, name)) {
            let mut known: Vec<&str> = vec!["all"];
            for name in tasks.iter().flat_map(|t| t.file.groups.iter().map(String::as_str).chain([t.name()]))
            {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
            return Err(Error::UnknownTask { name: name.clone(), known: known.join(", ") });
        }
    }
    Ok(tasks.iter().filter(|task| asked.iter().any(|name| is(task, name))).collect())
}
