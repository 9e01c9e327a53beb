//! Builds a corpus and its report without the command, and says how long each step took:
//! `cargo run --release -p sai-corpus --example build -- RECIPE FOLDER [THREADS] [MEMORY]`.

#![allow(clippy::print_stdout, reason = "an example for people")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use sai_corpus::{Options, Outcome, Plan, Recipe, Step, report};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let recipe = PathBuf::from(arguments.next().ok_or("a recipe")?);
    let folder = PathBuf::from(arguments.next().ok_or("a folder to build in")?);
    let number = |text: Option<String>, otherwise| text.map_or(Ok(otherwise), |text| text.parse::<u64>());
    let threads = number(arguments.next(), 2)? as usize;
    let memory = number(arguments.next(), 2_000_000_000)?;
    let near = recipe.parent().unwrap_or(Path::new("."));
    let plan =
        Plan::new(Recipe::open(&recipe)?, near, &folder, &mut |_| unreachable!("no data set of the Hub"))?;
    let (began, at) = (Instant::now(), Mutex::new((Step::Map, Instant::now())));
    let watch = |progress: sai_corpus::Progress| {
        let mut at = at.lock().expect("no panic");
        if at.0 != progress.step {
            println!("{:?}: {:.1} s", at.0, at.1.elapsed().as_secs_f64());
            *at = (progress.step, Instant::now());
        }
        ControlFlow::Continue(())
    };
    let options = Options { threads, memory, share: (0, 1), ..Options::default() };
    let Outcome::Whole(manifest) = plan.build(&options, &watch)? else { return Err("not whole".into()) };
    println!("all: {:.1} s", began.elapsed().as_secs_f64());
    for flow in &manifest.flow {
        println!("{:<10} {:>8} documents {:>12} bytes", flow.step, flow.left.documents, flow.left.bytes);
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::fs::write(folder.join("report.html"), report(&manifest, &name))?;
    Ok(())
}
