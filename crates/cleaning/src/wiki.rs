//! MediaWiki's markup to text.
//!
//! Templates, references, comments, files and categories go; of links the words stay; headings, paragraphs and items of lists
//! stand on lines of their own; the rows of a table on one each, its cells apart by a tab. A section of nothing but sources or
//! links (각주, 외부 링크, References, …) goes with its heading. Some templates are text in disguise, such as `{{lang|en|…}}`, and are
//! taken as what they show. Names are those of Korean and English wikis.

mod inline;
mod names;
mod table;
mod tags;

use serde::Serialize;

/// What a page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// A text.
    Article,
    /// Points to another page.
    Redirect(String),
    /// Lists pages of the same name.
    Disambiguation,
}

/// Longest markup that is read, in bytes; what is behind it is cut. MediaWiki itself takes 2 MiB.
pub const MOST_BYTES: usize = 8 << 20;

/// What the page with this markup is.
pub fn kind(markup: &str) -> PageKind {
    let head = markup.trim_start();
    if let Some(rest) = names::REDIRECT.iter().find_map(|name| tags::strip_prefix_ignore_case(head, name))
        && let Some(target) = rest.find("[[").map(|at| &rest[at + 2..])
        && let Some(end) = target.find(['|', ']', '#', '\n'])
    {
        return PageKind::Redirect(target[..end].trim().to_owned());
    }
    let mut rest = markup;
    while let Some(at) = rest.find("{{") {
        rest = &rest[at + 2..];
        // Names of such templates are short.
        let head = &rest[..rest.floor_char_boundary(60)];
        let name = head[..head.find(['|', '}', '\n']).unwrap_or(head.len())].trim().to_lowercase();
        if names::DISAMBIGUATION.contains(&name.as_str()) {
            return PageKind::Disambiguation;
        }
    }
    PageKind::Article
}

/// The text of a page.
pub fn text(markup: &str) -> String {
    let markup = &markup[..markup.floor_char_boundary(MOST_BYTES)];
    let markup = tags::without(markup);
    let markup = inline::without_templates(&markup);
    let mut writer = Lines::default();
    let mut lines = markup.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        // `{|` opens a table, indented or not, in a template's place or not.
        if line.trim_start_matches(':').starts_with("{|") {
            for row in table::rows(&mut lines) {
                writer.line(&row);
            }
            writer.gap();
            continue;
        }
        if let Some((level, title)) = heading(line) {
            writer.heading(level, &inline::plain(title));
            continue;
        }
        if line.starts_with("----") || line.starts_with("__") && line.ends_with("__") {
            writer.gap();
            continue;
        }
        let body = line.trim_start_matches(['*', '#', ':', ';']);
        let plain = inline::plain(body);
        if plain.trim().is_empty() {
            if line.is_empty() {
                writer.gap();
            }
            continue;
        }
        writer.line(&plain);
    }
    writer.finish()
}

/// The level and the title of `== Title ==`.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|&byte| byte == b'=').count().min(6);
    let title = line.get(level..line.len().checked_sub(level)?)?;
    (level > 0 && line.ends_with(&"=".repeat(level)) && !title.trim().is_empty())
        .then(|| (level, title.trim_matches('=').trim()))
}

/// Lines of a text, with the headings that they stand under.
#[derive(Default)]
struct Lines {
    text: String,
    /// Headings that no line has followed yet.
    waiting: Vec<(usize, String)>,
    /// The level of a section that goes.
    dropped: Option<usize>,
    gap: bool,
}

impl Lines {
    fn heading(&mut self, level: usize, title: &str) {
        if self.dropped.is_some_and(|dropped| level > dropped) {
            return;
        }
        self.dropped = names::APPENDICES.contains(&title.trim().to_lowercase().as_str()).then_some(level);
        while self.waiting.last().is_some_and(|&(last, _)| last >= level) {
            self.waiting.pop();
        }
        if self.dropped.is_none() {
            self.waiting.push((level, title.trim().to_owned()));
        }
        self.gap = true;
    }

    fn gap(&mut self) {
        self.gap = true;
    }

    /// A paragraph, an item or a row.
    fn line(&mut self, line: &str) {
        if self.dropped.is_some() {
            return;
        }
        for (_, title) in std::mem::take(&mut self.waiting) {
            if !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
            self.text.push_str(&title);
            self.gap = true;
        }
        if !self.text.is_empty() {
            self.text.push_str(if self.gap { "\n\n" } else { "\n" });
        }
        self.gap = false;
        let trimmed = line.trim();
        self.text.push_str(trimmed);
    }

    fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_its_text() {
        let markup = "{{정보상자\n|이름 = {{lang|ko|한강}}\n|길이 = 494 km}}\n'''한강'''(Han River, {{llang|ko|한강}})은 [[강]]이다.<ref name=\"a\">{{웹 인용|제목=강}}</ref> \
            길이는 [[킬로미터|494 km]]이다.<ref name=\"a\" /><!-- 주석 -->\n[[파일:Han.jpg|섬네일|왼쪽|강의 [[다리]] 모습]]\n\n== 역사 ==\n* 1914년: [https://a.example 다리]를 놓았다.\n** 둘째\n# 셋째\n\n\
            == 인구 ==\n{| class=\"wikitable\"\n! 연도 !! 인구\n|-\n| 1990 || align=\"right\" | 3,020\n|}\n\n식은 <math>x^2</math>이고 <code>y = 1</code>이다.\n\n== 같이 보기 ==\n* [[바다]]\n== 각주 ==\n{{각주}}\n[[분류:강]]\n[[en:Han]]\n";
        assert_eq!(
            text(markup),
            "한강(Han River, 한강)은 강이다. 길이는 494 km이다.\n\n역사\n\n1914년: 다리를 놓았다.\n둘째\n셋째\n\n인구\n\n연도\t인구\n1990\t3,020\n\n식은 x^2이고 y = 1이다."
        );
    }

    #[test]
    fn redirects_and_disambiguation_are_told() {
        assert_eq!(kind("#넘겨주기 [[조지 루카스]]"), PageKind::Redirect("조지 루카스".to_owned()));
        assert_eq!(kind("#redirect[[Sea#Salt]]"), PageKind::Redirect("Sea".to_owned()));
        assert_eq!(kind("'''나래'''는\n* [[나래 (가수)]]\n{{동음이의}}"), PageKind::Disambiguation);
        assert_eq!(kind("# item\n{{info|x}}"), PageKind::Article);
    }

    #[test]
    fn broken_markup_keeps_the_text_that_follows() {
        assert_eq!(
            text("Rivers {{cite|a [[b]] run.\n\nTo the sea."),
            "Rivers {{cite|a b run.\n\nTo the sea."
        );
        assert_eq!(text("A <ref>never closed.\n\nB"), "A never closed.\n\nB");
        assert_eq!(text("{|\n| a\n| b"), "a\tb");
        assert_eq!(text("''' ''x'' '''[[]] [http://a.example] [[a|]]"), "x a");
    }

    #[test]
    fn markup_nested_a_million_deep_is_read_in_time() {
        let start = std::time::Instant::now();
        for unit in ["{{", "[[", "{|\n", "<ref>", "{{a|", "[[a|", "'''", "<!--", "<div>", "{{{", "[http://a "]
        {
            let markup = unit.repeat(1_000_000);
            text(&markup);
            kind(&markup);
        }
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}
