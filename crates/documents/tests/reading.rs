//! What comes out of files of every kind, whole and broken, and always in the same order.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sai_documents::{Columns, Error, Format, Options, Place, Reader, find, in_order};

type Read = (String, Option<String>, Option<String>, Place);

fn read(files: Vec<PathBuf>, options: Options) -> Result<Vec<Read>, Error> {
    let mut all = Vec::new();
    for batch in Reader::open(files, options)? {
        let batch = batch?;
        all.extend(
            batch.documents().map(|d| {
                (d.text.to_owned(), d.lang.map(str::to_owned), d.source.map(str::to_owned), d.place)
            }),
        );
    }
    Ok(all)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn texts(read: &[Read]) -> Vec<&str> {
    read.iter().map(|(text, ..)| text.as_str()).collect()
}

const LINES: &str = concat!(
    "\u{feff}{\"text\": \"하나\\n둘\", \"lang\": \"ko\", \"source\": \"a/b\", \"more\": {\"text\": [1, \"x\"]}}\n",
    "\r\n",
    "{\"lang\": null, \"text\": \"\\ud55c\\uae00 \\\"one\\\"\"}\n",
    "{\"text\": \"\"}",
);

fn lines() -> Vec<Read> {
    vec![
        ("하나\n둘".into(), Some("ko".into()), Some("a/b".into()), Place::Line(1)),
        ("한글 \"one\"".into(), None, None, Place::Line(3)),
        (String::new(), None, None, Place::Line(4)),
    ]
}

#[test]
fn lines_come_through_every_compression_and_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let zst = zstd::encode_all(LINES.as_bytes(), 3).unwrap();
    let files = [("a.jsonl", LINES.as_bytes().to_vec()), ("b.jsonl.gz", gzip(LINES.as_bytes())), ("c", zst)];
    for (name, bytes) in files {
        let path = write(folder.path(), name, &bytes);
        for block in [1, 7, 64, 1 << 20] {
            let options = Options { block, ..Options::default() };
            assert_eq!(read(vec![path.clone()], options).unwrap(), lines(), "{name} in blocks of {block}");
        }
    }
    // Two frames one after another, and two members, are one file.
    let twice = [
        zstd::encode_all(&b"{\"text\":\"1\"}\n"[..], 1).unwrap(),
        zstd::encode_all(&b"{\"text\":\"2\"}"[..], 1).unwrap(),
    ];
    let path = write(folder.path(), "twice", &twice.concat());
    assert_eq!(texts(&read(vec![path], Options::default()).unwrap()), ["1", "2"]);
    let twice = [gzip(b"{\"text\":\"1\"}\n"), gzip(b"{\"text\":\"2\"}")];
    let path = write(folder.path(), "twice.gz", &twice.concat());
    assert_eq!(texts(&read(vec![path], Options::default()).unwrap()), ["1", "2"]);
}

#[test]
fn columns_are_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.jsonl", b"{\"body\":\"x\",\"language\":\"en\",\"text\":3}\n");
    let columns = Columns {
        text: "body".into(),
        lang: Some("language".into()),
        source: None,
        license: None,
        url: None,
    };
    let found = read(vec![path.clone()], Options { columns, ..Options::default() }).unwrap();
    assert_eq!(found, [("x".into(), Some("en".into()), None, Place::Line(1))]);
    let error = read(vec![path], Options::default()).unwrap_err().to_string();
    assert!(
        error.contains("a.jsonl: line 1: ") && error.contains("column `text`: a number, and not a text"),
        "{error}"
    );
}

#[test]
fn text_is_a_document_or_is_cut_at_a_separator() {
    let folder = tempfile::tempdir().unwrap();
    let text = "첫째 글\n\n---\n둘째 글\n---\n\n---\n{셋째}";
    let path = write(folder.path(), "a.txt", text.as_bytes());
    let zst = write(folder.path(), "b.txt.zst", &zstd::encode_all(text.as_bytes(), 3).unwrap());
    for path in [path, zst] {
        assert_eq!(texts(&read(vec![path.clone()], Options::default()).unwrap()), [text]);
        for block in [1, 3, 10, 1000] {
            let options = Options { separator: Some("---\n".into()), block, ..Options::default() };
            let found = read(vec![path.clone()], options).unwrap();
            assert_eq!(texts(&found), ["첫째 글\n\n", "둘째 글\n", "{셋째}"], "{block}");
            assert_eq!(found[2].3, Place::Document(4));
        }
    }
}

#[test]
fn a_broken_line_is_named_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let bad: &[(&[u8], &str)] = &[
        (b"{\"text\": \"cut", "EOF while parsing a string"),
        (b"[1]", "a list, and not an object"),
        (b"null", "null, and not an object"),
        (b"{\"text\": [\"a\"]}", "column `text`: a list, and not a text"),
        (b"{\"text\": \"a\", \"lang\": {}}", "column `lang`: an object, and not a name or null"),
        (b"{\"txt\": \"x\", \"id\": NaN}", "no column `text`; it has `txt`, `id`"),
        (b"{}", "no column `text`, and no other"),
        (b"{\"text\": \"\xc1\xfa\xb9\xae\"}", "byte 10 is not UTF-8 but CP949"),
        (b"{\"txt\": \"x\"}", "no column `text`"),
        (b"{\"text\": \"x\"} {}", "trailing characters"),
        (b"{\"text\": \"\xff\"}", "is not UTF-8"),
        (b"{\"text\": \"\\ud800\"}", "unexpected end of hex escape"),
        (b"{\"text\": \"0123456789012345678901234567890123456789\"}", "longer than 40 bytes"),
    ];
    for (line, fact) in bad {
        let bytes = [b"{\"text\": \"\xea\xb0\x80\"}\n", *line, b"\n{\"text\": \"b\"}\n"].concat();
        let path = write(folder.path(), "a.jsonl", &bytes);
        for block in [8, 1 << 20] {
            let options = Options { longest: 40, block, ..Options::default() };
            let error = read(vec![path.clone()], options.clone()).unwrap_err();
            assert!(matches!(&error, Error::Broken { place: Place::Line(2), .. }), "{error:?}");
            assert!(error.to_string().contains(fact) && !error.to_string().contains('\n'), "{error}");
            let mut skipped = 0;
            let mut kept = Vec::new();
            let options = Options { skip_broken: true, ..options };
            for batch in Reader::open(vec![path.clone()], options).unwrap() {
                let batch = batch.unwrap();
                skipped += batch.broken().len();
                kept.extend(batch.documents().map(|d| (d.text.to_owned(), d.place)));
            }
            assert_eq!(skipped, 1);
            assert_eq!(kept, [("가".to_owned(), Place::Line(1)), ("b".to_owned(), Place::Line(3))]);
        }
    }
}

#[test]
fn damaged_files_are_errors_of_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = LINES.repeat(500);
    let zst = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let gz = gzip(text.as_bytes());
    let mut files = vec![
        ("cut.zst", zst[..zst.len() / 2].to_vec()),
        ("cut.gz", gz[..gz.len() / 2].to_vec()),
        ("x.parquet", b"PAR1 and nothing else".to_vec()),
        ("y.parquet", b"not at all".to_vec()),
        ("z.json", b"[{\"text\": 1}]".to_vec()),
    ];
    for at in (8..gz.len()).step_by(gz.len() / 5) {
        let mut damaged = gz.clone();
        damaged[at] ^= 0x55;
        files.push(("damaged.gz", damaged));
    }
    for (name, bytes) in files {
        let path = write(folder.path(), name, &bytes);
        let Err(error) = read(vec![path], Options::default()) else { panic!("{name} was read") };
        let line = error.to_string();
        assert!(line.contains(name) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_bomb_costs_no_memory() {
    // 64 MB of one line without an end, in some kB; its line is passed over as it is decompressed.
    let folder = tempfile::tempdir().unwrap();
    let mut zst = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zst.write_all(b"{\"text\": \"").unwrap();
    for _ in 0..64 {
        zst.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    zst.write_all(b"\n{\"text\": \"after\"}\n{\"text\": \"last\"}\n").unwrap();
    let path = write(folder.path(), "bomb.jsonl.zst", &zst.finish().unwrap());
    let options = Options { longest: 1 << 20, skip_broken: true, ..Options::default() };
    let found = read(vec![path], options).unwrap();
    assert_eq!(found[0], ("after".to_owned(), None, None, Place::Line(2)));
    assert_eq!(texts(&found), ["after", "last"]);
}

#[test]
fn files_are_found_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(folder.path().join("d/.git")).unwrap();
    for name in ["d/b.jsonl.zst", "d/.git/x.txt", "d/notes.pdf", "c.jsonl", "e.jsonl"] {
        std::fs::write(at(name), "").unwrap();
    }
    let found = find(&[at("d"), at("*.jsonl"), at("c.jsonl")]).unwrap();
    let names = ["c.jsonl", "d/b.jsonl.zst", "e.jsonl"];
    assert_eq!(found, names.map(|name| folder.path().join(name)));
    for nothing in ["missing", "*.none", "["] {
        let error = find(&[at(nothing)]).unwrap_err().to_string();
        assert!(error.starts_with(&at(nothing)), "{error}");
    }
}

#[test]
fn the_order_is_that_of_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for f in 0..5 {
        let lines: String = (0..50 * f).map(|i| format!("{{\"text\":\"{f} {i}\"}}\n")).collect();
        files.push(write(folder.path(), &format!("{f}.jsonl"), lines.as_bytes()));
    }
    for streams in [1, 2, 7] {
        let options = Options { block: 100, streams, ..Options::default() };
        let plain = read(files.clone(), options.clone()).unwrap();
        assert_eq!(plain.len(), 500);
        for threads in [1, 3] {
            let mut taken = Vec::new();
            let reader = Reader::open(files.clone(), options.clone()).unwrap();
            let total = reader.bytes_total();
            let mut done = 0;
            let work = |(): &mut (), batch: sai_documents::Batch| -> Vec<String> {
                batch.documents().map(|d| d.text.to_owned()).collect()
            };
            let flow = in_order(
                reader,
                threads,
                || (),
                work,
                |finished| {
                    taken.extend(finished.result);
                    done = finished.bytes_done;
                    ControlFlow::Continue(())
                },
            );
            assert!(flow.unwrap().is_continue());
            assert_eq!(taken, texts(&plain), "{streams} {threads}");
            assert_eq!(done, total);
        }
    }
}

#[test]
fn work_ends_when_it_is_told_to_and_at_the_first_error() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..2000).map(|i| format!("{{\"text\":\"{i}\"}}\n")).collect();
    let good = write(folder.path(), "a.jsonl", lines.as_bytes());
    let bad = write(folder.path(), "b.jsonl", format!("{lines}nothing\n{lines}").as_bytes());
    let options = Options { block: 64, ..Options::default() };
    for threads in [1, 4] {
        let reader = || Reader::open(vec![good.clone(), bad.clone()], options.clone()).unwrap();
        let mut taken = 0;
        let flow = in_order(
            reader(),
            threads,
            || (),
            |(), batch| batch.len(),
            |_| {
                taken += 1;
                if taken == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert!(flow.unwrap().is_break());
        assert_eq!(taken, 3);
        let mut documents = 0;
        let error = in_order(
            reader(),
            threads,
            || (),
            |(), batch| batch.len(),
            |finished| {
                documents += finished.result;
                ControlFlow::Continue(())
            },
        );
        assert!(matches!(error, Err(Error::Broken { place: Place::Line(2001), .. })), "{error:?}");
        assert!((3990..=4000).contains(&documents), "{documents}");
    }
    drop(Reader::open(vec![good], options).unwrap());
}

/// A table of a text column that may be missing, and a language, in row groups of three rows.
fn table(rows: &[(Option<&[u8]>, &str)], compression: parquet::basic::Compression) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
    let schema = "message t { optional binary text (UTF8); required binary lang (UTF8); required int32 n; }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = std::sync::Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for rows in rows.chunks(3) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = rows.iter().filter_map(|(t, _)| t.map(|t| t.to_vec().into())).collect();
        let levels: Vec<i16> = rows.iter().map(|(text, _)| i16::from(text.is_some())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = rows.iter().map(|(_, lang)| ByteArray::from(*lang)).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<i32> = (0..).take(rows.len()).collect();
        column.typed::<parquet::data_type::Int32Type>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn tables_give_their_rows() {
    use parquet::basic::{Compression, ZstdLevel};
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<(Option<&[u8]>, &str)> = vec![
        (Some("가나".as_bytes()), "ko"),
        (Some(b"b"), "en"),
        (Some(b""), "en"),
        (Some("다".as_bytes()), "ko"),
    ];
    for compression in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())]
    {
        let path = write(folder.path(), "any-name", &table(&rows, compression));
        let found = read(vec![path.clone()], Options::default()).unwrap();
        let expected: Vec<Read> = (1..)
            .zip(&rows)
            .map(|(i, (text, lang))| {
                let text = String::from_utf8(text.unwrap().to_vec()).unwrap();
                (text, Some((*lang).to_owned()), None, Place::Row(i))
            })
            .collect();
        assert_eq!(found, expected);
        let asked =
            |text: &str| Columns { text: text.into(), lang: None, source: None, license: None, url: None };
        let error = |text| read(vec![path.clone()], Options { columns: asked(text), ..Options::default() });
        assert!(
            error("body").unwrap_err().to_string().contains("no column `body`; it has `text`, `lang`, `n`")
        );
        assert!(error("n").unwrap_err().to_string().contains("column `n` holds no text"));
    }
    let bad = table(
        &[(Some(b"a"), "en"), (None, "en"), (Some(b"\xff"), "en"), (Some(b"z"), "en")],
        Compression::SNAPPY,
    );
    let path = write(folder.path(), "b.parquet", &bad);
    let error = read(vec![path.clone()], Options::default()).unwrap_err().to_string();
    assert!(error.contains("row 3: byte 0 is not UTF-8"), "{error}");
    let found = read(vec![path], Options { skip_broken: true, ..Options::default() }).unwrap();
    assert_eq!(texts(&found), ["a", "z"]);
}

#[test]
fn damaged_tables_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let text = "가나다라".repeat(20);
    let rows: Vec<(Option<&[u8]>, &str)> = (0..9).map(|_| (Some(text.as_bytes()), "ko")).collect();
    let whole = table(&rows, parquet::basic::Compression::SNAPPY);
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let path = write(folder.path(), "t.parquet", &damaged);
        // Nothing tells a changed letter from a right one; what must not be is a panic or an error without a file.
        if let Err(error) = read(vec![path.clone()], Options::default()) {
            assert!(error.to_string().contains("t.parquet"), "{error}");
        }
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(read(vec![path], Options { format: Some(Format::Parquet), ..Options::default() }).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(texts in prop::collection::vec(any::<String>(), 0..20), block in 1usize..200) {
        let folder = tempfile::tempdir().unwrap();
        let lines: String =
            texts.iter().map(|t| format!("{}\n", serde_json::json!({"text": t, "lang": "ko"}))).collect();
        let path = write(folder.path(), "a.jsonl", lines.as_bytes());
        let found = read(vec![path], Options { block, ..Options::default() }).unwrap();
        prop_assert_eq!(found.iter().map(|d| d.0.clone()).collect::<Vec<_>>(), texts);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0usize..5, block in 1usize..50) {
        let folder = tempfile::tempdir().unwrap();
        let magic: [&[u8]; 5] = [b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"PAR1", b"{\"text\":"];
        let path = write(folder.path(), "a", &[magic[start], &bytes].concat());
        let options = Options { block, skip_broken: true, separator: Some("\n".into()), ..Options::default() };
        let _ = read(vec![path], options);
    }
}
