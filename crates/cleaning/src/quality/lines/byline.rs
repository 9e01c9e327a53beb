//! Who wrote an article, and the agency before its first sentence.

use crate::unicode::{chars, is_syllable};

/// What a reporter is called.
const TITLES: &[&str] = &[
    "기자",
    "특파원",
    "앵커",
    "논설위원",
    "리포터",
    "인턴기자",
    "전문기자",
    "선임기자",
    "편집위원",
    "기자입니다",
];

/// Longest byline, in code points.
const LONG: usize = 90;

/// Whether a whole line says who wrote it: `[김한강 기자 a@b.c]`, `부산=김한강 기자`, an address alone, a time of sending.
pub(super) fn is_byline(line: &str) -> bool {
    if line.ends_with("다.") || chars(line) > LONG {
        return false;
    }
    let inside = line.trim_matches(|c: char| {
        matches!(c, '[' | ']' | '(' | ')' | '<' | '>' | '【' | '】' | '=' | ',' | ' ')
    });
    if inside.is_empty() {
        return false;
    }
    if is_address(inside) || is_agency(line, inside) || is_sent(inside) {
        return true;
    }
    // All words are names, places and titles, and one of them is a title.
    let (mut titles, mut others) = (0, 0);
    let mut after_title = 0;
    for word in
        inside.split([' ', '·', '=', '/', ',', '(', ')', '|', '[', ']']).filter(|word| !word.is_empty())
    {
        if is_address(word) {
            continue;
        }
        let title = TITLES.iter().any(|title| {
            word == *title || (word.len() > title.len() && word.ends_with(title) && chars(word) <= 8)
        });
        if title {
            titles += 1;
            after_title = 0;
        } else if word.chars().all(|c| is_syllable(c) || c.is_ascii_alphanumeric() || c == '.')
            && chars(word) <= 8
        {
            others += 1;
            after_title += usize::from(titles > 0);
        } else {
            return false;
        }
    }
    titles > 0 && others <= 6 && after_title <= 2
}

/// An address of electronic mail, roughly.
fn is_address(word: &str) -> bool {
    let Some((name, host)) = word.split_once('@') else { return false };
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    !name.is_empty() && name.chars().all(part) && host.contains('.') && host.chars().all(part)
}

/// `(사진=한강뉴스)`, `[한강뉴스]`: a source in brackets and nothing else.
fn is_agency(line: &str, inside: &str) -> bool {
    let bracketed = line.starts_with(['[', '(', '<', '【']) && line.ends_with([']', ')', '>', '】']);
    bracketed
        && chars(inside) <= 40
        && (inside.starts_with("사진=")
            || inside.starts_with("사진 =")
            || inside.starts_with("영상=")
            || inside.ends_with("뉴스")
            || inside.ends_with("연합")
            || inside.ends_with("뉴시스")
            || inside.ends_with("편집부")
            || inside.ends_with("제공"))
}

/// `2026/01/02 10:12 송고`, `입력 2026.01.02 10:12`: no other words than those of a stamp.
fn is_sent(line: &str) -> bool {
    const WORDS: [&str; 9] = ["송고", "입력", "수정", "승인", "등록", "기사입력", "최종수정", "작성", "발행"];
    let (mut known, mut digits) = (false, 0);
    for word in line.split([' ', ':', '|', '/', '.', '-']).filter(|word| !word.is_empty()) {
        if WORDS.contains(&word) {
            known = true;
        } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
            digits += word.len();
        } else if !matches!(word, "오전" | "오후" | "일시" | "시간") {
            return false;
        }
    }
    known && digits >= 8
}

/// A line without the agency and the reporter before its first sentence: `(서울=한강뉴스) 김한강 기자 = `.
pub(super) fn without_head(line: &str) -> &str {
    let close = match line.chars().next() {
        Some('[') => ']',
        Some('(') => ')',
        Some('【') => '】',
        _ => return line,
    };
    let Some(end) = line.find(close) else { return line };
    let head = &line[1..end];
    let rest = line[end + close.len_utf8()..].trim_start();
    if chars(head) > 40 {
        return line;
    }
    // The reporter and `=` behind the bracket, or an agency inside it.
    if let Some((before, text)) = rest.split_once('=')
        && chars(before) <= 30
        && TITLES.iter().any(|title| before.trim_end().ends_with(title))
    {
        return text.trim_start();
    }
    let agency = head.split_once('=').is_some_and(|(_, agency)| {
        let agency = agency.trim();
        ["뉴스", "뉴시스", "뉴스1", "연합", "기자", "특파원"].iter().any(|end| agency.ends_with(end))
    });
    if agency && !rest.is_empty() { rest } else { line }
}
