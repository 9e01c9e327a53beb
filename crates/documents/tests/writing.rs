//! Documents that are written are read back as they were, and a file is whole or not there.

use std::path::Path;

use sai_documents::{Columns, Options, Reader, Writer, WrittenAs, write_whole};

const COLUMNS: [&str; 4] = ["text", "url", "lang", "license"];

fn write(path: &Path, kind: WrittenAs) -> sai_documents::WrittenFile {
    let mut writer = Writer::create(path, &COLUMNS, kind).unwrap();
    writer
        .push(&[Some("첫 글\n\"따옴표\" \\ \u{1}"), Some("https://a.example/1"), Some("ko"), Some("CC0-1.0")])
        .unwrap();
    writer.push(&[Some("second"), None, Some("en")]).unwrap();
    let long = "길다 ".repeat(3 << 20);
    writer.push(&[Some(&long), None, None, None]).unwrap();
    writer.push(&[Some("behind a full row group")]).unwrap();
    assert_eq!(writer.documents(), 4);
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read_back_and_its_sum_is_that_of_the_file() {
    use sha2::{Digest, Sha256};
    let folder = tempfile::tempdir().unwrap();
    for kind in [WrittenAs::JsonlZst, WrittenAs::Parquet] {
        let path = folder.path().join(format!("a.{}", kind.extension()));
        let written = write(&path, kind);
        let bytes = std::fs::read(&path).unwrap();
        let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((written.documents, written.bytes, written.sha256), (4, bytes.len() as u64, sum));
        // The same documents make the same bytes.
        write(&path, kind);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        let columns =
            Columns { license: Some("license".into()), url: Some("url".into()), ..Columns::default() };
        let reader = Reader::open(vec![path], Options { columns, ..Options::default() }).unwrap();
        let mut read = Vec::new();
        for batch in reader {
            for d in batch.unwrap().documents() {
                let own = |value: Option<&str>| value.map(str::to_owned);
                read.push((d.text.to_owned(), own(d.url), own(d.lang), own(d.license)));
            }
        }
        assert_eq!(read.len(), 4);
        let some = |text: &str| Some(text.to_owned());
        let first = (
            "첫 글\n\"따옴표\" \\ \u{1}".to_owned(),
            some("https://a.example/1"),
            some("ko"),
            some("CC0-1.0"),
        );
        assert_eq!(read[0], first);
        assert_eq!(read[1], ("second".to_owned(), None, some("en"), None));
        assert_eq!(read[3].0, "behind a full row group");
    }
}

#[test]
fn a_file_that_is_not_finished_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl.zst");
    let mut writer = Writer::create(&path, &COLUMNS, WrittenAs::JsonlZst).unwrap();
    writer.push(&[Some("x")]).unwrap();
    drop(writer);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    write_whole(&path, b"whole").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    let none = folder.path().join("none/a");
    let said = write_whole(&none, b"").unwrap_err().to_string();
    assert!(said.contains("none/a: cannot be written") && !said.contains('\n'), "{said}");
}

#[test]
fn of_a_corpus_its_shards_are_read_and_none_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let found = || sai_documents::find(&[folder.path().to_string_lossy()]);
    std::fs::create_dir(at(".build")).unwrap();
    write_whole(&at(".build/plan.json"), b"{}").unwrap();
    let written = write(&at("shard-00000.parquet"), WrittenAs::Parquet);
    write(&at("shard-00001.parquet"), WrittenAs::Parquet);
    assert!(found().unwrap_err().to_string().contains("not whole yet; run `sai corpus build` again"));
    let manifest = |file: &str, bytes: u64| {
        let text =
            format!(r#"{{"format": "sai corpus 1", "shards": [{{"file": "{file}", "bytes": {bytes}}}]}}"#);
        write_whole(&at(sai_documents::MANIFEST), text.as_bytes()).unwrap();
    };
    manifest("shard-00000.parquet", written.bytes);
    assert_eq!(found().unwrap(), [at("shard-00000.parquet")]);
    manifest("shard-00000.parquet", written.bytes + 1);
    assert!(found().unwrap_err().to_string().contains("by its corpus's manifest; build the corpus again"));
    for wrong in ["shard-00002.parquet", "../shard-00000.parquet"] {
        manifest(wrong, written.bytes);
        assert!(found().unwrap_err().to_string().contains("it is missing"), "{wrong}");
    }
}
