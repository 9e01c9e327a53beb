//! The main text of a page.
//!
//! `dom_smoothie` finds the article of a page as Firefox's reader view does; where there is none (lists, forums, shops, pages of a few
//! lines), all blocks of the page are taken that are not its frame ([`outline`]). Titles and items of lists stand on lines of their own,
//! a row of a table on one, its cells apart by a tab. Before any parser sees it, a page is made harmless by [`guard`].

mod blocks;
mod guard;
mod kind;
mod outline;

use dom_query::Document;
use dom_smoothie::{Config, Readability, TextMode};
use serde::{Deserialize, Serialize};

pub use guard::{Cuts, MOST_BYTES, MOST_DEPTH, MOST_TAGS};
pub use kind::PageKind;

/// How the main text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extractor {
    /// The article of the page.
    Article,
    /// All blocks that are not the page's frame.
    Outline,
}

/// The main text of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The page's title, empty where it has none.
    pub title: String,
    /// What the page says its language is.
    pub lang: Option<String>,
    /// The main text: blocks apart by an empty line, items and rows by a new line.
    pub text: String,
    /// How it was found.
    pub by: Extractor,
    /// What the page looks like.
    pub kind: PageKind,
    /// What was left out before the page was parsed.
    pub cuts: Cuts,
}

/// How the main text is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Extract {
    /// Puts the title before the text, where it does not begin with it.
    pub title: bool,
    /// An article of fewer characters is held against all blocks of the page.
    pub short: usize,
}

impl Default for Extract {
    fn default() -> Self {
        Self { title: true, short: 200 }
    }
}

/// The main text of `html`.
pub fn text(html: &str, options: &Extract) -> Page {
    let (html, cuts) = guard::guard(html);
    let document = Document::from(html.as_ref());
    let kind = kind::of(&document);
    let lang = document.select_single("html").attr("lang").map(|lang| lang.to_string());
    // Numbers beside code are a column of their own in many pages.
    document.select(GUTTERS).remove();
    let outline = outline::outline(&document);
    let config = Config { text_mode: TextMode::Raw, disable_json_ld: true, ..Config::default() };
    let (mut title, mut article) = (String::new(), String::new());
    if let Ok(mut readability) = Readability::with_document(document, None, Some(config)) {
        title = readability.get_article_title().trim().to_owned();
        if let Ok(found) = readability.parse() {
            article = blocks::text(&Document::fragment(found.content).root());
        }
    }
    let (mut text, by) = choose(article, outline, kind, options);
    if options.title && !title.is_empty() && !starts_with_title(&text, &title) {
        text = if text.is_empty() { title.clone() } else { format!("{title}\n\n{text}") };
    }
    Page { title, lang, text, by, kind, cuts }
}

/// Elements that hold the numbers of lines of code, and marks that link to a title.
const GUTTERS: &str = "td.gutter, .lineno, .linenos, .linenodiv, .line-numbers-rows, .hljs-ln-numbers, .rouge-gutter, .blob-num, .headerlink, \
    .anchorjs-link, a.anchor, .visually-hidden, .sr-only, .screen-reader-text";

/// The article, or all blocks where the page has none.
fn choose(article: String, outline: String, kind: PageKind, options: &Extract) -> (String, Extractor) {
    let (of_article, of_outline) = (visible(&article), visible(&outline));
    let short = of_article < options.short && of_outline > of_article;
    // A page of many entries is more than the one entry that looks most like an article.
    let part = kind != PageKind::Article && of_outline > of_article * 3 / 2;
    if short || part { (outline, Extractor::Outline) } else { (article, Extractor::Article) }
}

fn visible(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// Whether the first lines say the title already.
fn starts_with_title(text: &str, title: &str) -> bool {
    let head: String =
        text.chars().take(title.chars().count() * 2 + 40).filter(|c| !c.is_whitespace()).collect();
    let title: String = title.chars().filter(|c| !c.is_whitespace()).collect();
    head.contains(&title)
}
