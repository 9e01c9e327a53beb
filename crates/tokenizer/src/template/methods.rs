//! Python's methods of texts, lists and maps, as the standard library's documentation has them. What is not here
//! is minijinja's: `format` and the views of maps. Positions count characters.

use std::fmt::Write;
use std::sync::LazyLock;

use fancy_regex::Regex;
use minijinja::value::{Kwargs, Tuple, Value, ValueKind, from_args};
use minijinja::{Error, State};

use super::python::{charge, failed, is_printable};

/// A method that minijinja does not have.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let known = match (value.as_str(), value.kind()) {
        (Some(text), _) => text_method(state, text, name, arguments)?,
        (None, ValueKind::Seq | ValueKind::Iterable) => list_method(value, name, arguments)?,
        (None, ValueKind::Map) => map_method(value, name, arguments)?,
        _ => None,
    };
    match known {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

fn list_method(value: &Value, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let items = || value.try_iter()?.checked().collect::<Result<Vec<_>, _>>();
    Ok(Some(match name {
        "index" => {
            let (wanted, start, end): (&Value, Option<i64>, Option<i64>) = from_args(arguments)?;
            let items = items()?;
            let (start, end) = bounds(items.len(), start, end);
            let at = (start..end).find(|&at| items[at] == *wanted);
            Value::from(at.ok_or_else(|| failed("the value is not in the list"))?)
        }
        "count" => {
            let (wanted,): (&Value,) = from_args(arguments)?;
            Value::from(items()?.iter().filter(|&item| item == wanted).count())
        }
        "copy" => {
            let () = from_args(arguments)?;
            value.clone()
        }
        _ => {
            return refuse(
                &["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"],
                name,
            );
        }
    }))
}

fn map_method(value: &Value, name: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    if name == "copy" {
        let () = from_args(arguments)?;
        return Ok(Some(value.clone()));
    }
    refuse(&["clear", "pop", "popitem", "setdefault", "update"], name)
}

/// `transformers` runs templates in a sandbox in which nothing can be changed.
fn refuse(changing: &[&str], name: &str) -> Result<Option<Value>, Error> {
    match changing.contains(&name) {
        true => Err(failed(format!("a template may not change a value with `{name}`"))),
        false => Ok(None),
    }
}

/// `start` and `end` of a slice of `length`, as Python reads them; `start` may lie behind `end`.
fn bounds(length: usize, start: Option<i64>, end: Option<i64>) -> (usize, usize) {
    let place = |at: i64| match usize::try_from(at) {
        Ok(at) => at,
        Err(_) => length.saturating_sub(usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    (start.map_or(0, place), end.map_or(length, |end| place(end).min(length)))
}

/// The part of a text from `start` to `end` and where it begins; `None` where there is no such part.
fn part(text: &str, start: Option<i64>, end: Option<i64>) -> Option<(&str, usize)> {
    if start.is_none() && end.is_none() {
        return Some((text, 0));
    }
    let (start, end) = bounds(text.chars().count(), start, end);
    if start > end {
        return None;
    }
    let mut offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let from = offsets.nth(start)?;
    let to = if end == start { from } else { offsets.nth(end - start - 1)? };
    Some((&text[from..to], start))
}

/// What `str.isspace` holds for: Unicode's white space and four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// An argument that may be given by name as well.
fn or_named<T>(given: Option<T>, names: &Kwargs, name: &str) -> Result<Option<T>, Error>
where
    T: for<'a> minijinja::value::ArgType<'a, Output = T>,
{
    match given {
        Some(given) => Ok(Some(given)),
        None if names.has(name) => names.get::<Option<T>>(name),
        None => Ok(None),
    }
}

fn text_method(
    state: &State<'_, '_>,
    text: &str,
    name: &str,
    arguments: &[Value],
) -> Result<Option<Value>, Error> {
    type Window<'a> = (&'a str, Option<i64>, Option<i64>);
    let none = || from_args::<()>(arguments);
    Ok(Some(match name {
        "find" | "rfind" | "index" | "rindex" => {
            let (wanted, start, end): Window<'_> = from_args(arguments)?;
            let at = part(text, start, end).and_then(|(part, offset)| {
                let at = if name.starts_with('r') { part.rfind(wanted) } else { part.find(wanted) };
                at.map(|at| offset + part[..at].chars().count())
            });
            match at {
                Some(at) => Value::from(at),
                None if name.ends_with("find") => Value::from(-1),
                None => return Err(failed(format!("{name}: the text does not hold {wanted:?}"))),
            }
        }
        "count" => {
            let (wanted, start, end): Window<'_> = from_args(arguments)?;
            Value::from(part(text, start, end).map_or(0, |(part, _)| part.matches(wanted).count()))
        }
        "startswith" | "endswith" => {
            let (wanted, start, end): (&Value, Option<i64>, Option<i64>) = from_args(arguments)?;
            let part = part(text, start, end).map(|(part, _)| part);
            let holds = |wanted: &Value| {
                let wanted = wanted
                    .as_str()
                    .ok_or_else(|| failed(format!("{name} wants a text or a tuple of texts")))?;
                let at = |part: &str| {
                    if name == "endswith" { part.ends_with(wanted) } else { part.starts_with(wanted) }
                };
                Ok::<_, Error>(part.is_some_and(at))
            };
            if wanted.is_tuple() {
                let mut any = false;
                for wanted in wanted.try_iter()?.checked() {
                    any |= holds(&wanted?)?;
                }
                Value::from(any)
            } else {
                Value::from(holds(wanted)?)
            }
        }
        "split" | "rsplit" => {
            let (separator, limit, names): (Option<String>, Option<i64>, Kwargs) = from_args(arguments)?;
            let separator = or_named(separator, &names, "sep")?;
            let limit = or_named(limit, &names, "maxsplit")?;
            names.assert_all_used()?;
            // A negative limit is none.
            let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX - 1);
            let from_right = name == "rsplit";
            let mut parts: Vec<&str> = match separator.as_deref() {
                Some("") => return Err(failed(format!("{name}: empty separator"))),
                Some(separator) if from_right => text.rsplitn(limit + 1, separator).collect(),
                Some(separator) => text.splitn(limit + 1, separator).collect(),
                None => words(text, limit, from_right),
            };
            if from_right {
                parts.reverse();
            }
            state.consume_fuel(parts.len() as u64)?;
            parts.into_iter().map(Value::from).collect()
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            if separator.is_empty() {
                return Err(failed(format!("{name}: empty separator")));
            }
            let found =
                if name == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
            let parts = match found {
                Some((before, after)) => [before, separator, after],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Value::from(Tuple::from(parts.map(Value::from)))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(arguments)?;
            let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
            Value::from(match name {
                "lstrip" => text.trim_start_matches(goes),
                "rstrip" => text.trim_end_matches(goes),
                _ => text.trim_matches(goes),
            })
        }
        "splitlines" => {
            let (keep, names): (Option<bool>, Kwargs) = from_args(arguments)?;
            let keep = or_named(keep, &names, "keepends")?.unwrap_or(false);
            names.assert_all_used()?;
            let lines = lines(text, keep);
            state.consume_fuel(lines.len() as u64)?;
            lines.into_iter().map(Value::from).collect()
        }
        "join" => {
            let (items,): (&Value,) = from_args(arguments)?;
            let mut out = String::new();
            for (i, item) in items.try_iter()?.checked().enumerate() {
                let item = item?;
                if i > 0 {
                    charge(state, text.len())?;
                    out.push_str(text);
                }
                let wrong = || failed(format!("join: item {i} is a {} and no text", item.kind()));
                out.push_str(item.as_str().ok_or_else(wrong)?);
            }
            Value::from(out)
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (i64, Option<&str>) = from_args(arguments)?;
            let mut fill = fill.unwrap_or(" ").chars();
            let (Some(fill), None) = (fill.next(), fill.next()) else {
                return Err(failed(format!("{name}: the fill must be one character")));
            };
            Value::from(pad(state, text, width, fill, name)?)
        }
        "zfill" => {
            let (width,): (i64,) = from_args(arguments)?;
            let sign = text.len() - text.strip_prefix(['+', '-']).unwrap_or(text).len();
            let digits = pad(state, &text[sign..], width.saturating_sub(sign as i64), '0', "rjust")?;
            Value::from(format!("{}{digits}", &text[..sign]))
        }
        "expandtabs" => {
            let (size, names): (Option<i64>, Kwargs) = from_args(arguments)?;
            let size = or_named(size, &names, "tabsize")?.unwrap_or(8);
            names.assert_all_used()?;
            Value::from(expand_tabs(state, text, usize::try_from(size).unwrap_or(0))?)
        }
        "casefold" => {
            none()?;
            Value::from(casefold(text))
        }
        "swapcase" => {
            none()?;
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                match c.is_uppercase() {
                    true => out.extend(c.to_lowercase()),
                    false => out.extend(c.to_uppercase()),
                }
            }
            Value::from(out)
        }
        "title" => {
            none()?;
            let mut inside = false;
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                match inside {
                    true => out.extend(c.to_lowercase()),
                    false => title_case(c, &mut out),
                }
                inside = is_cased(c);
            }
            Value::from(out)
        }
        "capitalize" => {
            none()?;
            Value::from(capitalize(text))
        }
        "isspace" => is(none()?, text, is_space),
        "isdecimal" => is(none()?, text, is_decimal),
        "isdigit" => is(none()?, text, is_digit),
        "isalpha" => is(none()?, text, is_letter),
        "isalnum" => is(none()?, text, |c| is_letter(c) || is_digit(c) || c.is_numeric()),
        "isidentifier" => {
            none()?;
            let begins = text.chars().next().is_some_and(|c| c == '_' || is_letter(c));
            Value::from(begins && text.chars().all(|c| c == '_' || c.is_alphanumeric()))
        }
        "isprintable" => {
            none()?;
            Value::from(text.chars().all(is_printable))
        }
        "istitle" => {
            none()?;
            let (mut inside, mut any, mut holds) = (false, false, true);
            for c in text.chars() {
                let wrong = if inside { c.is_uppercase() } else { c.is_lowercase() };
                holds &= !wrong;
                inside = is_cased(c);
                any |= inside;
            }
            Value::from(any && holds)
        }
        _ => return Ok(None),
    }))
}

fn is((): (), text: &str, holds: impl Fn(char) -> bool) -> Value {
    Value::from(!text.is_empty() && text.chars().all(holds))
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase() || is_title_case(c)
}

/// The few letters that are two in one, as ǅ.
fn is_title_case(c: char) -> bool {
    matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | 'ᾈ'..='ᾏ' | 'ᾘ'..='ᾟ' | 'ᾨ'..='ᾯ' | 'ᾼ' | 'ῌ' | 'ῼ')
}

/// A letter as it begins a word: `ß` as `Ss`, `ǆ` as `ǅ`.
fn title_case(c: char, out: &mut String) {
    match c {
        'Ǆ'..='ǆ' => out.push('ǅ'),
        'Ǉ'..='ǉ' => out.push('ǈ'),
        'Ǌ'..='ǌ' => out.push('ǋ'),
        'Ǳ'..='ǳ' => out.push('ǲ'),
        _ if is_title_case(c) => out.push(c),
        _ => {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            upper.for_each(|more| out.extend(more.to_lowercase()));
        }
    }
}

/// The first character as it begins a word, and the rest small.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::with_capacity(text.len());
    if let Some(first) = chars.next() {
        title_case(first, &mut out);
    }
    out + &chars.as_str().to_lowercase()
}

/// Unicode's full case folding.
fn casefold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ı' => out.push(c),
            'ẞ' => out.push_str("ss"),
            // Cherokee folds to its capitals.
            '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => out.extend(c.to_uppercase()),
            _ => c.to_uppercase().for_each(|upper| out.extend(upper.to_lowercase())),
        }
    }
    out
}

fn matches_class(class: &'static LazyLock<Regex>, c: char) -> bool {
    class.is_match(c.encode_utf8(&mut [0; 4])).unwrap_or(false)
}

fn is_decimal(c: char) -> bool {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\p{Nd}").expect("a class"));
    c.is_ascii_digit() || (!c.is_ascii() && matches_class(&DECIMAL, c))
}

fn is_letter(c: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\p{L}").expect("a class"));
    c.is_ascii_alphabetic() || (!c.is_ascii() && matches_class(&LETTER, c))
}

/// Unicode's Numeric_Type Decimal or Digit; the latter are raised, lowered and enclosed digits.
fn is_digit(c: char) -> bool {
    const DIGITS: [(char, char); 20] = [
        ('\u{b2}', '\u{b3}'),
        ('\u{b9}', '\u{b9}'),
        ('\u{1369}', '\u{1371}'),
        ('\u{19da}', '\u{19da}'),
        ('\u{2070}', '\u{2070}'),
        ('\u{2074}', '\u{2079}'),
        ('\u{2080}', '\u{2089}'),
        ('\u{2460}', '\u{2468}'),
        ('\u{2474}', '\u{247c}'),
        ('\u{2488}', '\u{2490}'),
        ('\u{24ea}', '\u{24ea}'),
        ('\u{24f5}', '\u{24fd}'),
        ('\u{24ff}', '\u{24ff}'),
        ('\u{2776}', '\u{277e}'),
        ('\u{2780}', '\u{2788}'),
        ('\u{278a}', '\u{2792}'),
        ('\u{10a40}', '\u{10a43}'),
        ('\u{10e60}', '\u{10e68}'),
        ('\u{11052}', '\u{1105a}'),
        ('\u{1f100}', '\u{1f10a}'),
    ];
    is_decimal(c) || DIGITS.iter().any(|&(first, last)| (first..=last).contains(&c))
}

/// Words between white space, `limit` of them at most cut off; from the right the last comes first. What is left over
/// keeps the white space at its far end.
fn words(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest =
        if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
    while !rest.is_empty() {
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(cut) = cut.filter(|_| parts.len() < limit) else {
            parts.push(rest);
            break;
        };
        if from_right {
            parts.push(rest[cut..].trim_start_matches(is_space));
            rest = rest[..cut].trim_end_matches(is_space);
        } else {
            parts.push(&rest[..cut]);
            rest = rest[cut..].trim_start_matches(is_space);
        }
    }
    parts
}

/// Lines ended by any of Python's eleven line ends.
pub(super) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut from, mut chars) = (0, text.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        if !matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        ) {
            continue;
        }
        let mut end = at + c.len_utf8();
        if c == '\r' && chars.next_if(|&(_, next)| next == '\n').is_some() {
            end += 1;
        }
        lines.push(&text[from..if keep { end } else { at }]);
        from = end;
    }
    if from < text.len() {
        lines.push(&text[from..]);
    }
    lines
}

/// A text of at least `width` characters. Of an odd number to fill, Python's `center` puts the greater half before
/// a text where the width is odd.
pub(super) fn pad(
    state: &State<'_, '_>,
    text: &str,
    width: i64,
    fill: char,
    side: &str,
) -> Result<String, Error> {
    let width = usize::try_from(width).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    charge(state, missing.saturating_mul(fill.len_utf8()))?;
    let before = match side {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    let fill = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    Ok(fill(before) + text + &fill(missing - before))
}

fn expand_tabs(state: &State<'_, '_>, text: &str, size: usize) -> Result<String, Error> {
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        match c {
            '\t' => {
                let missing = if size == 0 { 0 } else { size - column % size };
                charge(state, missing)?;
                let _ = write!(out, "{:missing$}", "");
                column += missing;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(out)
}
