//! Grades given by hand, on the report's page, blind: one more judge's.
//!
//! The page gives a JSON file back. Each grade names the answer by its hash, so that one of an answer that has changed since is
//! told apart.

use crate::grading::{Graded, Item};
use crate::journal::sha256;
use crate::reply::{Score, Verdict};
use crate::report::Graders;
use crate::run::write;
use crate::templates::Form;
use crate::{Answer, Error, Run, answers};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What such a file says it is.
pub(crate) const HUMAN_FORMAT: &str = "sai-judge-human/1";

/// A file of grades by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanFile {
    format: String,
    /// Of the file of prompts.
    prompts_sha256: String,
    /// Who graded.
    pub grader: String,
    criteria: Vec<String>,
    scale: (i64, i64),
    /// The grades.
    pub grades: Vec<HumanGrade>,
}

impl HumanFile {
    fn form(&self) -> Form {
        let [score, explanation] = ["Score", "Explanation"].map(str::to_owned);
        Form::Scores { criteria: self.criteria.clone(), scale: self.scale, score, explanation }
    }
}

/// A grade by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanGrade {
    prompt: String,
    turn: usize,
    contestant: String,
    /// Of the answer's text: [`answer_hash`].
    answer: String,
    scores: BTreeMap<String, i64>,
    #[serde(default)]
    comment: String,
}

/// What tells an answer's text from others.
pub(crate) fn answer_hash(text: &str) -> String {
    sha256(text.as_bytes())[..16].to_owned()
}

/// Takes a file of grades into a run; returns it. With `force`, it takes the place of an earlier one of the same grader.
///
/// # Errors
/// It is no such file, of other prompts or answers, or the grader has grades in the run already.
pub fn take_human_grades(run: &Run, path: &Path, force: bool) -> Result<HumanFile, Error> {
    let place = path.display().to_string();
    let bytes = crate::prompts::read(path)?;
    let file = read(&place, &bytes)?;
    if file.prompts_sha256 != run.facts.prompts_sha256 {
        return Err(Error::data(place, "it grades answers to other prompts than the run has"));
    }
    let answers = answers(run)?;
    let mut seen = BTreeSet::new();
    for grade in &file.grades {
        let of = format!("{place}: prompt {}, {}", grade.prompt, grade.contestant);
        match find(run, &answers, grade) {
            Found::Item(..) => {}
            Found::None => return Err(Error::data(of, "the run has no such answer")),
            Found::Changed => {
                return Err(Error::data(
                    of,
                    "the answer is another one than was graded; make the report and grade again",
                ));
            }
        }
        if !seen.insert((&grade.prompt, grade.turn, &grade.contestant)) {
            return Err(Error::data(of, "it is graded twice"));
        }
    }
    let folder = run.human_folder();
    std::fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, e))?;
    let target = folder.join(format!("{}.json", file.grader));
    if target.exists() && !force && std::fs::read(&target).map_err(|e| Error::file(&target, e))? != bytes {
        let fact =
            format!("{} has graded this run already; give --force to replace those grades", file.grader);
        return Err(Error::data(target.display(), fact));
    }
    write(&target, &bytes)?;
    Ok(file)
}

fn read(place: &str, bytes: &[u8]) -> Result<HumanFile, Error> {
    let wrong = |fact: String| Error::data(place, fact);
    let file: HumanFile =
        serde_json::from_slice(bytes).map_err(|e| wrong(format!("it is no file of grades by hand: {e}")))?;
    if file.format != HUMAN_FORMAT {
        return Err(wrong(format!(
            "it is of the format {:?}, and this sai reads {HUMAN_FORMAT}",
            file.format
        )));
    }
    let plain = |c: char| c.is_alphanumeric() || ['-', '_', '.', ' '].contains(&c);
    let name = &file.grader;
    if name.trim().is_empty() || name.len() > 80 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(wrong(format!("`grader` is {name:?}; a name is letters, digits, blanks, -, _ and .")));
    }
    file.form().check().map_err(wrong)?;
    for grade in &file.grades {
        for name in &file.criteria {
            let score = grade.scores.get(name).copied();
            if score.is_none_or(|score| score < file.scale.0 || score > file.scale.1) {
                let (low, high) = file.scale;
                let fact = format!(
                    "prompt {}, {}: {name} has no score from {low} to {high}",
                    grade.prompt, grade.contestant
                );
                return Err(wrong(fact));
            }
        }
        if grade.scores.len() != file.criteria.len() {
            return Err(wrong(format!("prompt {}: it has scores of other criteria", grade.prompt)));
        }
    }
    Ok(file)
}

enum Found {
    Item(usize, usize),
    Changed,
    None,
}

fn find(run: &Run, answers: &[Vec<Answer>], grade: &HumanGrade) -> Found {
    let prompt = run.prompts.iter().position(|prompt| prompt.id == grade.prompt);
    let Some((prompt, who)) = prompt.zip(run.contestant(&grade.contestant)) else { return Found::None };
    match answers[who][prompt].replies().and_then(|replies| replies.get(grade.turn)) {
        Some(reply) if answer_hash(&reply.text) == grade.answer => Found::Item(prompt, who),
        Some(_) => Found::Changed,
        None => Found::None,
    }
}

/// The grades by hand that a run has, and what is to be said of those that count no more.
pub(crate) fn human_grades(run: &Run, answers: &[Vec<Answer>]) -> Result<(Vec<Graders>, Vec<String>), Error> {
    let folder = run.human_folder();
    let mut paths: Vec<_> =
        folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let (mut graders, mut stale) = (Vec::new(), Vec::new());
    for path in paths {
        let bytes = crate::prompts::read(&path)?;
        let file = read(&path.display().to_string(), &bytes)?;
        let mut grades = Vec::new();
        for grade in &file.grades {
            let Found::Item(prompt, who) = find(run, answers, grade) else { continue };
            let score = |name: &String| Score {
                score: grade.scores.get(name).copied().unwrap_or_default(),
                explanation: grade.comment.clone(),
            };
            let verdict = Verdict::Scores(file.criteria.iter().map(score).collect());
            let item = Item { prompt, turn: grade.turn, seats: vec![who], template: 0, repeat: 0 };
            grades.push((item, Graded::Verdict(verdict)));
        }
        let left = file.grades.len() - grades.len();
        if left > 0 {
            stale.push(format!(
                "{left} grades by {} are of answers that have changed since, and do not count",
                file.grader
            ));
        }
        graders.push(Graders {
            judge: file.grader.clone(),
            name: "by hand".to_owned(),
            form: file.form(),
            repeats: 1,
            against: None,
            human: true,
            applies: (0..run.prompts.len())
                .map(|prompt| grades.iter().any(|(item, _): &(Item, Graded)| item.prompt == prompt))
                .collect(),
            grades,
        });
    }
    Ok((graders, stale))
}
