//! Addresses: of electronic mail and of machines.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Kind, Span, before};
use crate::unicode::is_syllable;

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-') || is_syllable(c)
}

fn is_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-') || is_syllable(c)
}

/// An address around the `@` at `at`.
pub(super) fn email(text: &str, at: usize, from: usize) -> Option<Span> {
    let (start, _) = local(&text[from..at])?;
    let end = at + 1 + host(&text[at + 1..])?;
    // git@host:path is where a program finds something.
    let next = text[end..].chars().next();
    if matches!(next, Some(':' | '/'))
        && !text[end..].starts_with(": ")
        && text[end + 1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '~')
    {
        return None;
    }
    Some(Span { kind: Kind::Email, start: from + start, end })
}

/// `name 골뱅이 example.com` around the word at `at`.
pub(super) fn email_in_words(text: &str, at: usize, word: &str, from: usize) -> Option<Span> {
    let head = text[from..at].trim_end_matches([' ', '(', '[']);
    let (start, name) = local(head)?;
    if !name.is_ascii() {
        return None;
    }
    let behind = at + word.len();
    let signs = text[behind..].len() - text[behind..].trim_start_matches([' ', ')', ']']).len();
    let end = behind + signs + host(&text[behind + signs..])?;
    Some(Span { kind: Kind::Email, start: from + start, end })
}

/// The name before a sign: where it begins, and itself.
fn local(head: &str) -> Option<(usize, &str)> {
    const LONG: usize = 64;
    let start =
        head.char_indices().rev().take(LONG).take_while(|&(_, c)| is_local(c)).last().map(|(at, _)| at)?;
    let mut name = head[start..].trim_start_matches(['.', '-', '%']);
    // A Korean word and then a name: 메일은abc@…; a name is one or the other.
    if name.chars().any(|c| c.is_ascii_alphanumeric())
        && let Some(last) = name.char_indices().rev().find(|&(_, c)| is_syllable(c))
    {
        name = &name[last.0 + last.1.len_utf8()..];
    }
    (!name.is_empty() && !name.ends_with('.')).then_some((head.len() - name.len(), name))
}

/// Bytes of the host's name at the beginning of `text`: labels with dots, the last of letters.
fn host(text: &str) -> Option<usize> {
    const LONG: usize = 253;
    let mut end = 0;
    let mut ascii = None;
    for (at, c) in text.char_indices().take(LONG).take_while(|&(_, c)| is_host(c)) {
        // Particles follow a name without a space: example.com으로.
        let dot = text[..at].ends_with('.');
        if !dot
            && at > 0
            && c != '.'
            && c != '-'
            && !text[..at].ends_with('-')
            && ascii.is_some_and(|ascii| ascii != c.is_ascii())
        {
            break;
        }
        if c.is_alphanumeric() {
            ascii = Some(c.is_ascii());
        }
        end = at + c.len_utf8();
    }
    let name = text[..end].trim_end_matches(['.', '-']);
    let (labels, last) = name.rsplit_once('.')?;
    let letters =
        last.chars().all(|c| c.is_ascii_alphabetic() || is_syllable(c)) && last.chars().count() >= 2;
    let good = letters && !labels.is_empty() && !labels.starts_with(['.', '-']) && !name.contains("..");
    good.then_some(name.len())
}

/// Where four numbers with dots end, if they are the address of a machine: not of this one, nor of a private net, and no version or section.
pub(super) fn ipv4(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let end =
        at + bytes[at..].iter().take(16).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let number = text[at..end].trim_end_matches('.');
    let address: Ipv4Addr = number.parse().ok()?;
    let octets = address.octets();
    if address.is_loopback()
        || address.is_private()
        || address.is_unspecified()
        || address.is_link_local()
        || address.is_broadcast()
        || octets[0] == 0
        || octets[0] >= 240
    {
        return None;
    }
    let near = before(text, at, 16).to_lowercase();
    if near.ends_with('v')
        || ["version", "버전", "ver.", "릴리스", "release"].iter().any(|word| near.contains(word))
    {
        return None;
    }
    let said =
        ["ip", "아이피", "접속", "host", "server", "서버", "address"].iter().any(|word| near.contains(word));
    (said || octets.iter().filter(|&&octet| octet >= 10).count() >= 3).then_some(at + number.len())
}

/// An address of version 6 around the colon at `at`: of the internet, with four groups at least.
pub(super) fn ipv6(text: &str, at: usize, from: usize) -> Option<Span> {
    let bytes = text.as_bytes();
    let inside = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let start = at - bytes[from..at].iter().rev().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let end = at + bytes[at..].iter().take(40).take_while(|&&byte| inside(byte)).count();
    let number = text.get(start..end)?.trim_end_matches(':');
    let colons = number.bytes().filter(|&byte| byte == b':').count();
    let alone = (start == 0 || !bytes[start - 1].is_ascii_alphanumeric() && bytes[start - 1] != b':')
        && !bytes.get(start + number.len()).is_some_and(u8::is_ascii_alphanumeric);
    if colons < 3 || !alone {
        return None;
    }
    let address: Ipv6Addr = number.parse().ok()?;
    let first = address.segments()[0];
    let global = (0x2000..0x4000).contains(&first);
    global.then_some(Span { kind: Kind::IpAddress, start, end: start + number.len() })
}
