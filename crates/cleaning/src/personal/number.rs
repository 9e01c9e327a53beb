//! Personal data that is digits in groups.

use super::{Kind, Span, address, before};

/// Digits in groups with one sign between: 010-0000-0000.
struct Groups {
    /// Where each begins and ends, and the sign behind it (0 for none).
    groups: [(usize, usize); MOST],
    signs: [u8; MOST],
    count: usize,
}

const MOST: usize = 6;

impl Groups {
    /// The groups from `at` on. A sign is `-`, `.` or one space.
    fn read(bytes: &[u8], at: usize) -> Self {
        let mut read = Self { groups: [(0, 0); MOST], signs: [0; MOST], count: 0 };
        let mut from = at;
        while read.count < MOST {
            let end = from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if end == from {
                break;
            }
            read.groups[read.count] = (from, end);
            let sign = bytes.get(end).copied().filter(|sign| matches!(sign, b'-' | b'.' | b' ')).unwrap_or(0);
            // A sign with nothing behind it is not one.
            let next = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            read.signs[read.count] = if next { sign } else { 0 };
            read.count += 1;
            if sign == 0 || !next {
                break;
            }
            from = end + 1;
        }
        read
    }

    fn length(&self, i: usize) -> usize {
        if i < self.count { self.groups[i].1 - self.groups[i].0 } else { 0 }
    }

    /// Whether the first groups have these lengths, with the same sign between them, and no further one by that sign.
    fn has(&self, lengths: &[usize]) -> Option<u8> {
        let n = lengths.len();
        if self.count < n || lengths.iter().enumerate().any(|(i, &length)| self.length(i) != length) {
            return None;
        }
        let sign = self.signs[0];
        let alike = self.signs[..n - 1].iter().all(|&each| each == sign);
        // After spaces anything may follow.
        let ends = self.signs[n - 1] == 0
            || self.signs[n - 1] == b' '
            || (n > 1 && self.signs[n - 1] != sign && self.signs[n - 1] == b'.');
        (alike && ends && (n == 1 || sign != 0)).then_some(sign)
    }

    fn end(&self, groups: usize) -> usize {
        self.groups[groups - 1].1
    }
}

/// Bytes of a run of digits and signs that nothing was found in: the next place to look is behind its first group.
pub(super) fn skip(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count().max(1)
}

/// Personal data that begins with the digit at `at`.
pub(super) fn at(text: &str, at: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    // In the middle of a number, a name or a path.
    if at > 0 {
        let last = bytes[at - 1];
        let joined = last.is_ascii_alphanumeric()
            || last == b'_'
            || (matches!(last, b'-' | b'.' | b',' | b':' | b'/')
                && at > 1
                && bytes[at - 2].is_ascii_alphanumeric());
        if joined && (last != b':' || bytes[at - 2].is_ascii_digit()) {
            return None;
        }
    }
    let groups = Groups::read(bytes, at);
    let kind_and_end = resident(text, at, &groups)
        .or_else(|| licence(text, at, &groups))
        .or_else(|| phone(text, at, &groups))
        .or_else(|| card(text, at, &groups))
        .or_else(|| business(text, at, &groups))
        .or_else(|| account(text, at, &groups))
        .or_else(|| address::ipv4(text, at).map(|end| (Kind::IpAddress, end)));
    let (kind, end) = kind_and_end?;
    // Digits or letters go on: it was something longer.
    let next = bytes.get(end).copied().unwrap_or(b' ');
    let goes_on = next.is_ascii_alphanumeric()
        || next == b'_'
        || (next == b'-' && bytes.get(end + 1).is_some_and(u8::is_ascii_digit));
    (!goes_on).then_some(Span { kind, start: at, end })
}

fn digits(text: &str, start: usize, end: usize) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.as_bytes()[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|&byte| u32::from(byte - b'0'))
}

/// 6 and 7 digits: a date, the century and sex, and until October 2020 a check digit.
fn resident(text: &str, at: usize, groups: &Groups) -> Option<(Kind, usize)> {
    let bytes = text.as_bytes();
    let (end, sign) = if groups.has(&[6, 7]).is_some() {
        (groups.end(2), groups.signs[0])
    } else if groups.length(0) == 13
        && (groups.count == 1 || groups.signs[0] == b' ' || groups.signs[0] == b'.')
    {
        (groups.end(1), 0)
    } else if groups.length(0) == 6 && groups.length(1) == 1 && groups.signs[0] == b'-' {
        let stars =
            bytes[groups.end(2)..].iter().take_while(|&&byte| matches!(byte, b'*' | b'X' | b'x')).count();
        if stars < 5 {
            return None;
        }
        (groups.end(2) + stars, b'*')
    } else {
        return None;
    };
    if sign == b'.' {
        return None;
    }
    let number: Vec<u32> = digits(text, at, end).collect();
    let century = match number[6] {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => 1800,
    };
    let (year, month, day) =
        (century + number[0] * 10 + number[1], number[2] * 10 + number[3], number[4] * 10 + number[5]);
    if !is_date(year, month, day) {
        return None;
    }
    let kind = if matches!(number[6], 5..=8) { Kind::ForeignerNumber } else { Kind::ResidentNumber };
    if sign == b'*' {
        return Some((kind, end));
    }
    const WEIGHTS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = WEIGHTS.iter().zip(&number).map(|(weight, digit)| weight * digit).sum();
    let check = (11 - sum % 11) % 10;
    let expected = if kind == Kind::ForeignerNumber { (check + 2) % 10 } else { check };
    let valid = number[12] == expected;
    // Since October 2020 the last six digits are drawn, and no check digit tells them: a hyphen or a word beside them does.
    let said =
        ["주민", "등록번호", "외국인", "resident"].iter().any(|word| before(text, at, 16).contains(word));
    let living = (1..=8).contains(&number[6]);
    let taken = said || sign == b'-' && living || sign == b' ' && living && valid;
    taken.then_some((kind, end))
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Telephones: mobile ones in any writing, others with hyphens.
fn phone(text: &str, at: usize, groups: &Groups) -> Option<(Kind, usize)> {
    let bytes = text.as_bytes();
    let first = &text[at..groups.end(1)];
    if matches!(first, "010" | "011" | "016" | "017" | "018" | "019") {
        let middle = groups.length(1);
        if (middle == 4 || middle == 3 && first != "010") && groups.has(&[3, middle, 4]).is_some() {
            return Some((Kind::Phone, groups.end(3)));
        }
        return None;
    }
    if first.len() == 11 && first.starts_with("010") && (groups.count == 1 || groups.signs[0] != b'.') {
        return Some((Kind::Phone, groups.end(1)));
    }
    let area = match first {
        "02" | "070" => true,
        _ if first.len() == 4 && first.starts_with("050") => true,
        _ => {
            first.len() == 3
                && first.starts_with('0')
                && matches!(bytes[at + 1], b'3'..=b'6')
                && matches!(bytes[at + 2], b'1'..=b'5')
        }
    };
    let middle = groups.length(1);
    if area && matches!(middle, 3 | 4) && groups.has(&[first.len(), middle, 4]) == Some(b'-') {
        return Some((Kind::Phone, groups.end(3)));
    }
    // 82-10-…, as +82 without its sign.
    if first == "82" && groups.length(1) == 2 && groups.has(&[2, 2, 4, 4]) == Some(b'-') {
        return Some((Kind::Phone, groups.end(4)));
    }
    None
}

/// `+82 10-0000-0000`, `(02) 000-0000`.
pub(super) fn phone_with_sign(text: &str, at: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let rest = &text[at..];
    let (national, zero) = match bytes[at] {
        b'+' => (rest.strip_prefix("+82")?, false),
        _ if rest.starts_with("(+82)") => (&rest[5..], false),
        _ => {
            let inside = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            if !(2..=3).contains(&inside)
                || bytes.get(at + 1 + inside) != Some(&b')')
                || bytes[at + 1] != b'0'
            {
                return None;
            }
            (&rest[1..], true)
        }
    };
    // What is left is digits, a bracket around the area, and signs.
    let (mut digits, mut end, mut last) = (0, 0, 0);
    for (i, byte) in national.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = i + 1;
                last += 1;
            }
            b'-' | b' ' | b'.' | b'(' | b')' if i == 0 || i < end + 2 => last = 0,
            _ => break,
        }
        if digits > 11 {
            return None;
        }
    }
    let area_zero = national.trim_start_matches(['-', ' ', '(', '.']).starts_with('0');
    let enough = if zero || area_zero { 9..=11 } else { 8..=10 };
    (enough.contains(&digits) && last >= 4 || enough.contains(&digits) && !zero).then_some(Span {
        kind: Kind::Phone,
        start: at,
        end: text.len() - rest.len() + (rest.len() - national.len()) + end,
    })
}

/// 공일공-0000-0000.
pub(super) fn phone_in_words(text: &str, at: usize) -> Option<Span> {
    let from = at + "공일공".len();
    let rest = &text[from..];
    let sign = usize::from(rest.starts_with(['-', ' ', '.']));
    let groups = Groups::read(text.as_bytes(), from + sign);
    (groups.count > 0 && groups.has(&[4, 4]).is_some()).then(|| Span {
        kind: Kind::Phone,
        start: at,
        end: groups.end(2),
    })
}

/// 13 to 19 digits whose last is Luhn's; in one piece only with a word beside them.
fn card(text: &str, at: usize, groups: &Groups) -> Option<(Kind, usize)> {
    let end = if groups.has(&[4, 4, 4, 4]).is_some_and(|sign| sign != b'.') {
        groups.end(4)
    } else if groups.has(&[4, 6, 5]).is_some_and(|sign| sign != b'.') {
        groups.end(3)
    } else if (13..=19).contains(&groups.length(0)) && groups.count == 1 {
        let near = before(text, at, 16).to_lowercase();
        if !["카드", "card", "visa", "결제"].iter().any(|word| near.contains(word)) {
            return None;
        }
        groups.end(1)
    } else {
        return None;
    };
    let number: Vec<u32> = digits(text, at, end).collect();
    (matches!(number[0], 3..=6 | 9) && luhn(&number)).then_some((Kind::Card, end))
}

fn luhn(number: &[u32]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| match i % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// 3-2-5 digits with a check digit, or with their word beside them.
fn business(text: &str, at: usize, groups: &Groups) -> Option<(Kind, usize)> {
    if groups.has(&[3, 2, 5]) != Some(b'-') {
        return None;
    }
    let end = groups.end(3);
    let number: Vec<u32> = digits(text, at, end).collect();
    const WEIGHTS: [u32; 9] = [1, 3, 7, 1, 3, 7, 1, 3, 5];
    let sum: u32 =
        WEIGHTS.iter().zip(&number).map(|(weight, digit)| weight * digit).sum::<u32>() + number[8] * 5 / 10;
    let said = before(text, at, 16).contains("사업자");
    (said || (10 - sum % 10) % 10 == number[9] && number[0] != 0).then_some((Kind::Business, end))
}

const BANKS: &[&str] = &[
    "은행",
    "농협",
    "신한",
    "국민",
    "우리",
    "하나",
    "기업",
    "카카오뱅크",
    "토스뱅크",
    "케이뱅크",
    "신협",
    "새마을금고",
    "우체국",
    "수협",
    "제일",
    "씨티",
    "산업",
    "부산",
    "대구",
    "경남",
    "광주",
    "전북",
    "제주",
    "저축",
];

/// Digits in groups behind the name of a bank, with a word of accounts near, or behind such a word.
fn account(text: &str, at: usize, groups: &Groups) -> Option<(Kind, usize)> {
    let near = before(text, at, 20);
    let bank = BANKS.iter().any(|bank| near.trim_end_matches([' ', ':', ')', '(']).ends_with(bank));
    let account = ["계좌", "예금주", "입금", "송금"].iter().any(|word| near.contains(word));
    let named = BANKS.iter().any(|bank| near.contains(bank));
    if !(bank || account && named || near.trim_end_matches([' ', ':']).ends_with("계좌번호")) {
        return None;
    }
    // As many groups as follow one another by hyphens.
    let mut count = 1;
    while count < groups.count && groups.signs[count - 1] == b'-' {
        count += 1;
    }
    let end = groups.end(count);
    let number = digits(text, at, end).count();
    let good = if count == 1 { (11..=14).contains(&number) } else { (10..=16).contains(&number) };
    (good && (count > 1 || account || near.contains("계좌"))).then_some((Kind::Account, end))
}

/// `M00012345` and `M123A4567`, with their word beside them.
pub(super) fn passport(text: &str, at: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let number = bytes.get(at..at + 9)?;
    let old = number[1..].iter().all(u8::is_ascii_digit);
    let new = number[1..4].iter().all(u8::is_ascii_digit)
        && number[4].is_ascii_uppercase()
        && number[5..].iter().all(u8::is_ascii_digit);
    let alone = (at == 0 || !bytes[at - 1].is_ascii_alphanumeric())
        && !bytes.get(at + 9).is_some_and(u8::is_ascii_alphanumeric);
    if !(alone && (old || new)) {
        return None;
    }
    let near = before(text, at, 20).to_lowercase();
    (near.contains("여권") || near.contains("passport")).then_some(Span {
        kind: Kind::Passport,
        start: at,
        end: at + 9,
    })
}

const REGIONS: &[&str] = &[
    "서울", "부산", "경기", "강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주", "대구", "인천",
    "광주", "대전", "울산",
];

/// 11-00-123456-01, or a region in place of its number.
fn licence(text: &str, at: usize, groups: &Groups) -> Option<(Kind, usize)> {
    if groups.has(&[2, 2, 6, 2]) == Some(b'-') && ("11"..="28").contains(&&text[at..at + 2]) {
        return Some((Kind::DrivingLicence, groups.end(4)));
    }
    let near = before(text, at, 20);
    let region = REGIONS.iter().any(|region| near.trim_end_matches([' ', '-']).ends_with(region));
    (region && near.contains("면허") && groups.has(&[2, 6, 2]) == Some(b'-'))
        .then(|| (Kind::DrivingLicence, groups.end(3)))
}
