//! Chat templates as `transformers` renders them, and templates that mean harm.

use sai_tokenizer::{ChatTemplate, DateTime, Message, SpecialTokens, TemplateError, TemplateInput};
use serde_json::Value;

fn message(role: &str, content: &str) -> Message {
    Message::new(role, content)
}

fn tokens(bos: &str, eos: &str) -> SpecialTokens {
    SpecialTokens::from([("bos_token", bos), ("eos_token", eos)])
}

#[test]
fn templates_as_transformers_renders_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/templates.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON");
    let now = DateTime::constant(2026, 3, 9, 14, 5, 7, 0);
    for case in file["cases"].as_array().expect("cases") {
        let name = case["name"].as_str().expect("a name");
        let source = file["templates"][name].as_str().expect("a template");
        let template = ChatTemplate::jinja(source, name).unwrap_or_else(|e| panic!("{e}")).at(now);
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).expect("messages");
        let prompt = case["prompt"].as_bool().expect("a flag");
        let rendered = template.render(&messages, prompt, &tokens("<s>", "</s>"));
        match case.get("text") {
            Some(text) => assert_eq!(
                rendered.unwrap_or_else(|e| panic!("{e}")),
                text.as_str().expect("a text"),
                "{name}"
            ),
            None => match rendered {
                Err(TemplateError::Refused { message, .. }) => assert_eq!(message, case["refused"]),
                other => panic!("{name}: {other:?}, refused by transformers: {}", case["refused"]),
            },
        }
    }
}

#[test]
fn fortytwo_dot_s_form() {
    let template = ChatTemplate::fortytwo_dot();
    let eos = "<|endoftext|>";
    let system = "호기심 많은 인간 (human)과 인공지능 봇 (AI bot)의 대화입니다. \n봇의 이름은 42dot LLM이고 포티투닷 (42dot)에서 개발했습니다. \n봇은 인간의 질문에 대해 친절하게 유용하고 상세한 답변을 제공합니다. \n";
    let turns = [message("user", "안녕?"), message("assistant", "네!"), message("user", "또?")];
    assert_eq!(
        template.render(&turns, true, &tokens(eos, eos)).expect("a text"),
        format!("{eos}{system}<human>: 안녕? <bot>: 네!{eos}<human>: 또? <bot>:")
    );
    let own = [message("system", "짧게. "), message("user", "왜?")];
    assert_eq!(
        template.render(&own, true, &tokens(eos, eos)).expect("a text"),
        format!("{eos}짧게. <human>: 왜? <bot>:")
    );
    assert!(matches!(
        template.render(&turns[1..], true, &tokens(eos, eos)),
        Err(TemplateError::Refused { .. })
    ));
}

#[test]
fn without_a_time_a_template_falls_back_to_its_own() {
    let source = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}1999{% endif %}";
    let template = ChatTemplate::jinja(source, "t").expect("a template");
    assert_eq!(template.render(&[], false, &tokens("", "")).expect("a text"), "1999");
    let now = DateTime::constant(2026, 3, 9, 14, 5, 7, 0);
    assert_eq!(template.at(now).render(&[], false, &tokens("", "")).expect("a text"), "2026");
}

#[test]
fn a_template_that_does_not_end_is_one_clear_line() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for m in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
        "{{ 'x' * 100000000000 }}",
        "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{{ '%999999999999d' % 1 }}",
        "{{ range(99999) | list | tojson(indent=99999) * 1000 }}",
        "{{ ('x' * 1000000).replace('', 'y' * 1000000) }}",
        "{{ 'x'.center(999999999999) }}",
        "{{ 'x' | indent(999999999999, true) }}",
        "{{ ('\t' * 1000).expandtabs(999999999) }}",
        "{{ ('x' * 1000000).join('x' * 1000000) }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    ] {
        let start = std::time::Instant::now();
        let error = ChatTemplate::jinja(source, "m.gguf")
            .and_then(|t| t.render(&[message("user", "안녕")], true, &tokens("<s>", "</s>")))
            .expect_err(source);
        let line = error.to_string();
        assert!(line.starts_with("m.gguf: the chat template ") && !line.contains('\n'), "{line}");
        assert!(start.elapsed().as_secs() < 20, "{source} took {:?}", start.elapsed());
    }
}

#[test]
fn errors_name_the_place() {
    let error = ChatTemplate::jinja("a\n{% if %}", "chat_template.jinja").expect_err("no template");
    assert!(error.to_string().contains("line 2"), "{error}");
    let template = ChatTemplate::jinja("{{ messages[7].content }}", "t").expect("a template");
    assert!(matches!(template.render(&[], false, &tokens("", "")), Err(TemplateError::Failed { .. })));
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(ChatTemplate::jinja(&format!("{{{{ {deep} }}}}"), "t").is_err());
}

#[test]
fn a_last_message_is_continued_behind_its_own_end() {
    let continued = |source: &str, messages: &[Message]| {
        let input = TemplateInput { continue_final_message: true, ..TemplateInput::default() };
        let template = ChatTemplate::jinja(source, "t").expect("a template");
        template.render_with(messages, &input, &tokens("", "")).expect("a text")
    };
    let chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
    // Words that the marks have too.
    let asked = [message("user", "Name a letter."), message("assistant", "e")];
    assert!(continued(chatml, &asked).ends_with("assistant\ne"), "{}", continued(chatml, &asked));
    // Words that an earlier answer has, too, before a template that trims.
    let trims = "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}\n{% endfor %}";
    let turns = [
        message("assistant", "네, 알겠습니다.\n"),
        message("user", "그래요."),
        message("assistant", "네, 알겠습니다.\n"),
    ];
    let text = continued(trims, &turns);
    assert!(text.contains("그래요.") && text.ends_with("[assistant] 네, 알겠습니다.\n"), "{text}");
    // A template that leaves the last message out cannot be continued.
    let silent = ChatTemplate::jinja("{{ messages[0].content }}", "t").expect("a template");
    let input = TemplateInput { continue_final_message: true, ..TemplateInput::default() };
    assert!(matches!(silent.render_with(&turns, &input, &tokens("", "")), Err(TemplateError::Failed { .. })));
}

#[test]
fn a_message_s_other_keys_reach_the_template() {
    let call = serde_json::json!([{"function": {"name": "f", "arguments": {"b": 1, "a": 1e-7}}}]);
    let message = Message::new("assistant", "").with("tool_calls", call).with("reasoning", "hm".into());
    let source = "{{ messages[0].tool_calls[0].function | tojson }} {{ messages[0].reasoning_content }} {{ messages[0].name is defined }}";
    let text =
        ChatTemplate::jinja(source, "t").expect("a template").render(&[message], false, &tokens("", ""));
    assert_eq!(text.expect("a text"), r#"{"name": "f", "arguments": {"b": 1, "a": 1e-07}} hm False"#);
}

#[test]
fn a_message_is_read_and_written_as_people_keep_it() {
    let read = |json: &str| serde_json::from_str::<Message>(json);
    let same =
        |json: &str| assert_eq!(serde_json::to_string(&read(json).expect("a message")).expect("JSON"), json);
    same(r#"{"role":"user","content":"q","name":"kim"}"#);
    same(r#"{"role":"assistant","content":null,"tool_calls":[]}"#);
    let parts = read(
        r#"{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]}"#,
    );
    let parts = parts.expect("a message");
    assert_eq!(parts.content, "ab");
    assert!(parts.extra["content"].is_array());
    assert_eq!(read(r#"{"role": "user"}"#).expect("a message").content, "");
    for (json, fact) in [
        ("{}", "no `role`"),
        (r#"{"role": 1}"#, "`role` is no text"),
        (r#"{"role": "user", "content": 1}"#, "`content`"),
    ] {
        let line = read(json).expect_err(json).to_string();
        assert!(line.contains(fact), "{line}");
    }
}

#[test]
fn a_token_that_a_model_has_not_is_undefined() {
    let source = "{{ pad_token is defined }}{{ pad_token }}|{{ bos_token }}";
    let template = ChatTemplate::jinja(source, "t").expect("a template");
    assert_eq!(template.render(&[], false, &tokens("<s>", "")).expect("a text"), "False|<s>");
    // sai's own template asks for none that may not be there.
    let own = ChatTemplate::jinja(ChatTemplate::FORTYTWO_DOT_JINJA, "42dot").expect("a template");
    own.render(&[message("user", "q"), message("assistant", "a")], false, &SpecialTokens::default())
        .expect("a text");
}
