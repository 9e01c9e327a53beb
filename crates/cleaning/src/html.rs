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
    let (chosen, by) = choose(article, outline, &title, kind, options);
    let mut text = without_pager(&chosen).to_owned();
    if options.title && !title.is_empty() && !starts_with_title(&text, &title) {
        text = if text.is_empty() { title.clone() } else { format!("{title}\n\n{text}") };
    }
    Page { title, lang, text, by, kind, cuts }
}

/// Elements that hold the numbers of lines of code, and marks that link to a title.
const GUTTERS: &str = "td.gutter, .lineno, .linenos, .linenodiv, .line-numbers-rows, .hljs-ln-numbers, .rouge-gutter, .blob-num, .headerlink, \
    .anchorjs-link, a.anchor, .visually-hidden, .sr-only, .screen-reader-text";

/// The article, or all blocks where the page has none.
fn choose(
    article: String,
    outline: String,
    title: &str,
    kind: PageKind,
    options: &Extract,
) -> (String, Extractor) {
    let (of_article, of_outline) = (visible(&article), visible(&outline));
    let short = of_article < options.short
        && (of_outline > of_article || of_outline * 2 > of_article && is_part(&outline, &article, title));
    // A page of many entries is more than the one entry that looks most like an article; one with a whole article has entries beside it.
    let part = match kind {
        PageKind::Article => false,
        PageKind::Forum | PageKind::Product => of_outline > of_article * 3 / 2,
        PageKind::Listing => of_article < WHOLE && of_outline > of_article * 3 / 2,
    };
    if short || part { (outline, Extractor::Outline) } else { (article, Extractor::Article) }
}

/// Whether a text has nothing but the title that another has not: of a page of few words the reader view takes the frame, too.
fn is_part(text: &str, of: &str, title: &str) -> bool {
    text.lines().map(str::trim).all(|line| line == title || of.contains(line))
}

/// Characters of an article that is one, whatever stands around it.
const WHOLE: usize = 1000;

fn visible(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// A text without the last lines that lead to the pages before and after it.
fn without_pager(text: &str) -> &str {
    const WORDS: [&str; 16] = [
        "newer",
        "older",
        "previous",
        "next",
        "prev",
        "previous post",
        "next post",
        "back",
        "top",
        "이전",
        "다음",
        "이전 글",
        "다음 글",
        "이전글",
        "다음글",
        "목록",
    ];
    let mut text = text.trim_end();
    while let Some((rest, last)) = text.rsplit_once('\n') {
        let last = last.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
        if !WORDS.contains(&last.as_str()) {
            break;
        }
        text = rest.trim_end();
    }
    text
}

/// Whether the first lines say the title already.
fn starts_with_title(text: &str, title: &str) -> bool {
    let head: String =
        text.chars().take(title.chars().count() * 2 + 40).filter(|c| !c.is_whitespace()).collect();
    let title: String = title.chars().filter(|c| !c.is_whitespace()).collect();
    head.contains(&title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_article_is_taken_and_the_frame_is_not() {
        let sentence =
            "강은 산에서 시작하여 여러 마을을 지나 바다로 흘러 들어가고, 사람들은 배를 타고 건넌다.";
        let html = format!(
            "<html lang=ko><head><title>강 이야기</title></head><body><nav><a href=/>홈</a> <a href=/l>로그인</a></nav><div class=content><h1>강 이야기</h1>{}\
             <ul><li>첫째</li><li>둘째</li></ul><table><tr><td>길이</td><td>494</td></tr></table></div><footer>저작권</footer></body></html>",
            format!("<p>{sentence}</p>").repeat(6)
        );
        let page = text(&html, &Extract::default());
        assert_eq!(
            (page.title.as_str(), page.lang.as_deref(), page.kind),
            ("강 이야기", Some("ko"), PageKind::Article)
        );
        assert!(
            page.text.starts_with("강 이야기")
                && page.text.contains("첫째\n둘째")
                && page.text.contains("길이\t494"),
            "{}",
            page.text
        );
        assert!(!page.text.contains("로그인") && !page.text.contains("저작권"), "{}", page.text);
        assert_eq!(page.text.matches("강 이야기").count(), 1);
    }

    #[test]
    fn a_thread_is_all_its_posts() {
        let post = |i| {
            format!(
                "<div class=post><p>글 {i}: 배를 타고 강을 건넌 이야기를 여기에 적는다. 물은 맑고 바람은 차다.</p></div>"
            )
        };
        let html = format!(
            "<body><nav>메뉴</nav><div id=thread>{}</div></body>",
            (0..8).map(post).collect::<String>()
        );
        let page = text(&html, &Extract::default());
        assert_eq!(page.kind, PageKind::Forum);
        assert!((0..8).all(|i| page.text.contains(&format!("글 {i}:"))), "{}", page.text);
    }

    #[test]
    fn links_to_the_pages_beside_go() {
        assert_eq!(without_pager("글이다.\n\n« Older\nNewer »"), "글이다.");
        assert_eq!(without_pager("다음"), "다음");
    }
}
