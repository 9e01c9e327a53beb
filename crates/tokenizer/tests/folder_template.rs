//! Which chat template of a folder is taken.

use sai_tokenizer::ChatTemplate;

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
