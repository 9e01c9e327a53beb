use std::num::NonZero;

use super::*;

fn at_40() -> (usize, usize) {
    (40, 100)
}

fn small() -> (usize, usize) {
    (40, 6)
}

/// The bytes that drawing the text in these pieces writes.
fn drawn<'a>(pieces: impl IntoIterator<Item = &'a str>, size: fn() -> (usize, usize)) -> Vec<u8> {
    let mut live = Live::new(Vec::new(), size, true, Duration::ZERO);
    for piece in pieces {
        live.push(piece).expect("a Vec takes every byte");
    }
    live.finish().expect("a Vec takes every byte")
}

fn screen(bytes: &[u8], size: fn() -> (usize, usize)) -> vt100::Parser {
    let (columns, rows) = size();
    let cells = |n: usize| u16::try_from(n).ok().and_then(NonZero::new).expect("a window has cells");
    let mut parser = vt100::Parser::new(cells(rows), cells(columns), 1000);
    parser.process(bytes);
    parser
}

const SAMPLE: &str = "\
# 서울 안내

서울은 **대한민국의 수도**이며, *한강*이 흐르는 도시입니다. 인구는 `9,600,000`명 남짓입니다.
둘째 줄 **\"인용\"**은 굵게.

1. 첫째 항목
   - 안쪽 *하나*
   - 안쪽 둘

2. 둘째 항목
10) not the same list

| 이름 | 값 |
|:-----|---:|
| 가나다 | 1 |
| b | 22 |

> 인용문은 길어서 여러 줄로 나뉘어야 하는 경우가 있습니다.
> > 안쪽

```rust
fn main() {
    println!(\"안녕\"); // 인사
}
```

제목
---
* * *
[링크](https://example.com) <b>html</b> &#27;[31m ~~gone~~ [ref]: x

[ref]: https://example.com/x

- [x] done
- [ ] todo

    indented code
last **unclosed";

#[test]
fn any_pieces_end_with_the_same_screen() {
    let whole = screen(&drawn([SAMPLE], at_40), at_40);
    let mut cuts: Vec<Vec<&str>> = Vec::new();
    cuts.push(SAMPLE.split_inclusive(|_: char| true).collect());
    cuts.push(SAMPLE.split_inclusive('\n').collect());
    cuts.push(SAMPLE.split_inclusive(' ').collect());
    // Pieces of varying length from a small generator: the same ones each time.
    for seed in 1..60_u64 {
        let (mut state, mut pieces, mut rest) = (seed, Vec::new(), SAMPLE);
        while !rest.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = 1 + (state >> 33) as usize % 23;
            let at = rest.char_indices().nth(n).map_or(rest.len(), |(i, _)| i);
            let (piece, tail) = rest.split_at(at);
            pieces.push(piece);
            rest = tail;
        }
        cuts.push(pieces);
    }
    for pieces in cuts {
        let parser = screen(&drawn(pieces.iter().copied(), at_40), at_40);
        assert_eq!(parser.screen().contents(), whole.screen().contents(), "{pieces:?}");
        assert_eq!(parser.screen().contents_formatted(), whole.screen().contents_formatted());
        assert_eq!(parser.screen().cursor_position(), whole.screen().cursor_position());
    }
}

#[test]
fn random_markdown_in_pieces_ends_with_the_same_screen() {
    const PARTS: [&str; 36] = [
        "\n",
        "\n",
        "\n",
        "\n\n",
        "  ",
        "    ",
        "- ",
        "* ",
        "1. ",
        "2) ",
        "> ",
        "# ",
        "```",
        "```rust\n",
        "~~~\n",
        "|",
        "|-|\n",
        "---\n",
        "===\n",
        "가나다",
        "라",
        "a b",
        "**",
        "*",
        "_",
        "`",
        "[x]: y",
        "[x]",
        "<div>",
        "<!--",
        "-->",
        "\t",
        "\\",
        "&amp;",
        "![",
        "](u)",
    ];
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..600 {
        let text: String = (0..2 + next(18)).map(|_| PARTS[next(PARTS.len())]).collect();
        let whole = screen(&drawn([text.as_str()], at_40), at_40);
        let pieces = screen(&drawn(text.split_inclusive(|_: char| true), at_40), at_40);
        assert_eq!(pieces.screen().contents(), whole.screen().contents(), "{text:?}");
    }
}

#[test]
fn each_form_has_its_look() {
    let text = screen(&drawn([SAMPLE], at_40), at_40).screen().contents();
    for line in [
        "서울 안내",
        "1. 첫째 항목",
        "   • 안쪽 하나",
        "이름   │ 값",
        "───────┼───",
        "가나다 │  1",
        "b      │ 22",
        "│ │ 안쪽",
        "  fn main() {",
        "      println!(\"안녕\"); // 인사",
        "[ref]: https://example.com/x",
        "• [x] done",
    ] {
        assert!(text.lines().any(|l| l.trim_end() == line), "no line {line:?} in\n{text}");
    }
    assert!(text.contains("둘째 줄 \"인용\"은 굵게."), "Korean particles after emphasis:\n{text}");
    assert!(
        text.contains("링크 (https://example.com)")
            && text.contains("␛[31m")
            && text.contains("last **unclosed")
    );
}

#[test]
fn a_model_cannot_steer_the_terminal() {
    let hostile = "a\x1b]0;title\x07b\x1b[2J`\x1b[H`\n\n```\n\x1b[31mred\u{9b}5m\n```\n&#x1b;[1m\r\nend\x1b";
    let bytes = drawn(hostile.split_inclusive(|_: char| true), at_40);
    let text = String::from_utf8(bytes).expect("text");
    for (at, _) in text.match_indices('\x1b') {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).expect("a sequence ends");
        assert!(rest.starts_with('[') && "mAJ".contains(&rest[end..=end]), "{:?}", &rest[..=end]);
    }
    assert!(!text.contains(['\x07', '\u{9b}']));
    assert!(text.contains("␛]0;title␇b␛[2J"));
}

#[test]
fn long_answers_scroll_and_keep_every_line() {
    let code = format!("```\n{}```\n", (0..40).map(|i| format!("line {i}\n")).collect::<String>());
    let list: String = (0..30).map(|i| format!("- 항목 {i}\n")).collect();
    let text = format!("{code}\n{list}\nend");
    let mut parser = screen(&drawn(text.split_inclusive(|_: char| true), small), small);
    parser.screen_mut().set_scrollback(1000);
    let mut seen = Vec::new();
    for back in (0..=parser.screen().scrollback()).rev() {
        parser.screen_mut().set_scrollback(back);
        seen.push(parser.screen().rows(0, 40).next().unwrap_or_default().trim_end().to_owned());
    }
    let rest: Vec<String> = parser.screen().rows(0, 40).skip(1).map(|r| r.trim_end().to_owned()).collect();
    seen.extend(rest);
    let wanted: Vec<String> = (0..40)
        .map(|i| format!("  line {i}"))
        .chain([String::new()])
        .chain((0..30).map(|i| format!("• 항목 {i}")))
        .chain([String::new(), "end".to_owned(), String::new()])
        .collect();
    assert_eq!(seen, wanted);
}

#[test]
fn odd_texts_do_no_harm() {
    let deep = "> ".repeat(5000) + "x";
    let lists = (0..300).map(|i| format!("{}- x\n", "  ".repeat(i))).collect::<String>();
    let columns = format!("|{}\n|{}\n|{}\n", "a|".repeat(60), "-|".repeat(60), "b|".repeat(60));
    for text in ["", "\n\n\n", "\r\r", "```", "|", "[", "![](", "&#0;", "- ", "1.", &deep, &lists, &columns] {
        for size in [at_40 as fn() -> (usize, usize), small, || (1, 1), || (3, 2), || (0, 0)] {
            drawn([text], size);
        }
    }
    assert_eq!(drawn([], at_40), b"");
}

#[test]
fn a_narrower_window_keeps_the_text_that_follows() {
    use std::cell::Cell;
    thread_local!(static COLUMNS: Cell<usize> = const { Cell::new(40) });
    let size = || (COLUMNS.get(), 24);
    let mut live = Live::new(Vec::new(), size, false, Duration::ZERO);
    live.push("하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 ").expect("a Vec");
    COLUMNS.set(20);
    live.push("열하나\n\n끝").expect("a Vec");
    let bytes = live.finish().expect("a Vec");
    let text = String::from_utf8(bytes).expect("text");
    let again =
        text.rsplit("\x1b[J").find(|part| part.starts_with("하나")).expect("drawn again from the top");
    assert!(again.split("\r\n").all(|row| width(row) < 20), "{again:?}");
}
