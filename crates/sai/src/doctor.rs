//! `sai doctor`: what this machine has, what sai will use of it, and what is missing for what.

mod machine;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sai_decoder::{Cpu, Limits};
use serde_json::{Value, json};

use crate::models::{self, built_in, memory};
use crate::ui::{Size, Ui};

/// Say what this machine has, what sai will use of it, and what is missing for what.
#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Threads to measure with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The large model that is named everywhere, and about what it takes of disk and memory.
const LARGE: (&str, u64) = ("42dot-sft", 3_000_000_000);

/// The folder of what the Hub gave.
const HUB: &str = "Hub cache";

/// What was found.
struct Findings {
    processor: Option<String>,
    cores: usize,
    threads: usize,
    instruction_sets: Vec<&'static str>,
    limits: Limits,
    memory: Option<u64>,
    available: Option<u64>,
    caches: Option<String>,
    gpus: Vec<String>,
    /// Processes that a launcher began together.
    ranks: Option<usize>,
    folders: Vec<Folder>,
    /// What is taken where no model is named.
    default_model: String,
    /// Whether the Hub is not to be asked.
    offline: bool,
    tools: Vec<Tool>,
}

/// A folder that sai looks into or writes to.
struct Folder {
    what: &'static str,
    path: PathBuf,
    /// Models in it, if it is there.
    models: Option<usize>,
    /// Bytes that the disk has left.
    free: Option<u64>,
}

/// A program that something needs.
struct Tool {
    name: &'static str,
    needed_for: &'static str,
    way_out: &'static str,
    path: Option<PathBuf>,
}

impl Doctor {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        ui.note("measuring the machine, about a second");
        let findings = Findings::of(self.threads);
        let text = if self.json { format!("{:#}\n", findings.json()) } else { findings.text() };
        Ok(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?)
    }
}

impl Findings {
    fn of(threads: usize) -> Findings {
        let cpu = Cpu::new(threads);
        let mut folders: Vec<Folder> =
            models::folders().into_iter().map(|path| Folder::of("models", path, is_gguf)).collect();
        if let Ok(path) = models::hub_cache() {
            folders.push(Folder::of(HUB, path, is_repository));
        }
        Findings {
            processor: processor(),
            cores: crate::cli::threads(0),
            threads: cpu.threads(),
            instruction_sets: Cpu::instruction_sets(),
            limits: cpu.limits(),
            memory: memory::total(),
            available: memory::available(),
            caches: machine::caches(),
            gpus: machine::gpus(),
            ranks: machine::ranks(),
            folders,
            default_model: crate::cli::default_model(),
            offline: models::is_offline(),
            tools: tools(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |what: &str, fact: String| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{what:<12}  {fact}");
        };
        let sets = self.instruction_sets.join(", ");
        line("processor", self.processor.clone().unwrap_or_else(|| "unknown".to_owned()));
        line("", format!("{} cores, {}", self.cores, std::env::consts::ARCH));
        line("", format!("instruction sets that sai has kernels for: {sets}"));
        if let Some(caches) = &self.caches {
            line("", format!("caches: {caches}"));
        }
        if !self.gpus.is_empty() {
            line("GPU", self.gpus.join(", "));
        }
        let size = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |bytes| Size(bytes).to_string());
        line("memory", format!("{}, {} available", size(self.memory), size(self.available)));
        let l = &self.limits;
        line(
            "limits",
            format!(
                "reads {:.1} GB/s, {:.0} GFLOP/s in f32, {:.0} GOP/s in bytes",
                l.read_bytes_s / 1e9,
                l.f32_flops / 1e9,
                l.int8_ops / 1e9
            ),
        );
        line("ranks", self.ranks());
        line(
            "built in",
            format!("{}, the small model that comes with sai, {}", built_in::NAME, Size(built_in::bytes())),
        );
        for folder in &self.folders {
            line(folder.what, folder.text());
        }
        let best = self.instruction_sets.last().copied().unwrap_or("plain code");
        line(
            "sai uses",
            format!("the processor, {} threads, {best}; this version has no other device", self.threads),
        );
        line("", format!("the model {} where none is named", self.default_model));
        line(
            "reading",
            format!(
                "a model of 1 GB is read at most {:.0} times a second: so many tokens it can write",
                l.read_bytes_s / 1e9
            ),
        );
        let missing = self.missing();
        if missing.is_empty() {
            line("missing", "nothing".to_owned());
        }
        for (i, fact) in missing.into_iter().enumerate() {
            line(if i == 0 { "missing" } else { "" }, fact);
        }
        out
    }

    /// How many processes work together, and whether more could.
    fn ranks(&self) -> String {
        let now = match self.ranks {
            Some(count) => format!("{count}, begun by a launcher"),
            None => "this process alone".to_owned(),
        };
        let able =
            if cfg!(feature = "mpi") { "several under mpirun or srun" } else { "this build has no MPI" };
        format!("{now}; {able}")
    }

    /// What cannot be done here, and what would help.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let (large, bytes) = LARGE;
        if let Some(available) = self.available.filter(|&available| available < bytes) {
            missing.push(format!(
                "to run {large}: {} of memory, where {} are available; quantised it takes a third",
                Size(bytes),
                Size(available)
            ));
        }
        let hub = self.folders.iter().find(|folder| folder.what == HUB);
        if let Some(free) = hub.and_then(|folder| folder.free).filter(|&free| free < bytes) {
            missing.push(format!(
                "to fetch {large}: {} of disk, where {} are free; HF_HOME names another",
                Size(bytes),
                Size(free)
            ));
        }
        if self.offline {
            missing.push("to fetch models: HF_HUB_OFFLINE is set, so that the Hub is not asked".to_owned());
        }
        if !self.gpus.is_empty() {
            missing
                .push("to compute on the GPU: a device for it, which this version does not have".to_owned());
        }
        if cfg!(target_arch = "x86_64") && self.instruction_sets.len() == 1 {
            missing.push("for speed: AVX2; without it plain code runs, several times slower".to_owned());
        }
        if cfg!(not(feature = "mpi")) {
            missing.push(
                "to train on more than one machine: this build has no MPI; build with --features mpi"
                    .to_owned(),
            );
        }
        let absent = self.tools.iter().filter(|tool| tool.path.is_none());
        missing.extend(absent.map(|tool| format!("{}: {}; {}", tool.needed_for, tool.name, tool.way_out)));
        missing
    }

    fn json(&self) -> Value {
        let folder =
            |f: &Folder| json!({"what": f.what, "path": f.path, "models": f.models, "free_bytes": f.free});
        let tool = |t: &Tool| json!({"name": t.name, "needed_for": t.needed_for, "path": t.path});
        json!({
            "processor": self.processor,
            "architecture": std::env::consts::ARCH,
            "cores": self.cores,
            "threads": self.threads,
            "instruction_sets": self.instruction_sets,
            "read_bytes_s": self.limits.read_bytes_s,
            "f32_flops": self.limits.f32_flops,
            "int8_ops": self.limits.int8_ops,
            "memory_bytes": self.memory,
            "available_bytes": self.available,
            "caches": self.caches,
            "gpus": self.gpus,
            "ranks": self.ranks,
            "mpi": cfg!(feature = "mpi"),
            "built_in": {"name": built_in::NAME, "bytes": built_in::bytes()},
            "folders": self.folders.iter().map(folder).collect::<Vec<_>>(),
            "default_model": self.default_model,
            "tools": self.tools.iter().map(tool).collect::<Vec<_>>(),
            "missing": self.missing(),
        })
    }
}

impl Folder {
    fn of(what: &'static str, path: PathBuf, is_model: fn(&Path) -> bool) -> Folder {
        let models = std::fs::read_dir(&path)
            .ok()
            .map(|entries| entries.filter_map(Result::ok).filter(|entry| is_model(&entry.path())).count());
        // Of a folder that is not there yet, the disk is that of the nearest one above.
        let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let free = absolute.ancestors().find(|path| path.exists()).and_then(free_bytes);
        Folder { what, path, models, free }
    }

    fn text(&self) -> String {
        let models = match self.models {
            None => "not there yet".to_owned(),
            Some(1) => "1 model".to_owned(),
            Some(n) => format!("{n} models"),
        };
        let free = self.free.map_or(String::new(), |free| format!(", {} free", Size(free)));
        format!("{}: {models}{free}", self.path.display())
    }
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

fn is_repository(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("models--"))
}

/// Bytes that the disk of `path` has left for this user.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(path).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// What the processor calls itself.
pub(crate) fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let named = |line: &str| {
        line.strip_prefix("model name").map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
    };
    text.lines().find_map(named)
}

fn tools() -> Vec<Tool> {
    let tool = |name, needed_for, way_out| Tool { name, needed_for, way_out, path: in_path(name) };
    vec![tool("mpirun", "to train on more than one machine", "install an MPI, such as Debian's openmpi-bin")]
}

/// Where the shell would find a program.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
