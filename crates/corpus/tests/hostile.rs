//! What was made to do harm, or came to harm: it is refused or cut and counted, costs itself alone, and takes no memory that
//! its length does not justify.

mod made;

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sai_corpus::{
    Body, Faults, Format, Manifest, Options, Outcome, Plan, Reading, Recipe, Record, Settings, WikiPage,
};
use sai_documents::Columns;

const LONGEST: usize = 1 << 20;

/// All records of a file, and what was broken.
fn read(path: &Path, format: Format) -> Result<(Vec<Record>, Faults), sai_corpus::Error> {
    let settings = Settings { format, columns: Columns::default(), longest: LONGEST };
    let mut reading = Reading::open(vec![path.to_owned()], settings)?;
    let (mut records, mut faults) = (Vec::new(), Faults::default());
    while let Some(block) = reading.next_block() {
        let (found, broken) = block?.take()?;
        records.extend(found);
        for (into, from) in
            [(&mut faults.broken, broken.broken), (&mut faults.passed_over, broken.passed_over)]
        {
            from.into_iter().for_each(|(kind, count)| *into.entry(kind).or_default() += count);
        }
    }
    Ok((records, faults))
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn page(number: usize) -> Vec<u8> {
    made::response(&format!("https://a.example/{number}"), format!("<p>page {number}</p>").as_bytes())
}

fn urls(records: &[Record]) -> Vec<&str> {
    records
        .iter()
        .filter_map(|record| record.url.as_deref())
        .map(|url| url.rsplit('/').next().unwrap())
        .collect()
}

#[test]
fn a_record_of_a_terabyte_costs_itself_alone() {
    let claim = |length: &str| {
        format!(
            "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {length}\r\n\r\nHTTP/1.1 200 OK\r\n\r\nsmall\r\n\r\n"
        )
    };
    for length in ["1099511627776", "18446744073709551615", "99999999999999999999999999", "-1", "many", ""] {
        let bytes = [page(1), claim(length).into_bytes(), page(2)].concat();
        let (_folder, path) = written("a.warc", &bytes);
        let (records, faults) = read(&path, Format::Warc).unwrap();
        assert_eq!(urls(&records), ["1", "2"], "{length}");
        assert_eq!(faults.broken.values().sum::<u64>(), 1, "{length}: {faults:?}");
    }
}

#[test]
fn a_bomb_of_gzip_is_left() {
    // A record that says how long it is, a member that goes on for ever, and one behind both.
    let mut zip = GzEncoder::new(Vec::new(), Compression::best());
    zip.write_all(b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 5000000000\r\n\r\n").unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..300 {
        zip.write_all(&zeros).unwrap();
    }
    let bytes = [made::gzip(&page(1)), zip.finish().unwrap(), made::gzip(&page(2))].concat();
    let (_folder, path) = written("a.warc.gz", &bytes);
    let (records, faults) = read(&path, Format::Warc).unwrap();
    assert_eq!(urls(&records), ["1", "2"]);
    assert!(faults.broken.contains_key("a record is longer than the limit"), "{faults:?}");
    assert!(faults.broken.keys().any(|kind| kind.contains("hundreds of megabytes")), "{faults:?}");
}

#[test]
fn lengths_that_are_wrong_and_bare_line_feeds_lose_no_neighbour() {
    let wrong = |length: usize| {
        let text = String::from_utf8(page(2)).unwrap();
        let at = text.find("Content-Length: ").unwrap() + 16;
        let end = at + text[at..].find('\r').unwrap();
        format!("{}{length}{}", &text[..at], &text[end..]).into_bytes()
    };
    let feeds = String::from_utf8(page(2)).unwrap().replace("\r\n", "\n").into_bytes();
    let garbage = [b"\0\xff garbage\r\n".to_vec(), page(2)].concat();
    for middle in [wrong(5), wrong(300), feeds, garbage] {
        let bytes = [page(1), middle, page(3)].concat();
        let (_folder, path) = written("a.warc", &bytes);
        let (records, faults) = read(&path, Format::Warc).unwrap();
        assert_eq!(urls(&records), ["1", "2", "3"], "{faults:?}");
        let Body::Html { bytes, .. } = &records[1].body else { panic!() };
        assert!(String::from_utf8_lossy(bytes).contains("page 2"));
        let counted = faults.broken.values().chain(faults.passed_over.values()).sum::<u64>();
        assert_eq!(counted, 1, "{faults:?}");
    }
}

#[test]
fn a_head_that_is_no_utf8_is_read_and_one_without_end_is_not() {
    let bytes = b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: <https://a.example/caf\xe9>\r\nX: \xff\xfe\r\nContent-Length: 4\r\n\r\ntext\r\n\r\n";
    let (_folder, path) = written("a.wet", &[bytes.to_vec(), page(2)].concat());
    let (records, faults) = read(&path, Format::Warc).unwrap();
    assert_eq!(records[0].url.as_deref(), Some("https://a.example/café"));
    assert_eq!((records.len(), faults), (2, Faults::default()));
    let endless = [b"WARC/1.0\r\n".to_vec(), b"X: y\r\n".repeat(100_000), b"\r\n".to_vec(), page(2)].concat();
    let (_folder, path) = written("b.warc", &endless);
    let (records, faults) = read(&path, Format::Warc).unwrap();
    assert_eq!(urls(&records), ["2"]);
    assert_eq!(faults.broken["a record's head is longer than the limit"], 1);
}

#[test]
fn pages_of_a_dump_that_are_damaged_or_too_long_cost_themselves() {
    let page = |title: &str, text: &str| {
        format!("<page><title>{title}</title><ns>0</ns><revision><text>{text}</text></revision></page>\n")
    };
    let long = page("long", &"x".repeat(LONGEST * 3));
    let cut = page("cut", "text");
    let dump = [
        "<mediawiki xml:lang=\"ko\">\n",
        &page("1", "one"),
        &long,
        &cut[..cut.len() / 2],
        &page("2", "two"),
        &page("3", "&nothing;"),
        &page("4", "four"),
        "<page><title>5",
    ]
    .concat();
    let (_folder, path) = written("dump.xml", dump.as_bytes());
    let (records, faults) = read(&path, Format::Wiki).unwrap();
    let titles = |record: &Record| match &record.body {
        Body::WikiPage { xml, .. } => {
            WikiPage::parse(xml).map_or_else(|_| "broken".to_owned(), |page| page.title)
        }
        _ => panic!("no page"),
    };
    assert_eq!(records.iter().map(titles).collect::<Vec<_>>(), ["1", "2", "broken", "4"]);
    assert_eq!(faults.broken["a page is longer than the limit"], 1);
    assert_eq!(faults.broken["a page ends before its end"], 2, "{faults:?}");
}

#[test]
fn files_of_another_kind_are_refused_in_one_line() {
    for (name, bytes, format, said) in [
        ("a.arc", b"filedesc://a.arc 0.0.0.0 2026 text/plain 76\n".as_slice(), Format::Warc, "an ARC file"),
        ("a.warc.lz4", b"\x04\x22\x4d\x18rest", Format::Warc, "lz4 -d"),
        ("a.warc", b"{\"text\": \"x\"}\n", Format::Warc, "no WARC file but JSON lines"),
        ("a.xml", b"<!DOCTYPE html><html></html>", Format::Wiki, "no dump of a wiki but a web page"),
        ("a.html", b"PAR1....", Format::Html, "no web page but a Parquet table"),
    ] {
        let (_folder, path) = written(name, bytes);
        let error = read(&path, format).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{name}: {error}");
    }
}

fn build(place: &Path, recipe: &str) -> Manifest {
    let recipe = Recipe::parse(recipe, &place.join("r.toml")).unwrap();
    let plan = Plan::new(recipe, place, &place.join("corpus"), &mut |_| unreachable!()).unwrap();
    let options = Options { threads: 2, memory: 64 << 20, share: (0, 1), ..Options::default() };
    match plan.build(&options, &|_| ControlFlow::Continue(())).unwrap() {
        Outcome::Whole(manifest) => *manifest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pages_nested_a_million_deep_and_lines_without_end_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = made::Random(3);
    let article = made::html("제목", &made::article(&mut random, true), "가람");
    for (name, page) in [
        ("deep.html", format!("<html><body>{}글", "<div>".repeat(1_000_000))),
        ("spans.html", format!("<html><body>{}글", "<span>".repeat(1_000_000))),
        ("tables.html", format!("<html><body>{}글", "<table><tr><td>".repeat(300_000))),
        ("wide.html", format!("<html {}>글", "a=b ".repeat(500_000))),
        ("long.html", format!("<html><body>{}", "긴 글 ".repeat(4 << 20))),
        ("good.html", article),
    ] {
        fs::create_dir_all(folder.path().join("site")).unwrap();
        fs::write(folder.path().join("site").join(name), page).unwrap();
    }
    let mut lines = format!("{{\"text\": \"{}\"}}\n", "x".repeat(20 << 20)).into_bytes();
    lines.extend_from_slice("{\"text\": \"좋은 글이다.\"}\n{\"text\": \"\\ud800\"}\n".as_bytes());
    lines.extend(b"{\"text\": \"fine\"}\n".repeat(8));
    fs::write(folder.path().join("lines.jsonl"), lines).unwrap();
    let recipe = "[[source]]\nname = \"site\"\ninput = [\"site\"]\nformat = \"html\"\n[[source]]\nname = \"lines\"\ninput = [\"lines.jsonl\"]\n";
    let manifest = build(folder.path(), recipe);
    assert_eq!(manifest.rules.sources["site"].documents, 5, "the long one is passed over");
    assert_eq!(manifest.rules.faults.broken["a page is longer than the limit"], 1);
    assert_eq!(manifest.rules.faults.broken["a line or row that is no document"], 2);
    assert_eq!(manifest.rules.kept.documents, 1, "{:?}", manifest.rules.dropped);
    let dropped: u64 = manifest.rules.dropped.values().map(|count| count.documents).sum();
    assert_eq!(dropped + 1, manifest.rules.read.documents);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_stop_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0usize..600, gzip in any::<bool>()) {
        let mut crawl = [page(1), page(2)].concat();
        if gzip {
            crawl = [made::gzip(&page(1)), made::gzip(&page(2))].concat();
        }
        let at = at.min(crawl.len());
        crawl.splice(at..at, bytes.iter().copied());
        for (name, bytes, format) in [("a.warc", &crawl, Format::Warc), ("a.xml", &bytes, Format::Wiki), ("b.warc", &bytes, Format::Warc)] {
            let (_folder, path) = written(name, bytes);
            if let Err(error) = read(&path, format) {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
        let _ = WikiPage::parse(&bytes);
    }
}
