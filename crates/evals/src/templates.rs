//! Jinja as the harness runs it, with what a few of its tasks do in Python.

use crate::python;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

pub(crate) fn merged<const N: usize>(row: &Value, more: [(&str, Value); N]) -> Value {
    minijinja::value::merge_maps([row.clone(), Value::from_pairs(more)])
}

/// Templates as the harness runs them: what is not there is an error, and the last line end stays.
pub(crate) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    env.add_filter("strip", |text: &str| python::strip(text).to_owned());
    env.add_filter("capitalize", |text: &str| python::capitalize(text));
    env.add_filter("resub", |text: &str, pattern: &str, by: &str| {
        let pattern = fancy_regex::Regex::new(pattern).map_err(|e| invalid(e.to_string()))?;
        Ok::<_, minijinja::Error>(pattern.replace_all(text, by).into_owned())
    });
    env.add_filter("before", |text: &str, mark: &str| cut(text, mark).map(|(before, _)| before));
    env.add_filter("after", |text: &str, mark: &str| cut(text, mark).map(|(_, after)| after));
    env.add_function("index", |list: Value, value: Value| {
        let place = list.try_iter()?.position(|item| item == value);
        place.ok_or_else(|| invalid(format!("`{value}` is not among {list}")))
    });
    env
}

fn cut(text: &str, mark: &str) -> Result<(String, String), minijinja::Error> {
    let cut = text.split_once(mark).map(|(before, after)| (before.to_owned(), after.to_owned()));
    cut.ok_or_else(|| invalid(format!("no `{mark}` in it")))
}

fn invalid(fact: String) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, fact)
}

pub(crate) fn told(error: &minijinja::Error) -> String {
    let fact = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    fact.replace(['\n', '\r'], " ")
}
