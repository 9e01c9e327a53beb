//! Dumps of MediaWiki: XML, plain or compressed by bzip2 in one stream or many.
//!
//! A page is found by its tags, for what a page holds is escaped, and its XML is taken apart by whoever works on it. So a
//! damaged page, or one longer than the limit, costs itself and no other.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::members::{Interrupted, Members};
use super::{Body, Faults, Record};

const OPEN: &[u8] = b"<page>";
const CLOSE: &[u8] = b"</page>";
/// The longest description of a site before its first page.
const SITE: usize = 1 << 20;

/// The pages of a dump.
pub(crate) struct WikiReader {
    bytes: Members,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    longest: usize,
    number: u64,
    site: Option<Site>,
    pub(crate) faults: Faults,
}

/// What a dump says of its wiki.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Site {
    /// The language of its texts.
    lang: Option<String>,
    /// What addresses of its pages begin with.
    base: Option<String>,
}

impl WikiReader {
    pub(crate) fn open(path: &Path, longest: usize, done: Arc<AtomicU64>) -> io::Result<WikiReader> {
        Ok(WikiReader {
            bytes: Members::open(path, done)?,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            longest,
            number: 0,
            site: None,
            faults: Faults::default(),
        })
    }

    /// Reads a piece more; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        while !self.ended {
            match self.bytes.read_more(&mut self.buffer)? {
                Ok(0) => self.ended = true,
                Ok(_) => return Ok(true),
                // The page that was begun has no end, which is found out with the next one's beginning.
                Err(Interrupted::Junk) => self.faults.add("something else stands between compressed streams"),
                Err(Interrupted::Bomb) => {
                    self.faults.add("a compressed stream becomes hundreds of megabytes of next to nothing");
                }
                Err(_) => self.faults.add("a compressed stream is damaged or cut off"),
            }
        }
        Ok(false)
    }

    /// Goes to the next `tag`, at or behind `from` bytes from here; nothing within `longest` bytes, or to the end.
    fn find(&mut self, tag: &[u8], mut from: usize, longest: usize) -> io::Result<Option<usize>> {
        loop {
            if let Some(found) =
                memchr::memmem::find(self.buffer.get(self.at + from..).unwrap_or_default(), tag)
            {
                return Ok(Some(from + found));
            }
            let left = self.buffer.len() - self.at;
            from = left.saturating_sub(tag.len()).max(from.min(left));
            if left > longest || !self.more()? {
                return Ok(None);
            }
        }
    }

    /// The next page, as XML; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(open) = self.find(OPEN, 0, SITE)? else {
                if self.ended {
                    return Ok(None);
                }
                // No page for long: what was looked at is let go.
                self.at = self.buffer.len() - OPEN.len();
                continue;
            };
            if self.site.is_none() {
                self.site = Some(site(&self.buffer[self.at..self.at + open]));
            }
            self.at += open;
            self.number += 1;
            let close = self.find(CLOSE, OPEN.len(), self.longest)?;
            let Some(close) = close.filter(|&close| close <= self.longest) else {
                match self.ended && close.is_none() {
                    true => self.faults.add("a page ends before its end"),
                    false => self.faults.add("a page is longer than the limit"),
                }
                self.at += OPEN.len();
                continue;
            };
            let xml = &self.buffer[self.at..self.at + close + CLOSE.len()];
            // Where bytes are missing, a page's beginning stands before another's.
            if let Some(second) = memchr::memmem::rfind(xml, OPEN).filter(|&at| at > 0) {
                self.faults.add("a page ends before its end");
                self.at += second;
                continue;
            }
            let xml = xml.to_vec();
            self.at += xml.len();
            let site = self.site.clone().unwrap_or_default();
            let place = format!("page {}", self.number);
            let body = Body::WikiPage { xml, base: site.base };
            return Ok(Some(Record { body, lang: site.lang, place, ..Record::default() }));
        }
    }
}

/// What stands before the first page.
fn site(head: &[u8]) -> Site {
    let mut site = Site::default();
    let head = String::from_utf8_lossy(head);
    let mut reader = Reader::from_str(&head);
    let mut in_base = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                in_base = tag.local_name().as_ref() == "base";
                if tag.local_name().as_ref() == "mediawiki" {
                    let lang = tag.attributes().flatten().find(|a| a.key.as_ref() == "xml:lang");
                    site.lang = lang.map(|lang| lang.value.into_owned());
                }
            }
            Ok(Event::Text(text)) if in_base => {
                let base: &str = &text;
                site.base = base.rsplit_once('/').map(|(base, _)| format!("{base}/"));
                in_base = false;
            }
            Ok(Event::Eof) | Err(_) => return site,
            Ok(_) => {}
        }
    }
}

/// An article of a dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WikiPage {
    /// Its title.
    pub title: String,
    /// Its text, in wiki markup.
    pub text: String,
    /// The number of its namespace; articles are in 0.
    pub namespace: i64,
    /// Whether it only sends the reader to another page.
    pub redirect: bool,
    /// How its text is written, where the dump says so: `wikitext`, `json`, …
    pub model: Option<String>,
}

impl WikiPage {
    /// Takes the XML of a `<page>` apart. Of several revisions the last one's text is taken.
    ///
    /// # Errors
    /// XML that is none, or a page without a title or a text.
    pub fn parse(xml: &[u8]) -> Result<WikiPage, String> {
        let xml = String::from_utf8_lossy(xml);
        let mut reader = Reader::from_str(&xml);
        let mut page = WikiPage::default();
        let mut open: Vec<String> = Vec::new();
        let (mut value, mut has_text) = (String::new(), false);
        loop {
            match reader.read_event().map_err(|e| format!("no XML: {e}"))? {
                Event::Start(tag) => {
                    if open.len() > 8 {
                        return Err("tags are nested deeper than those of a page".to_owned());
                    }
                    open.push(tag.local_name().as_ref().to_owned());
                    value.clear();
                }
                Event::Empty(tag) => match tag.local_name().as_ref() {
                    "redirect" => page.redirect = true,
                    "text" => has_text = true,
                    _ => {}
                },
                Event::Text(text) => value.push_str(&text),
                Event::CData(text) => value.push_str(&text),
                Event::GeneralRef(name) => match name.strip_prefix('#').map(character) {
                    Some(found) => value.push(found.unwrap_or('\u{fffd}')),
                    None => match quick_xml::escape::resolve_predefined_entity(&name) {
                        Some(text) => value.push_str(text),
                        None => return Err(format!("an entity `&{};` that XML has not", &*name)),
                    },
                },
                Event::End(_) => {
                    let name = open.pop().unwrap_or_default();
                    let in_contributor = open.iter().any(|tag| tag == "contributor");
                    match name.as_str() {
                        "title" => page.title = std::mem::take(&mut value),
                        "ns" => page.namespace = value.trim().parse().unwrap_or(0),
                        "model" => page.model = Some(std::mem::take(&mut value)),
                        "text" if !in_contributor => {
                            page.text = std::mem::take(&mut value);
                            has_text = true;
                        }
                        _ => {}
                    }
                    value.clear();
                }
                Event::Eof => break,
                _ => {}
            }
        }
        match (page.title.is_empty(), has_text) {
            (true, _) => Err("a page has no title".to_owned()),
            (_, false) => Err("a page has no text".to_owned()),
            _ => Ok(page),
        }
    }

    /// Where the page is, on a wiki whose addresses begin with `base`.
    pub fn url(&self, base: &str) -> String {
        format!("{base}{}", self.title.replace(' ', "_"))
    }
}

/// The character of `65` or `x41`.
fn character(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart_with_its_entities() {
        let xml = "<page><title>A &amp; B</title><ns>0</ns><id>1</id><revision><id>2</id><contributor><username>x</username>\
                   </contributor><model>wikitext</model><text xml:space=\"preserve\">'''A''' &lt;ref&gt;&#44032;&#x41;</text></revision></page>";
        let page = WikiPage::parse(xml.as_bytes()).unwrap();
        assert_eq!((page.title.as_str(), page.text.as_str()), ("A & B", "'''A''' <ref>가A"));
        assert_eq!((page.namespace, page.redirect, page.model.as_deref()), (0, false, Some("wikitext")));
        assert_eq!(page.url("https://ko.wiki.example/wiki/"), "https://ko.wiki.example/wiki/A_&_B");
    }

    #[test]
    fn redirects_and_what_is_no_page_are_told() {
        let xml =
            "<page><title>B</title><ns>0</ns><redirect title=\"A\"/><revision><text/></revision></page>";
        assert!(WikiPage::parse(xml.as_bytes()).unwrap().redirect);
        for broken in [
            "<page></page>",
            "<page><title>x</title></page>",
            "<page><title>x</page>",
            "<page>&unknown;</page>",
        ] {
            assert!(WikiPage::parse(broken.as_bytes()).is_err(), "{broken}");
        }
        let deep = "<page>".to_owned() + &"<a>".repeat(1_000_000);
        assert!(WikiPage::parse(deep.as_bytes()).is_err());
    }
}
