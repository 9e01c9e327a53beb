//! Rules: what they make, and what is refused.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sai_samples::Rules;
use sai_samples::rules::Conversation;

const SMALL: &str = r#"
license = "Apache-2.0"

[words]
food = ["밥", "김치", "Pizza|피자"]

[table.countries]
columns = ["name", "capital"]
rows = [["한국", "서울"], ["프랑스", "파리"]]

[table.sums]
numbers = { a = [1, 9], b = [1, 9] }
results = { c = "a - b" }

[[topic]]
name = "hello"
lang = "ko"
place = "open"
ask = ["안녕[하세요|]?"]
answer = ["안녕하세요!"]

[[topic]]
name = "capital"
lang = "ko"
with = { c = "countries", s = "sums" }
ask = ["{c.name}의 수도는 [어디야|어디예요]?", "{s.a} 빼기 {s.b:은/는}?"]
answer = ["{c.name:은/는} {c.capital:이에요/예요}. {s.a}, {s.b}, {s.c:이에요/예요}. {food:을/를} {food#2:이랑/랑} 드세요."]
more = ["하나 더"]
[[topic.follow]]
ask = ["왜?"]
answer = ["{c.capital:이/가} 수도라서요."]

[[topic]]
name = "bye"
lang = "ko"
place = "close"
ask = ["잘 가"]
answer = ["안녕히 계세요."]

[[topic]]
name = "switch"
lang = "ko"
place = "switch"
to = "en"
ask = ["영어로 말해 줘"]
answer = ["Sure!"]

[[topic]]
name = "owl"
lang = "en"
ask = ["What is it?"]
answer = ["It is [an owl|a cat]."]

[[document]]
name = "story"
lang = "ko"
with = { c = "countries" }
repeat = [1, 3]
parts = [["{c.name:은/는} 나라예요."], ["", "수도는 {c.capital:이에요/예요}.\n"]]
"#;

fn parse(text: &str) -> Result<Rules, String> {
    Rules::parse(text, Path::new("r.toml")).map_err(|e| e.to_string())
}

/// The rules that the project ships.
fn shipped() -> Rules {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/talk");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Rules::open(&files).unwrap_or_else(|e| panic!("{e}"))
}

fn check(talk: &Conversation) {
    assert!(!talk.messages.is_empty() && talk.messages.len().is_multiple_of(2));
    for (turn, role) in talk.messages.iter().zip(["user", "assistant"].into_iter().cycle()) {
        assert_eq!(turn.role, role);
        let text = &turn.content;
        assert!(!text.trim().is_empty() && text.trim() == text, "{text:?}");
        assert!(!text.contains(['{', '}', '[', ']', '|']), "{text:?}");
        assert!(!text.contains("  "), "{text:?}");
    }
}

#[test]
fn what_is_made_is_whole_and_follows_from_the_seed() {
    let rules = parse(SMALL).unwrap();
    assert_eq!(
        (rules.languages(), rules.topics("ko"), rules.stories("ko")),
        (&["en".into(), "ko".into()][..], 4, 1)
    );
    let all: Vec<Conversation> = rules.conversations(1).take(2000).collect();
    all.iter().for_each(check);
    assert!(all.iter().zip(rules.conversations(1)).all(|(a, b)| *a == b));
    assert!(all.iter().zip(rules.conversations(2)).any(|(a, b)| *a != b));
    let said =
        |text: &str| all.iter().any(|talk| talk.messages.iter().any(|turn| turn.content.contains(text)));
    for text in [
        "프랑스는 파리예요.",
        "한국은 서울이에요.",
        "9, 9, 0이에요",
        "Pizza랑",
        "밥을",
        "하나 더",
        "서울이 수도라서요",
    ] {
        assert!(said(text), "{text}");
    }
    // Behind a switch the other language is spoken.
    let switched =
        all.iter().filter(|talk| talk.lang == "ko" && talk.messages.iter().any(|t| t.content == "Sure!"));
    assert!(switched.clone().count() > 5);
    let documents: Vec<_> = rules.documents(1).take(200).collect();
    assert!(documents.iter().any(|made| made.text.contains("수도는 서울이에요.\n프랑스는")), "{documents:?}");
}

#[test]
fn broken_rules_are_refused_with_their_line() {
    for (from, to, line, why) in [
        ("[\"밥\", \"김치\", \"Pizza|피자\"]", "[]", 5, "`food` has no words"),
        ("\"김치\"", "\"밥\"", 5, "has `밥` twice"),
        ("Pizza|피자", "Pizza", 27, "how `Pizza` ends"),
        ("[\"프랑스\", \"파리\"]", "[\"한국\", \"파리\"]", 7, "two rows begin with `한국`"),
        ("[\"프랑스\", \"파리\"]", "[\"프랑스\"]", 9, "1 cells"),
        ("{food#2:이랑/랑}", "{drink}", 27, "no list `drink`"),
        ("{food#2:이랑/랑}", "{food#4}", 27, "from 1 to 3"),
        ("{c.capital:이/가}", "{c.river}", 31, "no column `river`"),
        ("{c.capital:이/가}", "{d.river}", 31, "has no `d`"),
        ("{c.capital:이/가}", "{c.capital:이/은}", 31, "no particle"),
        ("c = \"countries\", s", "c = \"towns\", s", 22, "no table `towns`"),
        ("ask = [\"잘 가\"]", "ask = [\"안녕!\"]", 37, "both ask `안녕!`"),
        ("ask = [\"잘 가\"]", "ask = []", 33, "is empty"),
        ("ask = [\"잘 가\"]", "ask = [\"[잘 가\"]", 37, "never closed"),
        ("name = \"bye\"", "name = \"hello\"", 33, "two of this name"),
        ("name = \"bye\"", "name = \"bye\"\nweight = 0", 33, "above 0"),
        ("name = \"bye\"", "nome = \"bye\"", 34, "nome"),
        ("to = \"en\"\n", "", 40, "`to`"),
        ("a - b", "a / b", 11, "no sum"),
        ("[1, 9], b = [1, 9]", "[1, 999], b = [1, 999]", 11, "more than 10000 rows"),
        ("[1, 9], b = [1, 9]", "[1, 2], b = [5, 9]", 11, "not negative"),
    ] {
        let text = SMALL.replacen(from, to, 1);
        assert_ne!(text, SMALL, "{from}");
        let error = parse(&text).unwrap_err();
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
        assert!(error.starts_with(&format!("r.toml: line {line}: ")), "{line}: {error}");
    }
}

#[test]
fn the_shipped_rules_make_good_conversations() {
    let rules = shipped();
    for index in 0..20_000 {
        check(&rules.conversation(7, index).unwrap());
    }
    for made in rules.documents(7).take(5000) {
        assert!(!made.text.is_empty() && !made.text.contains(['{', '}', '[', ']', '|']), "{}", made.text);
    }
}

/// Answers in Korean are polite, whoever asks in which way.
#[test]
fn korean_answers_are_polite() {
    let rules = shipped();
    let blunt = [
        "다고", "했어.", "이야.", "거야.", "해.", "돼.", "있어.", "없어.", "좋아.", "할게.", "몰라.", "같아.",
    ];
    for talk in rules.conversations(11).take(20_000) {
        let korean = |text: &str| !text.contains(|c: char| c.is_ascii_alphabetic());
        for turn in talk.messages.iter().filter(|turn| turn.role == "assistant" && korean(&turn.content)) {
            for end in blunt {
                assert!(!turn.content.ends_with(end), "{}", turn.content);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_rules_or_an_error_of_one_line(text in "[\\[\\]a-z=\"{}.:|\n0-9 ]{0,200}") {
        if let Err(error) = parse(&format!("license = \"x\"\n{text}")) {
            prop_assert!(!error.contains('\n'), "{}", error);
        }
    }
}
