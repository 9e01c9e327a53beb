//! From Markdown's events to a tree of blocks.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::terminal::style::{Color, Span, Style};

/// Text in a line, before it is wrapped.
pub(super) type Inline = Vec<Span>;

/// A block of a text.
#[derive(Debug)]
pub(super) enum Block {
    Paragraph(Inline),
    Heading { level: usize, text: Inline },
    Code { language: String, text: String },
    Quote(Vec<Placed>),
    List { first: Option<u64>, items: Vec<Placed<Vec<Placed>>> },
    Table { alignment: Vec<Alignment>, rows: Vec<Vec<Inline>> },
    Rule,
}

/// Something and whether the source leaves a blank line above it.
#[derive(Debug)]
pub(super) struct Placed<T = Block> {
    pub(super) apart: bool,
    pub(super) it: T,
}

/// Quotes and lists nested deeper than this lie flat: nobody reads them, and a text of nothing but `>` must
/// not exhaust the stack.
const DEEPEST: usize = 12;

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Where the top-level blocks lie.
pub(super) fn top_level(source: &str) -> Vec<Range<usize>> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (event, range) in Parser::new_ext(source, options()).into_offset_iter() {
        match event {
            Event::Start(_) => {
                if depth == 0 {
                    found.push(range);
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ if depth == 0 => found.push(range),
            _ => {}
        }
    }
    found
}

/// The blocks of a text. `color` says whether code in a line can be told by its colour or needs its marks.
pub(super) fn blocks(source: &str, color: bool) -> Vec<Placed> {
    let source = mend_emphasis(source);
    let events = Parser::new_ext(&source, options()).into_offset_iter().collect();
    let mut reader = Reader { source: &source, events, next: 0, color };
    reader.blocks(0)
}

/// By CommonMark's rule `**"서울"**은` is no emphasis: the closing mark stands between punctuation and a
/// letter. Korean particles follow without a space, so a zero-width space is slipped in where the rule would
/// fail; [`text`] takes it out again.
fn mend_emphasis(source: &str) -> Cow<'_, str> {
    if !source.contains(['*', '_']) {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut before = ' ';
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let run = rest.bytes().take_while(|&b| b == b'*').count();
        if run == 0 {
            out.push(c);
            before = c;
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (marks, tail) = rest.split_at(run);
        let after = tail.chars().next().unwrap_or(' ');
        if closes(before) && cjk(after) {
            out.push(ZERO_WIDTH_SPACE);
        }
        out.push_str(marks);
        if cjk(before) && opens(after) {
            out.push(ZERO_WIDTH_SPACE);
        }
        before = '*';
        rest = tail;
    }
    Cow::Owned(out)
}

pub(super) const ZERO_WIDTH_SPACE: char = '\u{200b}';

fn cjk(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{318f}' | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{20000}'..='\u{3fffd}')
}

fn closes(c: char) -> bool {
    ")]}>\"'`.,!?:;%~”’»」』》〉】）］！？。，…".contains(c)
}

fn opens(c: char) -> bool {
    "([{<\"'`~#$“‘«「『《〈【（［".contains(c)
}

fn text(text: &str, style: Style) -> Span {
    Span::new(&text.replace(ZERO_WIDTH_SPACE, ""), style)
}

struct Reader<'a> {
    source: &'a str,
    events: Vec<(Event<'a>, Range<usize>)>,
    next: usize,
    color: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self) -> Option<(Event<'a>, Range<usize>)> {
        let slot = self.events.get_mut(self.next)?;
        self.next += 1;
        Some((std::mem::replace(&mut slot.0, Event::Rule), slot.1.clone()))
    }

    fn blocks(&mut self, depth: usize) -> Vec<Placed> {
        let mut blocks = Vec::new();
        self.blocks_into(depth, &mut blocks);
        blocks
    }

    /// Blocks up to the end of what surrounds them.
    fn blocks_into(&mut self, depth: usize, out: &mut Vec<Placed>) {
        let mut flat = 0_usize;
        while let Some((event, range)) = self.take() {
            let apart = self.blank_above(range.start);
            let block = match event {
                Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::Item) if depth >= DEEPEST => {
                    flat += 1;
                    continue;
                }
                Event::End(_) if flat > 0 => {
                    flat -= 1;
                    continue;
                }
                Event::End(_) => return,
                Event::Start(Tag::Paragraph) => Block::Paragraph(self.inline(Style::PLAIN)),
                Event::Start(Tag::Heading { level, .. }) => {
                    Block::Heading { level: level as usize, text: self.inline(Style::BOLD) }
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match &kind {
                        CodeBlockKind::Fenced(info) => info.split([' ', ',', '{']).next().unwrap_or(""),
                        CodeBlockKind::Indented => "",
                    };
                    Block::Code { language: language.to_owned(), text: self.verbatim() }
                }
                Event::Start(Tag::HtmlBlock) => {
                    Block::Paragraph(vec![text(self.verbatim().trim_end(), Style::PLAIN)])
                }
                Event::Start(Tag::BlockQuote(_)) => Block::Quote(self.blocks(depth + 1)),
                Event::Start(Tag::List(first)) => Block::List { first, items: self.items(depth + 1) },
                Event::Start(Tag::Table(alignment)) => Block::Table { alignment, rows: self.table_rows() },
                Event::Rule => Block::Rule,
                // The text of a tight item stands in it without a paragraph.
                _ => {
                    self.next -= 1;
                    self.events[self.next].0 = event;
                    Block::Paragraph(self.inline(Style::PLAIN))
                }
            };
            out.push(Placed { apart, it: block });
        }
    }

    fn items(&mut self, depth: usize) -> Vec<Placed<Vec<Placed>>> {
        let mut items = Vec::new();
        while let Some((event, range)) = self.take() {
            match event {
                Event::Start(Tag::Item) => {
                    items.push(Placed { apart: self.blank_above(range.start), it: self.blocks(depth) });
                }
                _ => break,
            }
        }
        items
    }

    fn table_rows(&mut self) -> Vec<Vec<Inline>> {
        let mut rows = Vec::new();
        while let Some((event, _)) = self.take() {
            match event {
                Event::Start(Tag::TableHead) => rows.push(self.cells(Style::BOLD)),
                Event::Start(Tag::TableRow) => rows.push(self.cells(Style::PLAIN)),
                _ => break,
            }
        }
        rows
    }

    fn cells(&mut self, style: Style) -> Vec<Inline> {
        let mut cells = Vec::new();
        while let Some((Event::Start(Tag::TableCell), _)) = self.take() {
            cells.push(self.inline(style));
        }
        cells
    }

    /// Text up to the end of its block; where it has none of its own, up to the next block.
    fn inline(&mut self, base: Style) -> Inline {
        let mut spans = Vec::new();
        let mut styles = vec![base];
        let mut links: Vec<(usize, String)> = Vec::new();
        while let Some((event, _)) = self.take() {
            let style = *styles.last().unwrap_or(&base);
            match event {
                Event::Text(piece) => spans.push(text(&piece, style)),
                Event::Code(code) => {
                    if self.color {
                        spans.push(text(&code, Style { color: Some(Color::Cyan), ..style }));
                    } else {
                        spans.push(text(&format!("`{code}`"), style));
                    }
                }
                Event::InlineHtml(html) if is_line_break(&html) => spans.push(text("\n", style)),
                Event::Html(html) | Event::InlineHtml(html) => spans.push(text(&html, style)),
                Event::SoftBreak => spans.push(text(" ", style)),
                Event::HardBreak => spans.push(text("\n", style)),
                Event::TaskListMarker(done) => spans.push(text(if done { "[x] " } else { "[ ] " }, style)),
                Event::Start(Tag::Emphasis) => styles.push(Style { italic: true, ..style }),
                Event::Start(Tag::Strong) => styles.push(Style { bold: true, ..style }),
                Event::Start(Tag::Strikethrough) => styles.push(Style { strike: true, ..style }),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push((spans.len(), dest_url.into_string()));
                    styles.push(Style { underline: true, ..style });
                }
                Event::End(TagEnd::Link | TagEnd::Image) => {
                    styles.pop();
                    if let Some((from, url)) = links.pop() {
                        let shown: String = spans[from.min(spans.len())..].iter().map(Span::text).collect();
                        if shown != url && format!("mailto:{shown}") != url {
                            spans.push(text(&format!(" ({url})"), Style { dim: true, ..style }));
                        }
                    }
                }
                Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) => {
                    styles.pop();
                }
                Event::End(TagEnd::Item) | Event::Start(_) | Event::Rule => {
                    // Not ours: the item's end, or the block after a tight item's text.
                    self.next -= 1;
                    self.events[self.next].0 = event;
                    break;
                }
                Event::End(_) => break,
                _ => {}
            }
        }
        spans
    }

    fn verbatim(&mut self) -> String {
        let mut all = String::new();
        while let Some((event, _)) = self.take() {
            match event {
                Event::Text(piece) | Event::Html(piece) => all.push_str(&piece),
                _ => break,
            }
        }
        all.replace(ZERO_WIDTH_SPACE, "")
    }

    /// Whether the line above the one at `at` is empty but for quote marks.
    fn blank_above(&self, at: usize) -> bool {
        let Some(line_end) = self.source[..at].rfind('\n') else { return false };
        let line = &self.source[self.source[..line_end].rfind('\n').map_or(0, |i| i + 1)..line_end];
        line.trim_matches(|c: char| c.is_whitespace() || c == '>').is_empty()
    }
}

fn is_line_break(html: &str) -> bool {
    let name = html.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/').trim();
    name.eq_ignore_ascii_case("br")
}
