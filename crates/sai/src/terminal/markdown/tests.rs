use super::*;
use crate::terminal::style::{Color, Span, Style, row_width};

fn rendered(source: &str, columns: usize, color: bool) -> Vec<Row> {
    let mut renderer = Renderer::new(color);
    segments(source).into_iter().flat_map(|segment| renderer.rows(&source[segment], columns)).collect()
}

fn lines(source: &str, columns: usize) -> Vec<String> {
    let rows = rendered(source, columns, true);
    assert!(rows.iter().all(|row| row_width(row) <= columns), "{rows:?}");
    rows.iter().map(|row| row.iter().map(Span::text).collect::<String>().trim_end().to_owned()).collect()
}

fn style_of(source: &str, text: &str) -> Style {
    let rows = rendered(source, 80, true);
    let span = rows.iter().flatten().find(|span| span.text().contains(text));
    span.unwrap_or_else(|| panic!("no {text:?} in {rows:?}")).style
}

#[test]
fn tables_align_wide_characters() {
    let table =
        "| 도시 | City | 인구 |\n|---|:-:|---:|\n| 서울 | Seoul | 9411000 |\n| 부산광역시 | B | 3.3 |";
    assert_eq!(
        lines(table, 60),
        [
            "도시       │ City  │    인구",
            "───────────┼───────┼────────",
            "서울       │ Seoul │ 9411000",
            "부산광역시 │   B   │     3.3",
        ]
    );
    // Too wide: the widest column wraps.
    assert_eq!(
        lines("| a | b |\n|---|---|\n| 하나 둘 셋 넷 다섯 | x |", 15),
        ["a           │ b", "────────────┼──", "하나 둘 셋  │ x", "넷 다섯     │"]
    );
    assert_eq!(lines("|aa|bb|cc|\n|--|--|--|\n|1|2|3|", 12), ["aa: 1", "bb: 2", "cc: 3"]);
}

#[test]
fn lists_keep_their_indentation() {
    assert_eq!(
        lines("9. 아홉 번째 항목은 길다\n10. 열\n    - 안\n      둘째 줄\n\n    문단", 14),
        ["9. 아홉 번째", "   항목은 길다", "10. 열", "    • 안 둘째", "      줄", "", "    문단"]
    );
    assert_eq!(lines("- a\n\n- b\n- c", 20), ["• a", "", "• b", "• c"]);
    assert_eq!(lines("-\n- x", 20), ["•", "• x"]);
    assert_eq!(lines("- x\n  ```\n  code\n  ```", 20), ["• x", "    code"]);
}

#[test]
fn emphasis_before_korean_particles() {
    for source in ["**\"서울\"**은", "은**\"서울\"**이", "**서울(Seoul)**은", "**서울**은", "**서울.**그리고"]
    {
        let row: String = rendered(source, 80, true).iter().flatten().map(Span::text).collect();
        assert!(!row.contains(['*', '\u{200b}']), "{source} became {row}");
        assert!(style_of(source, "서울").bold);
    }
    // Arithmetic is not emphasis.
    assert_eq!(lines("2 * 3 * 4 = 24", 40), ["2 * 3 * 4 = 24"]);
}

#[test]
fn code_is_coloured_by_meaning() {
    let code = "```rust\n// 인사\nfn main() { let s = \"안녕\"; }\n```";
    assert_eq!(style_of(code, "fn").color, Some(Color::Blue));
    assert_eq!(style_of(code, "안녕").color, Some(Color::Green));
    assert!(style_of(code, "인사").dim);
    assert_eq!(style_of("```python\ndef f(x):\n    return 1\n```", "return").color, Some(Color::Blue));
    assert_eq!(style_of("```nosuchlanguage\nfn\n```", "fn"), Style::PLAIN);
    assert_eq!(style_of("a `b` c", "b").color, Some(Color::Cyan));
}

#[test]
fn marks_remain_without_colour() {
    let text =
        |source: &str| -> String { rendered(source, 80, false).iter().flatten().map(Span::text).collect() };
    assert_eq!(text("## 제목"), "## 제목");
    assert_eq!(text("a `b` c"), "a `b` c");
}

#[test]
fn links_show_where_they_lead() {
    assert_eq!(lines("[a](https://x.kr) <https://y.kr>", 60), ["a (https://x.kr) https://y.kr"]);
    assert_eq!(lines("![그림](a.png)", 60), ["그림 (a.png)"]);
    assert_eq!(lines("a<br>b  \nc\\\nd", 60), ["a", "b", "c", "d"]);
}

#[test]
fn long_code_lines_go_on() {
    assert_eq!(lines("```\n가나다라마\n\nx\n```", 8), ["  가나다", "  라마", "", "  x"]);
}

#[test]
fn finished_blocks_are_found() {
    let source = "a\nb\n\n- c\n  d\n\n---\n\n    code\n";
    let found: Vec<&str> = segments(source).into_iter().map(|segment| &source[segment]).collect();
    assert_eq!(found.iter().map(|text| text.trim()).collect::<Vec<_>>(), ["a\nb", "- c\n  d", "---", "code"]);
    assert!(found[3].starts_with("    code"));
}

#[test]
fn definitions_of_links_stay_to_be_seen() {
    let mut source = String::new();
    for piece in ["[a]", ": http://x.kr\n\n", "[a] `[b]:`"] {
        append(&mut source, piece);
    }
    assert_eq!(lines(&source, 60), ["[a]: http://x.kr", "[a] [b]:"]);
}
