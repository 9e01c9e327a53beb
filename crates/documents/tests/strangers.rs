//! Files as strangers' programs write them: those that are to be read, against what these programs read, and those that
//! are to be refused as a whole, with the way out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sai_documents::{Batch, Column, Error, Format, Options, Reader, find, find_files};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/documents")
}

fn batches(path: &Path, options: Options) -> Result<Vec<Batch>, Error> {
    Reader::open(vec![path.to_owned()], options)?.collect()
}

fn texts(path: &Path, options: Options) -> Result<Vec<String>, Error> {
    let batches = batches(path, options)?;
    Ok(batches.iter().flat_map(|batch| batch.documents().map(|d| d.text.to_owned())).collect())
}

fn refused(path: &Path, options: Options) -> String {
    match texts(path, options) {
        Ok(texts) => panic!("{}: read as {texts:?}", path.display()),
        Err(error) => {
            let line = error.to_string();
            assert!(
                !line.contains('\n') && line.contains(&*path.file_name().unwrap().to_string_lossy()),
                "{line}"
            );
            line
        }
    }
}

fn skipping() -> Options {
    Options { skip_broken: true, ..Options::default() }
}

#[test]
fn files_of_other_programs_are_read_as_those_read_them() {
    let expected = std::fs::read(fixtures().join("expected.json")).unwrap();
    let expected: BTreeMap<String, Vec<String>> = serde_json::from_slice(&expected).unwrap();
    assert!(expected.len() >= 12, "{expected:?}");
    for (name, expected) in &expected {
        for block in [16, 1 << 20] {
            let found = texts(&fixtures().join(name), Options { block, ..Options::default() });
            assert_eq!(found.unwrap(), *expected, "{name} in blocks of {block}");
        }
    }
}

#[test]
fn a_text_that_is_null_is_counted_and_a_language_of_nulls_is_none() {
    let found = batches(&fixtures().join("nulls.parquet"), Options::default()).unwrap();
    let passed_over: Vec<_> = found.iter().flat_map(Batch::broken).collect();
    assert_eq!(passed_over.len(), 1);
    assert!(passed_over[0].null && passed_over[0].place == sai_documents::Place::Row(4), "{passed_over:?}");
    assert!(found.iter().flat_map(Batch::documents).all(|document| document.lang.is_none()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "{\"text\": null}\n{\"text\": \"a\", \"lang\": 3, \"source\": -1}\n").unwrap();
    let found = batches(&path, Options::default()).unwrap();
    assert_eq!(found.iter().map(|batch| batch.broken().len()).sum::<usize>(), 1);
    let document = found.iter().flat_map(Batch::documents).next().unwrap();
    assert_eq!((document.lang, document.source), (Some("3"), Some("-1")));
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "{\"text\": \"one\", \"text\": \"two\", \"lang\": \"ko\", \"language\": \"en\"}\n")
        .unwrap();
    let found = batches(&path, Options::default()).unwrap();
    let document = found[0].documents().next().unwrap();
    assert_eq!((document.text, document.lang), ("two", Some("ko")));
    assert_eq!(found[0].text_bytes(), 3);
}

#[test]
fn a_window_beyond_what_zstd_bears_is_named() {
    let said = refused(&fixtures().join("window32.jsonl.zst"), Options::default());
    assert!(said.contains("window of more than 2 GiB") && said.contains("`zstd --long=31`"), "{said}");
}

#[test]
fn an_encoding_is_named_with_its_conversion() {
    for (name, said) in [
        ("utf16.jsonl", "iconv -f UTF-16 -t UTF-8"),
        ("utf16le.jsonl", "iconv -f UTF-16LE -t UTF-8"),
        ("utf16be.jsonl", "iconv -f UTF-16BE -t UTF-8"),
        ("cp949.jsonl", "iconv -f CP949 -t UTF-8"),
    ] {
        let text = Options { format: Some(Format::Text), ..Options::default() };
        for options in [Options::default(), skipping(), text] {
            let found = refused(&fixtures().join(name), options);
            assert!(found.contains(said), "{found}");
        }
    }
}

#[test]
fn what_is_no_jsonl_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |between: &str| {
        (0..300).map(|i| format!("{{\"text\": \"row {i}\"}}")).collect::<Vec<_>>().join(between)
    };
    let long = rows(",\n").replace("row 0", &"long ".repeat(5000));
    let pretty: String = (0..300).map(|i| format!("{{\n  \"text\": \"row {i}\"\n}}\n")).collect();
    let files = [
        ("lines.json", format!("[\n{}\n]\n", rows(",\n")), "a JSON array; `jq -c '.[]' < lines.json"),
        ("one-line.jsonl", format!("[{}]", rows(", ")), "a JSON array"),
        ("array.jsonl", format!("[\n{}\n]\n", rows(",\n")), "a JSON array"),
        ("marked.json", format!("\u{feff}\u{feff}[\n{}\n]\n", rows(",\n")), "a JSON array"),
        ("commas.jsonl", rows(",\n"), "its lines end in commas; `sed"),
        ("long.jsonl", long, "its lines end in commas; `sed"),
        ("python.jsonl", rows("\n").replace('"', "'"), "Python's notation, with single quotes"),
        ("page.jsonl", "<!DOCTYPE html>\n<html>\n".to_owned(), "a web page or XML"),
        ("pretty.jsonl", pretty.clone(), "several lines; `jq -c . < pretty.jsonl"),
        ("pretty-array.json", format!("[\n{}]\n", pretty.replace("}\n", "},\n")), "a JSON array"),
        ("glued.jsonl", rows(""), "several objects stand on a line; `jq -c ."),
        ("mac.jsonl", rows("\r"), "carriage returns"),
        ("table.csv", "id,text\n1,a\n".to_owned(), "csv.DictReader"),
        ("table.tsv", "id\ttext\n1\ta\n".to_owned(), "delimiter='\\t'"),
        ("csv.jsonl", "id,text\n1,a\n2,b\n".to_owned(), "begins with `id,text`"),
        ("x.jsonl", "BZh9".to_owned(), "bzip2 -d"),
        ("y.jsonl", "\u{fffd}7zXZ".to_owned(), "no JSONL"),
        (
            "p.parquet",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_owned(),
            "git lfs pull",
        ),
    ];
    for (name, bytes, fact) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        for options in [Options::default(), skipping()] {
            let said = refused(&path, options);
            assert!(said.contains(fact), "{said}");
        }
        let said = refused(&path, Options { format: Some(Format::Lines), ..Options::default() });
        assert!(said.contains(fact), "{said}");
        // Compressed it is the same.
        let zst = folder.path().join(format!("{name}.zst"));
        std::fs::write(&zst, zstd::encode_all(bytes.as_bytes(), 1).unwrap()).unwrap();
        if !["x.jsonl", "p.parquet"].contains(&name) {
            refused(&zst, Options::default());
        }
    }
    for (name, bytes, fact) in [
        ("a.bin", &b"\x7fELF\x02\0\xff\0\0x"[..], "neither text nor"),
        ("a.pdf", b"%PDF-1.7\n", "pdftotext"),
        ("a.arrow", b"ARROW1\0\0", "an Arrow file"),
        ("a.zip", b"PK\x03\x04", "a zip archive"),
        ("a.jsonl.xz", b"\xfd7zXZ\0", "xz -d"),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let said = refused(&folder.path().join(name), skipping());
        assert!(said.contains(fact), "{said}");
    }
    // What calls itself a table and is none is not read as lines either.
    let path = folder.path().join("cut.parquet");
    std::fs::write(&path, "").unwrap();
    let said = refused(&path, Options { format: Some(Format::Lines), ..Options::default() });
    assert!(said.contains("it does not begin with PAR1"), "{said}");
    let path = fixtures().join("none.parquet");
    let said = refused(&path, Options { format: Some(Format::Lines), ..Options::default() });
    assert!(said.contains("a Parquet file, where lines or text are read"), "{said}");
}

#[test]
fn a_file_of_which_most_is_broken_is_an_error_and_no_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let lines = |good: usize, bad: usize| {
        let good = (0..good).map(|i| format!("{{\"text\": \"{i}\"}}\n"));
        let bad = (0..bad).map(|i| format!("{{\"body\": \"{i}\"}}\n"));
        good.chain(bad).collect::<String>()
    };
    let options = || Options { block: 64, streams: 2, ..skipping() };
    for (good, bad) in [(0, 3), (1, 1), (1, 200), (99, 100)] {
        std::fs::write(&path, lines(good, bad)).unwrap();
        let said = refused(&path, options());
        let fact = format!(
            "{bad} of {} documents are broken, the first at line {}: no column `text`; it has `body`",
            good + bad,
            good + 1
        );
        assert!(said.contains(&fact), "{said}");
        let error = texts(&path, options()).unwrap_err();
        assert!(matches!(error, Error::MostBroken { column: Some(Column::Text), .. }), "{error:?}");
        // Whichever thread finds it out.
        for threads in [1, 3] {
            let reader = Reader::open(vec![path.clone()], options()).unwrap();
            let flow = sai_documents::in_order(
                reader,
                threads,
                || (),
                |(), _| (),
                |_| std::ops::ControlFlow::Continue(()),
            );
            assert!(matches!(flow, Err(Error::MostBroken { .. })), "{flow:?}");
        }
    }
    std::fs::write(&path, lines(100, 100)).unwrap();
    assert_eq!(texts(&path, options()).unwrap().len(), 100);
    // Of texts that are a file each, one may be.
    let path = folder.path().join("a.txt");
    std::fs::write(&path, b"caf\xe9").unwrap();
    assert!(texts(&path, skipping()).unwrap().is_empty());
}

#[test]
fn a_clone_of_a_data_set_is_its_data_and_the_rest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["set/data", "set/.git", "texts", "tables"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    let parquet = std::fs::read(fixtures().join("snappy.parquet")).unwrap();
    let files: [(&str, &[u8]); 13] = [
        ("set/README.md", b"---\nlicense: mit\n---\n# A set\n"),
        ("set/.gitattributes", b"*.parquet filter=lfs\n"),
        ("set/LICENSE", b"MIT"),
        ("set/dataset_infos.json", b"{\n  \"default\": {}\n}\n"),
        ("set/load.py", b"import datasets\n"),
        ("set/notes.txt", b"none of the data\n"),
        ("set/data/train-00000-of-00001.parquet", &parquet),
        ("set/data/part-00001", &parquet),
        ("set/small.jsonl", b"{\"text\": \"one\"}\n"),
        ("texts/README.md", b"# About these\n"),
        ("texts/a.txt", b"one"),
        ("texts/b.md", b"two"),
        ("tables/train.csv", b"text\na\n"),
    ];
    for (name, bytes) in files {
        std::fs::write(at(name), bytes).unwrap();
    }
    let input = |name: &str| [at(name).to_string_lossy().into_owned()];
    let found = find_files(&input("set")).unwrap();
    let paths = |names: &[&str]| names.iter().map(|name| at(name)).collect::<Vec<_>>();
    let data = ["set/data/part-00001", "set/data/train-00000-of-00001.parquet", "set/small.jsonl"];
    assert_eq!(found.files, paths(&data));
    assert_eq!(
        found.left_out,
        paths(&["set/LICENSE", "set/README.md", "set/dataset_infos.json", "set/load.py", "set/notes.txt"])
    );
    assert_eq!(
        sai_documents::file_names(&found.left_out).unwrap(),
        "LICENSE, README.md, dataset_infos.json, load.py, notes.txt"
    );
    let read: Vec<Batch> =
        Reader::open(found.files, Options::default()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(read.iter().map(Batch::len).sum::<usize>(), 17);
    // As a glob.
    assert_eq!(find_files(&input("set/*.[mj]*")).unwrap().files, paths(&["set/small.jsonl"]));
    assert_eq!(find_files(&input("texts")).unwrap().files, paths(&["texts/a.txt", "texts/b.md"]));
    assert_eq!(find(&input("set/README.md")).unwrap(), paths(&["set/README.md"]));
    let error = find(&input("tables")).unwrap_err().to_string();
    assert!(error.contains("no files of documents there (there is train.csv)"), "{error}");
}
