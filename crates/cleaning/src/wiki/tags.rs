//! Elements of HTML in markup, comments, and entities.

/// Elements that go with what is in them.
const DROPPED: &[&str] = &[
    "ref",
    "references",
    "gallery",
    "timeline",
    "imagemap",
    "score",
    "graph",
    "templatestyles",
    "mapframe",
    "maplink",
    "section",
    "noinclude",
    "indicator",
];

/// `markup` without comments, and without elements: of those that are no text the inside goes too. Entities become characters, except inside
/// elements that show what they have.
pub(super) fn without(markup: &str) -> String {
    let mut result = String::with_capacity(markup.len());
    let bytes = markup.as_bytes();
    let mut at = 0;
    // Ends that are not there are looked for once.
    let mut no_comment_end = false;
    let mut no_end_of = [false; DROPPED.len()];
    while let Some(found) = memchr::memchr2(b'<', b'&', &bytes[at..]) {
        let start = at + found;
        result.push_str(&markup[at..start]);
        if bytes[start] == b'&' {
            let (c, length) = entity(&markup[start..]);
            result.push(c);
            at = start + length;
            continue;
        }
        let rest = &markup[start..];
        if rest.starts_with("<!--") {
            let end = if no_comment_end { None } else { memchr::memmem::find(&bytes[start + 4..], b"-->") };
            no_comment_end = end.is_none();
            at = end.map_or(start + 4, |end| start + 4 + end + 3);
            continue;
        }
        let Some(tag) = Tag::read(rest) else {
            result.push('<');
            at = start + 1;
            continue;
        };
        at = start + tag.length;
        if tag.closes {
            space(&mut result, tag.name);
            continue;
        }
        if let Some(kind) = DROPPED.iter().position(|name| name.eq_ignore_ascii_case(tag.name)) {
            if !tag.empty && !no_end_of[kind] {
                match end_of(markup, at, tag.name) {
                    Some(end) => at = end,
                    None => no_end_of[kind] = true,
                }
            }
            continue;
        }
        space(&mut result, tag.name);
    }
    result.push_str(&markup[at..]);
    result
}

/// Where an element begins or ends a line, the text does.
fn space(result: &mut String, name: &str) {
    const BREAKS: [&str; 8] = ["br", "p", "div", "li", "blockquote", "poem", "center", "hr"];
    if BREAKS.iter().any(|breaks| breaks.eq_ignore_ascii_case(name))
        && !result.is_empty()
        && !result.ends_with('\n')
    {
        result.push('\n');
    }
}

struct Tag<'m> {
    name: &'m str,
    closes: bool,
    /// `<ref name="a" />`.
    empty: bool,
    length: usize,
}

impl<'m> Tag<'m> {
    /// The tag at the beginning of `text`. Only names that are names: `a < b` is text.
    fn read(text: &'m str) -> Option<Self> {
        /// A tag is closed within this many bytes, or none.
        const LONG: usize = 2000;
        let inside = text.strip_prefix('<')?;
        let closes = inside.starts_with('/');
        let name_from = usize::from(closes);
        let name_length = inside[name_from..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        let name = &inside[name_from..name_from + name_length];
        if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let behind = &inside.as_bytes()[name_from + name_length..];
        if !matches!(behind.first(), Some(b'>' | b'/' | b' ' | b'\t' | b'\n')) {
            return None;
        }
        let end = memchr::memchr2(b'>', b'<', &behind[..behind.len().min(LONG)])?;
        if behind[end] != b'>' {
            return None;
        }
        let empty = end > 0 && behind[end - 1] == b'/';
        Some(Self { name, closes, empty, length: 1 + name_from + name_length + end + 1 })
    }
}

/// Behind the end of the element that was opened before `from`.
fn end_of(markup: &str, from: usize, name: &str) -> Option<usize> {
    let bytes = markup.as_bytes();
    let mut at = from;
    while let Some(found) = memchr::memmem::find(&bytes[at..], b"</") {
        let start = at + found + 2;
        if let Some(rest) = strip_prefix_ignore_case(&markup[start..], name) {
            let end = rest.find('>').map_or(markup.len(), |end| markup.len() - rest.len() + end + 1);
            return Some(end);
        }
        at = start;
    }
    None
}

/// `text` behind `prefix`, whatever the case of its ASCII letters.
pub(super) fn strip_prefix_ignore_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// The character of the entity at the beginning of `text`, and its bytes; `&` where it is none.
fn entity(text: &str) -> (char, usize) {
    let none = ('&', 1);
    let Some(end) = text.bytes().take(12).position(|byte| byte == b';') else { return none };
    let name = &text[1..end];
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            };
            code.and_then(char::from_u32).filter(|c| !c.is_control())
        }
        None => Some(match name {
            "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "ndash" => '–',
            "mdash" => '—',
            "middot" => '·',
            "times" => '×',
            "hellip" => '…',
            "deg" => '°',
            "lsquo" => '‘',
            "rsquo" => '’',
            "ldquo" => '“',
            "rdquo" => '”',
            "minus" => '−',
            "rarr" => '→',
            "larr" => '←',
            _ => return none,
        }),
    };
    c.map_or(none, |c| (c, end + 1))
}
