//! Which chat template of a folder is taken.

use sai_tokenizer::{ChatTemplate, TemplateSources, Tokenizer};

#[test]
fn a_file_of_its_own_goes_before_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let chosen = || {
        let template = ChatTemplate::from_folder(folder.path()).expect("readable");
        template.map(|t| t.source().expect("Jinja").to_owned())
    };
    assert_eq!(chosen(), None);
    write("tokenizer_config.json", r#"{"chat_template":"one"}"#);
    assert_eq!(chosen().as_deref(), Some("one"));
    write(
        "tokenizer_config.json",
        r#"{"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}"#,
    );
    assert_eq!(chosen().as_deref(), Some("d"));
    write("chat_template.jinja", "file");
    assert_eq!(chosen().as_deref(), Some("file"));
    write("chat_template.jinja", "{% if");
    let line = ChatTemplate::from_folder(folder.path()).expect_err("no template").to_string();
    assert!(line.contains("chat_template.jinja: the chat template has an error"), "{line}");
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    folder
}

fn source(files: &[(&str, &str)]) -> String {
    let template = ChatTemplate::from_folder(folder(files).path()).expect("readable").expect("a template");
    template.source().expect("Jinja").to_owned()
}

#[test]
fn a_dictionary_of_templates_is_not_called_damaged() {
    let config = r#"{"chat_template": {"tool_use": "t", "default": "d"}}"#;
    assert_eq!(source(&[("tokenizer_config.json", config)]), "d");
    let folder = folder(&[("tokenizer_config.json", config)]);
    let sources = TemplateSources::from_folder(folder.path()).expect("readable");
    assert_eq!(sources.named, [("tool_use".to_owned(), "t".to_owned())]);
}

#[test]
fn of_several_templates_without_a_default_none_is_guessed() {
    let list =
        r#"{"chat_template": [{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t"}]}"#;
    let dictionary = r#"{"chat_template": {"rag": "r", "tool_use": "t"}}"#;
    let more: &[_] =
        &[("additional_chat_templates/rag.jinja", "r"), ("additional_chat_templates/tool_use.jinja", "t")];
    for files in [&[("tokenizer_config.json", list)], &[("tokenizer_config.json", dictionary)], more] {
        let folder = folder(files);
        let line = ChatTemplate::from_folder(folder.path()).expect_err("no guess").to_string();
        for part in ["tokenizer_config.json", "there are: rag, tool_use;", "--chat-template NAME"] {
            assert!(line.contains(part), "{line}");
        }
        let sources = TemplateSources::from_folder(folder.path()).expect("readable");
        let chosen = sources.select(Some("tool_use"), "t").expect("a template").expect("a template");
        assert_eq!(chosen.source(), Some("t"));
        assert!(
            sources.select(Some("tools"), "t").expect_err("no such name").to_string().contains("`tools`")
        );
    }
}

#[test]
fn a_processor_s_template_is_taken_where_the_tokenizer_has_none() {
    let processor = ("chat_template.json", r#"{"chat_template": "p"}"#);
    assert_eq!(source(&[processor]), "p");
    assert_eq!(source(&[processor, ("tokenizer_config.json", r#"{"chat_template": null}"#)]), "p");
    assert_eq!(source(&[processor, ("tokenizer_config.json", r#"{"chat_template": "c"}"#)]), "c");
    assert_eq!(source(&[processor, ("chat_template.jinja", "j")]), "j");
}

#[test]
fn a_template_that_is_none_is_told_and_costs_no_tokenizer() {
    for value in ["7", "[7]", r#"[{"name": "default"}]"#, r#"{"default": 7}"#] {
        let config = format!(r#"{{"chat_template": {value}}}"#);
        let line = ChatTemplate::from_folder(folder(&[("tokenizer_config.json", &config)]).path());
        let line = line.expect_err("no template").to_string();
        assert!(line.contains("its chat_template is neither") && !line.contains("damaged"), "{line}");
    }
    let vocabulary = include_str!("fixtures/gpt2.json");
    let folder =
        folder(&[("tokenizer.json", vocabulary), ("tokenizer_config.json", r#"{"chat_template": 7}"#)]);
    Tokenizer::from_folder(folder.path()).expect("a tokenizer");
}

#[test]
fn special_tokens_are_those_that_the_files_name() {
    let config = r#"{"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>", "unk_token": null,
        "sep_token": "[SEP]", "image_token": "<image>", "add_bos_token": true, "extra_special_tokens": {"boi_token": "<boi>"}}"#;
    let map = r#"{"pad_token": "[pad]", "mask_token": {"content": "<mask>"}, "eos_token": "other"}"#;
    let named = |config: &str| {
        let folder = folder(&[
            ("tokenizer.json", include_str!("fixtures/gpt2.json")),
            ("tokenizer_config.json", config),
            ("special_tokens_map.json", map),
        ]);
        let tokens = Tokenizer::from_folder(folder.path()).expect("a tokenizer").special_tokens();
        tokens.iter().map(|(name, text)| format!("{name} {text}")).collect::<Vec<_>>()
    };
    let mut wanted = [
        "boi_token <boi>",
        "bos_token <|im_start|>",
        "eos_token other",
        "image_token <image>",
        "mask_token <mask>",
        "pad_token [pad]",
        "sep_token [SEP]",
    ];
    assert_eq!(named(config), wanted);
    // Beside a list of added tokens the map is older, and only fills in.
    wanted[2] = "eos_token <|im_end|>";
    assert_eq!(named(&config.replacen('{', "{\"added_tokens_decoder\": {},", 1)), wanted);
}
