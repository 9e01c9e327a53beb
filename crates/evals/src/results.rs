//! Results in the harness's own layout, so that other tools read them.

use crate::{Figure, Profile, Sample, Task, TaskResult};
use serde_json::{Map, Value, json};

/// Results of a model as `lm_eval` writes them: on `main` with filters' names (`acc,none`), on `polyglot` without. What the
/// harness does not know stands beside: bits a byte, intervals, the data's checksums.
pub fn harness(model: &str, profile: Profile, results: &[TaskResult]) -> Value {
    let (mut groups, mut parts) = (Map::new(), Map::new());
    let (mut figures, mut shots, mut samples, mut data) = (Map::new(), Map::new(), Map::new(), Map::new());
    for result in results {
        let mut of_task = Map::new();
        of_task.insert("alias".to_owned(), result.task.clone().into());
        insert(&mut of_task, profile, &result.figures);
        if let Some(bits) = result.bits_per_byte {
            of_task.insert(format!("bits_per_byte{}", filter(profile, None)), bits.into());
        }
        for part in &result.subtasks {
            let mut of_part = Map::new();
            of_part.insert("alias".to_owned(), part.name.clone().into());
            insert(&mut of_part, profile, &part.figures);
            figures.insert(part.name.clone(), of_part.into());
            let counts = json!({"original": part.documents, "effective": part.documents});
            samples.insert(part.name.clone(), counts);
        }
        if !result.subtasks.is_empty() {
            groups.insert(result.task.clone(), of_task.clone().into());
            let names = result.subtasks.iter().map(|part| part.name.clone());
            parts.insert(result.task.clone(), names.collect());
        }
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
        "groups": groups,
        "group_subtasks": parts,
        "n-shot": shots,
        "n-samples": samples,
        "config": {"model": "sai", "model_args": format!("pretrained={model}"), "profile": profile.name()},
        "model_name": model,
        "data": data,
        "lm_eval_rules": profile.version(),
    })
}

fn insert(into: &mut Map<String, Value>, profile: Profile, figures: &[Figure]) {
    for figure in figures {
        let (name, filter) = (figure.metric.name(profile), filter(profile, figure.filter.as_deref()));
        into.insert(format!("{name}{filter}"), figure.value.into());
        let stderr = figure.stderr.map_or_else(|| "N/A".into(), Value::from);
        into.insert(format!("{name}_stderr{filter}"), stderr);
        if let Some(interval) = figure.interval {
            into.insert(format!("{name}_interval{filter}"), json!(interval));
        }
    }
}

/// What stands behind a metric's name: on `main` the filter's.
fn filter(profile: Profile, name: Option<&str>) -> String {
    match (profile, name) {
        (Profile::Polyglot, None) => String::new(),
        (_, name) => format!(",{}", name.unwrap_or("none")),
    }
}

/// A document with what was made of it, as `lm_eval --log_samples` writes it.
pub fn sample(task: &Task, sample: &Sample) -> Value {
    let question = &sample.judged.question;
    let mut line = json!({
        "task": task.name(),
        "doc_id": sample.number,
        "place": sample.place,
    });
    if let Some(subtask) = &sample.subtask {
        line["subtask"] = subtask.as_str().into();
    }
    match &task.file.generate {
        Some(how) => {
            line["target"] = question.choices[0].as_str().into();
            line["arguments"] =
                json!([[question.contexts[0], {"until": how.until, "max_gen_toks": how.max_tokens}]]);
            line["resps"] = json!([[sample.judged.said]]);
            let found = how.filtered(&sample.judged.said);
            line["filtered_resps"] = found.into_iter().map(|(name, said)| (name.to_owned(), said)).collect();
        }
        None => {
            let choices = question.contexts.iter().zip(&question.choices);
            let arguments =
                choices.map(|(context, choice)| json!([context, format!("{}{choice}", question.delimiter)]));
            let scores = sample.judged.logprobs.iter().zip(&sample.greedy);
            line["target"] = question.gold.into();
            line["arguments"] = arguments.collect();
            line["filtered_resps"] = scores.map(|(logprob, greedy)| json!([logprob, greedy])).collect();
            line["chosen"] = sample.judged.chosen().into();
        }
    }
    line
}
