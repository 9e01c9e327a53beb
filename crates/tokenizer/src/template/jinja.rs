//! Jinja templates as Hugging Face's `apply_chat_template` runs them.

use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value, context};

use super::json::to_json;
use super::{Message, TemplateError};
use crate::error::one_line;

/// Steps that a template may take; 64 bytes that it makes cost one. A long conversation takes some thousands.
const FUEL: u64 = 2_000_000;
/// Nesting of macros and loops.
const DEPTH: usize = 200;
/// A template longer than this is refused; real ones stay under 64 KiB.
const MAX_SOURCE: usize = 1 << 20;
const NAME: &str = "chat";

/// A parsed template.
#[derive(Clone)]
pub(super) struct Jinja {
    environment: Arc<Environment<'static>>,
    source: Arc<str>,
    origin: Arc<str>,
}

impl std::fmt::Debug for Jinja {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jinja").field("origin", &self.origin).field("source", &self.source).finish()
    }
}

impl Jinja {
    pub(super) fn new(source: &str, origin: &str) -> Result<Jinja, TemplateError> {
        let syntax = |fact: String| TemplateError::Syntax { origin: origin.to_owned(), fact };
        if source.len() > MAX_SOURCE {
            return Err(syntax(format!("it is {} bytes long", source.len())));
        }
        let mut environment = Environment::new();
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(whitespace.map_err(|e| syntax(describe(&e)))?);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_recursion_limit(DEPTH);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(method);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", to_json);
        environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(|e| syntax(describe(&e)))?;
        Ok(Jinja { environment: Arc::new(environment), source: source.into(), origin: origin.into() })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        bos: &str,
        eos: &str,
        now: Option<DateTime>,
    ) -> Result<String, TemplateError> {
        let clocked;
        let environment = match now {
            None => &*self.environment,
            Some(now) => {
                let mut with_clock = (*self.environment).clone();
                with_clock.add_function("strftime_now", move |format: &str| strftime(now, format));
                clocked = with_clock;
                &clocked
            }
        };
        let values = context! {
            messages => messages.iter().map(turn).collect::<Vec<Value>>(),
            add_generation_prompt,
            bos_token => bos,
            eos_token => eos,
            tools => (),
            documents => (),
        };
        let template = environment.get_template(NAME).map_err(|e| self.explain(&e))?;
        template.render(values).map_err(|e| self.explain(&e))
    }

    fn explain(&self, error: &Error) -> TemplateError {
        let origin = self.origin.to_string();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(at) = cause {
            if let Some(Refusal(message)) = at.downcast_ref() {
                return TemplateError::Refused { origin, message: one_line(message) };
            }
            let kind = at.downcast_ref::<Error>().map(Error::kind);
            if kind == Some(ErrorKind::OutOfFuel) {
                let fact =
                    format!("takes more than {FUEL} steps or makes more than {} MB", FUEL * 64 / 1_000_000);
                return TemplateError::Endless { origin, fact };
            }
            let detail = at.downcast_ref::<Error>().and_then(Error::detail).unwrap_or_default();
            if detail.contains("recursion limit") {
                return TemplateError::Endless {
                    origin,
                    fact: format!("calls itself more than {DEPTH} deep"),
                };
            }
            cause = at.source();
        }
        TemplateError::Failed { origin, fact: describe(error) }
    }
}

/// Python's methods of strings, lists and maps. `title` is our own: Python capitalises after whatever is not a
/// letter, the compatibility library after white space.
fn method(state: &mut State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    match (name, value.as_str(), arguments) {
        ("title", Some(text), []) => {
            let mut inside = false;
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                if inside {
                    out.extend(c.to_lowercase());
                } else {
                    out.extend(c.to_uppercase());
                }
                inside = c.is_alphabetic();
            }
            Ok(Value::from(out))
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

/// A message as templates index it.
fn turn(message: &Message) -> Value {
    Value::from_pairs([("role", message.role.as_str()), ("content", message.content.as_str())])
}

/// What a template said with `raise_exception`.
#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Refusal(message)))
}

fn strftime(now: DateTime, format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now)
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {e}")))
}

/// An error in one line, with its place in the template.
fn describe(error: &Error) -> String {
    let kind = error.kind();
    let what = error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"));
    let place = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    one_line(&format!("{what}{place}"))
}

/// `{% generation %}` marks answers for training and writes nothing itself. It becomes a condition that
/// holds, so that the white space around it is trimmed as around any tag.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let Some(end) = tag.find("%}") else { break };
        let inside = &tag[..end];
        let name = inside.trim_matches(|c: char| matches!(c, '-' | '+') || c.is_whitespace());
        let replacement = match name {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => continue,
        };
        out.push_str(&inside.replacen(name, replacement, 1));
        rest = &tag[end..];
    }
    out.push_str(rest);
    out
}
