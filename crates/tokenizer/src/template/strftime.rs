//! `datetime.strftime` as CPython runs it on Linux: glibc's codes in the C locale, with `%f`, and the empty `%z` and
//! `%Z` of a time without a zone. `%s` counts as if the time were UTC's.

use std::fmt::Write;

use jiff::civil::{DateTime, Weekday};

use super::python::failed;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// A code asks for no more columns than this.
const MAX_WIDTH: usize = 1024;

/// What a code stands for before its flags are heard.
enum Field {
    /// A number, its least digits, and what fills them up.
    Number(i64, usize, char),
    Text(String),
}

/// `now` in words as `format` asks. A code that is none stays as it is.
pub(super) fn strftime(now: DateTime, format: &str) -> Result<String, minijinja::Error> {
    let mut out = String::with_capacity(format.len() * 2);
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = Code::read(&rest[at..]);
        match code.field(now) {
            Some(field) if code.width <= MAX_WIDTH => code.write(field, &mut out),
            Some(_) => return Err(failed(format!("strftime_now: a width of {} columns", code.width))),
            None => out.push_str(code.text),
        }
        rest = &rest[at + code.text.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

/// `%`, flags, a width, `E` or `O`, and a letter.
struct Code<'f> {
    text: &'f str,
    /// What fills the width: `-` for nothing, `_` for spaces, `0` for zeros.
    fill: Option<char>,
    upper: bool,
    swap: bool,
    width: usize,
    letter: Option<char>,
}

impl Code<'_> {
    fn read(format: &str) -> Code<'_> {
        let mut code = Code { text: format, fill: None, upper: false, swap: false, width: 0, letter: None };
        let mut chars = format.char_indices().skip(1).peekable();
        while let Some((_, flag)) = chars.next_if(|(_, c)| matches!(c, '-' | '_' | '0' | '^' | '#')) {
            match flag {
                '^' => code.upper = true,
                '#' => code.swap = true,
                fill => code.fill = Some(fill),
            }
        }
        while let Some((_, digit)) = chars.next_if(|(_, c)| c.is_ascii_digit()) {
            code.width = (code.width * 10 + digit as usize - '0' as usize).min(MAX_WIDTH + 1);
        }
        let mut last = chars.next();
        if matches!(last, Some((_, 'E' | 'O'))) && chars.peek().is_some_and(|(_, c)| c.is_ascii_alphabetic())
        {
            last = chars.next();
        }
        code.letter = last.map(|(_, letter)| letter);
        code.text = last.map_or(format, |(at, letter)| &format[..at + letter.len_utf8()]);
        code
    }

    fn field(&self, now: DateTime) -> Option<Field> {
        let number = |value: i64| Some(Field::Number(value, 2, '0'));
        let text = |text: &str| Some(Field::Text(text.to_owned()));
        let made = |format: &str| strftime(now, format).ok().map(Field::Text);
        let weekday = i64::from(now.weekday().to_sunday_zero_offset());
        let day = DAYS[weekday as usize];
        let month = MONTHS[usize::try_from(now.month() - 1).unwrap_or(0)];
        let year = i64::from(now.year());
        let hour = i64::from(now.hour());
        let of_year = i64::from(now.date().day_of_year());
        let week = now.date().iso_week_date();
        let half = |large: bool| match (now.hour() < 12, large) {
            (true, true) => "AM",
            (false, true) => "PM",
            (true, false) => "am",
            (false, false) => "pm",
        };
        let twelve = (hour + 11) % 12 + 1;
        match self.letter? {
            'a' => text(&day[..3]),
            'A' => text(day),
            'b' | 'h' => text(&month[..3]),
            'B' => text(month),
            'c' => made("%a %b %e %H:%M:%S %Y"),
            'C' => number(year.div_euclid(100)),
            'd' => number(i64::from(now.day())),
            'D' | 'x' => made("%m/%d/%y"),
            'e' => Some(Field::Number(i64::from(now.day()), 2, ' ')),
            // Python fills this in itself, and only where nothing stands before the letter.
            'f' if self.text == "%f" => Some(Field::Text(format!("{:06}", now.subsec_nanosecond() / 1000))),
            'F' => made("%Y-%m-%d"),
            'g' => number(i64::from(week.year()).rem_euclid(100)),
            'G' => Some(Field::Number(i64::from(week.year()), 1, '0')),
            'H' => number(hour),
            'I' => number(twelve),
            'j' => Some(Field::Number(of_year, 3, '0')),
            'k' => Some(Field::Number(hour, 2, ' ')),
            'l' => Some(Field::Number(twelve, 2, ' ')),
            'm' => number(i64::from(now.month())),
            'M' => number(i64::from(now.minute())),
            'n' => text("\n"),
            'p' => text(half(!self.swap)),
            'P' => text(half(false)),
            'r' => made("%I:%M:%S %p"),
            'R' => made("%H:%M"),
            's' => {
                let seconds = now.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs();
                Some(Field::Number(seconds, 1, '0'))
            }
            'S' => number(i64::from(now.second())),
            't' => text("\t"),
            'T' | 'X' => made("%H:%M:%S"),
            'u' => Some(Field::Number(if now.weekday() == Weekday::Sunday { 7 } else { weekday }, 1, '0')),
            'U' => number((of_year + 6 - weekday) / 7),
            'V' => number(i64::from(week.week())),
            'w' => Some(Field::Number(weekday, 1, '0')),
            'W' => number((of_year + 6 - (weekday + 6) % 7) / 7),
            'y' => number(year.rem_euclid(100)),
            'Y' => Some(Field::Number(year, 1, '0')),
            'z' | 'Z' => text(""),
            '%' => text("%"),
            _ => None,
        }
    }

    fn write(&self, field: Field, out: &mut String) {
        let (text, fill) = match field {
            Field::Number(value, least, own) => {
                let (least, fill) = match self.fill {
                    Some('-') => (1, ' '),
                    Some('_') => (least, ' '),
                    Some(_) => (least, '0'),
                    None => (least, own),
                };
                let digits = value.to_string();
                let missing = least.saturating_sub(digits.len());
                let filled = std::iter::repeat_n(fill, missing).collect::<String>() + &digits;
                (filled, if self.fill.is_none() { own } else { fill })
            }
            Field::Text(text) if self.upper || (self.swap && self.letter != Some('p')) => {
                (text.to_uppercase(), if self.fill == Some('0') { '0' } else { ' ' })
            }
            Field::Text(text) => (text, if self.fill == Some('0') { '0' } else { ' ' }),
        };
        let missing = self.width.saturating_sub(text.chars().count());
        out.extend(std::iter::repeat_n(fill, missing));
        let _ = out.write_str(&text);
    }
}
