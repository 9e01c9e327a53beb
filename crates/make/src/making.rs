//! The making itself: stages in their order, those that are out of date.

use crate::event::StageContext;
use crate::manifest::{CodeVersion, FileFacts, Manifest, Reason, StageRecord};
use crate::stages::{self, RunContext, StageJob};
use crate::{Error, Event, Folder, MakeRecipe, OnEvent, Options, Stage, files, plan};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// Follows a recipe: does every stage that was not done, or whose inputs, settings or code have changed, and says what
/// happens to `on`. Whether it got to its end, and was not told to stop.
///
/// A stage that was stopped, or killed, goes on where it was; its files take their names when they are whole, and it
/// counts as done when its manifest says so.
///
/// # Errors
/// The folder is another's or in use, or a stage fails. What was done before stays.
pub fn make(recipe: &MakeRecipe, options: &Options<'_>, on: &mut OnEvent<'_>) -> Result<bool, Error> {
    let folder = Folder::new(&options.out);
    let _lock = folder.claim()?;
    let mut manifest = Manifest::open(folder.root())?.unwrap_or_else(|| Manifest::new(&recipe.name));
    manifest.name.clone_from(&recipe.name);
    manifest.write(folder.root())?;
    let planned = plan::of(recipe, options, &manifest)?;
    on(Event::Plan(&planned));
    for stage in recipe.stages().filter(|&stage| options.until.is_none_or(|last| stage <= last)) {
        if options.from.is_some_and(|first| stage < first) {
            let made = manifest.stages.get(&stage);
            on(Event::Kept { stage, summary: made.map_or("", |made| &made.summary) });
            continue;
        }
        if (options.stop)() {
            return Ok(false);
        }
        let at = RunContext { recipe, folder: &folder, options, manifest: &manifest };
        let due = due(&at, stage, options.from == Some(stage))?;
        let made = manifest.stages.get(&stage);
        if due.reasons.is_empty() {
            on(Event::Kept { stage, summary: made.map_or("", |made| &made.summary) });
            continue;
        }
        if !follow(recipe, options, &mut manifest, stage, due, on)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a stage would be done with now, and why it is to be done, if it is.
pub(crate) struct StageCheck {
    pub(crate) reasons: Vec<Reason>,
    job: StageJob,
    inputs: BTreeMap<String, FileFacts>,
}

/// Looks at whether a stage is out of date.
pub(crate) fn due(at: &RunContext<'_>, stage: Stage, asked: bool) -> Result<StageCheck, Error> {
    let job = stages::job(at, stage)?;
    let root = at.folder.root();
    let mut inputs = BTreeMap::new();
    for path in &job.inputs {
        let name = files::name(root, path);
        inputs.insert(name.clone(), files::facts(path, at.manifest.known(&name))?);
    }
    let mut reasons = match at.manifest.stages.get(&stage) {
        None => vec![Reason::New],
        Some(made) => {
            let mut reasons = made.reasons(&CodeVersion::of(stage), &job.settings, &inputs);
            if reasons.is_empty() && !made.finished {
                reasons.push(Reason::Unfinished);
            } else if reasons.is_empty() {
                let damaged = made.damaged(root)?;
                reasons.extend((!damaged.is_empty()).then_some(Reason::Outputs(damaged)));
            }
            reasons
        }
    };
    if asked && !reasons.contains(&Reason::New) && !reasons.contains(&Reason::Unfinished) {
        reasons.push(Reason::Asked);
    }
    Ok(StageCheck { reasons, job, inputs })
}

/// Does a stage, from its beginning or from where it stopped; whether it got to its end.
fn follow(
    recipe: &MakeRecipe,
    options: &Options<'_>,
    manifest: &mut Manifest,
    stage: Stage,
    due: StageCheck,
    on: &mut OnEvent<'_>,
) -> Result<bool, Error> {
    let StageCheck { reasons, job, inputs } = due;
    on(Event::Begins { stage, reasons: &reasons });
    let folder = Folder::new(&options.out);
    let before = manifest.stages.get(&stage).cloned();
    let goes_on = reasons == [Reason::Unfinished];
    if !goes_on {
        // Before the manifest says what is begun, so that nothing of before is ever gone on with.
        files::clear(&folder.stage(stage))?;
    }
    let spent = before.as_ref().filter(|_| goes_on).map_or(0.0, |made| made.seconds);
    let outputs = before.map(|made| made.outputs).unwrap_or_default();
    let mut made = StageRecord {
        finished: false,
        code: CodeVersion::of(stage),
        settings: job.settings,
        inputs,
        outputs,
        seconds: spent,
        summary: String::new(),
        machine: options.machine.clone(),
    };
    manifest.stages.insert(stage, made.clone());
    manifest.write(folder.root())?;

    let began = Instant::now();
    let at = RunContext { recipe, folder: &folder, options, manifest };
    let mut told = StageContext { stage, on, stop: options.stop };
    let result = stages::run(&at, stage, &mut told);
    made.seconds = spent + began.elapsed().as_secs_f64();
    let finished = match &result {
        Ok(ControlFlow::Continue(done)) => {
            made.finished = true;
            made.summary.clone_from(&done.summary);
            remove_others(folder.root(), manifest, stage, &done.outputs)?;
            made.outputs.clear();
            for name in &done.outputs {
                made.outputs.insert(name.clone(), files::facts(&folder.root().join(name), None)?);
            }
            true
        }
        _ => false,
    };
    if finished {
        on(Event::Done { stage, summary: &made.summary, seconds: made.seconds });
    }
    manifest.stages.insert(stage, made);
    manifest.write(folder.root())?;
    result.map(|_| finished)
}

/// Removes files that a stage made before and makes no more, such as those of another type of quantisation.
fn remove_others(root: &Path, manifest: &Manifest, stage: Stage, now: &[String]) -> Result<(), Error> {
    let Some(before) = manifest.stages.get(&stage) else { return Ok(()) };
    let others = || manifest.stages.iter().filter(|(other, _)| **other != stage);
    let kept =
        |name: &String| now.contains(name) || others().any(|(_, made)| made.outputs.contains_key(name));
    let inner = |name: &str| !Path::new(name).is_absolute() && !name.split('/').any(|part| part == "..");
    for name in before.outputs.keys().filter(|name| inner(name) && !kept(name)) {
        let path = root.join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(&path, "remove the file", e));
            }
            _ => {}
        }
    }
    Ok(())
}
