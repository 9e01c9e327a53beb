//! What a file is, told by how it begins, where it is none of what is read here. Each fact says the way out.

use serde::de::IgnoredAny;

use crate::json;

/// What some compressed files, and files that only stand for others, begin with.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\xfd7zXZ\0", "compressed with xz, which is not read here; decompress it first, with `xz -d`"),
    (b"BZh", "compressed with bzip2, which is not read here; decompress it first, with `bzip2 -d`"),
    (b"\x04\x22\x4d\x18", "compressed with lz4, which is not read here; decompress it first, with `lz4 -d`"),
    (b"PK\x03\x04", "a zip archive; unpack it first, with `unzip`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"%PDF-", "a PDF; write its text to a file first, with `pdftotext`"),
    (
        b"ARROW1",
        "an Arrow file; write it as Parquet or JSONL, with `to_parquet` or `to_json` of Hugging Face `datasets`",
    ),
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer and not the file that it stands for; fetch that with `git lfs pull`",
    ),
];

/// What a file that begins so is, where it is of a known kind that is not read.
pub(crate) fn foreign(head: &[u8]) -> Option<&'static str> {
    FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)).map(|&(_, fact)| fact)
}

/// `head` without the byte order marks that it begins with. Some programs write a second one before a first.
pub(crate) fn without_marks(mut head: &[u8]) -> &[u8] {
    while let Some(rest) = head.strip_prefix(b"\xef\xbb\xbf") {
        head = rest;
    }
    head
}

/// The encoding of a text that begins so, where it is UTF-16 or UTF-32, with a byte order mark or without: its name, as
/// iconv knows it.
pub fn wide_encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    if head.len() < 4 {
        return None;
    }
    // Without a mark: half of each ASCII character is a zero, always the same half. So is half of 가 the other one.
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // Blanks, digits and punctuation alone make up this share even of Korean, whose other bytes are no UTF-8. What is
    // UTF-8 all the same is Latin letters, or a text with some zeros in it.
    let utf8 = std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    let share = if utf8 { 3 } else { 32 };
    let enough = |zeros: usize, others: usize| zeros * share >= head.len() && zeros > 4 * others;
    if enough(odd, even) {
        Some("UTF-16LE")
    } else if enough(even, odd) {
        Some("UTF-16BE")
    } else {
        None
    }
}

/// The way out of an encoding.
pub(crate) fn convert_from(encoding: &str) -> String {
    format!("`iconv -f {encoding} -t UTF-8` converts it")
}

/// Whether bytes that are no UTF-8 are Korean in CP949, of which EUC-KR is a part: nearly all of its pairs of high bytes
/// are Hangul syllables. Chinese in GBK uses the same pairs, and as many others.
pub(crate) fn is_cp949(bytes: &[u8]) -> bool {
    let (mut pairs, mut hangul, mut rest) = (0, 0, bytes);
    while let [lead, tail @ ..] = rest {
        rest = tail;
        if *lead < 0x80 {
            continue;
        }
        let Some(&trail) = tail.first() else { break };
        rest = &tail[1..];
        pairs += 1;
        let syllable = (0xb0..=0xc8).contains(lead) && (0xa1..=0xfe).contains(&trail);
        // The syllables that EUC-KR lacks.
        let extended =
            (0x81..=0xc6).contains(lead) && matches!(trail, 0x41..=0x5a | 0x61..=0x7a | 0x81..=0xa0);
        hangul += usize::from(syllable || extended && (0x81..=0xa0).contains(lead));
    }
    pairs > 0 && hangul * 10 >= pairs * 9
}

/// Writes the objects of Python, one a line, as JSON.
const FROM_PYTHON: &str = "python3 -c \"import ast,json,sys; [print(json.dumps(ast.literal_eval(r))) for r in sys.stdin if r.strip()]\"";

/// Why a file that begins with `head` is no JSONL, an object a line; nothing where it is, or where only its first line is
/// broken. `file` is what commands that convert it read.
pub(crate) fn no_jsonl(head: &[u8], file: &Named<'_>) -> Option<String> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default(),
    };
    let text = text.trim_start();
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let next = rest.trim_start();
    let jsonl = |filter: &str| format!("{} writes an object a line (JSONL)", file.through(filter));
    match text.as_bytes().first()? {
        b'[' => {
            // Lines that are arrays, each by itself, are broken lines.
            let lines = next.starts_with('[') && serde_json::from_str::<IgnoredAny>(line).is_ok();
            (!lines).then(|| format!("a JSON array; {}", jsonl("jq -c '.[]'")))
        }
        b'{' => {
            // Of Python's own notation one line may be a mistake, and more are none.
            let quoted =
                |text: &str| text.strip_prefix('{').is_some_and(|text| text.trim_start().starts_with('\''));
            if quoted(text) && (next.is_empty() || !next.starts_with('{') || quoted(next)) {
                let way = jsonl(FROM_PYTHON);
                return Some(format!("Python's notation, with single quotes, and no JSON; {way}"));
            }
            let text = json::without_nan(text).unwrap_or_else(|| text.to_owned());
            let mut values = serde_json::Deserializer::from_str(&text).into_iter::<IgnoredAny>();
            let several = || format!("an object goes over several lines; {}", jsonl("jq -c ."));
            match values.next()? {
                Err(e) if e.is_eof() => text.trim_end().contains('\n').then(several),
                Err(_) => None,
                Ok(_) => {
                    let (object, behind) = text.split_at(values.byte_offset());
                    let behind = behind.trim_start_matches([' ', '\t']);
                    if object.contains('\n') {
                        Some(several())
                    } else if behind.starts_with(',') {
                        let way = file.through("sed 's/,[[:space:]]*$//'");
                        Some(format!("its lines end in commas; {way} takes them out"))
                    } else if behind.starts_with('{') {
                        Some(format!("several objects stand on a line; {}", jsonl("jq -c .")))
                    } else if behind.starts_with('\r') && behind.trim_start_matches('\r').starts_with('{') {
                        let way = file.through("tr '\\r' '\\n'");
                        Some(format!("its lines end in carriage returns alone; {way} mends it"))
                    } else {
                        None
                    }
                }
            }
        }
        b'<' => Some("a web page or XML, and no JSONL; fetch the file itself".to_owned()),
        _ if next.starts_with('{') => None,
        _ => {
            let fact = format!(
                "no JSONL: it begins with `{}` and not with an object",
                json::beginning(line.trim_end())
            );
            let separator = [('\t', "'\\t'"), (',', "','"), (';', "';'")];
            let table = separator.iter().find(|(separator, _)| line.contains(*separator));
            Some(match table {
                Some((_, separator)) => format!("{fact}; if it is a table, {}", rows(file, separator)),
                None => format!("{fact}; write an object a line"),
            })
        }
    }
}

/// Why a table of text, whose columns stand between `separator`s, is not read.
pub(crate) fn csv(file: &Named<'_>, separator: &str) -> String {
    format!("a table of text; {}", rows(file, separator))
}

/// The command that writes a table's rows as objects.
fn rows(file: &Named<'_>, separator: &str) -> String {
    let python = format!(
        "python3 -c \"import csv,json,sys; [print(json.dumps(r)) for r in csv.DictReader(sys.stdin, delimiter={separator})]\""
    );
    format!("{} writes its rows as objects", file.through(&python))
}

/// A file in a command.
pub(crate) struct Named<'n> {
    pub(crate) name: &'n str,
    /// What writes its plain bytes, where it is compressed: `gzip -dc`.
    pub(crate) unpack: Option<&'static str>,
}

impl Named<'_> {
    /// A filter that reads it and writes another file.
    fn through(&self, filter: &str) -> String {
        let Named { name, unpack } = self;
        match unpack {
            Some(unpack) => format!("`{unpack} {name} | {filter} > NEW.jsonl`"),
            None => format!("`{filter} < {name} > NEW.jsonl`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text in CP949, UTF-16 and GBK as Python 3.11's codecs write it.
    const CP949: &[u8] = b"{\"content\": \"\xc1\xfa\xb9\xae 1\"}";
    /// 똠방각하, of which the first syllable is in CP949 alone.
    const EXTENDED: &[u8] = b"\x8c\x63\xb9\xe6\xb0\xa2\xc7\xcf";
    const LATIN: &[u8] = b"caf\xe9 cr\xe8me, d\xe9j\xe0 vu";
    /// 我们在这里学习中文
    const GBK: &[u8] = b"\xce\xd2\xc3\xc7\xd4\xda\xd5\xe2\xc0\xef\xd1\xa7\xcf\xb0\xd6\xd0\xce\xc4";

    #[test]
    fn korean_in_cp949_is_told_from_other_encodings() {
        assert!(is_cp949(CP949) && is_cp949(EXTENDED));
        assert!(!is_cp949(LATIN) && !is_cp949(GBK) && !is_cp949(b"plain") && !is_cp949(b"\xff\xfe\xfd"));
    }

    #[test]
    fn utf16_is_known_with_a_mark_and_without() {
        let wide = |text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            let units: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            [mark, units.as_slice()].concat()
        };
        for text in ["{\"text\": \"a\"}\n", "{\"text\": \"가나다라\"}", "나는 오늘 학교에 갔다. 비가 왔다."]
        {
            let little = wide_encoding(&wide(text, b"\xff\xfe", u16::to_le_bytes));
            let big = wide_encoding(&wide(text, b"\xfe\xff", u16::to_be_bytes));
            assert_eq!((little, big), (Some("UTF-16"), Some("UTF-16")));
            assert_eq!(wide_encoding(&wide(text, b"", u16::to_le_bytes)), Some("UTF-16LE"), "{text}");
            assert_eq!(wide_encoding(&wide(text, b"", u16::to_be_bytes)), Some("UTF-16BE"), "{text}");
            assert_eq!(wide_encoding(text.as_bytes()), None);
        }
        assert_eq!(wide_encoding(b"\xff\xfe\0\0{\0\0\0"), Some("UTF-32"));
        for plain in ["", "a\0", "a\0b", "a\0bc", "\0\0\0\0", "line 1\0line 2\0"] {
            assert_eq!(wide_encoding(plain.as_bytes()), None, "{plain:?}");
        }
    }

    const FILE: Named<'static> = Named { name: "F", unpack: None };

    #[test]
    fn a_compressed_file_is_unpacked_on_the_way() {
        let said = no_jsonl(b"[1,\n2]", &Named { name: "F.gz", unpack: Some("gzip -dc") });
        assert!(said.unwrap().contains("`gzip -dc F.gz | jq -c '.[]' > NEW.jsonl`"));
    }

    #[test]
    fn what_is_no_jsonl_is_said_with_the_way_out() {
        for (head, fact) in [
            ("[\n{\"a\": 1},\n{\"a\": 2}\n]", "JSON array; `jq -c '.[]' < F > NEW.jsonl`"),
            ("[{\"a\": 1}, {\"a\": 2}]", "JSON array"),
            ("[\n", "JSON array"),
            ("{\"a\": 1},\n{\"a\": 2},\n", "end in commas; `sed"),
            ("{\"a\": NaN},\n{\"a\": 2}", "end in commas"),
            ("{\n \"a\": 1\n}\n{\n \"a\": 2\n}", "several lines; `jq -c . < F"),
            ("{\"a\":\n {\"b\": 1", "several lines"),
            ("{\"a\": 1} {\"a\": 2}\n", "several objects stand on a line"),
            ("{'a': 1}\n{'a': 2}\n", "Python's notation, with single quotes, and no JSON; `python3 -c"),
            ("{ 'a': 1}", "Python's notation"),
            ("<!DOCTYPE html>\n<html>\n", "a web page or XML"),
            ("{\"a\": 1}\r{\"a\": 2}\r", "carriage returns"),
            ("id,text\n1,x\n", "no JSONL: it begins with `id,text`"),
            ("id\ttext\n1\tx\n", "delimiter='\\t'"),
            ("\"a\"\n\"b\"\n", "no JSONL"),
            ("하나 둘\n셋", "no JSONL: it begins with `하나 둘`"),
        ] {
            let said = no_jsonl(head.as_bytes(), &FILE).unwrap_or_default();
            assert!(said.contains(fact), "{head:?}: {said}");
        }
        for fine in [
            "",
            "\n\n",
            "{\"a\": 1}\n{\"a\": 2}\n",
            "{\"a\": 1}\r\n{\"a\": 2}\r\n",
            "{\"a\": \"cut",
            "{\"a\": \"cut\n{\"a\": 2}\n",
            "# a comment\n{\"a\": 2}\n",
            "{\"a\": NaN}\n{\"a\": Infinity}\n",
            "{'a': 1}\n{\"a\": 2}\n",
            "{\"a\": broken}\n{\"a\": 2}\n",
            "[1]\n[2]\n",
            "{\"a\": \"\u{d7a3}",
        ] {
            assert_eq!(no_jsonl(fine.as_bytes(), &FILE), None, "{fine:?}");
        }
    }
}
