//! `sai judge grade`: having answers graded.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use sai_judge::{
    ApiModel, AskOptions, Budget, ChatModel, Form, Grading, Price, Protocol, Run, Template, answers,
    collect_grades, estimate_grades, items, kinship, message, take_human_grades,
};

use super::asking::{AskingArgs, gemini, named, tell_spent, temperature, watch};
use crate::cli::{MOST, whole};
use crate::interrupt::Interrupt;
use crate::terminal::clean::visible;
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai judge grade run --judge hyperclovax-seed-1.5b --template criteria,pairwise
  sai judge grade run --judge-api gpt-4o=https://api.openai.com/v1 --key-env OPENAI_API_KEY --max-cost 5
  sai judge grade run --judge-api gpt-4=https://api.openai.com/v1 --key-env OPENAI_API_KEY --template eval_prompt.yaml
  sai judge grade run --human grades-jisoo.json

Templates of sai's own: criteria (accuracy, robustness, fairness, bias, toxicity, efficiency), pairwise (each pair in both
orders), reference (against a right answer); each in Korean and English, by the prompt's language.";

/// Have the answers of a run graded by judges, or take grades that a person gave on the report's page.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Grade {
    /// The run's folder
    run: PathBuf,

    /// Judges on this machine: what --model takes elsewhere; may be given again
    #[arg(long, value_name = "MODEL")]
    judge: Vec<String>,

    /// A judge behind an OpenAI-compatible chat API; may be given again
    #[arg(long, value_name = "NAME=URL", value_parser = named)]
    judge_api: Vec<(String, String)>,

    /// A judge of Google's Gemini API; may be given again
    #[arg(long, value_name = "NAME[=URL]", value_parser = gemini)]
    judge_gemini: Vec<(String, String)>,

    /// What judges are told: criteria, pairwise, reference, one of them in one language (criteria-ko), or a file; several with
    /// commas
    #[arg(long, default_value = "criteria", value_name = "TEMPLATES", value_delimiter = ',')]
    template: Vec<String>,

    /// The lowest and highest score of a template that does not say its own
    #[arg(long, default_value = "1-5", value_name = "LOW-HIGH", value_parser = scale)]
    scale: (i64, i64),

    /// Compare all others with this contestant; all with all where not given
    #[arg(long, value_name = "NAME")]
    against: Option<String>,

    /// Ask for each verdict so often, to see how far the judge agrees with itself
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(1..=100))]
    repeats: usize,

    /// Ask so often for a verdict that cannot be read, the first time counted
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = whole(1..=10))]
    attempts: usize,

    /// How freely judges speak; 0 takes the likeliest tokens
    #[arg(long, default_value = "0", value_name = "T", value_parser = temperature)]
    temperature: f32,

    /// Tokens of a verdict at most
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = whole(1..=MOST))]
    max_tokens: usize,

    /// Do not ask services to keep to a JSON schema
    #[arg(long)]
    no_schema: bool,

    /// Grades that a person gave on the report's page
    #[arg(long, value_name = "FILE")]
    human: Vec<PathBuf>,

    /// Replace earlier grades of the same person
    #[arg(long, requires = "human")]
    force: bool,

    #[command(flatten)]
    asking: AskingArgs,
}

fn scale(text: &str) -> Result<(i64, i64), String> {
    let numbers = text.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    numbers.filter(|(low, high)| low < high).ok_or_else(|| "it is LOW-HIGH, as in 1-5".to_owned())
}

impl Grade {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let judges = self.judge.len() + self.judge_api.len() + self.judge_gemini.len();
        if judges == 0 && self.human.is_empty() && !self.asking.dry_run {
            bail!(
                "there is nobody to grade; name a judge with --judge, --judge-api or --judge-gemini, or give --human FILE"
            );
        }
        let mut run = Run::open(&self.run)?;
        for file in &self.human {
            let taken = take_human_grades(&run, file, self.force)?;
            ui.note(format_args!("{}: {} grades taken", taken.grader, taken.grades.len()));
        }
        let mut templates: Vec<(String, Vec<Template>)> = Vec::new();
        for name in &self.template {
            templates.push((name.clone(), Template::find(name, self.scale)?));
        }
        self.tell(&run, &templates, ui);
        let mut services: Vec<(ApiModel, Option<Price>)> = Vec::new();
        for (of, protocol) in [(&self.judge_api, Protocol::OpenAi), (&self.judge_gemini, Protocol::Gemini)] {
            for (name, url) in of {
                services.push((self.asking.api(name, url, protocol)?, self.asking.price(name)?));
            }
        }
        let interrupt = Interrupt::install("")?;
        let budget = self.asking.budget();
        // All that costs is said before any of it is asked.
        for (service, price) in &services {
            for (name, templates) in &templates {
                self.estimate(&run, service, name, templates, &budget, *price, ui)?;
            }
        }
        if self.asking.dry_run {
            return self.dry_run(&run, &templates);
        }
        for name in &self.judge {
            let judge = self.asking.local(name, name, ui)?;
            for (name, templates) in &templates {
                self.estimate(&run, &judge, name, templates, &budget, None, ui)?;
                self.ask(&mut run, &judge, name, templates, &budget, None, (&interrupt, ui))?;
            }
        }
        for (service, price) in &services {
            for (name, templates) in &templates {
                self.ask(&mut run, service, name, templates, &budget, *price, (&interrupt, ui))?;
            }
        }
        tell_spent(&services, &budget, ui);
        ui.note(format_args!("sai judge report {}", self.run.display()));
        Ok(())
    }

    /// What a person should know before the judges are asked.
    fn tell(&self, run: &Run, templates: &[(String, Vec<Template>)], ui: &Ui) {
        for (name, templates) in templates {
            let has = |field: &str| templates.iter().any(|template| template.has(field));
            let ruled = run.prompts.iter().filter(|prompt| prompt.rules.is_some()).count();
            if ruled > 0 && !has("rules") {
                ui.warn(format_args!("{name}: {ruled} prompts have rules of their own, which it has no {{rules}} for; its judge does not hear of them"));
            }
            if has("reference") {
                let without = run
                    .prompts
                    .iter()
                    .filter(|prompt| prompt.references.iter().flatten().next().is_none())
                    .count();
                if without > 0 {
                    ui.note(format_args!(
                        "{name}: {without} of {} prompts have no reference, and are not graded by it",
                        run.prompts.len()
                    ));
                }
            }
        }
    }

    fn grading(&self, judge: &dyn ChatModel, name: &str, templates: &[Template]) -> anyhow::Result<Grading> {
        let pairs = templates.iter().any(|template| template.form == Form::Preference);
        let grading = Grading {
            judge: judge.name().to_owned(),
            identity: judge.identity(),
            local: !judge.is_paid(),
            name: file_name(name),
            templates: templates.to_vec(),
            repeats: self.repeats,
            attempts: self.attempts,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            schema: judge.is_paid() && !self.no_schema,
            against: self.against.clone().filter(|_| pairs),
        };
        grading.check()?;
        Ok(grading)
    }

    #[allow(clippy::too_many_arguments)]
    fn estimate(
        &self,
        run: &Run,
        judge: &dyn ChatModel,
        name: &str,
        templates: &[Template],
        budget: &Budget,
        price: Option<Price>,
        ui: &Ui,
    ) -> anyhow::Result<()> {
        let grading = self.grading(judge, name, templates)?;
        let options = AskOptions { parallel: self.asking.parallel, budget, price };
        let estimate = estimate_grades(run, &grading, judge, &answers(run)?, options)?;
        self.asking.announce(ui, &format!("{} ({})", judge.name(), grading.name), &estimate);
        for contestant in &run.facts.contestants {
            let told = kinship((judge.name(), &judge.identity()), (&contestant.name, &contestant.identity));
            if let Some(told) = told {
                ui.warn(format_args!("{told}: judges prefer their own"));
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn ask(
        &self,
        run: &mut Run,
        judge: &dyn ChatModel,
        name: &str,
        templates: &[Template],
        budget: &Budget,
        price: Option<Price>,
        (interrupt, ui): (&Interrupt, &Ui),
    ) -> anyhow::Result<()> {
        let grading = self.grading(judge, name, templates)?;
        let given = answers(run)?;
        items(run, &grading, &given)?;
        run.add_grading(grading.clone())?;
        let options = AskOptions { parallel: self.asking.parallel, budget, price };
        let title = format!("{} ({})", judge.name(), grading.name);
        watch(ui, interrupt, &title, |progress| {
            collect_grades(run, &grading, judge, &given, options, progress)
        })
    }

    /// Three prompts as they would be sent.
    fn dry_run(&self, run: &Run, templates: &[(String, Vec<Template>)]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let given = answers(run)?;
        for (name, templates) in templates {
            let grading = Grading {
                judge: String::new(),
                identity: String::new(),
                local: false,
                name: file_name(name),
                templates: templates.clone(),
                repeats: 1,
                attempts: 1,
                temperature: 0.0,
                max_tokens: self.max_tokens,
                schema: false,
                against: self
                    .against
                    .clone()
                    .filter(|_| templates.iter().any(|template| template.form == Form::Preference)),
            };
            let items = items(run, &grading, &given)?;
            writeln!(out, "{name}: {} prompts for each judge", items.len() * self.repeats)?;
            // From the beginning, the middle and the end.
            let mut places = vec![0, items.len() / 2, items.len().saturating_sub(1)];
            places.dedup();
            for item in places.into_iter().filter_map(|place| items.get(place)) {
                let seats: Vec<_> =
                    item.seats.iter().map(|who| run.facts.contestants[*who].name.as_str()).collect();
                let id = &run.prompts[item.prompt].id;
                writeln!(out, "\n--- {}, {} ---", visible(id), visible(&seats.join(" · ")))?;
                if let Some(system) = &grading.templates[item.template].system {
                    writeln!(out, "[system] {}", visible(system))?;
                }
                writeln!(out, "{}", visible(&message(run, &grading, &given, item)))?;
            }
        }
        Ok(())
    }
}

/// What a template's file is called, without its folder.
fn file_name(name: &str) -> String {
    std::path::Path::new(name)
        .file_name()
        .map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned())
}
