//! Jinja's constructs one by one, as `transformers` renders them: see `scripts/fixtures/templates.py`.

use sai_tokenizer::{ChatTemplate, DateTime, Message, SpecialTokens, TemplateError};
use serde_json::Value;

/// Expressions that sai renders otherwise, with what it makes of them and why.
const OTHERWISE: &[(&str, &str)] = &[
    // minijinja's `~` writes floats itself, without an exponent; `{{ }}`, `join`, `%s` and `tojson` have Python's.
    ("1e16 ~ 'x'", "10000000000000000.0x"),
    // A range is a list.
    ("range(3)", "[0, 1, 2]"),
    ("range(3) | tojson", "[0, 1, 2]"),
    // What `%r` of a name writes is `%s`'s.
    ("'%(a)r' % {'a': 'x'}", "x"),
    // Two that no template needs.
    ("lipsum is defined", "False"),
    ("self is defined", "False"),
    // More is let through: an unknown name of a character, and an order between kinds.
    (r#""a\u00e9\x41\101\N{DASH}""#, "aéAA\\N{DASH}"),
    ("'abc' > 1", "True"),
];

/// The same of templates.
const TEMPLATES_OTHERWISE: &[(&str, &str)] = &[
    // Nothing is there to loop over, which Python refuses.
    ("loop over none", ""),
    // `with` sets one name after the other; Jinja2 knows none of them yet.
    ("scope", "13443"),
    // A cycler tells only what comes next.
    ("joiner and cycler", "a, b, a"),
    // Parameters are a list.
    ("macro attributes", "f ['a', 'b']"),
];

struct Fixture(Value);

impl Fixture {
    fn open() -> Fixture {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/jinja.json");
        Fixture(serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON"))
    }

    fn render(&self, source: &str, conversation: &str, prompt: bool) -> Result<String, TemplateError> {
        let messages = self.0["conversations"][conversation].clone();
        let messages: Vec<Message> = serde_json::from_value(messages).expect("messages");
        let mut tokens = SpecialTokens::default();
        for (name, text) in self.0["special_tokens"].as_object().expect("tokens") {
            tokens.set(name, text.as_str().expect("a text"));
        }
        let now: DateTime = self.0["now"].as_str().expect("a time").parse().expect("a time");
        ChatTemplate::jinja(source, "t")?.at(now).render(&messages, prompt, &tokens)
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn expressions_as_python_evaluates_them() {
    let fixture = Fixture::open();
    let mut wrong = Vec::new();
    let cases = list(&fixture.0["expressions"]);
    assert!(cases.len() > 500);
    for case in cases {
        let expression = text(&case[0]);
        let found = fixture.render(&format!("{{{{ {expression} }}}}"), "plain", false);
        let known = OTHERWISE.iter().find(|(known, _)| *known == expression);
        let holds = match (&found, case[1].as_str(), known) {
            (Ok(found), _, Some((_, ours))) => found == ours,
            (Err(_), _, Some((_, ours))) => ours.is_empty(),
            (Ok(found), Some(wanted), None) => found == wanted,
            (Err(_), None, None) => true,
            _ => false,
        };
        if !holds {
            wrong.push(format!("{expression}\n  {found:?}\n  wanted {case}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn times_as_python_writes_them() {
    let fixture = Fixture::open();
    let mut wrong = Vec::new();
    for case in list(&fixture.0["times"]) {
        let now: DateTime = text(&case[0]).parse().expect("a time");
        let template =
            ChatTemplate::jinja(&format!("{{{{ strftime_now({}) }}}}", case[1]), "t").expect("a template");
        let found = template.at(now).render(&[], false, &SpecialTokens::default());
        if !matches!(&found, Ok(found) if found == text(&case[2])) {
            wrong.push(format!("{case}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn templates_as_transformers_renders_them() {
    let fixture = Fixture::open();
    let mut wrong = Vec::new();
    for template in list(&fixture.0["templates"]) {
        let source = text(&template["source"]);
        for case in list(&template["cases"]) {
            let prompt = case["prompt"].as_bool().expect("a flag");
            let found = fixture.render(source, text(&case["messages"]), prompt);
            let known = TEMPLATES_OTHERWISE.iter().find(|(known, _)| template["name"] == *known);
            let holds = match &found {
                Ok(found) if known.is_some() => known.is_some_and(|(_, ours)| found == ours),
                Ok(found) => case["text"].as_str() == Some(found),
                Err(TemplateError::Refused { message, .. }) => case["refused"].as_str() == Some(message),
                Err(_) => case.get("error").is_some(),
            };
            if !holds {
                wrong.push(format!("{}: {source}\n  {found:?}\n  wanted {case}", template["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
