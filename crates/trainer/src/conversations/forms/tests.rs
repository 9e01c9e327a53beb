//! What rows say, form by form, and what is said of those that are none.

use super::*;

/// The turns of a row, `!` before those that are trained on.
fn turns(line: &str) -> Result<String, String> {
    Ok(written(&parse(line, None, false)?.texts[0]))
}

fn written(said: &Conversation) -> String {
    let each = said.messages.iter().zip(&said.trained);
    let each =
        each.map(|(m, trained)| format!("{}{}:{}", if *trained { "!" } else { "" }, m.role, m.content));
    each.collect::<Vec<_>>().join(" ")
}

fn pair(line: &str) -> Result<[String; 2], String> {
    let said = parse(line, None, true)?;
    Ok([written(&said.texts[0]), written(&said.texts[1])])
}

#[test]
fn every_form_says_its_turns() {
    for (line, said) in [
        (
            r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"},
             {"role": "assistant", "content": "a"}, {"role": "user", "content": "more"}], "id": 7}"#,
            "system:s user:q !assistant:a",
        ),
        (
            r#"{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"}"#,
            "system:s user:q !assistant:a",
        ),
        (r#"{"instruction": "add", "input": "1 2", "output": "3"}"#, "user:add\n\n1 2 !assistant:3"),
        (r#"{"instruction": "add", "input": "", "output": "3"}"#, "user:add !assistant:3"),
        (r#"{"instruction": "q", "input": "<noinput>", "output": "a"}"#, "user:q !assistant:a"),
        (r#"{"instruction": "", "input": "only", "output": "a"}"#, "user:only !assistant:a"),
        (r#"{"system": null, "instruction": "q", "input": null, "output": "a"}"#, "user:q !assistant:a"),
        // Dolly, OpenOrca, LLaMA-Factory, TRL and others.
        (
            r#"{"instruction": "q", "context": "c", "response": "a", "category": "x"}"#,
            "user:q\n\nc !assistant:a",
        ),
        (
            r#"{"id": "n", "system_prompt": "s", "question": "q", "response": "a"}"#,
            "system:s user:q !assistant:a",
        ),
        (
            r#"{"prompt": "q", "query": "c", "response": "a", "history": [["q0", "a0"]]}"#,
            "user:q0 !assistant:a0 user:q\n\nc !assistant:a",
        ),
        (r#"{"query": "q", "response": "a"}"#, "user:q !assistant:a"),
        (r#"{"question": "q", "answer": "a"}"#, "user:q !assistant:a"),
        (r#"{"prompt": "q", "completion": "a"}"#, "user:q !assistant:a"),
        (
            r#"{"prompt": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "x"},
             {"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}"#,
            "user:p assistant:x user:q !assistant:a",
        ),
        (
            r#"{"instruction": "q", "input": "", "output": "a", "history": [["q0", "a0"]], "system": "s"}"#,
            "system:s user:q0 !assistant:a0 user:q !assistant:a",
        ),
        (
            r#"{"query": "q", "response": "a", "history": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "b", "weight": 0}]}"#,
            "user:p assistant:b user:q !assistant:a",
        ),
        (r#"{"conversations": ["q", "a"], "source": "x"}"#, "user:q !assistant:a"),
        (
            r#"{"conversation": [{"role": "user", "content": "q"}, {"role": "ai", "content": "a"}]}"#,
            "user:q !assistant:a",
        ),
    ] {
        assert_eq!(turns(line).as_deref(), Ok(said), "{line}");
    }
}

#[test]
fn keys_that_are_of_no_form_are_passed_over() {
    let messages = r#""messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]"#;
    for more in [
        r#""input": ["x"], "output": [{"t": 1}]"#,
        r#""input": {"x": 1}"#,
        r#""instruction": 7"#,
        r#""system": false"#,
        r#""language": ["en"]"#,
        r#""lang": "en", "language": "English""#,
        r#""score": NaN, "other": [-Infinity, Infinity]"#,
        r#""note": "\ud83d""#,
        r#""conversations": "see messages""#,
        r#""conversations": [{"from": "human", "value": "c"}, {"from": "gpt", "value": "c"}]"#,
        r#""tools": [], "meta": {"a": [1, {"b": null}]}"#,
        r#""tools": "[]""#,
    ] {
        let line = format!("{{{messages}, {more}}}");
        assert_eq!(turns(&line).as_deref(), Ok("user:q !assistant:a"), "{line}");
    }
    for none in ["null", "[]"] {
        let line = format!(
            r#"{{"messages": {none}, "conversations": [{{"from": "human", "value": "q"}}, {{"from": "gpt", "value": "a"}}]}}"#
        );
        assert_eq!(turns(&line).as_deref(), Ok("user:q !assistant:a"), "{line}");
    }
    let said = parse(&format!(r#"{{{messages}, "language": "ko", "lang": null}}"#), None, false).unwrap();
    assert_eq!(said.language.as_deref(), Some("ko"));
    assert_eq!(turns(&format!("\u{feff}{{{messages}}}")).as_deref(), Ok("user:q !assistant:a"));
}

#[test]
fn a_turn_is_read_from_whichever_keys_have_it() {
    for (user, assistant) in [
        (
            r#"{"role": "user", "content": "q", "from": null, "value": null}"#,
            r#"{"from": "gpt", "value": "a", "role": null, "content": null}"#,
        ),
        (
            r#"{"role": "user", "content": "q", "from": "human", "value": "q"}"#,
            r#"{"role": "Assistant", "content": "a", "id": 2, "name": "kim"}"#,
        ),
        (
            r#"{"role": "USER", "content": "q"}"#,
            r#"{"role": "ASSISTANT", "content": "a", "tool_calls": null}"#,
        ),
        (r#"{"role": "user ", "content": "q"}"#, r#"{"from": "ai", "value": "a", "tool_calls": []}"#),
        (
            r#"{"role": "Human", "content": [{"type": "text", "text": "q"}]}"#,
            r#"{"role": "assistant", "content": ["a"], "reasoning_content": ""}"#,
        ),
    ] {
        let line = format!(r#"{{"messages": [{user}, {assistant}]}}"#);
        assert_eq!(turns(&line).as_deref(), Ok("user:q !assistant:a"), "{line}");
    }
    let developer = r#"{"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"}]}"#;
    assert_eq!(turns(developer).as_deref(), Ok("system:s user:q !assistant:a"));
}

#[test]
fn an_answer_that_is_marked_so_is_not_trained_on() {
    for mark in [
        r#""weight": 0"#,
        r#""weight": 0.0"#,
        r#""train": false"#,
        r#""training": false"#,
        r#""trainable": false"#,
        r#""loss": false"#,
        r#""loss_weight": 0"#,
        r#""loss_mask": 0"#,
    ] {
        let line = |first: &str, second: &str| {
            format!(
                r#"{{"messages": [{{"role": "user", "content": "q"}}, {{"role": "assistant", "content": "a", {first}}},
                 {{"role": "user", "content": "r"}}, {{"role": "assistant", "content": "b", {second}}}]}}"#
            )
        };
        let plain = r#""weight": null"#;
        let said = turns(&line(mark, r#""weight": 1, "train": true"#));
        assert_eq!(said.as_deref(), Ok("user:q assistant:a user:r !assistant:b"), "{mark}");
        // What follows the last that is trained on teaches nothing.
        assert_eq!(turns(&line(plain, mark)).as_deref(), Ok("user:q !assistant:a"), "{mark}");
        assert!(turns(&line(mark, mark)).unwrap_err().contains("all are marked not to be"), "{mark}");
    }
}

#[test]
fn a_row_that_is_marked_so_is_refused() {
    for mark in [r#""train": false"#, r#""trainable": false"#, r#""weight": 0"#, r#""weight": 0.0"#] {
        let line = format!(r#"{{"instruction": "q", "output": "a", {mark}}}"#);
        assert!(turns(&line).unwrap_err().contains("marked not to be trained on"), "{mark}");
    }
    assert!(turns(r#"{"instruction": "q", "output": "a", "weight": 0.4, "train": true}"#).is_ok());
}

#[test]
fn what_is_not_honoured_is_refused_and_not_left_out() {
    let wrong = |user: &str, assistant: &str, more: &str| {
        let line = format!(
            r#"{{"messages": [{{"role": "user", "content": "q"{user}}}, {{"role": "assistant", "content": "a"{assistant}}}]{more}}}"#
        );
        turns(&line).unwrap_err()
    };
    let assistant = |more: &str| wrong("", more, "");
    assert!(
        assistant(r#", "tool_calls": [{"function": {"name": "w"}}]"#).contains("turn 2 has `tool_calls`")
    );
    assert!(assistant(r#", "function_call": {"name": "w"}"#).contains("turn 2 has `function_call`"));
    assert!(assistant(r#", "reasoning_content": "hm""#).contains("turn 2 has `reasoning_content`; write it"));
    assert!(assistant(r#", "train_detail": [{"begin_offset": 0}]"#).contains("as a whole or not at all"));
    assert!(assistant(r#", "weight": 0.5"#).contains("turn 2 has a `weight` of 0.5"));
    assert!(assistant(r#", "weight": 1, "train": false"#).contains("contradicts itself"));
    assert!(assistant(r#", "value": "b""#).contains("`content` and `value`, which differ"));
    assert!(wrong(r#", "train": true"#, "", "").contains("turn 1 is of the user and marked"));
    assert!(wrong("", "", r#", "tools": [{"name": "w"}]"#).contains("has `tools`"));
    assert!(wrong("", "", r#", "images": ["a.png"]"#).contains("has `images`"));
    let system = |outer: &str| {
        turns(&format!(
            r#"{{"system": "{outer}", "messages": [{{"role": "system", "content": "s"}}, {{"role": "user", "content": "q"}},
             {{"role": "assistant", "content": "a"}}]}}"#
        ))
    };
    assert_eq!(system("s").as_deref(), Ok("system:s user:q !assistant:a"));
    assert!(system("t").unwrap_err().contains("a `system` beside a first turn that is another"));
    let error = turns(r#"{"instruction": "q", "input": "i", "context": "c", "output": "a"}"#).unwrap_err();
    assert!(error.contains("has both `input` and `context`"), "{error}");
    let error = turns(r#"{"instruction": "q", "output": "a", "history": ["q0"]}"#).unwrap_err();
    assert!(error.contains("`history` is to be"), "{error}");
}

#[test]
fn what_is_no_conversation_is_said() {
    let wrong = |line: &str| turns(line).unwrap_err();
    assert!(wrong("{").contains("EOF while parsing"));
    assert!(wrong("[{}]").contains("jq -c"));
    assert!(wrong(r#"{"prompt": "q", "chosen": "a", "rejected": "b"}"#).contains("want [dpo]"));
    assert!(wrong(r#"{"text": "a", "id": 3}"#).contains("has `text`, `id`; a conversation has `messages`"));
    assert!(wrong(r#"{"version": 1, "data": [{"a": 1}]}"#).contains("holds its rows in `data`"));
    assert!(wrong(r#"{"instruction": "q", "output": "a"},"#).contains("ends in a comma"));
    assert!(
        wrong(r#"{"instruction": "a", "output": null}"#).contains("has `instruction` and no answer to it")
    );
    assert!(
        wrong(r#"{"instruction": "a", "output": 4}"#).contains("`output` is a number, and is to be a text")
    );
    assert!(
        wrong(r#"{"instruction": "a", "output": ["b"]}"#).contains("`output` is a list, and is to be a text")
    );
    assert!(
        wrong(r#"{"messages": {"role": "user"}}"#).contains("`messages` is an object, and is to be a list")
    );
    let turn = |turns: &str| wrong(&format!(r#"{{"messages": [{turns}]}}"#));
    assert!(turn(r#"{"role": "user", "content": "q"}"#).contains("no answer"));
    assert!(turn(r#"{"role": "user"}"#).contains("turn 1 has no `content`"));
    assert!(turn(r#"{"role": "tool", "content": "q"}"#).contains("turn 1 is of `tool`"));
    assert!(turn(r#"{"role": "assistant", "content": " "}"#).contains("turn 1 is an empty answer"));
    assert!(turn(r#"{"role": "assistant", "content": 4}"#).contains("turn 1 `content` is a number"));
    assert!(
        turn(r#"{"role": "assistant", "content": [{"type": "image_url"}]}"#).contains("of type `image_url`")
    );
    assert!(turn(r#"{"role": "user", "content": "q"}, "a""#).contains("turn 2 is a text, no object"));
    let error = parse(r#"{"messages": []}"#, Some(RowForm::Alpaca), false).unwrap_err();
    assert!(error.contains("no `instruction`"), "{error}");
}

#[test]
fn every_form_of_a_preference_is_two_conversations() {
    let expected = ["user:q !assistant:a".to_owned(), "user:q !assistant:b".to_owned()];
    let (a, b) = (r#"{"role": "assistant", "content": "a"}"#, r#"{"from": "gpt", "value": "b"}"#);
    let q = r#"{"role": "user", "content": "q"}"#;
    for line in [
        r#"{"prompt": "q", "chosen": "a", "rejected": "b"}"#.to_owned(),
        r#"{"question": "q", "chosen": "a", "rejected": "b", "system": ""}"#.to_owned(),
        r#"{"instruction": "q", "input": "", "chosen": "a", "rejected": "b"}"#.to_owned(),
        format!(r#"{{"prompt": [{q}], "chosen": "a", "rejected": "b"}}"#),
        format!(r#"{{"prompt": [{q}], "chosen": [{a}], "rejected": [{b}]}}"#),
        format!(r#"{{"chosen": [{q}, {a}], "rejected": [{q}, {b}, {q}]}}"#),
        // The prompt is said twice.
        format!(r#"{{"prompt": "q", "chosen": [{q}, {a}], "rejected": [{q}, {b}], "messages": [{q}, {a}]}}"#),
        format!(r#"{{"conversations": [{q}], "chosen": {a}, "rejected": {b}}}"#),
        format!(
            r#"{{"input": {{"messages": [{q}], "tools": []}}, "preferred_output": [{a}], "non_preferred_output": [{b}]}}"#
        ),
        r#"{"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"}"#
            .to_owned(),
        r#"{"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": "a", "rejected": "b"}"#.to_owned(),
    ] {
        assert_eq!(pair(&line).as_ref(), Ok(&expected), "{line}");
    }
    let said = pair(&format!(
        r#"{{"prompt": [{q}, {b}, {q}], "chosen": [{a}, {q}, {b}], "rejected": [{b}], "system": "s", "lang": "ko"}}"#
    ))
    .unwrap();
    let begins = "system:s user:q assistant:b user:q";
    assert_eq!(
        said,
        ["!assistant:a user:q !assistant:b", "!assistant:b"].map(|rest| format!("{begins} {rest}"))
    );
    // hh-rlhf's longer ones.
    let said = pair(
        r#"{"chosen": "\n\nHuman: q\n\nAssistant: x\n\nHuman: r\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: x\n\nHuman: r\n\nAssistant: b"}"#,
    )
    .unwrap();
    assert_eq!(said[0], "user:q assistant:x user:r !assistant:a");
}

#[test]
fn two_questions_are_no_pair_though_they_begin_alike() {
    let turn = |role: &str, text: &str| format!(r#"{{"role": "{role}", "content": "{text}"}}"#);
    let (s, a, b) = (turn("system", "s"), turn("assistant", "a"), turn("assistant", "b"));
    let (q, r) = (turn("user", "q"), turn("user", "r"));
    let lists = |chosen: &[&String], rejected: &[&String]| {
        let list = |turns: &[&String]| turns.iter().map(|turn| turn.as_str()).collect::<Vec<_>>().join(", ");
        pair(&format!(r#"{{"chosen": [{}], "rejected": [{}]}}"#, list(chosen), list(rejected)))
    };
    let asks = |said: Result<[String; 2], String>| said.unwrap_err().contains("asks something else in turn");
    assert!(asks(lists(&[&s, &q, &a], &[&s, &r, &b])));
    assert!(asks(lists(&[&q, &a, &q, &a], &[&q, &a, &r, &b])));
    assert!(asks(lists(&[&q, &a], &[&q, &r, &b])));
    assert!(lists(&[&q, &a, &q, &a], &[&q, &a, &q, &b]).is_ok());
}

#[test]
fn a_prompt_beside_whole_conversations_does_not_ask_twice() {
    let whole = |answer: &str| {
        format!(
            r#"[{{"role": "system", "content": "s"}}, {{"role": "user", "content": "q"}},
             {{"role": "assistant", "content": "{answer}"}}]"#
        )
    };
    let line = |prompt: &str| {
        format!(r#"{{"prompt": {prompt}, "chosen": {}, "rejected": {}}}"#, whole("a"), whole("b"))
    };
    assert_eq!(pair(&line(r#""q""#)).unwrap()[0], "system:s user:q !assistant:a");
    let other = pair(&line(r#""another""#)).unwrap_err();
    assert!(
        other.contains("`chosen` is a whole conversation, which does not ask what `prompt` does"),
        "{other}"
    );
    let other = pair(&line(r#"[{"role": "user", "content": "another"}]"#)).unwrap_err();
    assert!(other.contains("is a whole conversation"), "{other}");
}

#[test]
fn what_is_no_preference_is_said() {
    let wrong = |line: &str| pair(line).unwrap_err();
    assert!(wrong(r#"{"prompt": "q", "rejected": "b"}"#).contains("has no `chosen`"));
    assert!(wrong(r#"{"prompt": "q", "chosen": "b"}"#).contains("has no `rejected`"));
    assert!(wrong(r#"{"chosen": "a", "rejected": "b"}"#).contains("has no `prompt`, and its answers are"));
    assert!(wrong(r#"{"prompt": "q", "chosen": "a", "rejected": "a"}"#).contains("say the same"));
    assert!(wrong(r#"{"prompt": "q", "chosen": "a", "rejected": " "}"#).contains("`rejected` turn 2 is an"));
    assert!(
        wrong(r#"{"prompt": "q", "chosen": 3, "rejected": "a"}"#)
            .contains("`chosen` is a number, and is to be a text, or a list of turns")
    );
    assert!(wrong(r#"[{"prompt": "q"}]"#).contains("jq -c"));
    let (a, b) = (r#"{"role": "assistant", "content": "a"}"#, r#"{"role": "assistant", "content": "b"}"#);
    let q = r#"{"role": "user", "content": "q"}"#;
    let lists = |chosen: &str, rejected: &str| {
        wrong(&format!(r#"{{"chosen": [{chosen}], "rejected": [{rejected}]}}"#))
    };
    assert!(lists(a, b).contains("no beginning in common"));
    assert!(lists(q, &format!("{q}, {a}")).contains("`chosen` has no answer after what both begin with"));
    assert!(lists(r#"{"role": "tool", "content": "x"}"#, a).contains("`chosen`: turn 1 is of `tool`"));
    let marked = r#"{"role": "assistant", "content": "a", "weight": 0}"#;
    assert!(lists(&format!("{q}, {marked}"), &format!("{q}, {b}")).contains("`chosen` is marked not to be"));
}
