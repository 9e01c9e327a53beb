//! What a judge replies, a file of prompts, and a template of words alone: any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_judge::{Form, PromptColumns, PromptSet, Template, read_verdict_text};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let [score, explanation] = ["Score", "Explanation"].map(str::to_owned);
    let criteria = vec!["Accuracy".to_owned(), "Bias".to_owned()];
    let scores = Form::Scores { criteria, scale: (1, 5), score, explanation };
    for form in [scores, Form::Preference] {
        let _ = read_verdict_text(&text, &form);
    }
    for name in ["set.csv", "set.jsonl"] {
        let _ = PromptSet::parse(name, bytes, &PromptColumns::default());
    }
    if let Ok(template) = Template::plain("words", text.into_owned(), (1, 5)) {
        let _ = template.fill(&sai_judge::Fields { question: "{answer}", answer_a: "{question}", ..Default::default() });
    }
});
