//! What a judge is told: templates, in files.
//!
//! A TOML file says what form its verdict has, and the words. Any other file, such as 42dot's `eval_prompt.yaml`, is the words
//! themselves, byte for byte, and the form is that of the JSON example in them. `{task}`, `{question}`, `{answer}` and the like are
//! filled in once, from left to right: braces in a question or an answer are text.

use crate::{Error, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The project's own templates: names, and what stands in their files.
const OWN: &[(&str, &str)] = &[
    ("criteria-en", include_str!("templates/criteria-en.toml")),
    ("criteria-ko", include_str!("templates/criteria-ko.toml")),
    ("pairwise-en", include_str!("templates/pairwise-en.toml")),
    ("pairwise-ko", include_str!("templates/pairwise-ko.toml")),
    ("reference-en", include_str!("templates/reference-en.toml")),
    ("reference-ko", include_str!("templates/reference-ko.toml")),
];

/// What may be filled in.
const FIELDS: &[&str] =
    &["task", "category", "question", "history", "answer", "answer_a", "answer_b", "reference", "rules"];

/// What a verdict must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A score for each criterion: `{"Accuracy": {"Explanation": "", "Score": 4}, …}`.
    Scores {
        /// The criteria, as the reply names them.
        criteria: Vec<String>,
        /// The lowest and the highest score; the highest is the best, of every criterion.
        scale: (i64, i64),
        /// What the score is called.
        score: String,
        /// What the explanation is called.
        explanation: String,
    },
    /// Which of two answers is the better: `{"Explanation": "", "Winner": "A"}`, or `B`, or `tie`.
    Preference,
}

/// Scores are at most so far from zero, and so many steps apart.
const FARTHEST: i64 = 1000;
const STEPS: i64 = 100;

impl Form {
    /// Whether verdicts can be asked for by it: named criteria that differ, and a scale of a few steps.
    ///
    /// # Errors
    /// The first that is wrong, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Form::Scores { criteria, scale: (low, high), .. } = self else { return Ok(()) };
        if criteria.is_empty() || criteria.iter().any(|name| name.trim().is_empty()) {
            return Err("`criteria` names none, or one without a name".to_owned());
        }
        let mut names: Vec<String> = criteria.iter().map(|name| name.to_lowercase()).collect();
        names.sort();
        names.dedup();
        if names.len() < criteria.len() {
            return Err("`criteria` names one twice".to_owned());
        }
        let within = |bound: &i64| (-FARTHEST..=FARTHEST).contains(bound);
        match within(low) && within(high) && low < high && high - low <= STEPS {
            true => Ok(()),
            false => Err(format!(
                "`scale` goes from {low} to {high}; it goes up, by {STEPS} steps at most and to {FARTHEST} at most, as in [1, 5]"
            )),
        }
    }

    /// The form as a JSON schema, explanations first: a judge that has said why scores with more care.
    pub fn schema(&self) -> Value {
        let object = |properties: Map<String, Value>| {
            let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
            json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
        };
        match self {
            Form::Scores { criteria, scale, score, explanation } => {
                let scores: Vec<i64> = (scale.0..=scale.1).collect();
                let inner = || {
                    object(Map::from_iter([
                        (explanation.clone(), json!({"type": "string"})),
                        (score.clone(), json!({"type": "integer", "enum": scores})),
                    ]))
                };
                object(criteria.iter().map(|name| (name.clone(), inner())).collect())
            }
            Form::Preference => object(Map::from_iter([
                ("Explanation".to_owned(), json!({"type": "string"})),
                ("Winner".to_owned(), json!({"type": "string", "enum": ["A", "B", "tie"]})),
            ])),
        }
    }
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name or file.
    pub name: String,
    /// `ko` or `en` where it is for prompts of that language alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What its verdicts hold.
    pub form: Form,
    /// What is said before all, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The words, with fields to fill in.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    form: FileForm,
    language: Option<String>,
    criteria: Option<Vec<String>>,
    scale: Option<(i64, i64)>,
    system: Option<String>,
    text: String,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum FileForm {
    Scores,
    Preference,
}

/// What is put into a template.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'f> {
    /// The kind of task.
    pub task: &'f str,
    /// The category.
    pub category: &'f str,
    /// What was asked.
    pub question: &'f str,
    /// The turns before it.
    pub history: &'f str,
    /// The answer, or that in the first seat.
    pub answer_a: &'f str,
    /// The answer in the second seat.
    pub answer_b: &'f str,
    /// A right answer.
    pub reference: &'f str,
    /// What holds for this prompt alone.
    pub rules: &'f str,
}

impl Template {
    /// The templates of a name: those of the project's own for each language (`criteria`, `pairwise`, `reference`), one of them
    /// (`criteria-ko`), or that of a file. `scale` is that of a file that does not say its own.
    ///
    /// # Errors
    /// There is no such file, or it is no template; the error says what is missing.
    pub fn find(name: &str, scale: (i64, i64)) -> Result<Vec<Template>, Error> {
        let of_name = |own: &&(&str, &str)| {
            own.0 == name || own.0.rsplit_once('-').is_some_and(|(name_of, _)| name_of == name)
        };
        let own: Vec<_> = OWN.iter().filter(of_name).collect();
        let path = Path::new(name);
        if !own.is_empty() && !path.exists() {
            return own.into_iter().map(|(name, text)| of_toml(name, text)).collect();
        }
        let bytes = std::fs::read(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let names = OWN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                let fact =
                    format!("no such file, and none of sai's own: criteria, pairwise, reference, {names}");
                Error::Template { origin: name.to_owned(), fact }
            }
            _ => Error::file(path, e),
        })?;
        let text = String::from_utf8(bytes).map_err(|e| Error::Template {
            origin: name.to_owned(),
            fact: format!("byte {} is not UTF-8", e.utf8_error().valid_up_to() + 1),
        })?;
        let known = match path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml")) {
            true => of_toml(name, &text),
            false => Template::plain(name, text, scale),
        };
        known.map(|template| vec![template])
    }

    /// A template that is nothing but its words. Its form is that of the first JSON object in them whose values have a number
    /// each; with `{answer_a}` and `{answer_b}` it is a preference.
    ///
    /// # Errors
    /// No form can be told, or nothing is to be filled in.
    pub fn plain(name: &str, text: String, scale: (i64, i64)) -> Result<Template, Error> {
        let wrong = |fact: &str| Error::Template { origin: name.to_owned(), fact: fact.to_owned() };
        let form = match text.contains("{answer_a}") || text.contains("{answer_b}") {
            true if !text.contains("\"Winner\"") => {
                return Err(wrong("it compares two answers and does not ask for {\"Explanation\": \"\", \"Winner\": \"A\"}"));
            }
            true => Form::Preference,
            false => example(&text, scale).ok_or_else(|| {
                wrong(
                    "it shows no example of a verdict, such as {\"Accuracy\": {\"Explanation\": \"\", \"Score\": 1}}, by which replies could be read",
                )
            })?,
        };
        let template = Template { name: name.to_owned(), language: None, form, system: None, text };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |fact: String| Err(Error::Template { origin: self.name.clone(), fact });
        if let Err(fact) = self.form.check() {
            return wrong(fact);
        }
        let needed: &[&str] = match &self.form {
            Form::Scores { .. } => &["question", "answer"],
            Form::Preference => &["question", "answer_a", "answer_b"],
        };
        match needed.iter().find(|field| !self.has(field)) {
            Some(field) => wrong(format!("{{{field}}} stands nowhere in it")),
            None => Ok(()),
        }
    }

    /// Whether a field is filled in.
    pub fn has(&self, field: &str) -> bool {
        self.text.contains(&format!("{{{field}}}"))
    }

    /// Whether it is for a prompt: of its language, and with a right answer where it wants one.
    pub fn suits(&self, prompt: &Prompt, turn: usize) -> bool {
        let language = match self.language.as_deref() {
            Some("ko") => prompt.is_korean(),
            Some(_) => !prompt.is_korean(),
            None => true,
        };
        language && (!self.has("reference") || prompt.reference(turn).is_some())
    }

    /// The words with their fields filled in, each once.
    pub fn fill(&self, fields: &Fields<'_>) -> String {
        let mut out = String::with_capacity(self.text.len() + fields.question.len() + fields.answer_a.len());
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let named = FIELDS
                .iter()
                .find(|name| rest[1..].strip_prefix(**name).is_some_and(|behind| behind.starts_with('}')));
            match named {
                Some(name) => {
                    out.push_str(match *name {
                        "task" => fields.task,
                        "category" => fields.category,
                        "question" => fields.question,
                        "history" => fields.history,
                        "answer" | "answer_a" => fields.answer_a,
                        "answer_b" => fields.answer_b,
                        "reference" => fields.reference,
                        _ => fields.rules,
                    });
                    rest = &rest[name.len() + 2..];
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out + rest
    }
}

fn of_toml(name: &str, text: &str) -> Result<Template, Error> {
    let wrong = |fact: String| Error::Template { origin: name.to_owned(), fact };
    let file: File = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(0, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        wrong(format!("line {line}: {}", e.message()))
    })?;
    if let Some(other) = file.language.as_deref().filter(|lang| !["ko", "en"].contains(lang)) {
        return Err(wrong(format!("`language` is {other:?}; it is \"ko\" or \"en\", or left out")));
    }
    let form = match (file.form, file.criteria) {
        (FileForm::Scores, Some(criteria)) => Form::Scores {
            criteria,
            scale: file.scale.unwrap_or((1, 5)),
            score: "Score".to_owned(),
            explanation: "Explanation".to_owned(),
        },
        (FileForm::Scores, None) => return Err(wrong("it lacks `criteria`, a list of names".to_owned())),
        (FileForm::Preference, None) if file.scale.is_none() => Form::Preference,
        (FileForm::Preference, _) => {
            return Err(wrong("`criteria` and `scale` are of scores; a preference has none".to_owned()));
        }
    };
    let template = Template {
        name: name.to_owned(),
        language: file.language,
        form,
        system: file.system,
        text: file.text,
    };
    template.check()?;
    Ok(template)
}

/// The form of the first example in a text.
fn example(text: &str, scale: (i64, i64)) -> Option<Form> {
    let starts = text.char_indices().filter(|(_, c)| *c == '{').map(|(at, _)| at);
    starts.into_iter().find_map(|at| {
        let first = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Map<String, Value>>().next();
        let object = first?.ok()?;
        let (mut criteria, mut names) = (Vec::new(), None);
        for (name, value) in &object {
            let inner = value.as_object()?;
            let of = |is: fn(&Value) -> bool| {
                inner.iter().find(|(_, value)| is(value)).map(|(name, _)| name.clone())
            };
            let score = of(Value::is_number)?;
            let explanation = of(Value::is_string).unwrap_or_else(|| "Explanation".to_owned());
            criteria.push(name.clone());
            names.get_or_insert((score, explanation));
        }
        let (score, explanation) = names?;
        Some(Form::Scores { criteria, scale, score, explanation })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_templates_are_whole_in_both_languages() {
        for (name, count) in [("criteria", 2), ("pairwise", 2), ("reference", 2), ("criteria-ko", 1)] {
            let found = Template::find(name, (1, 5)).expect(name);
            assert_eq!(found.len(), count, "{name}");
            for template in found {
                assert!(template.has("rules") && template.language.is_some(), "{}", template.name);
            }
        }
        let six = ["Accuracy", "Robustness", "Fairness", "Bias", "Toxicity", "Efficiency"];
        for template in Template::find("criteria", (1, 5)).expect("there") {
            let Form::Scores { criteria, scale, .. } = &template.form else { panic!("scores") };
            assert_eq!((criteria.as_slice(), *scale), (&six.map(str::to_owned)[..], (1, 5)));
            // A judge that is not told which end is the good one makes up its own mind, Bias and Toxicity above all.
            assert!(template.text.contains("5 = ") || template.text.contains("5점"), "{}", template.name);
        }
    }

    #[test]
    fn a_file_of_words_is_sent_byte_for_byte_and_filled_in_once() {
        let text = "Judge <t>.\r\n  \n{\"Fit\":{\"Why\":\"\",\"Points\":1},\n\"Tone\":{\"Why\":\"\",\"Points\":1}}\n\n<t> : {task}\n<q> : {question}\n<a> : {answer} <end>\n";
        let template = Template::plain("eval_prompt.yaml", text.to_owned(), (1, 5)).expect("reads");
        let criteria = vec!["Fit".to_owned(), "Tone".to_owned()];
        let (score, explanation) = ("Points".to_owned(), "Why".to_owned());
        assert_eq!(template.form, Form::Scores { criteria, scale: (1, 5), score, explanation });
        let fields = Fields {
            task: "t",
            question: " {answer} {task}\r\n",
            answer_a: "{question}{x}",
            ..Fields::default()
        };
        let (head, _) = text.split_once("{task}").expect("is there");
        assert_eq!(
            template.fill(&fields),
            format!("{head}t\n<q> :  {{answer}} {{task}}\r\n\n<a> : {{question}}{{x}} <end>\n")
        );
    }

    #[test]
    fn a_template_without_an_example_or_an_answer_is_refused() {
        let refused = |text: &str| {
            Template::plain("t.txt", text.to_owned(), (1, 5)).expect_err("is refused").to_string()
        };
        assert!(refused("Judge {question} {answer}").contains("no example"));
        assert!(refused("{\"A\":{\"Score\":1}} {question}").contains("{answer} stands nowhere"));
        assert!(refused("{question} {answer_a} {answer_b}").contains("Winner"));
        assert!(
            of_toml("t.toml", "form = \"scores\"\ntext = \"\"")
                .expect_err("is refused")
                .to_string()
                .contains("criteria")
        );
        let twice = "form = \"scores\"\ncriteria = [\"A\", \"a\"]\ntext = \"{question} {answer}\"";
        assert!(of_toml("t.toml", twice).expect_err("is refused").to_string().contains("twice"));
        for scale in ["[5, 1]", "[0, 101]", "[1, 1001]", "[-9223372036854775808, 9223372036854775807]"] {
            let text = format!(
                "form = \"scores\"\ncriteria = [\"A\"]\nscale = {scale}\ntext = \"{{question}} {{answer}}\""
            );
            let error = of_toml("t.toml", &text).expect_err("is refused").to_string();
            assert!(error.contains("`scale` goes from"), "{error}");
        }
        let unknown =
            of_toml("t.toml", "form = \"scores\"\ntexts = \"\"").expect_err("is refused").to_string();
        assert!(unknown.contains("line 2") && unknown.contains("texts"), "{unknown}");
    }

    #[test]
    fn a_schema_asks_for_the_reason_before_the_score() {
        let template = Template::find("criteria-en", (1, 5)).expect("there").remove(0);
        let schema = template.form.schema();
        let inner = &schema["properties"]["Accuracy"];
        assert_eq!(inner["required"], json!(["Explanation", "Score"]));
        assert_eq!(inner["properties"]["Score"]["enum"], json!([1, 2, 3, 4, 5]));
        assert_eq!(Form::Preference.schema()["properties"]["Winner"]["enum"], json!(["A", "B", "tie"]));
    }
}
