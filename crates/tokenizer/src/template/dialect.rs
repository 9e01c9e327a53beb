//! What Jinja2 runs and minijinja does not, said in words that it does run. A template is rewritten before it is
//! parsed, on the same lines, so that messages name the right one:
//!
//! - `{% generation %}`, which marks answers for training and writes nothing itself, becomes `{% with %}`: what is set
//!   inside it is not seen outside it, and the white space around it is trimmed as around any tag.
//! - `a % b` becomes the call of a function, which also fills in the fields of a text.
//! - A macro that speaks of `varargs` or `kwargs` has them as its last parameters, and a function around it, which
//!   puts there what its other parameters do not take.

/// The function that `%` becomes.
pub(super) const PERCENT: &str = "__percent";
/// The function that takes a macro and gives one of any arguments.
pub(super) const VARIADIC: &str = "__variadic";
/// More `%` in one tag than this are left as they are.
const MAX_PERCENT: usize = 100;

/// A part of a template.
enum Piece<'t> {
    /// Text, a comment, or what stands between `raw` tags with these.
    Text(&'t str),
    /// `{{ … }}` or `{% … %}`: how it opens, its tokens with the white space between, how it closes.
    Tag { open: &'t str, tokens: Vec<&'t str>, close: &'t str },
}

/// The template in minijinja's dialect. As Jinja2 reads it, every line ends in a line feed alone.
pub(super) fn rewrite(source: &str) -> String {
    let unix;
    let source = match source.contains('\r') {
        true => {
            unix = source.replace("\r\n", "\n").replace('\r', "\n");
            unix.as_str()
        }
        false => source,
    };
    let mut pieces = cut(source);
    let mut after = vec![None; pieces.len()];
    variadic_macros(&mut pieces, &mut after);
    let mut out = String::with_capacity(source.len() + 64);
    for (piece, after) in pieces.into_iter().zip(after) {
        let (open, mut tokens, close) = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Tag { open, tokens, close } => (open, tokens, close),
        };
        let statement = open.starts_with("{%");
        if statement && let Some(keyword) = tokens.iter_mut().find(|token| !blank(token)) {
            match *keyword {
                "generation" => *keyword = "with",
                "endgeneration" => *keyword = "endwith",
                _ => {}
            }
        }
        percent(&mut tokens, statement);
        out.push_str(open);
        tokens.iter().for_each(|token| out.push_str(token));
        match after {
            None => out.push_str(close),
            // The mark that trims what follows moves behind what is put in.
            Some(name) => out.push_str(&format!("%}}{{% set {name} = {VARIADIC}({name}) {close}")),
        }
    }
    out
}

fn blank(token: &str) -> bool {
    token.starts_with(char::is_whitespace)
}

/// Cuts a template into its parts. What is never closed is text: minijinja will say so.
fn cut(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = source[at..].find('{') {
        let open = at + found;
        at = match &source.as_bytes()[open..] {
            [b'{', b'#', ..] => match source[open..].find("#}") {
                Some(end) => open + end + 2,
                None => break,
            },
            [b'{', b'{' | b'%', mark, ..] => {
                let inside = open + 2 + usize::from(matches!(mark, b'-' | b'+'));
                let closing = if source[open..].starts_with("{{") { "}}" } else { "%}" };
                let Some((tokens, close)) = tokens(&source[inside..], closing) else { break };
                let end = inside + tokens.iter().map(|token| token.len()).sum::<usize>() + close.len();
                let name = tokens.iter().find(|token| !blank(token));
                if closing == "%}" && name == Some(&"raw") {
                    match end_of_raw(&source[end..]) {
                        Some(raw) => end + raw,
                        None => break,
                    }
                } else {
                    pieces.push(Piece::Text(&source[from..open]));
                    pieces.push(Piece::Tag { open: &source[open..inside], tokens, close });
                    from = end;
                    end
                }
            }
            _ => open + 1,
        };
    }
    pieces.push(Piece::Text(&source[from..]));
    pieces
}

/// The length up to the end of the `endraw` tag.
fn end_of_raw(source: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += source[at..].find("{%")? + 2;
        let tag = source[at..].trim_start_matches(['-', '+']).trim_start();
        if let Some(rest) = tag.strip_prefix("endraw") {
            return Some(source.len() - rest.len() + rest.find("%}")? + 2);
        }
    }
}

/// The tokens of a tag up to where it closes, and how it does.
fn tokens<'t>(source: &'t str, closing: &str) -> Option<(Vec<&'t str>, &'t str)> {
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (0, 0usize);
    loop {
        let rest = &source[at..];
        let first = rest.chars().next()?;
        if depth == 0 {
            let mark = usize::from(matches!(first, '-' | '+'));
            if rest[mark..].starts_with(closing) {
                return Some((tokens, &rest[..mark + closing.len()]));
            }
        }
        let while_ = |holds: fn(char) -> bool| rest.find(|c| !holds(c)).unwrap_or(rest.len());
        let length = match first {
            '"' | '\'' => text_length(rest, first)?,
            c if c.is_whitespace() => while_(char::is_whitespace),
            c if c.is_ascii_digit() => number_length(rest),
            c if c == '_' || c.is_alphanumeric() => while_(|c| c == '_' || c.is_alphanumeric()),
            _ => {
                let pairs = ["**", "//", "==", "!=", "<=", ">="];
                pairs.iter().find(|pair| rest.starts_with(**pair)).map_or(first.len_utf8(), |pair| pair.len())
            }
        };
        match first {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.push(&rest[..length]);
        at += length;
    }
}

fn text_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A number with its point and exponent; `1.x` is one and its attribute.
fn number_length(rest: &str) -> usize {
    let run = |from: usize| {
        let end = rest[from..].find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        end.map_or(rest.len(), |end| from + end)
    };
    let mut end = run(0);
    if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = run(end + 1);
    }
    let exponent =
        rest[..end].ends_with(['e', 'E']) && !rest.starts_with("0x") && rest[end..].starts_with(['-', '+']);
    if exponent { run(end + 1) } else { end }
}

/// Gives `varargs` and `kwargs` to the macros that speak of them.
fn variadic_macros<'t>(pieces: &mut [Piece<'t>], after: &mut [Option<&'t str>]) {
    let mut open: Vec<(usize, &'t str, bool)> = Vec::new();
    for i in 0..pieces.len() {
        let Piece::Tag { open: opening, tokens, .. } = &pieces[i] else { continue };
        let mut words = tokens.iter().filter(|token| !blank(token));
        let keyword = words.next().filter(|_| opening.starts_with("{%"));
        match keyword {
            Some(&"macro") => {
                open.push((i, words.next().copied().unwrap_or_default(), false));
                continue;
            }
            Some(&"endmacro") => {
                if let Some((head, name, true)) = open.pop() {
                    if let Piece::Tag { tokens, .. } = &mut pieces[head] {
                        add_parameters(tokens);
                    }
                    after[i] = Some(name);
                }
                continue;
            }
            _ => {}
        }
        if let Some((_, _, speaks)) = open.last_mut() {
            *speaks |= tokens.iter().any(|&token| token == "varargs" || token == "kwargs");
        }
    }
}

fn add_parameters(tokens: &mut Vec<&str>) {
    let Some(close) = tokens.iter().rposition(|&token| token == ")") else { return };
    let before = tokens[..close].iter().rev().find(|token| !blank(token));
    let more = match before {
        Some(&"(" | &",") => "varargs=(), kwargs={}",
        _ => ", varargs=(), kwargs={}",
    };
    tokens.insert(close, more);
}

/// Writes each `a % b` as a call, from the left.
fn percent(tokens: &mut Vec<&str>, statement: bool) {
    let mut from = 0;
    for _ in 0..MAX_PERCENT {
        let Some(found) = tokens[from..].iter().position(|&token| token == "%") else { return };
        let at = from + found;
        from = at + 1;
        let (Some(start), Some(end)) = (left_operand(tokens, at, statement), right_operand(tokens, at + 1))
        else {
            continue;
        };
        tokens[at] = ",";
        tokens.insert(end, ")");
        tokens.splice(start..start, [PERCENT, "("]);
        from = start + 2;
    }
}

/// Where the product that ends before `at` begins: binary `* / // %` group from the left, and bind more than all that
/// stops it here.
fn left_operand(tokens: &[&str], at: usize, statement: bool) -> Option<usize> {
    let before = |i: usize| (0..i).rev().find(|&i| !blank(tokens[i]));
    let mut start = None;
    let mut i = before(at);
    while let Some(here) = i {
        let prior = before(here).map(|i| tokens[i]);
        let stops = match tokens[here] {
            "(" | "[" | "{" | "," | ":" | "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "~" => true,
            // A sign belongs to what it stands before; an operator does not.
            "+" | "-" => prior.is_some_and(|prior| {
                !begins_operand(prior, statement && before(here).and_then(before).is_none())
            }),
            "and" | "or" | "in" | "if" | "else" | "elif" => prior != Some("."),
            "not" => prior != Some("is"),
            _ => prior.is_none() && statement,
        };
        if stops {
            break;
        }
        let begin = match tokens[here] {
            ")" | "]" | "}" => opening(tokens, here)?,
            _ => here,
        };
        start = Some(begin);
        i = before(begin);
    }
    start
}

/// Whether what follows a token is the beginning of an operand, so that `-` there is a sign.
fn begins_operand(prior: &str, keyword: bool) -> bool {
    let operators = [
        "(", "[", "{", ",", ":", "=", "==", "!=", "<", ">", "<=", ">=", "~", "+", "-", "*", "/", "//", "%",
        "**", "and", "or", "not", "in", "if", "else", "elif", "is",
    ];
    keyword || operators.contains(&prior)
}

fn opening(tokens: &[&str], close: usize) -> Option<usize> {
    let mut depth = 0usize;
    (0..=close).rev().find(|&i| {
        match tokens[i] {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" => depth -= 1,
            _ => return false,
        }
        depth == 0
    })
}

/// Where the operand that begins at `from` ends: signs, a value with what is hung on to it, filters, tests, powers.
fn right_operand(tokens: &[&str], from: usize) -> Option<usize> {
    let next = |i: usize| (i..tokens.len()).find(|&i| !blank(tokens[i]));
    let is = |i: Option<usize>, wanted: &[&str]| i.is_some_and(|i| wanted.contains(&tokens[i]));
    let mut at = from;
    loop {
        let mut value = next(at)?;
        while ["-", "+"].contains(&tokens[value]) {
            value = next(value + 1)?;
        }
        let mut end = value_end(tokens, value)?;
        loop {
            let here = next(end);
            if is(here, &["|"]) {
                end = next(here? + 1)? + 1;
                while is(next(end), &["."]) {
                    end = next(next(end)? + 1)? + 1;
                }
                if is(next(end), &["("]) {
                    end = closing(tokens, next(end)?)? + 1;
                }
            } else if is(here, &["is"]) {
                let mut name = next(here? + 1)?;
                if tokens[name] == "not" {
                    name = next(name + 1)?;
                }
                end = name + 1;
                if let Some(argument) = next(end).filter(|&i| begins_argument(tokens[i])) {
                    end = value_end(tokens, argument)?;
                }
            } else {
                break;
            }
        }
        match next(end) {
            Some(power) if tokens[power] == "**" => at = power + 1,
            _ => return Some(end),
        }
    }
}

/// Whether a token after a test's name is its argument.
fn begins_argument(token: &str) -> bool {
    let word = token
        .starts_with(|c: char| c == '_' || c.is_alphanumeric() || matches!(c, '"' | '\'' | '(' | '[' | '{'));
    word && !["and", "or", "else", "is", "if", "in", "not"].contains(&token)
}

/// Where a name, a literal or a bracket ends, with its attributes, indices and calls.
fn value_end(tokens: &[&str], at: usize) -> Option<usize> {
    let next = |i: usize| (i..tokens.len()).find(|&i| !blank(tokens[i]));
    let mut end = match tokens[at] {
        "(" | "[" | "{" => closing(tokens, at)? + 1,
        _ => at + 1,
    };
    while let Some(here) = next(end) {
        end = match tokens[here] {
            "." => next(here + 1)? + 1,
            "(" | "[" => closing(tokens, here)? + 1,
            text if text.starts_with(['"', '\'']) && tokens[at].starts_with(['"', '\'']) => here + 1,
            _ => break,
        };
    }
    Some(end)
}

fn closing(tokens: &[&str], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    (open..tokens.len()).find(|&i| {
        match tokens[i] {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => return false,
        }
        depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn percent_takes_the_product_before_it_and_one_operand_after_it() {
        let p = |inside: &str| {
            let out = rewrite(&format!("{{{{{inside}}}}}"));
            out[2..out.len() - 2].replace(super::PERCENT, "P")
        };
        assert_eq!(p("a % b"), "P(a , b)");
        assert_eq!(p("1 + a.b(1, 2)[3] % -c.d|f(1)|g + 2"), "1 + P(a.b(1, 2)[3] , -c.d|f(1)|g) + 2");
        assert_eq!(p("a*b % c % d*e"), "P(P(a*b , c) , d)*e");
        assert_eq!(p("x if a % 2 == 0 else -b % 3"), "x if P(a , 2) == 0 else P(-b , 3)");
        assert_eq!(p("f(a % 2, k=b % 3)"), "f(P(a , 2), k=P(b , 3))");
        assert_eq!(p("a - b % 2 ** c ~ 'x'"), "a - P(b , 2 ** c) ~ 'x'");
        assert_eq!(p("a % (b % 2)"), "P(a , (P(b , 2)))");
        assert_eq!(p("not a % 2 and '%' 'd' % x is odd"), "not P(a , 2) and P('%' 'd' , x is odd)");
        assert_eq!(p("'a % b'"), "'a % b'");
        assert_eq!(p("% b"), "% b");
        assert_eq!(p("a %"), "a %");
        assert_eq!(rewrite("{% if a % 2 %}5 % 3{% endif %}"), "{% if __percent(a , 2) %}5 % 3{% endif %}");
        assert_eq!(rewrite("{% set x = -a%2 -%}"), "{% set x = __percent(-a,2) -%}");
    }

    #[test]
    fn what_is_no_tag_stays_as_it_is() {
        for source in [
            "",
            "{",
            "{{",
            "{%",
            "{#",
            "100 % of {x}",
            "{# {% generation %} #}",
            "{% raw %}{{ a % b }}{% endraw %}",
            "{%- raw -%}{% generation %}{%- endraw -%}",
            "{{ '}}' }}",
            "{{ {'a': {'b': 1}}}}",
            "{{ \"a\\\"}}\" }}",
            "{% if 'x",
        ] {
            assert_eq!(rewrite(source), source);
        }
        assert_eq!(rewrite("{%- generation -%}a{% endgeneration %}"), "{%- with -%}a{% endwith %}");
    }

    #[test]
    fn a_macro_takes_what_it_speaks_of() {
        assert_eq!(
            rewrite("{% macro f(a) %}{{ kwargs }}{% endmacro -%} x"),
            "{% macro f(a, varargs=(), kwargs={}) %}{{ kwargs }}{% endmacro %}{% set f = __variadic(f) -%} x"
        );
        assert_eq!(rewrite("{% macro f(a) %}{{ a }}{% endmacro %}"), "{% macro f(a) %}{{ a }}{% endmacro %}");
    }
}
