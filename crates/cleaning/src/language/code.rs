//! Code of a program, told from prose by its marks.

/// Whether `text` is mostly code. Marks of programs stand at the ends of its lines and between its words, and prose's do not.
pub(super) fn is_code(text: &str) -> bool {
    let (mut chars, mut marks, mut letters) = (0usize, 0usize, 0usize);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        chars += 1;
        letters += usize::from(c.is_alphabetic());
        marks += usize::from(is_mark(c));
    }
    // Many marks alone, or lines of the shape of code with some.
    let share = marks as f32 / chars.max(1) as f32;
    if letters == 0 || share <= 0.05 {
        return false;
    }
    if share > 0.16 {
        return true;
    }
    let (mut lines, mut points) = (0usize, 0usize);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines += 1;
        points += usize::from(looks_like_code(line));
    }
    points * 2 >= lines
}

fn is_mark(c: char) -> bool {
    matches!(
        c,
        '{' | '}'
            | '('
            | ')'
            | '['
            | ']'
            | ';'
            | '='
            | '<'
            | '>'
            | '_'
            | '$'
            | '#'
            | '&'
            | '|'
            | '*'
            | '`'
            | '\\'
            | '@'
            | '/'
            | ':'
            | '+'
    )
}

/// The shape of a line of code.
fn looks_like_code(line: &str) -> bool {
    const STARTS: [&str; 34] = [
        "fn ",
        "pub ",
        "let ",
        "const ",
        "var ",
        "use ",
        "impl ",
        "struct ",
        "enum ",
        "import ",
        "from ",
        "def ",
        "class ",
        "return ",
        "if (",
        "for (",
        "while (",
        "function ",
        "#include",
        "#[",
        "//",
        "/*",
        "package ",
        "public ",
        "private ",
        "static ",
        "void ",
        "int ",
        "} ",
        "});",
        "$ ",
        "> ",
        "<div",
        "@",
    ];
    const SIGNS: [&str; 14] =
        ["::", "->", "=>", "==", "!=", "();", "++", "&&", "||", " = ", "</", "/>", "!(", "{}"];
    let ends = line.ends_with([';', '{', '}'])
        || line.ends_with("),")
        || line.ends_with("):")
        || line.ends_with("->");
    let starts = STARTS.iter().any(|start| line.starts_with(start));
    let signs = SIGNS.iter().filter(|sign| line.contains(*sign)).count();
    // A call or a path: name(name), a.b(), snake_case.
    let call = line.contains("(")
        && line
            .bytes()
            .zip(line.bytes().skip(1))
            .any(|(a, b)| b == b'(' && (a.is_ascii_alphanumeric() || a == b'_'));
    let prose = line.ends_with(['.', '?', '!']) && line.split_whitespace().count() > 6;
    !prose
        && (usize::from(ends) + usize::from(starts) + signs + usize::from(call) >= 2
            || ends && line.ends_with(['{', ';']))
}
