//! Which of a run's processes this is: the only one, or one of those that `mpirun` or `srun` started.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;

use anyhow::bail;
use sai_trainer::{One, Ranks};

use crate::interrupt::EXIT_INTERRUPTED;
use crate::ui::Ui;

/// What says how many processes were started together: Open MPI, MPICH and Intel MPI, Slurm.
const STARTED: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// The processes of a run.
pub(crate) enum Team {
    One(One),
    #[cfg(feature = "mpi")]
    Mpi(sai_trainer::Mpi),
}

impl Team {
    /// Finds the others, where there are any.
    pub(crate) fn join() -> anyhow::Result<Team> {
        let said = |name| std::env::var(name).ok()?.parse::<usize>().ok();
        match STARTED.into_iter().filter_map(said).max() {
            Some(started) if started > 1 => connect(started),
            _ => Ok(Team::One(One::default())),
        }
    }

    pub(crate) fn ranks(&self) -> &dyn Ranks {
        match self {
            Team::One(one) => one,
            #[cfg(feature = "mpi")]
            Team::Mpi(mpi) => mpi,
        }
    }

    /// Does this process's part of a run and leaves: with the code of what is interrupted where `work` says that it did not
    /// finish. Where it failed, this says why and ends the other processes, for they would wait for this one.
    pub(crate) fn run(
        self,
        ui: &Ui,
        work: impl FnOnce(&Team, &Ui) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        // Only the first one's notices are wanted.
        let ui = &if self.ranks().rank() == 0 { ui.clone() } else { ui.hushed() };
        let result = work(&self, ui);
        #[cfg(feature = "mpi")]
        if let (Team::Mpi(mpi), Err(error)) = (&self, &result) {
            if mpi.rank() > 0 {
                // What is wrong for all of them the first one says, and ends the others meanwhile.
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
            ui.error(error);
            mpi.abort();
        }
        drop(self);
        if !result? {
            std::process::exit(EXIT_INTERRUPTED);
        }
        Ok(())
    }

    /// How many processes of the run are on this machine, and how many threads are this one's: a part of the cores that it
    /// may use, where others may use the same.
    pub(crate) fn share(&self, threads: usize) -> anyhow::Result<(usize, usize)> {
        let mut hash = DefaultHasher::new();
        cores().hash(&mut hash);
        let mine = hash.finish();
        let near = match self {
            Team::One(_) => vec![mine],
            #[cfg(feature = "mpi")]
            Team::Mpi(mpi) => mpi.nearby(mine)?,
        };
        if threads > 0 || near.len() == 1 {
            return Ok((near.len(), threads));
        }
        let same = near.iter().filter(|&&theirs| theirs == mine).count();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok((near.len(), (cores / same.max(1)).max(1)))
    }
}

#[cfg(feature = "mpi")]
fn connect(started: usize) -> anyhow::Result<Team> {
    let mpi = sai_trainer::Mpi::connect()?;
    if mpi.size() == 1 {
        bail!(
            "this is one of {started} processes, but MPI knows of no others; under Slurm start them with \
             `srun --mpi=pmix`, and use the mpirun of the MPI that sai was built with"
        );
    }
    Ok(Team::Mpi(mpi))
}

#[cfg(not(feature = "mpi"))]
fn connect(started: usize) -> anyhow::Result<Team> {
    bail!(
        "this is one of {started} processes, but this sai was built without them; build it with \
         `cargo build --release --features mpi`"
    )
}

/// The cores that this process may use, as the system names them; the same for all where it does not say.
fn cores() -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).map(str::to_owned)
}
