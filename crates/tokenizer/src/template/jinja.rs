//! Jinja templates as Hugging Face's `apply_chat_template` runs them.

use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Object, Serde, Tuple, Value};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter,
};

use super::dialect::{self, PERCENT, VARIADIC};
use super::strftime::strftime;
use super::{Message, SpecialTokens, TemplateError, TemplateInput, filters, methods, python};
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
        environment.set_unknown_method_callback(methods::call);
        environment.set_formatter(write);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function(PERCENT, python::percent);
        environment.add_function(VARIADIC, |made: Value| Value::from_object(Variadic(made)));
        filters::add_to(&mut environment);
        environment.add_template_owned(NAME, dialect::rewrite(source)).map_err(|e| syntax(describe(&e)))?;
        Ok(Jinja { environment: Arc::new(environment), source: source.into(), origin: origin.into() })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        input: &TemplateInput<'_>,
        special_tokens: &SpecialTokens,
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
        let json = |value: &serde_json::Value| Value::from(Serde(value.clone()));
        let tools = match input.tools {
            [] => Value::from(()),
            tools => tools.iter().map(json).collect(),
        };
        let own = [
            ("messages", messages.iter().map(Message::to_value).collect()),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
            ("tools", tools),
            ("documents", Value::from(())),
        ];
        let tokens = special_tokens.iter().map(|(name, text)| (name, Value::from(text)));
        let kwargs = input.kwargs.into_iter().flatten().map(|(name, value)| (name.as_str(), json(value)));
        // Those of the same name that come later are taken.
        let values = Value::from_pairs(tokens.chain(kwargs).chain(own));
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

/// What `{{ value }}` writes: Python's `str`, made safe for HTML where the template asks for it.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = match value.as_str() {
        Some(_) => value.clone(),
        None => Value::from(python::str(value, state)?),
    };
    escape_formatter(out, state, &text)
}

/// A macro of any arguments: what its own parameters do not take goes into `varargs` and `kwargs`.
#[derive(Debug)]
struct Variadic(Value);

impl Object for Variadic {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get_item(key).ok().filter(|value| !value.is_undefined())
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        let (given, names) = match arguments.split_last() {
            Some((last, given)) if last.is_kwargs() => (given, Kwargs::try_from(last.clone())?),
            _ => (arguments, Vec::<(String, Value)>::new().into_iter().collect()),
        };
        let parameters = self.0.get_attr("arguments")?;
        let parameters: Vec<String> =
            parameters.try_iter()?.checked().map(|p| p.map(|p| p.to_string())).collect::<Result<_, _>>()?;
        let own = &parameters[..parameters.len().saturating_sub(2)];
        let mut passed: Vec<(String, Value)> = Vec::new();
        let mut kwargs: Vec<(String, Value)> = Vec::new();
        let takes_caller = self.0.get_attr("caller")?.is_true();
        for name in names.args() {
            let known = own.iter().any(|own| own == name) || (name == "caller" && takes_caller);
            let list = if known { &mut passed } else { &mut kwargs };
            list.push((name.to_owned(), names.get::<Value>(name)?));
        }
        let (own, varargs) = given.split_at(given.len().min(own.len()));
        passed.push(("varargs".to_owned(), Value::from(Tuple::from(varargs.to_vec()))));
        passed.push(("kwargs".to_owned(), Value::from_pairs(kwargs)));
        let mut all = own.to_vec();
        all.push(Value::from(passed.into_iter().collect::<Kwargs>()));
        self.0.call(state, &all)
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
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

/// An error in one line, with its place in the template.
fn describe(error: &Error) -> String {
    let kind = error.kind();
    let what = error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"));
    let place = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    one_line(&format!("{what}{place}"))
}
