//! What came of tasks, on the screen and in files.

use std::io::Write;
use std::path::{Path, PathBuf};

use sai_evals::{Profile, Report, Sample, Table, Task, TaskResult, Uncontaminated};

use super::{chart, table};

/// Where results go.
#[derive(clap::Args)]
#[command(next_help_heading = "Tasks")]
pub(super) struct OutputArgs {
    /// Write each document, its log-likelihoods and what was chosen here, a JSON object a line
    #[arg(long, value_name = "FILE", requires = "tasks")]
    samples: Option<PathBuf>,

    /// Put the columns that 42dot published before the measured ones
    #[arg(long, value_enum, requires = "tasks")]
    compare: Option<Compare>,

    /// How tables are printed
    #[arg(long, value_enum, default_value_t = TableFormat::Plain, requires = "tasks", conflicts_with = "json")]
    table: TableFormat,

    /// Draw the tables as bars into this SVG file
    #[arg(long, value_name = "FILE", requires = "tasks")]
    chart: Option<PathBuf>,

    /// Write tables, charts and documents as one page of HTML
    #[arg(long, value_name = "FILE", requires = "tasks")]
    report: Option<PathBuf>,

    /// Replace what is at --samples, --chart and --report
    #[arg(long, requires = "tasks")]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Compare {
    Published,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TableFormat {
    Plain,
    Markdown,
    Latex,
}

/// What models made of tasks.
pub(super) struct Results<'t> {
    pub(super) tasks: &'t [&'t Task],
    pub(super) profile: Profile,
    /// Models and a result for each task.
    pub(super) models: Vec<(String, Vec<TaskResult>)>,
    /// Of each model: results without documents that occur in the corpus, where one was checked.
    pub(super) uncontaminated: Vec<(String, Vec<Uncontaminated>)>,
    /// The corpus.
    pub(super) corpus: Option<String>,
}

impl OutputArgs {
    /// Holds what is to be written against what is there, before any work is done.
    pub(super) fn check(&self, reads: &[&Path]) -> anyhow::Result<()> {
        for target in self.samples.iter().chain(&self.chart).chain(&self.report) {
            crate::output::check_file(target, self.force, reads)?;
        }
        match &self.chart {
            Some(chart) => crate::svg::check_name(chart),
            None => Ok(()),
        }
    }

    /// Writes the files, and prints the tables or adds the results to `json`.
    pub(super) fn write(
        &self,
        results: &Results<'_>,
        json: Option<&mut serde_json::Map<String, serde_json::Value>>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.samples {
            crate::output::write_whole(path, lines(results).as_bytes())?;
        }
        let published = self.compare == Some(Compare::Published);
        let tables = sai_evals::tables(results.tasks, &results.models, published);
        if let Some(path) = &self.chart {
            chart::write(path, &tables)?;
        }
        if let Some(path) = &self.report {
            crate::output::write_whole(path, page(results, &tables)?.as_bytes())?;
        }
        if let Some(json) = json {
            let of_model = |(name, of): &(String, Vec<TaskResult>)| {
                let mut found = sai_evals::harness(name, results.profile, of);
                let without = results.uncontaminated.iter().find(|(of, _)| of == name);
                if let Some((_, without)) = without {
                    found["contamination"] = serde_json::json!({"corpus": results.corpus, "tasks": without});
                }
                found
            };
            json.insert("tasks".to_owned(), results.models.iter().map(of_model).collect());
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        for (i, one) in tables.iter().chain(&without(results)).enumerate() {
            let text = match self.table {
                TableFormat::Plain => table::plain(one),
                TableFormat::Markdown => table::markdown(one),
                TableFormat::Latex => table::latex(one),
            };
            write!(out, "{}{text}", if i == 0 { "" } else { "\n" })?;
        }
        // What occurs is the same for all models.
        for of in results.uncontaminated.first().map_or(&[][..], |(_, tasks)| tasks) {
            let short = match of.too_short {
                0 => String::new(),
                n => format!("; {n} are too short to tell"),
            };
            writeln!(
                out,
                "{}: {} of {} documents occur in the corpus{short}.",
                of.task, of.found, of.documents
            )?;
        }
        Ok(())
    }
}

/// The figures without documents that occur, as a table.
fn without(results: &Results<'_>) -> Option<Table> {
    let (_, first) = results.uncontaminated.first()?;
    let mut rows = Vec::new();
    for (at, of) in first.iter().enumerate() {
        for (i, figure) in of.figures.iter().enumerate() {
            let cell = |(_, tasks): &(String, Vec<Uncontaminated>)| {
                let figure = tasks.get(at)?.figures.get(i)?;
                Some(sai_evals::Cell { value: figure.value, stderr: figure.stderr })
            };
            let filter = figure.filter.as_ref().map(|filter| format!("/{filter}")).unwrap_or_default();
            let name = format!("{}/{}{filter}", of.task, figure.metric.key());
            rows.push((name, results.uncontaminated.iter().map(cell).collect()));
        }
    }
    Some(Table {
        title: "Without documents of the corpus".to_owned(),
        columns: results.uncontaminated.iter().map(|(name, _)| name.clone()).collect(),
        published: 0,
        rows,
        average: None,
        missing: Vec::new(),
    })
}

fn lines(results: &Results<'_>) -> String {
    let mut text = String::new();
    for (model, of_model) in &results.models {
        for (result, task) in of_model.iter().zip(results.tasks) {
            for sample in &result.samples {
                text += &line(model, task, sample);
                text.push('\n');
            }
        }
    }
    text
}

fn line(model: &str, task: &Task, sample: &Sample) -> String {
    let mut line = sai_evals::sample(task, sample);
    line["model"] = model.into();
    line.to_string()
}

fn page(results: &Results<'_>, tables: &[Table]) -> anyhow::Result<String> {
    let mut drawn = Vec::new();
    for table in tables {
        drawn.push((table.clone(), chart::draw(std::slice::from_ref(table))?));
    }
    let mut facts = vec![
        ("rules".to_owned(), format!("lm-evaluation-harness, {}", results.profile.version())),
        ("made by".to_owned(), concat!("sai ", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    facts.extend(results.corpus.iter().map(|corpus| ("corpus".to_owned(), corpus.clone())));
    for result in results.models.first().map_or(&[][..], |(_, results)| results) {
        let count =
            format!("{} of {} documents, {} examples", result.documents, result.available, result.examples);
        let sums = result.data.iter().map(|file| format!("; SHA-256 {}", file.sha256));
        facts.push((result.task.clone(), count + &sums.collect::<String>()));
    }
    Ok(sai_evals::report(&Report {
        title: "Evaluation by tasks",
        facts: &facts,
        tables: &drawn,
        tasks: results.tasks,
        models: &results.models,
        uncontaminated: &results.uncontaminated,
    }))
}
