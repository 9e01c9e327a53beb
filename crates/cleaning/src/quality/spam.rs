//! Spam: gambling, loans, adult sites and lists of search words, mostly Korean.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{Check, Measure, ratio};
use crate::unicode::{is_letter, is_syllable};

/// Words of advertising that ordinary text hardly ever has, in the forms that they are written in.
const WORDS: &[&str] = &[
    // Gambling.
    "토토사이트",
    "토토 사이트",
    "먹튀검증",
    "먹튀 검증",
    "먹튀사이트",
    "꽁머니",
    "안전놀이터",
    "안전한놀이터",
    "메이저놀이터",
    "메이저사이트",
    "사설토토",
    "스포츠토토사이트",
    "파워볼사이트",
    "파워볼 사이트",
    "파워볼",
    "카지노사이트",
    "카지노 사이트",
    "온라인카지노",
    "온라인 카지노",
    "바카라사이트",
    "바카라 사이트",
    "슬롯사이트",
    "슬롯 사이트",
    "홀덤사이트",
    "베팅사이트",
    "배팅사이트",
    "첫충",
    "매충",
    "롤링",
    "입플",
    "가입코드",
    "추천인 코드",
    "추천인코드",
    "가입 코드",
    "casino site",
    "online casino",
    "sports betting",
    "toto site",
    // Loans.
    "당일대출",
    "무직자대출",
    "무직자 대출",
    "소액대출",
    "급전대출",
    "신용불량자대출",
    "신용불량자 가능",
    "개인돈",
    "일수대출",
    "카드깡",
    "휴대폰깡",
    "소액결제현금화",
    "소액결제 현금화",
    "정보이용료현금화",
    "상품권매입",
    "payday loan",
    // Adult sites and medicine.
    "출장안마",
    "출장 안마",
    "출장마사지",
    "출장샵",
    "오피사이트",
    "유흥사이트",
    "성인용품",
    "조건만남",
    "애인대행",
    "비아그라",
    "시알리스",
    "레비트라",
    "발기부전치료제",
    "흥분제",
    "viagra",
    "cialis",
    // Advertising.
    "무료수신거부",
    "수신거부",
    "카톡문의",
    "카톡 문의",
    "텔레그램문의",
    "텔레그램 문의",
    "카톡 id",
    "텔레 문의",
    "상담 24시간",
    "24시간 상담",
    "100% 당첨",
    "최저가 보장",
    "즉시 지급",
    "백링크",
    "구글상위노출",
    "구글 상위노출",
    "상위노출",
    "웹문서작업",
    "buy cheap",
    "click here to buy",
];

static FIND: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let builder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(WORDS);
    builder.unwrap_or_else(|error| unreachable!("the words of advertising are few: {error}"))
});

/// How much spam a text may have. A parameter of nought is off.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spam {
    /// Most words of advertising in 100 words.
    pub max_words: f64,
    /// Most different ones of them, however long the text is.
    pub max_different: usize,
    /// Greatest share of the most frequent Korean word, in texts of [`Spam::min_words`]: a list of search words.
    pub max_stuffing: f64,
    /// Texts of fewer words are not looked at for stuffing.
    pub min_words: usize,
}

impl Default for Spam {
    fn default() -> Self {
        Self { max_words: 4.0, max_different: 7, max_stuffing: 0.2, min_words: 10 }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SpamCounts {
    /// Words of advertising.
    pub words: usize,
    /// Different ones of them.
    pub different: usize,
    /// Share of the most frequent word.
    pub stuffing: f64,
}

impl Spam {
    /// Checks `text`, which `measure` has read.
    pub fn check(&self, text: &str, measure: &Measure, checks: &mut Vec<Check>) -> SpamCounts {
        let mut counts = SpamCounts::default();
        let mut seen = [false; WORDS.len()];
        for found in FIND.find_iter(text) {
            counts.words += 1;
            counts.different += usize::from(!seen[found.pattern().as_usize()]);
            seen[found.pattern().as_usize()] = true;
        }
        counts.stuffing = self.stuffing(text, measure);
        if self.max_words > 0.0 {
            checks.push(Check::at_most(
                "spam_words",
                ratio(counts.words, measure.words.len()) * 100.0,
                self.max_words,
            ));
        }
        if self.max_different > 0 {
            checks.push(Check::at_most("spam_different", counts.different as f64, self.max_different as f64));
        }
        if self.max_stuffing > 0.0 {
            checks.push(Check::at_most("spam_stuffing", counts.stuffing, self.max_stuffing));
        }
        counts
    }

    /// Share of the most frequent Korean word of at least two letters. Only short texts are ever all key words.
    fn stuffing(&self, text: &str, measure: &Measure) -> f64 {
        const LONG: usize = 400;
        let words = &measure.words;
        if words.len() < self.min_words || words.len() > LONG {
            return 0.0;
        }
        let mut counts: FxHashMap<u64, usize> = FxHashMap::default();
        let mut most = 0;
        for word in words.iter().filter(|word| word.has_letter && word.chars > 1) {
            let letters = text[word.start as usize..][..word.bytes as usize].trim_matches(|c| !is_letter(c));
            if letters.chars().any(is_syllable) {
                let count = counts.entry(super::words::hash_of(letters)).or_default();
                *count += 1;
                most = most.max(*count);
            }
        }
        // Twice is no list.
        if most < 3 { 0.0 } else { ratio(most, words.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::first_failure;

    fn reason(text: &str) -> Option<&'static str> {
        let mut measure = Measure::new();
        measure.read(text);
        let mut checks = Vec::new();
        Spam::default().check(text, &measure, &mut checks);
        first_failure(&checks).map(|check| check.rule)
    }

    #[test]
    fn advertising_is_found_and_news_about_it_is_not() {
        assert_eq!(reason("먹튀검증 토토사이트 순위와 꽁머니 안내, 안전놀이터 모음"), Some("spam_words"));
        assert_eq!(
            reason("송도 치과 가격 송도 치과 추천 송도 치과 후기 송도 치과 이벤트"),
            Some("spam_stuffing")
        );
        let news = "경찰은 인터넷에서 토토사이트를 운영한 혐의로 세 사람을 붙잡아 조사하고 있다고 밝혔다. 이들은 지난해부터 외국에 서버를 \
            두고 회원을 모은 것으로 드러났다. 경찰은 불법 사이트를 이용한 사람도 처벌을 받을 수 있다고 말했다.";
        assert_eq!(reason(news), None);
    }
}
