//! An answer of HTTP/1 as a WARC record has it: its head, and its body with transfer and content codings undone.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Takes an answer apart. Its body, with all codings undone, is cut at `longest` bytes.
    ///
    /// # Errors
    /// What it is not.
    pub(crate) fn parse(bytes: &[u8], longest: usize) -> Result<Answer, &'static str> {
        let end = head_end(bytes).ok_or("an answer has no end of its head")?;
        let (head, body) = bytes.split_at(end);
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
        let status = words.next().and_then(|word| word.parse().ok()).filter(|_| is_http);
        let status = status.ok_or("an answer begins with no status")?;
        let (mut content_type, mut chunked, mut codings) = (None, false, Vec::new());
        for (name, value) in headers(head) {
            match name.to_ascii_lowercase().as_str() {
                "content-type" => content_type = Some(value),
                "transfer-encoding" => chunked = value.to_ascii_lowercase().contains("chunked"),
                "content-encoding" => {
                    codings = value.split(',').map(|coding| coding.trim().to_ascii_lowercase()).collect();
                }
                _ => {}
            }
        }
        // Crawlers that undo chunks leave the header, so that what is no chunk is the body itself.
        let mut body = match chunked.then(|| unchunked(body)).flatten() {
            Some(body) => body,
            None => body.to_vec(),
        };
        for coding in codings.iter().rev() {
            body = match coding.as_str() {
                "" | "identity" | "none" => body,
                // As with chunks, what does not begin so was undone already.
                "gzip" | "x-gzip" if !body.starts_with(b"\x1f\x8b") => body,
                "gzip" | "x-gzip" => inflated(MultiGzDecoder::new(body.as_slice()), longest)?,
                "deflate" => match inflated(ZlibDecoder::new(body.as_slice()), longest) {
                    Ok(plain) => plain,
                    Err(_) => inflated(DeflateDecoder::new(body.as_slice()), longest)?,
                },
                _ => return Err("an answer is in a coding that is not read here"),
            };
        }
        Ok(Answer { status, content_type, body })
    }
}

/// All of it, or what there is before it is cut off; at most `longest` bytes.
fn inflated(from: impl Read, longest: usize) -> Result<Vec<u8>, &'static str> {
    let mut plain = Vec::new();
    match from.take(longest as u64).read_to_end(&mut plain) {
        Err(_) if plain.is_empty() => Err("an answer's compression is damaged"),
        _ => Ok(plain),
    }
}

/// Where a head ends: behind its first empty line. Lines may end in a bare line feed.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = memchr::memchr_iter(b'\n', bytes);
    ends.into_iter().find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Names and values of a head, whose first line is none. A line that begins with a blank goes on with the one before it.
/// What is not UTF-8 is read as Latin-1, which every byte is.
pub(crate) fn headers(head: &[u8]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text.to_owned(),
            Err(_) => line.iter().map(|&byte| char::from(byte)).collect(),
        };
        if text.starts_with([' ', '\t']) {
            if let Some((_, value)) = found.last_mut() {
                value.push(' ');
                value.push_str(text.trim());
            }
        } else if let Some((name, value)) = text.split_once(':') {
            found.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// A body whose chunks are put together (RFC 9112, section 7.1); nothing where they are none. A last chunk that is cut off
/// is taken as far as it goes.
fn unchunked(mut from: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(from.len());
    loop {
        let end = memchr::memchr(b'\n', from.get(..from.len().min(256))?)?;
        let line = std::str::from_utf8(&from[..end]).ok()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        from = &from[end + 1..];
        if size == 0 {
            return Some(body);
        }
        if size >= from.len() {
            body.extend_from_slice(from);
            return Some(body);
        }
        body.extend_from_slice(&from[..size]);
        from = &from[size..];
        from = from.strip_prefix(b"\r\n").or_else(|| from.strip_prefix(b"\n"))?;
        if from.is_empty() {
            return Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn chunks_are_put_together_and_what_is_none_stays() {
        let answer = |body: &str| {
            let bytes = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n{body}"
            );
            String::from_utf8(Answer::parse(bytes.as_bytes(), 1 << 20).unwrap().body).unwrap()
        };
        assert_eq!(answer("4;x=1\r\nsai \r\n3\r\nsay\r\n0\r\n\r\n"), "sai say");
        assert_eq!(answer("4\nsai \n3\nsay\n0\n\n"), "sai say");
        assert_eq!(answer("<p>plain</p>"), "<p>plain</p>");
        // The crawl was cut in a chunk.
        assert_eq!(answer("4\r\nsai \r\nff\r\nsay"), "sai say");
    }

    #[test]
    fn a_compressed_answer_becomes_no_more_than_the_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 8 << 20]).unwrap();
        let mut bytes = b"HTTP/1.0 200 OK\nContent-Encoding: gzip\n\n".to_vec();
        bytes.extend(gzip.finish().unwrap());
        assert_eq!(Answer::parse(&bytes, 1 << 20).unwrap().body.len(), 1 << 20);
        assert!(Answer::parse(b"HTTP/1.0 200 OK\nContent-Encoding: br\n\nx", 9).is_err());
        assert!(Answer::parse(b"220 ready\r\n\r\n", 9).is_err());
        assert!(Answer::parse(b"HTTP/1.1 200 OK", 9).is_err());
    }

    #[test]
    fn headers_may_go_over_lines_and_be_no_utf8() {
        let found = headers(b"HTTP/1.1 200\r\nA: b\r\n  c\r\nX-Title: caf\xe9\r\nbroken\r\n\r\n");
        assert_eq!(found, [("A".to_owned(), "b c".to_owned()), ("X-Title".to_owned(), "café".to_owned())]);
    }
}
