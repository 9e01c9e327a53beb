//! Lines that belong to a page's frame and not to its text: footers of news and boards, legal notices, navigation.
//!
//! A line is judged by itself: by phrases that such lines are made of, by its shape and by its length. A sentence about
//! copyright or cookies is a sentence. What went is counted by kind, so that a report can show it.

mod byline;
mod phrases;

use serde::{Deserialize, Serialize};

use crate::unicode::{chars, is_letter, is_syllable};

/// What a line that goes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Copyright, prohibition of copying, an office's address and numbers.
    Legal,
    /// Who wrote an article, their address, when it was sent, related articles.
    News,
    /// Menus, buttons, counters of a board.
    Navigation,
    /// Cookies, JavaScript, log-in, pages that are not there.
    Notice,
    /// Advertising: sponsored posts, calls for subscribers.
    Advertising,
}

/// Which kinds of lines go. The default is all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoilerplateLines {
    /// [`LineKind::Legal`].
    pub legal: bool,
    /// [`LineKind::News`]; also the agency and the reporter before an article's first sentence.
    pub news: bool,
    /// [`LineKind::Navigation`].
    pub navigation: bool,
    /// [`LineKind::Notice`].
    pub notices: bool,
    /// [`LineKind::Advertising`].
    pub advertising: bool,
}

impl Default for BoilerplateLines {
    fn default() -> Self {
        Self { legal: true, news: true, navigation: true, notices: true, advertising: true }
    }
}

/// How many lines went, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RemovedLines {
    /// [`LineKind::Legal`].
    pub legal: usize,
    /// [`LineKind::News`].
    pub news: usize,
    /// [`LineKind::Navigation`].
    pub navigation: usize,
    /// [`LineKind::Notice`].
    pub notices: usize,
    /// [`LineKind::Advertising`].
    pub advertising: usize,
}

impl RemovedLines {
    /// All of them.
    pub fn all(&self) -> usize {
        self.legal + self.news + self.navigation + self.notices + self.advertising
    }
}

/// Longest line that is looked at, in code points. What is longer is text.
const LONG: usize = 250;

impl BoilerplateLines {
    /// `text` without such lines. Empty lines around one that went are joined.
    pub fn remove(&self, text: &str) -> (String, RemovedLines) {
        let mut kept = String::with_capacity(text.len());
        let mut removed = RemovedLines::default();
        for line in text.split('\n') {
            let Some(kind) = kind(line).filter(|&kind| self.takes(kind)) else {
                let line = if self.news { byline::without_head(line) } else { line };
                let empty_again =
                    line.is_empty() && (kept.is_empty() || kept.ends_with("\n\n")) && removed.all() > 0;
                if !empty_again {
                    kept.push_str(line);
                    kept.push('\n');
                }
                continue;
            };
            match kind {
                LineKind::Legal => removed.legal += 1,
                LineKind::News => removed.news += 1,
                LineKind::Navigation => removed.navigation += 1,
                LineKind::Notice => removed.notices += 1,
                LineKind::Advertising => removed.advertising += 1,
            }
        }
        kept.pop();
        if removed.all() > 0 {
            kept.truncate(kept.trim_end_matches('\n').len());
        }
        (kept, removed)
    }

    fn takes(&self, kind: LineKind) -> bool {
        match kind {
            LineKind::Legal => self.legal,
            LineKind::News => self.news,
            LineKind::Navigation => self.navigation,
            LineKind::Notice => self.notices,
            LineKind::Advertising => self.advertising,
        }
    }
}

/// What a line is, where it belongs to a page's frame.
pub(crate) fn kind(line: &str) -> Option<LineKind> {
    let line = line.trim();
    if line.is_empty() || line.len() > 3 * LONG || chars(line) > LONG {
        return None;
    }
    let found = phrases::Found::of(line);
    let sentence = is_sentence(line);
    if found.copyright && (!sentence || found.sign) || found.office >= 2 {
        return Some(LineKind::Legal);
    }
    if found.advertising {
        return Some(LineKind::Advertising);
    }
    if found.notice {
        return Some(LineKind::Notice);
    }
    if found.news || byline::is_byline(line) {
        return Some(LineKind::News);
    }
    (!sentence && phrases::is_navigation(line)).then_some(LineKind::Navigation)
}

/// Ends as a sentence of prose does: 다., 요., and so on.
fn is_sentence(line: &str) -> bool {
    let end = line.trim_end_matches(['"', '\'', '”', '’', ')', ']']);
    let Some(end) = end.strip_suffix(['.', '?', '!']) else { return false };
    match end.chars().next_back() {
        Some(c) if is_syllable(c) => {
            matches!(c, '다' | '요' | '까' | '죠' | '오' | '라' | '자' | '네' | '지')
        }
        Some(c) => is_letter(c),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_pages_frame_are_known_by_kind() {
        for (line, expected) in [
            ("<저작권자(c) 한강신문, 무단 전재-재배포 금지>", LineKind::Legal),
            ("Copyright © 2026 Hangang Times. All rights reserved.", LineKind::Legal),
            (
                "상호: (주)한강 대표: 김한강 사업자등록번호: 000-00-00000 통신판매업신고: 제2026-서울-0000호",
                LineKind::Legal,
            ),
            ("김한강 기자 hangang@paper.example", LineKind::News),
            ("[ 김한강 인턴기자 ]", LineKind::News),
            ("부산 김한강·대구 이낙동 기자", LineKind::News),
            ("2026/01/02 10:12 송고", LineKind::News),
            ("▶ 관련기사 3면", LineKind::News),
            ("desk@paper.example", LineKind::News),
            ("로그인 회원가입 고객센터 사이트맵", LineKind::Navigation),
            ("이전글 다음글 목록 댓글 0개 추천 3 조회 123", LineKind::Navigation),
            ("Home | Sign in | Register | Help", LineKind::Navigation),
            ("자바스크립트를 사용할 수 없습니다. 브라우저 설정을 확인하세요.", LineKind::Notice),
            ("We use cookies to improve your experience. Accept all cookies", LineKind::Notice),
            (
                "이 포스팅은 쿠팡 파트너스 활동의 일환으로, 일정액의 수수료를 제공받습니다.",
                LineKind::Advertising,
            ),
        ] {
            assert_eq!(kind(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn sentences_about_such_things_stay() {
        for line in [
            "저작권법은 저작물의 무단 전재를 금지하고 있다.",
            "쿠키는 브라우저가 잠시 적어 두는 작은 글이다.",
            "그는 신문사에서 기자로 일하다가 작가가 되었다.",
            "404 오류는 문서를 찾지 못했을 때 나오는 코드이다.",
            "이용약관을 읽는 사람은 드물다고 한다.",
            "제1조(목적) 이 법은 저작자의 권리를 보호함을 목적으로 한다.",
            "목록",
            "홈 오토메이션 입문",
            "Cookies are small pieces of data that a site keeps in a browser.",
            "She signed the register at home and asked for help.",
            "1. 로그인 화면을 만든다",
        ] {
            assert_eq!(kind(line), None, "{line}");
        }
    }

    #[test]
    fn an_agencys_head_goes_and_its_sentence_stays() {
        let text = "(서울=한강뉴스) 김한강 기자 = 올해 첫눈이 내렸다.\n\n김한강 기자\n\n이튿날은 맑았다.\n무단전재 및 재배포 금지";
        let (kept, removed) = BoilerplateLines::default().remove(text);
        assert_eq!(kept, "올해 첫눈이 내렸다.\n\n이튿날은 맑았다.");
        assert_eq!((removed.news, removed.legal), (1, 1));
    }
}
