//! Personal data, found by form, by check digits and by the words beside it, and masked by kind.
//!
//! Names of kinds are those of Presidio. What stands alone is only taken where its form leaves little doubt (a resident number has a date,
//! a card a check digit); account and passport numbers need their word beside them. Numbers of laws, dates, versions, ISBN
//! and addresses of programs are not personal. Numbers of companies (1588-0000, 080) are public and stay.

mod address;
mod number;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Kinds of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Resident registration number.
    ResidentNumber,
    /// Registration number of a foreigner.
    ForeignerNumber,
    /// Telephone number of a person or an office.
    Phone,
    /// Number of a payment card.
    Card,
    /// Number of a bank account.
    Account,
    /// Registration number of a business.
    Business,
    /// Number of a passport.
    Passport,
    /// Number of a driving licence.
    DrivingLicence,
    /// Address of electronic mail.
    Email,
    /// IP address, version 4 or 6.
    IpAddress,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::ResidentNumber,
        Self::ForeignerNumber,
        Self::Phone,
        Self::Card,
        Self::Account,
        Self::Business,
        Self::Passport,
        Self::DrivingLicence,
        Self::Email,
        Self::IpAddress,
    ];

    /// What stands in its place.
    pub fn mask(self) -> &'static str {
        match self {
            Self::ResidentNumber => "<KR_RRN>",
            Self::ForeignerNumber => "<KR_FRN>",
            Self::Phone => "<PHONE_NUMBER>",
            Self::Card => "<CREDIT_CARD>",
            Self::Account => "<BANK_ACCOUNT>",
            Self::Business => "<KR_BRN>",
            Self::Passport => "<KR_PASSPORT>",
            Self::DrivingLicence => "<KR_DRIVER_LICENSE>",
            Self::Email => "<EMAIL_ADDRESS>",
            Self::IpAddress => "<IP_ADDRESS>",
        }
    }
}

/// A piece of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

/// Which kinds are masked. The default is all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Personal {
    /// Resident and foreigner numbers.
    pub resident_numbers: bool,
    /// Telephone numbers.
    pub phones: bool,
    /// Cards.
    pub cards: bool,
    /// Bank accounts.
    pub accounts: bool,
    /// Registration numbers of businesses.
    pub businesses: bool,
    /// Passports and driving licences.
    pub documents: bool,
    /// Addresses of electronic mail.
    pub emails: bool,
    /// IP addresses.
    pub ip_addresses: bool,
}

impl Default for Personal {
    fn default() -> Self {
        Self {
            resident_numbers: true,
            phones: true,
            cards: true,
            accounts: true,
            businesses: true,
            documents: true,
            emails: true,
            ip_addresses: true,
        }
    }
}

/// How many of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PersonalCounts([usize; Kind::ALL.len()]);

impl PersonalCounts {
    /// Of one kind.
    pub fn of(&self, kind: Kind) -> usize {
        self.0[kind as usize]
    }

    /// Of all kinds.
    pub fn all(&self) -> usize {
        self.0.iter().sum()
    }

    /// Each kind that was found, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, usize)> + '_ {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|&(_, count)| count > 0)
    }
}

impl Personal {
    fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::ResidentNumber | Kind::ForeignerNumber => self.resident_numbers,
            Kind::Phone => self.phones,
            Kind::Card => self.cards,
            Kind::Account => self.accounts,
            Kind::Business => self.businesses,
            Kind::Passport | Kind::DrivingLicence => self.documents,
            Kind::Email => self.emails,
            Kind::IpAddress => self.ip_addresses,
        }
    }

    /// `text` with a mask in place of each piece of personal data, borrowed where there is none.
    pub fn mask<'t>(&self, text: &'t str) -> (Cow<'t, str>, PersonalCounts) {
        let mut counts = PersonalCounts::default();
        let spans: Vec<Span> = find(text).into_iter().filter(|span| self.takes(span.kind)).collect();
        if spans.is_empty() {
            return (Cow::Borrowed(text), counts);
        }
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for span in spans {
            counts.0[span.kind as usize] += 1;
            masked.push_str(&text[from..span.start]);
            masked.push_str(span.kind.mask());
            from = span.end;
        }
        masked.push_str(&text[from..]);
        (Cow::Owned(masked), counts)
    }
}

/// All personal data of `text`, in order and without overlap.
pub fn find(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    // Where the last piece ends: what is before it belongs to it.
    let mut from = 0;
    // All kinds have a digit, an @, or a word for it.
    while let Some(&byte) = bytes.get(at) {
        let found = match byte {
            b'0'..=b'9' => {
                // Not in the middle of a number or a name.
                let found = number::at(text, at);
                if found.is_none() {
                    at += number::skip(&bytes[at..]);
                    continue;
                }
                found
            }
            b'(' if text[at..].starts_with("(at)") => address::email_in_words(text, at, "(at)", from),
            b'+' | b'(' => number::phone_with_sign(text, at),
            b'@' => address::email(text, at, from),
            b'A'..=b'Z' => number::passport(text, at),
            b':' => address::ipv6(text, at, from),
            0xEA if text[at..].starts_with("골뱅이") => address::email_in_words(text, at, "골뱅이", from),
            0xEA if text[at..].starts_with("공일공") => number::phone_in_words(text, at),
            _ => None,
        };
        match found {
            Some(span) if span.start >= from => {
                at = span.end;
                from = span.end;
                spans.push(span);
            }
            _ => at += 1,
        }
    }
    spans
}

/// The text before `at`, at most `chars` characters of it and of its line.
fn before(text: &str, at: usize, chars: usize) -> &str {
    let head = &text[..at];
    let line = head.rfind('\n').map_or(0, |end| end + 1);
    let start = head.char_indices().rev().nth(chars - 1).map_or(0, |(at, _)| at);
    &head[start.max(line)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        Personal::default().mask(text).0.into_owned()
    }

    #[test]
    fn each_kind_is_masked() {
        for (text, masked) in [
            ("문의는 010-0000-5678 로.", "문의는 <PHONE_NUMBER> 로."),
            ("010 0000 5678, 01000005678, 010.0000.5678", "<PHONE_NUMBER>, <PHONE_NUMBER>, <PHONE_NUMBER>"),
            ("+82-10-0000-5678 또는 (02) 000-5678", "<PHONE_NUMBER> 또는 <PHONE_NUMBER>"),
            ("전화 02-000-5678, 031-000-5678", "전화 <PHONE_NUMBER>, <PHONE_NUMBER>"),
            ("공일공-0000-5678", "<PHONE_NUMBER>"),
            ("주민번호 991231-3123455와 991130 4123459", "주민번호 <KR_RRN>와 <KR_RRN>"),
            ("주민등록번호 9912313123456", "주민등록번호 <KR_RRN>"),
            ("991231-3******", "<KR_RRN>"),
            ("외국인등록번호 991231-7234567", "외국인등록번호 <KR_FRN>"),
            ("카드 4111-1111-1111-1111", "카드 <CREDIT_CARD>"),
            ("신한은행 110-000-123456 (예금주 아무개)", "신한은행 <BANK_ACCOUNT> (예금주 아무개)"),
            ("여권번호 M00012345", "여권번호 <KR_PASSPORT>"),
            ("면허 11-00-123456-01", "면허 <KR_DRIVER_LICENSE>"),
            ("메일은 a.b+c@example.co.kr 이다", "메일은 <EMAIL_ADDRESS> 이다"),
            ("abc(at)example.com, abc 골뱅이 example.com", "<EMAIL_ADDRESS>, <EMAIL_ADDRESS>"),
            (
                "접속 IP 203.0.113.45 그리고 2001:db8::8a2e:370:7334",
                "접속 IP <IP_ADDRESS> 그리고 <IP_ADDRESS>",
            ),
            ("사업자등록번호 123-45-67891", "사업자등록번호 <KR_BRN>"),
        ] {
            assert_eq!(mask(text), masked, "{text}");
            assert_eq!(mask(masked), masked);
        }
    }

    #[test]
    fn numbers_of_laws_dates_books_and_versions_stay() {
        for text in [
            "제12조제3항 법률 제12345호, 2010. 1. 18. 일부개정",
            "ISBN 978-89-000-1234-5, 979-11-0000-123-4",
            "버전 1.0.2-12345678, v10.15.7.1, 127.0.0.1:8080, 192.168 대역",
            "2010-01-01 1234567명이 왔다. 2026-11-30 12:34:56.789",
            "환율 1,234.56원, 10,000,000주, 비율 010-020-030",
            "주문번호 20261130-0000123, 사건 2020가합123456",
            "대표전화 1588-0000, 080-000-0000",
            "git@github.com:example/example.git user@host:~$ ls @media (max-width: 600px)",
            "0xdeadbeef 900150983cd24fb0d6963f7d28e17f72 3.14159265358979",
            "a::b::c std::vec::Vec x = y[1:2:3]",
            "1234-5678-9012-3456은 검사 숫자가 틀리다",
            "별표 1의2 제4호 나목 123456-7890123",
            "let id = 4111111111111112; const N: u64 = 6364136223846793005;",
            "react@18.2.0 @types/node@20.1.0",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn counts_are_by_kind() {
        let (_, counts) = Personal::default().mask("010-0000-5678 a@b.com c@d.org");
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(Kind::Phone, 1), (Kind::Email, 2)]);
        let only = Personal { phones: false, ..Personal::default() };
        assert_eq!(only.mask("010-0000-5678").1.all(), 0);
    }
}
