//! What the system says of its devices, caches and ranks. All of it may be unknown.

use std::fs;
use std::path::{Path, PathBuf};

/// The processor's caches as its first core has them: `L1 32K, L2 1024K, L3 32768K`. None where the system does not say.
pub(super) fn caches() -> Option<String> {
    caches_in(Path::new("/sys/devices/system/cpu/cpu0/cache"))
}

fn caches_in(folder: &Path) -> Option<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let fact = |name: &str| Some(fs::read_to_string(entry.path().join(name)).ok()?.trim().to_owned());
        let (Some(level), Some(kind), Some(size)) = (fact("level"), fact("type"), fact("size")) else {
            continue;
        };
        if kind != "Instruction" {
            found.push(format!("L{level} {size}"));
        }
    }
    found.sort();
    (!found.is_empty()).then(|| found.join(", "))
}

/// Graphics processors of the system, by name where it is known.
pub(super) fn gpus() -> Vec<String> {
    gpus_in(Path::new("/proc/driver/nvidia/gpus"))
}

fn gpus_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |path: PathBuf| {
        let text = fs::read_to_string(path.join("information")).unwrap_or_default();
        let model = text.lines().find_map(|line| line.strip_prefix("Model:"));
        model.map_or_else(|| "NVIDIA GPU".to_owned(), |name| name.trim().to_owned())
    };
    entries.map(|entry| name(entry.path())).collect()
}

/// How many processes a launcher has begun together with this one.
pub(super) fn ranks() -> Option<usize> {
    // Open MPI, MPICH and Intel MPI, Slurm: each tells its children so.
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    #[test]
    fn the_system_is_read() {
        let home = tempfile::tempdir().expect("a folder");
        let at = |name: &str| home.path().join(name);
        for (index, level, kind, size) in
            [(0, 1, "Data", "32K"), (1, 1, "Instruction", "32K"), (3, 3, "Unified", "16M")]
        {
            for (name, fact) in [("level", level.to_string()), ("type", kind.into()), ("size", size.into())] {
                write(&at(&format!("cache/index{index}/{name}")), &format!("{fact}\n"));
            }
        }
        assert_eq!(caches_in(&at("cache")).as_deref(), Some("L1 32K, L3 16M"));
        assert_eq!(caches_in(&at("nothing")), None);
        write(&at("gpus/0000:01:00.0/information"), "Model: \t\t NVIDIA L4\nIRQ: 5\n");
        assert_eq!(gpus_in(&at("gpus")), ["NVIDIA L4"]);
        assert!(gpus_in(&at("nothing")).is_empty());
    }
}
