//! Filters as Jinja2 3.1 documents them, where minijinja has none or another of that name.

use std::fmt::Write;

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State};

use super::json::to_json;
use super::methods::{capitalize, lines, pad};
use super::python::{self, Arguments, FORMAT, charge, failed};

/// Puts them into an environment, with the functions and tests that minijinja leaves to its users.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    environment.add_filter(FORMAT, minijinja::filters::format);
    environment.add_filter(
        "format",
        |state: &mut State<'_, '_>, text: Value, fields: Rest<ValueOrKwargs>| {
            let fields = fields.0.into_iter().map(ValueOrKwargs::into_value);
            python::format(state, &std::iter::once(text).chain(fields).collect::<Vec<_>>())
        },
    );
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |state: &State<'_, '_>, value: &Value| python::str(value, state));
    // Python breaks lines of more than 80 characters; this does not.
    environment.add_filter("pprint", |state: &State<'_, '_>, value: &Value| python::repr(value, state));
    environment.add_filter("join", join);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("wordcount", |text: String| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count()
    });
    environment.add_filter("truncate", truncate);
    environment.add_filter("striptags", |text: String| minijinja_contrib::filters::striptags(text));
    environment.add_filter("filesizeformat", minijinja_contrib::filters::filesizeformat);
    environment.add_filter("center", |state: &State<'_, '_>, text: String, width: Option<i64>| {
        pad(state, &text, width.unwrap_or(80), ' ', "center")
    });
    environment.add_filter("wordwrap", wordwrap);
    environment.add_filter("indent", indent);
    environment.add_filter("title", title);
    environment.add_filter("capitalize", |text: String| capitalize(&text));
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("forceescape", |state: &State<'_, '_>, value: &Value| escaped(value, state));
    for name in ["escape", "e"] {
        environment.add_filter(name, |state: &State<'_, '_>, value: &Value| match value.is_safe() {
            true => Ok(value.clone()),
            false => escaped(value, state),
        });
    }
    environment.add_test("callable", is_callable);
    environment.add_test("sequence", |value: &Value| {
        use ValueKind::{Iterable, Map, Seq, String, Undefined};
        matches!(value.kind(), String | Seq | Iterable | Map | Undefined)
    });
    environment.add_function("dict", dict);
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
}

/// `dict(pairs or a mapping, name=value, …)`.
fn dict(all: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for given in all.0.into_iter().map(ValueOrKwargs::into_value) {
        for key in given.try_iter()?.checked() {
            let key = key?;
            entries.push(match given.kind() {
                ValueKind::Map => (key.clone(), given.get_item(&key)?),
                _ => (key.get_item_by_index(0)?, key.get_item_by_index(1)?),
            });
        }
    }
    Ok(Value::from_pairs(entries))
}

/// `join(items, d='', attribute=none)`.
fn join(state: &State<'_, '_>, items: &Value, options: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut options = Arguments::of(options)?;
    let between = options.take("d")?.map_or(Ok(String::new()), |between| python::str(&between, state))?;
    let attribute = options.take("attribute")?;
    options.end()?;
    let mut out = String::new();
    for (i, item) in items.try_iter()?.checked().enumerate() {
        let mut item = item?;
        match &attribute {
            Some(path) if path.kind() == ValueKind::String => {
                for key in path.as_str().unwrap_or_default().split('.') {
                    let index = key.parse::<usize>().map_or_else(|_| Value::from(key), Value::from);
                    item = item.get_item(&index)?;
                }
            }
            Some(index) => item = item.get_item(index)?,
            None => {}
        }
        let text = python::str(&item, state)?;
        charge(state, between.len() + text.len())?;
        if i > 0 {
            out.push_str(&between);
        }
        out.push_str(&text);
    }
    Ok(out)
}

/// `int(value, default=0, base=10)`: what Python's `int` reads, else what its `float` reads, else `default`.
fn int(value: &Value, options: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut options = Arguments::of(options)?;
    let default = options.take("default")?.unwrap_or_else(|| Value::from(0));
    let base = options.number("base", 10)?;
    options.end()?;
    let whole = |number: f64| {
        if number.is_finite() { Value::from(number.trunc() as i128) } else { default.clone() }
    };
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(failed("int of an undefined value")),
        ValueKind::Bool => Value::from(i64::from(value.is_true())),
        ValueKind::Number => python::float(value).map_or_else(|| value.clone(), whole),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default().trim();
            let read = digits(text).and_then(|text| whole_number(&text, base));
            match (read, decimal(text)) {
                (Some(number), _) => i64::try_from(number).map_or_else(|_| Value::from(number), Value::from),
                (None, Some(number)) => whole(number),
                (None, None) => default,
            }
        }
        _ => default,
    })
}

/// `float(value, default=0.0)`.
fn float(value: &Value, options: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let mut options = Arguments::of(options)?;
    let default = options.take("default")?.unwrap_or_else(|| Value::from(0.0));
    options.end()?;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(failed("float of an undefined value")),
        ValueKind::Bool | ValueKind::Number => Value::from(f64::try_from(value.clone())?),
        ValueKind::String => decimal(value.as_str().unwrap_or_default().trim()).map_or(default, Value::from),
        _ => default,
    })
}

/// Digits without the single underscores that Python lets stand between them.
fn digits(text: &str) -> Option<String> {
    let wrong = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!wrong).then(|| text.replace('_', ""))
}

fn whole_number(text: &str, base: usize) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = |letters: [char; 2]| digits.strip_prefix('0').and_then(|rest| rest.strip_prefix(letters));
    let (base, digits) = match base {
        2 => (2, prefixed(['b', 'B']).unwrap_or(digits)),
        8 => (8, prefixed(['o', 'O']).unwrap_or(digits)),
        16 => (16, prefixed(['x', 'X']).unwrap_or(digits)),
        3..=36 => (base as u32, digits),
        _ => return None,
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    Some(if negative { -number } else { number })
}

fn decimal(text: &str) -> Option<f64> {
    digits(text)?.parse().ok()
}

/// `truncate(text, length=255, killwords=false, end='...', leeway=5)`.
fn truncate(text: String, options: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut options = Arguments::of(options)?;
    let length = options.number("length", 255)?;
    let killwords = options.flag("killwords", false)?;
    let end = options.text("end", "...")?;
    let leeway = options.number("leeway", 5)?;
    options.end()?;
    let kept = length.checked_sub(end.chars().count());
    let kept = kept.ok_or_else(|| failed(format!("truncate: {length} is shorter than the end {end:?}")))?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take(kept).collect();
    Ok(match kept.rsplit_once(' ') {
        Some((words, _)) if !killwords => words.to_owned() + &end,
        _ => kept + &end,
    })
}

/// `indent(text, width=4, first=false, blank=false)`, `width` being a number of spaces or a text.
fn indent(state: &State<'_, '_>, text: String, options: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut options = Arguments::of(options)?;
    let width = options.take("width")?;
    let first = options.flag("first", false)?;
    let blank = options.flag("blank", false)?;
    options.end()?;
    let space = match width {
        Some(width) if width.kind() == ValueKind::String => width.to_string(),
        Some(width) => pad(state, "", i64::try_from(width)?, ' ', "ljust")?,
        None => " ".repeat(4),
    };
    let text = text + "\n";
    let mut out = String::new();
    for (i, line) in lines(&text, false).into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 { first } else { blank || !line.is_empty() } {
            charge(state, space.len())?;
            out.push_str(&space);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Words begin after white space, `-` and opening brackets: the first letter large, the rest small.
fn title(text: String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        match begins {
            true => out.extend(c.to_uppercase()),
            false => out.extend(c.to_lowercase()),
        }
        begins = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    out
}

/// `wordwrap(text, width=79, break_long_words=true, wrapstring='\n', break_on_hyphens=true)`, as `textwrap` wraps.
fn wordwrap(text: String, options: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let mut options = Arguments::of(options)?;
    let width = options.number("width", 79)?.max(1);
    let long = options.flag("break_long_words", true)?;
    let between = options.text("wrapstring", "\n")?;
    let hyphens = options.flag("break_on_hyphens", true)?;
    options.end()?;
    let wrapped = lines(&text, false).into_iter().map(|line| wrap(line, width, long, hyphens).join(&between));
    Ok(wrapped.collect::<Vec<_>>().join(&between))
}

/// A line as lines of at most `width` characters.
fn wrap(line: &str, width: usize, break_long: bool, hyphens: bool) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    let mut chunks = chunks(line, hyphens).into_iter().peekable();
    let mut rest: Option<&str> = None;
    while rest.is_some() || chunks.peek().is_some() {
        let (mut current, mut length) = (String::new(), 0);
        while let Some(chunk) = rest.take().or_else(|| chunks.next()) {
            let blank = chunk.trim().is_empty();
            if blank && current.is_empty() && !wrapped.is_empty() {
                continue;
            }
            let chars = chunk.chars().count();
            if length + chars <= width {
                current.push_str(chunk);
                length += chars;
                continue;
            }
            rest = Some(chunk);
            if chars > width && break_long {
                let room = chunk.char_indices().nth(width - length).map_or(chunk.len(), |(at, _)| at);
                let hyphen =
                    chunk[..room].rfind('-').filter(|&at| hyphens && chunk[..at].contains(|c| c != '-'));
                let cut = hyphen.map_or(room, |at| at + 1);
                current.push_str(&chunk[..cut]);
                rest = Some(&chunk[cut..]);
            } else if chars > width && current.is_empty() {
                current.push_str(chunk);
                rest = None;
            }
            break;
        }
        let line = current.trim_end();
        if !line.is_empty() {
            wrapped.push(line.to_owned());
        } else if current.is_empty() && rest.is_none() {
            break;
        }
    }
    wrapped
}

/// White space and words in turn, a word cut behind the hyphens between its letters.
fn chunks(line: &str, hyphens: bool) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let blank = first.is_whitespace();
        let end = rest.find(|c: char| c.is_whitespace() != blank).unwrap_or(rest.len());
        let (mut chunk, after) = rest.split_at(end);
        while let Some(cut) = hyphen(chunk).filter(|_| hyphens && !blank) {
            let (head, tail) = chunk.split_at(cut);
            chunks.push(head);
            chunk = tail;
        }
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// The place behind the first hyphen that has two letters before and behind it.
fn hyphen(word: &str) -> Option<usize> {
    let letters =
        |side: &mut dyn Iterator<Item = char>| side.take(2).filter(|c| c.is_alphabetic()).count() == 2;
    word.match_indices('-').map(|(at, _)| at).find_map(|at| {
        let divides = letters(&mut word[..at].chars().rev()) && letters(&mut word[at + 1..].chars());
        divides.then_some(at + 1)
    })
}

/// `urlencode`: a text, or the pairs of a query.
fn urlencode(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let quote = |text: &str, query: bool| {
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                    out.push(char::from(byte));
                }
                b'/' if !query => out.push('/'),
                b' ' if query => out.push('+'),
                _ => {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
        }
        out
    };
    let pair = |key: &Value, value: &Value| -> Result<String, Error> {
        let (key, value) = (python::str(key, state)?, python::str(value, state)?);
        Ok(format!("{}={}", quote(&key, true), quote(&value, true)))
    };
    let pairs: Vec<String> = match value.kind() {
        ValueKind::Map => {
            let keys = value.try_iter()?.checked();
            keys.map(|key| key.and_then(|key| pair(&key, &value.get_item(&key)?)))
                .collect::<Result<_, _>>()?
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let pairs = value.try_iter()?.checked();
            pairs
                .map(|item| {
                    let item = item?;
                    pair(&item.get_item_by_index(0)?, &item.get_item_by_index(1)?)
                })
                .collect::<Result<_, _>>()?
        }
        _ => return Ok(quote(&python::str(value, state)?, false)),
    };
    Ok(pairs.join("&"))
}

/// A text that HTML shows as it is.
fn escaped(value: &Value, state: &State<'_, '_>) -> Result<Value, Error> {
    let text = python::str(value, state)?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    Ok(Value::from_safe_string(out))
}

/// Functions and macros. minijinja tells neither from other objects but by what they are written as: a macro by its
/// name, a function by its path in Rust.
fn is_callable(value: &Value) -> bool {
    let shown = match value.kind() {
        ValueKind::Plain | ValueKind::Map => value.to_string(),
        _ => return false,
    };
    shown.starts_with("<macro") || (value.kind() == ValueKind::Plain && shown.contains("::"))
}
