//! Values as Python writes them: `str`, `repr`, the printing of floats, and `%`.

use std::sync::LazyLock;

use fancy_regex::Regex;
use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Error, ErrorKind, State};

/// Lists and maps nested deeper than this are not written out; Python stops at about a thousand.
pub(super) const DEPTH: usize = 200;

/// A Python exception of this text.
pub(super) fn failed(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// Pays for `bytes` of text before it is made.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    if bytes < 64 { Ok(()) } else { state.consume_fuel((bytes / 64) as u64) }
}

/// `str(value)`.
pub(super) fn str(value: &Value, state: &State<'_, '_>) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Undefined => Ok(value.to_string()),
        _ => repr(value, state),
    }
}

/// `repr(value)`.
pub(super) fn repr(value: &Value, state: &State<'_, '_>) -> Result<String, Error> {
    let mut out = String::new();
    write_repr(&mut out, value, state, 0)?;
    Ok(out)
}

fn write_repr(out: &mut String, value: &Value, state: &State<'_, '_>, depth: usize) -> Result<(), Error> {
    state.consume_fuel(1)?;
    if depth > DEPTH {
        return Err(failed(format!("a value is nested more than {DEPTH} deep")));
    }
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Number => match float(value) {
            Some(number) => out.push_str(&float_repr(number)),
            None => out.push_str(&value.to_string()),
        },
        ValueKind::String => {
            charge(state, value.as_str().map_or(0, str::len))?;
            write_text_repr(out, value.as_str().unwrap_or_default());
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let tuple = value.is_tuple();
            out.push(if tuple { '(' } else { '[' });
            let mut count = 0;
            for item in value.try_iter()?.checked() {
                if count > 0 {
                    out.push_str(", ");
                }
                write_repr(out, &item?, state, depth + 1)?;
                count += 1;
            }
            if tuple && count == 1 {
                out.push(',');
            }
            out.push(if tuple { ')' } else { ']' });
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.checked().enumerate() {
                let key = key?;
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(out, &key, state, depth + 1)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?, state, depth + 1)?;
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

/// A text in quotes, with what cannot be printed as its code.
fn write_text_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c if c <= '\u{ff}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c <= '\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
}

/// What `str.isprintable` holds for: everything but what steers, separates, or is not given out, and the space.
pub(super) fn is_printable(c: char) -> bool {
    static HIDDEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{C}\p{Z}]").expect("a class"));
    match c.is_ascii() {
        true => !c.is_ascii_control(),
        false => !HIDDEN.is_match(c.encode_utf8(&mut [0; 4])).unwrap_or(false),
    }
}

/// The number, where it is a float and no integer or boolean.
pub(super) fn float(value: &Value) -> Option<f64> {
    let is_float = value.kind() == ValueKind::Number && !value.is_integer();
    is_float.then(|| f64::try_from(value.clone()).ok()).flatten()
}

/// `repr` of a float: the shortest digits that read back, with an exponent of two digits or more from 1e16 and
/// below 1e-4.
pub(super) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    // Rust's has the same digits and the same limits, and writes 1e16 and 1e-7.
    let text = format!("{number:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `left % right`: a text's fields filled in, or the remainder with the sign of the divisor.
pub(super) fn percent(state: &mut State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    if left.kind() == ValueKind::String {
        let mut arguments = vec![left.clone()];
        if right.is_tuple() {
            for item in right.try_iter()?.checked() {
                arguments.push(item?);
            }
        } else if right.kind() == ValueKind::Map {
            let mut named = Vec::new();
            for key in right.try_iter()?.checked() {
                let key = key?;
                let value = right.get_item(&key)?;
                named.push((key.as_str().unwrap_or_default().to_owned(), value));
            }
            arguments.push(Value::from(named.into_iter().collect::<Kwargs>()));
        } else {
            arguments.push(right.clone());
        }
        return format(state, &arguments);
    }
    let number = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if !number(left) || !number(right) {
        let kinds = (left.kind(), right.kind());
        return Err(failed(format!("unsupported operand types for %: {} and {}", kinds.0, kinds.1)));
    }
    if let (None, None) = (float(left), float(right)) {
        let (a, b) = (i128::try_from(left.clone())?, i128::try_from(right.clone())?);
        let rest = a.checked_rem(b).ok_or_else(|| failed("integer modulo by zero"))?;
        let rest = if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest };
        return Ok(i64::try_from(rest).map_or_else(|_| Value::from(rest), Value::from));
    }
    let (a, b) = (f64::try_from(left.clone())?, f64::try_from(right.clone())?);
    if b == 0.0 {
        return Err(failed("float modulo by zero"));
    }
    let rest = a % b;
    Ok(Value::from(match rest {
        0.0 => 0.0_f64.copysign(b),
        rest if (rest < 0.0) != (b < 0.0) => rest + b,
        rest => rest,
    }))
}

/// The filter `format`: a text's `%` fields filled in, values written as Python does.
pub(super) fn format(state: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
    let [text, fields @ ..] = arguments else { return Err(failed("format wants a text")) };
    let mut fields = fields.to_vec();
    let letters: Vec<char> =
        conversions(text.as_str().unwrap_or_default()).map(|(_, letter)| letter).collect();
    for (field, letter) in fields.iter_mut().zip(letters).filter(|(field, _)| !field.is_kwargs()) {
        match letter {
            'r' => *field = Value::from(repr(field, state)?),
            's' => *field = Value::from(str(field, state)?),
            _ => {}
        }
    }
    // minijinja knows no `%r`, which now is `%s` of what is written.
    let mut plain = text.as_str().unwrap_or_default().as_bytes().to_vec();
    for (at, _) in conversions(text.as_str().unwrap_or_default()).filter(|&(_, letter)| letter == 'r') {
        plain[at] = b's';
    }
    let plain = String::from_utf8(plain).map_err(|e| failed(e.to_string()))?;
    let all: Vec<Value> = std::iter::once(Value::from(plain)).chain(fields).collect();
    state.apply_filter(FORMAT, &all)
}

/// Where the letters of a text's `%` fields stand, and which they are.
fn conversions(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let open = from + text.get(from..)?.find('%')? + 1;
            let spec = text.get(open..)?;
            let named = spec.strip_prefix('(').and_then(|name| name.find(')')).map_or(0, |end| end + 2);
            let (at, letter) =
                spec[named..].char_indices().find(|(_, c)| c.is_ascii_alphabetic() || *c == '%')?;
            from = open + named + at + letter.len_utf8();
            if letter != '%' {
                return Some((from - letter.len_utf8(), letter));
            }
        }
    })
}

/// minijinja's own `format`, under another name.
pub(super) const FORMAT: &str = "__format";

/// The arguments of a call, each given by place or by name, as Python takes them.
pub(super) struct Arguments {
    given: std::vec::IntoIter<Value>,
    names: Kwargs,
}

impl Arguments {
    pub(super) fn of(all: Rest<ValueOrKwargs>) -> Result<Arguments, Error> {
        let mut given: Vec<Value> = all.0.into_iter().map(ValueOrKwargs::into_value).collect();
        let names = match given.pop_if(|last| last.is_kwargs()) {
            Some(names) => Kwargs::try_from(names)?,
            None => Vec::<(String, Value)>::new().into_iter().collect(),
        };
        Ok(Arguments { given: given.into_iter(), names })
    }

    /// The next argument, which has this name.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Value>, Error> {
        match self.given.next() {
            Some(_) if self.names.has(name) => Err(failed(format!("the argument `{name}` is given twice"))),
            Some(value) => Ok(Some(value)),
            None if self.names.has(name) => self.names.get::<Value>(name).map(Some),
            None => Ok(None),
        }
    }

    /// The same where it is a flag.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self.take(name)?.map_or(default, |value| value.is_true()))
    }

    /// The same where it is no negative number.
    pub(super) fn number(&mut self, name: &str, default: usize) -> Result<usize, Error> {
        self.take(name)?.filter(|value| !value.is_none()).map_or(Ok(default), usize::try_from)
    }

    /// The same where it is a text.
    pub(super) fn text(&mut self, name: &str, default: &str) -> Result<String, Error> {
        let given = self.take(name)?.filter(|value| !value.is_none());
        Ok(given.map_or_else(|| default.to_owned(), |value| value.to_string()))
    }

    /// That there are no others.
    pub(super) fn end(mut self) -> Result<(), Error> {
        match self.given.next() {
            Some(_) => Err(failed("too many arguments")),
            None => self.names.assert_all_used(),
        }
    }
}
