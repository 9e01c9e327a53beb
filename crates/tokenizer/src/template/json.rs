//! `tojson` as Hugging Face's templates have it: Python's `json.dumps` with text kept as it is.

use std::fmt::Write;

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, State};

use super::python::{Arguments, DEPTH, charge, failed, float, float_repr};

/// `tojson(value, ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
pub(super) fn to_json(
    state: &State<'_, '_>,
    value: &Value,
    options: Rest<ValueOrKwargs>,
) -> Result<String, Error> {
    let mut options = Arguments::of(options)?;
    let ascii = options.flag("ensure_ascii", false)?;
    let indent = match options.take("indent")?.filter(|indent| !indent.is_none()) {
        Some(indent) if indent.kind() == ValueKind::String => Some(indent.to_string()),
        Some(indent) => Some(" ".repeat(i64::try_from(indent)?.clamp(0, MAX_INDENT) as usize)),
        None => None,
    };
    let separators = match options.take("separators")?.filter(|pair| !pair.is_none()) {
        Some(pair) => (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string()),
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let sort = options.flag("sort_keys", false)?;
    options.end()?;
    let mut json = Json { out: String::new(), state, ascii, indent, separators, sort };
    json.value(value, 0)?;
    Ok(json.out)
}

/// More spaces than this are as good as none.
const MAX_INDENT: i64 = 16;

struct Json<'s, 't, 'e> {
    out: String,
    state: &'s State<'t, 'e>,
    ascii: bool,
    indent: Option<String>,
    /// Between items, and between a key and its value.
    separators: (String, String),
    sort: bool,
}

impl Json<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.state.consume_fuel(1)?;
        if depth > DEPTH {
            return Err(failed(format!("tojson: the value is nested more than {DEPTH} deep")));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
                self.bracketed('[', ']', items, depth, |json, item| json.value(&item, depth + 1))?;
            }
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter()?.checked() {
                    let key = key?;
                    entries.push((key_text(&key)?, value.get_item(&key)?));
                }
                if self.sort {
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.bracketed('{', '}', entries, depth, |json, (key, value)| {
                    json.text(&key)?;
                    json.out.push_str(&json.separators.1);
                    json.value(&value, depth + 1)
                })?;
            }
            kind => return Err(failed(format!("tojson: a value that is {kind} has no form in JSON"))),
        }
        Ok(())
    }

    fn bracketed<T>(
        &mut self,
        open: char,
        close: char,
        items: Vec<T>,
        depth: usize,
        mut write: impl FnMut(&mut Self, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let filled = !items.is_empty();
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push_str(&self.separators.0);
            }
            self.line(depth + 1)?;
            write(self, item)?;
        }
        if filled {
            self.line(depth)?;
        }
        self.out.push(close);
        Ok(())
    }

    /// A new line, where there is an indent.
    fn line(&mut self, depth: usize) -> Result<(), Error> {
        if let Some(indent) = &self.indent {
            charge(self.state, indent.len() * depth)?;
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        charge(self.state, text.len())?;
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || (self.ascii && (!c.is_ascii() || c == '\u{7f}')) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        Ok(())
    }
}

fn number(value: &Value) -> String {
    match float(value) {
        None => value.to_string(),
        Some(number) if number.is_nan() => "NaN".to_owned(),
        Some(number) if number.is_infinite() => {
            if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Some(number) => float_repr(number),
    }
}

/// A key as text: JSON has no others.
fn key_text(key: &Value) -> Result<String, Error> {
    Ok(match key.kind() {
        ValueKind::String => key.to_string(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::Number => number(key),
        kind => return Err(failed(format!("tojson: a key may not be {kind}"))),
    })
}
