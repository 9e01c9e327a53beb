//! A page made harmless before a parser sees it.
//!
//! A parser of HTML keeps what is open on a stack and looks through it at most tags, so that its time is the number of tags
//! times the depth, and what walks the tree after it calls itself as deep. Formatting that is never closed is opened again in
//! each block that follows, and the attributes of a tag are compared with one another. Pages of a megabyte that make use of this take minutes
//! and gigabytes. Here one pass over the bytes leaves out the tags beyond a depth, a number and a number of attributes; the text
//! inside them stays. Real pages are at most some fifty elements deep and come out as they went in.

use std::borrow::Cow;

use serde::Serialize;

/// Elements within one another, those aside that the next one of their kind ends (`p`, `li`, `td`, …).
pub const MOST_DEPTH: usize = 128;
/// Formatting elements that are open.
const MOST_FORMATTING: usize = 64;
/// Tags of a page; HTML of a megabyte has some 20,000.
pub const MOST_TAGS: usize = 100_000;
/// Entities of a page.
const MOST_ENTITIES: usize = 100_000;
/// Attributes of a tag.
const MOST_ATTRIBUTES: usize = 128;
/// Bytes of a page that are looked at.
pub const MOST_BYTES: usize = 8 << 20;

/// What was left out of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cuts {
    /// Tags beyond [`MOST_DEPTH`], beyond [`MOST_TAGS`] or with too many attributes.
    pub tags: usize,
    /// Bytes beyond [`MOST_BYTES`].
    pub bytes: usize,
}

/// The page without what a parser would choke on.
pub(crate) fn guard(html: &str) -> (Cow<'_, str>, Cuts) {
    let end = html.floor_char_boundary(MOST_BYTES);
    let mut cuts = Cuts { tags: 0, bytes: html.len() - end };
    let html = &html[..end];
    let mut open = Open::default();
    let mut scanner = Scanner { html: html.as_bytes(), at: 0 };
    // Only once something is left out is anything written.
    let mut result: Option<String> = None;
    let mut copied = 0;
    let mut tags = 0;
    while let Some(tag) = scanner.next() {
        tags += 1;
        let keep = if tags > MOST_TAGS { Keep::Nothing } else { open.take(&tag) };
        if keep == Keep::All {
            continue;
        }
        cuts.tags += 1;
        let result = result.get_or_insert_with(|| String::with_capacity(html.len()));
        result.push_str(&html[copied..tag.start]);
        copied = tag.end;
        match keep {
            Keep::Name => {
                result.push('<');
                result.push_str(tag.name);
                result.push('>');
            }
            // Words on both sides of a tag are often words of two blocks.
            _ => result.push(' '),
        }
    }
    let mut page = match result {
        Some(mut result) => {
            result.push_str(&html[copied..]);
            Cow::Owned(result)
        }
        None => Cow::Borrowed(html),
    };
    // A parser takes the text apart at each of them.
    if let Some(at) = memchr::memchr_iter(b'&', page.as_bytes()).nth(MOST_ENTITIES) {
        let (head, tail) = page.split_at(at);
        page = Cow::Owned(format!("{head}{}", tail.replace('&', " ")));
    }
    (page, cuts)
}

#[derive(PartialEq)]
enum Keep {
    All,
    /// The tag without its attributes.
    Name,
    Nothing,
}

struct Tag<'h> {
    name: &'h str,
    closes: bool,
    attributes: usize,
    start: usize,
    end: usize,
}

/// Finds tags as a tokenizer does, past comments and the insides of scripts.
struct Scanner<'h> {
    html: &'h [u8],
    at: usize,
}

impl<'h> Scanner<'h> {
    fn next(&mut self) -> Option<Tag<'h>> {
        loop {
            let html = self.html;
            let start = self.at + memchr::memchr(b'<', &html[self.at..])?;
            let closes = html.get(start + 1) == Some(&b'/');
            let from = start + 1 + usize::from(closes);
            match html.get(from) {
                Some(byte) if byte.is_ascii_alphabetic() => {}
                Some(b'!') if html[from..].starts_with(b"!--") => {
                    let inside = from + 3;
                    self.at = find(html, inside, b"-->").map_or(html.len(), |at| at + 3);
                    continue;
                }
                _ => {
                    self.at = start + 1;
                    continue;
                }
            }
            let name_end = html[from..]
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
                .map_or(html.len(), |at| from + at);
            // Bytes of a name that are not UTF-8 cannot be: the page is text.
            let name = std::str::from_utf8(&html[from..name_end]).unwrap_or_default();
            let (end, attributes) = self.attributes(name_end);
            self.at = end;
            if !closes {
                self.skip_raw(name);
            }
            return Some(Tag { name, closes, attributes, start, end });
        }
    }

    /// Where a tag ends, and how many attributes it has.
    fn attributes(&self, from: usize) -> (usize, usize) {
        let html = self.html;
        let (mut at, mut attributes, mut in_name) = (from, 0, false);
        while let Some(&byte) = html.get(at) {
            match byte {
                b'>' => return (at + 1, attributes),
                // A quotation mark only opens a value behind `=`.
                b'=' => {
                    in_name = false;
                    at += 1;
                    while html.get(at).is_some_and(u8::is_ascii_whitespace) {
                        at += 1;
                    }
                    match html.get(at) {
                        Some(&quote @ (b'"' | b'\'')) => {
                            at = memchr::memchr(quote, &html[at + 1..])
                                .map_or(html.len(), |end| at + 1 + end + 1);
                        }
                        _ => {
                            while html
                                .get(at)
                                .is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b'>')
                            {
                                at += 1;
                            }
                        }
                    }
                    continue;
                }
                byte if byte.is_ascii_whitespace() || byte == b'/' => in_name = false,
                _ if !in_name => {
                    in_name = true;
                    attributes += 1;
                }
                _ => {}
            }
            at += 1;
        }
        (html.len(), attributes)
    }

    /// Past the inside of an element that has no tags in it.
    fn skip_raw(&mut self, name: &str) {
        const RAW: [&str; 8] =
            ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];
        let Some(name) = RAW.iter().find(|raw| raw.eq_ignore_ascii_case(name)) else { return };
        let mut at = self.at;
        while let Some(found) = find(self.html, at, b"</") {
            let rest = &self.html[found + 2..];
            if rest.len() >= name.len() && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
                self.at = found;
                return;
            }
            at = found + 2;
        }
        self.at = self.html.len();
    }
}

fn find(html: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(html.get(from..)?, needle).map(|at| from + at)
}

/// What is open, as a parser would have it.
#[derive(Default)]
struct Open {
    stack: Vec<Name>,
    formatting: Vec<Name>,
    /// Elements opened beyond the depth, whose ends are left out with them.
    beyond: usize,
}

/// A name in lower case, short ones in place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name([u8; 12]);

impl Name {
    fn of(name: &str) -> Self {
        let mut bytes = [0; 12];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Self(bytes)
    }

    fn is_one_of(self, names: &[&str]) -> bool {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        names.iter().any(|name| name.as_bytes() == &self.0[..length])
    }
}

impl Open {
    fn take(&mut self, tag: &Tag<'_>) -> Keep {
        let name = Name::of(tag.name);
        let many = tag.attributes > MOST_ATTRIBUTES;
        // Elements without an inside, and those that the next of their kind ends.
        if name.is_one_of(&[
            "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
            "track", "wbr",
        ]) || name.is_one_of(&[
            "p", "li", "dt", "dd", "option", "optgroup", "tr", "td", "th", "thead", "tbody", "tfoot",
            "colgroup", "rp", "rt",
        ]) || name.is_one_of(&["html", "head", "body"])
        {
            return if many { Keep::Name } else { Keep::All };
        }
        if name.is_one_of(&[
            "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
        ]) {
            if tag.closes {
                if let Some(at) = self.formatting.iter().rposition(|&open| open == name) {
                    self.formatting.remove(at);
                }
            } else if self.formatting.len() >= MOST_FORMATTING {
                return Keep::Nothing;
            } else {
                self.formatting.push(name);
            }
            return if many { Keep::Name } else { Keep::All };
        }
        if !tag.closes {
            if self.stack.len() >= MOST_DEPTH {
                self.beyond += 1;
                return Keep::Nothing;
            }
            self.stack.push(name);
            return if many { Keep::Name } else { Keep::All };
        }
        if self.beyond > 0 {
            self.beyond -= 1;
            return Keep::Nothing;
        }
        // An end closes what is open inside its element, but not through a table or a block where it is no block itself.
        let special = is_special(name);
        for at in (0..self.stack.len()).rev() {
            if self.stack[at] == name {
                self.stack.truncate(at);
                break;
            }
            let open = self.stack[at];
            let bound = open.is_one_of(&[
                "table",
                "caption",
                "template",
                "object",
                "applet",
                "marquee",
                "svg",
                "math",
                "foreignobjec",
            ]);
            if bound || (!special && is_special(open)) {
                break;
            }
        }
        if many { Keep::Name } else { Keep::All }
    }
}

/// Elements that the standard calls special, as far as they are counted here.
fn is_special(name: Name) -> bool {
    name.is_one_of(&[
        "address",
        "applet",
        "article",
        "aside",
        "blockquote",
        "button",
        "caption",
        "center",
        "details",
        "dir",
        "div",
        "dl",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "frame",
        "frameset",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "iframe",
        "main",
        "marquee",
        "menu",
        "nav",
        "noembed",
        "noframes",
        "noscript",
        "object",
        "ol",
        "pre",
        "script",
        "section",
        "select",
        "style",
        "summary",
        "table",
        "template",
        "textarea",
        "title",
        "ul",
        "xmp",
        "search",
        "listing",
        "plaintext",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_page_comes_out_as_it_went_in() {
        let page = "<!doctype html><html><head><title>a < b</title><script>if (a<b) '<div>'</script></head><body><div class='a>b'><p>one<p>two\
            <!-- <div><div> --><table><tr><td>x</table></div></body></html>";
        assert!(matches!(guard(page), (Cow::Borrowed(_), cuts) if cuts == Cuts::default()));
        // A thousand paragraphs and items without an end are no depth.
        let page = format!("<ul>{}</ul>{}", "<li>one".repeat(1000), "<p>two".repeat(1000));
        assert_eq!(guard(&page).1.tags, 0);
    }

    #[test]
    fn depth_is_cut_whatever_is_nested_and_however_it_is_closed() {
        for unit in [
            "<div>",
            "<span>",
            "<font color=1>",
            "<div><font x=1></div>",
            "<span></b>",
            "<span><div></span>",
            "<table><tr><td>",
            "<a1>",
            "<svg>",
        ] {
            let page = format!("{}text", unit.repeat(5000));
            let (page, cuts) = guard(&page);
            assert!(cuts.tags > 0, "{unit}");
            assert!(page.ends_with("text"), "{unit}");
        }
    }

    #[test]
    fn a_tag_of_very_many_attributes_keeps_its_name() {
        let attributes: String = (0..1000).map(|i| format!(" a{i}='>'")).collect();
        assert_eq!(guard(&format!("<p{attributes}>text</p>")).0, "<p>text</p>");
    }

    #[test]
    fn the_text_beyond_the_depth_stays() {
        let page = format!("{}deep{}<p>after", "<div>".repeat(1000), "</div>".repeat(1000));
        let (page, cuts) = guard(&page);
        assert_eq!(cuts.tags, 2 * (1000 - MOST_DEPTH));
        assert!(page.contains("deep") && page.ends_with("<p>after"));
    }
}
