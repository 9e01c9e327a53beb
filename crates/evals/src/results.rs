//! Results in the harness's own layout, so that other tools read them.

use crate::{Profile, Sample, TaskResult};
use serde_json::{Map, Value, json};

/// Results of a model as `lm_eval` writes them: on `main` with filters' names (`acc,none`), on `polyglot` without. What the
/// harness does not know stands beside: bits a byte, intervals, the data's checksums.
pub fn harness(model: &str, profile: Profile, results: &[TaskResult]) -> Value {
    let (mut figures, mut shots, mut samples, mut data) = (Map::new(), Map::new(), Map::new(), Map::new());
    for result in results {
        let mut of_task = Map::new();
        of_task.insert("alias".to_owned(), result.task.clone().into());
        for figure in &result.figures {
            let (name, filter) = (figure.metric.name(profile), filter(profile));
            of_task.insert(format!("{name}{filter}"), figure.value.into());
            let stderr = figure.stderr.map_or_else(|| "N/A".into(), Value::from);
            of_task.insert(format!("{name}_stderr{filter}"), stderr);
            if let Some(interval) = figure.interval {
                of_task.insert(format!("{name}_interval{filter}"), json!(interval));
            }
        }
        of_task.insert(format!("bits_per_byte{}", filter(profile)), result.bits_per_byte.into());
        figures.insert(result.task.clone(), of_task.into());
        shots.insert(result.task.clone(), result.examples.into());
        let counts = json!({"original": result.available, "effective": result.documents});
        samples.insert(result.task.clone(), counts);
        let files = result
            .data
            .iter()
            .map(|file| json!({"path": file.path.display().to_string(), "sha256": file.sha256}));
        data.insert(result.task.clone(), files.collect());
    }
    json!({
        "results": figures,
        "n-shot": shots,
        "n-samples": samples,
        "config": {"model": "sai", "model_args": format!("pretrained={model}"), "profile": profile.name()},
        "model_name": model,
        "data": data,
        "lm_eval_rules": profile.version(),
    })
}

fn filter(profile: Profile) -> &'static str {
    match profile {
        Profile::Main => ",none",
        Profile::Polyglot => "",
    }
}

/// A document with what was made of it, as `lm_eval --log_samples` writes it.
pub fn sample(task: &str, sample: &Sample) -> Value {
    let question = &sample.judged.question;
    let choices = question.contexts.iter().zip(&question.choices);
    let arguments =
        choices.map(|(context, choice)| json!([context, format!("{}{choice}", question.delimiter)]));
    let scores = sample.judged.logprobs.iter().zip(&sample.greedy);
    json!({
        "task": task,
        "doc_id": sample.number,
        "place": sample.place,
        "target": question.gold,
        "arguments": arguments.collect::<Value>(),
        "filtered_resps": scores.map(|(logprob, greedy)| json!([logprob, greedy])).collect::<Value>(),
        "chosen": sample.judged.chosen(),
    })
}
