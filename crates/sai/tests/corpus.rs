//! `sai corpus`, as a person runs it.

use std::io::Write;
use std::process::{Command, Stdio};

fn sai() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sai"))
}

/// What the command prints for `input`.
fn run(arguments: &[&str], input: &[u8]) -> (String, String, bool) {
    let mut child = sai()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sai starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("written");
    let done = child.wait_with_output().expect("sai ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(done.stdout), text(done.stderr), done.status.success())
}

const PAGE: &str = "<html><head><meta charset=euc-kr><title>강 이야기</title></head><body><nav>메뉴 로그인</nav>\
    <article><h1>강 이야기</h1><p>강은 산에서 바다로 흐른다.</p></article></body></html>";

#[test]
fn a_page_of_another_encoding_is_printed_as_its_text() {
    // EUC-KR of the page: what Python's `str.encode("euc-kr")` gives for its Korean.
    let mut page = Vec::new();
    for c in PAGE.chars() {
        match c {
            c if c.is_ascii() => page.push(c as u8),
            c => page.extend(euc_kr(c)),
        }
    }
    let (out, err, good) = run(&["corpus", "text", "-"], &page);
    assert!(good, "{err}");
    assert_eq!(out, "강 이야기\n\n강은 산에서 바다로 흐른다.\n");
}

/// The letters of [`PAGE`] in EUC-KR.
fn euc_kr(c: char) -> [u8; 2] {
    let all = [
        ('강', [0xB0, 0xAD]),
        ('이', [0xC0, 0xCC]),
        ('야', [0xBE, 0xDF]),
        ('기', [0xB1, 0xE2]),
        ('메', [0xB8, 0xDE]),
        ('뉴', [0xB4, 0xBA]),
        ('로', [0xB7, 0xCE]),
        ('그', [0xB1, 0xD7]),
        ('인', [0xC0, 0xCE]),
        ('은', [0xC0, 0xBA]),
        ('산', [0xBB, 0xEA]),
        ('에', [0xBF, 0xA1]),
        ('서', [0xBC, 0xAD]),
        ('바', [0xB9, 0xD9]),
        ('다', [0xB4, 0xD9]),
        ('흐', [0xC8, 0xE5]),
        ('른', [0xB8, 0xA5]),
    ];
    all.into_iter().find(|&(letter, _)| letter == c).expect("a letter of the page").1
}

#[test]
fn each_line_is_printed_behind_its_language() {
    let (out, err, good) = run(
        &["corpus", "language", "-"],
        "강은 바다로 흐른다.\nThe river runs to the sea.\n川は海へ流れる。\n\n".as_bytes(),
    );
    assert!(good, "{err}");
    let codes: Vec<&str> = out.lines().map(|line| line.split('\t').next().expect("a code")).collect();
    assert_eq!(codes, ["ko", "en", "ja", "und"]);
    assert!(out.lines().next().expect("a line").ends_with("\t강은 바다로 흐른다."));
    let (_, err, good) = run(&["corpus", "language", "--model", "Cargo.toml", "-"], b"");
    assert!(!good && err.contains("Cargo.toml") && err.contains("lid.176"), "{err}");
}

#[test]
fn a_classifier_is_taught_written_and_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        let lines: String = (0..30).map(|i| format!("{{\"text\": \"{text} {i}\"}}\n")).collect();
        std::fs::write(path(name), lines).expect("written");
    };
    write("good.jsonl", "강은 산에서 바다로 흐르고 사람들은 배를 탄다");
    write("bad.jsonl", "특가 할인 쿠폰 무료배송 구매하기");
    let (good, bad, output) = (path("good.jsonl"), path("bad.jsonl"), path("quality.bin"));
    let arguments = ["corpus", "teach", "--good", &good, "--bad", &bad, "-o", &output, "--bits", "10"];
    let (_, err, done) = run(&arguments, b"");
    assert!(done && err.contains("3 of 3 good and 3 of 3 other"), "{err}");
    let (_, err, done) = run(&arguments, b"");
    assert!(!done && err.contains("--force"), "{err}");
}
