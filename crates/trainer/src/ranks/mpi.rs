//! Ranks as MPI has them: processes under `mpirun` or `srun`.
//!
//! MPI lives on a thread of its own, the only one that calls it, so that sums go on while the others compute: most
//! implementations move nothing unless somebody calls them. That thread asks again and again whether an operation is
//! complete, sleeping between, rather than let MPI spin on a core that has work to do.

use super::Ranks;
use crate::Error;
use ::mpi::collective::{CommunicatorCollectives, Root, SystemOperation};
use ::mpi::request::{LocalScope, Request, scope};
use ::mpi::topology::{Communicator, SimpleCommunicator};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often an operation is asked for before its thread sleeps.
const ASKED: u32 = 64;
const SLEEP: Duration = Duration::from_micros(50);

/// One of several processes that MPI connects.
pub struct Mpi {
    rank: usize,
    size: usize,
    tasks: Option<Sender<Task>>,
    done: Receiver<PassStats>,
    /// Sums that were begun and not handed out or finished.
    under_way: Cell<usize>,
    /// Buffers for the next sums.
    spare: RefCell<Vec<Vec<f32>>>,
    abort: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is asked of MPI's thread.
enum Task {
    /// `room` is for the sum, on the rank that gets it.
    Sum {
        to: usize,
        at: usize,
        values: Vec<f32>,
        room: Option<Vec<f32>>,
    },
    Add {
        values: Vec<f64>,
        answer: Sender<Vec<f64>>,
    },
    Gather {
        mine: Vec<f32>,
        answer: Sender<Vec<f32>>,
    },
    Broadcast {
        from: usize,
        values: Vec<f32>,
        answer: Sender<Vec<f32>>,
    },
    Nearby {
        value: u64,
        answer: Sender<Vec<u64>>,
    },
    Abort,
}

/// A sum that this rank has done its part of.
struct PassStats {
    at: usize,
    values: Vec<f32>,
    sum: Option<Vec<f32>>,
}

impl Mpi {
    /// Connects this process to those that were started with it. Once a process.
    ///
    /// # Errors
    /// MPI was begun before, or no thread can be started.
    pub fn connect() -> Result<Mpi, Error> {
        let (tasks, asked) = channel();
        let (finished, done) = channel();
        let (begun, ready) = channel();
        let abort = Arc::new(AtomicBool::new(false));
        let aborts = Arc::clone(&abort);
        let thread = std::thread::Builder::new()
            .name("mpi".to_owned())
            .spawn(move || {
                let Some((universe, _)) = ::mpi::initialize_with_threading(::mpi::Threading::Funneled) else {
                    return;
                };
                let world = universe.world();
                if begun.send((world.rank() as usize, world.size() as usize)).is_ok() {
                    Connection { world, abort: aborts }.serve(&asked, &finished);
                }
            })
            .map_err(|e| Error::Ranks { fact: format!("no thread can be started for MPI: {e}") })?;
        let (rank, size) =
            ready.recv().map_err(|_| Error::Ranks { fact: "MPI was begun before".to_owned() })?;
        Ok(Mpi {
            rank,
            size,
            tasks: Some(tasks),
            done,
            under_way: Cell::new(0),
            spare: RefCell::default(),
            abort,
            thread: Some(thread),
        })
    }

    /// The `value` of every rank on this rank's machine, its own among them.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn nearby(&self, value: u64) -> Result<Vec<u64>, Error> {
        self.ask(|answer| Task::Nearby { value, answer })
    }

    /// Ends all ranks now. Does not return: MPI ends this process too.
    pub fn abort(&self) -> ! {
        self.abort.store(true, Ordering::SeqCst);
        // Wakes the thread where it waits for something to do.
        let _ = self.tasks.as_ref().map(|tasks| tasks.send(Task::Abort));
        loop {
            std::thread::park();
        }
    }

    fn send(&self, task: Task) -> Result<(), Error> {
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(task));
        sent.and_then(Result::ok).ok_or_else(lost)
    }

    fn ask<T>(&self, task: impl FnOnce(Sender<T>) -> Task) -> Result<T, Error> {
        let (answer, answered) = channel();
        self.send(task(answer))?;
        answered.recv().map_err(|_| lost())
    }

    fn spare(&self, len: usize) -> Vec<f32> {
        let mut buffer = self.spare.borrow_mut().pop().unwrap_or_default();
        buffer.resize(len, 0.0);
        buffer
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn begin_sum(
        &self,
        to: usize,
        at: usize,
        len: usize,
        fill: &mut dyn FnMut(&mut [f32]),
    ) -> Result<(), Error> {
        let mut values = self.spare(len);
        fill(&mut values);
        let room = (to == self.rank).then(|| self.spare(len));
        self.send(Task::Sum { to, at, values, room })?;
        self.under_way.set(self.under_way.get() + 1);
        Ok(())
    }

    fn sums(&self, left: usize, on: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error> {
        loop {
            let under_way = self.under_way.get();
            let found = match under_way > left {
                true => Some(self.done.recv().map_err(|_| lost())?),
                false => self.done.try_recv().ok(),
            };
            let Some(PassStats { at, values, sum }) = found else { return Ok(()) };
            self.under_way.set(under_way - 1);
            let mut spare = self.spare.borrow_mut();
            spare.push(values);
            if let Some(sum) = sum {
                on(at, &sum);
                spare.push(sum);
            }
        }
    }

    fn add(&self, values: &mut [f64]) -> Result<(), Error> {
        let sums = self.ask(|answer| Task::Add { values: values.to_vec(), answer })?;
        values.copy_from_slice(&sums);
        Ok(())
    }

    fn gather(&self, mine: &[f32], all: &mut [f32]) -> Result<(), Error> {
        all.copy_from_slice(&self.ask(|answer| Task::Gather { mine: mine.to_vec(), answer })?);
        Ok(())
    }

    fn broadcast(&self, from: usize, values: &mut [f32]) -> Result<(), Error> {
        let sent = self.ask(|answer| Task::Broadcast { from, values: values.to_vec(), answer })?;
        values.copy_from_slice(&sent);
        Ok(())
    }
}

impl Drop for Mpi {
    /// Leaves MPI, as all ranks do at the end of a run. One that panics ends the others, who would wait for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort.store(true, Ordering::SeqCst);
            let _ = self.tasks.as_ref().map(|tasks| tasks.send(Task::Abort));
        }
        self.tasks = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lost() -> Error {
    Error::Ranks { fact: "the thread that speaks with the other ranks has ended".to_owned() }
}

/// MPI's side of it.
struct Connection {
    world: SimpleCommunicator,
    abort: Arc<AtomicBool>,
}

impl Connection {
    /// Does one task after another until there can be no more.
    fn serve(&self, asked: &Receiver<Task>, done: &Sender<PassStats>) {
        while let Ok(task) = asked.recv() {
            // A rank that does not wait for its answer any more is about to leave.
            match task {
                Task::Sum { to, at, values, mut room } => {
                    self.sum(to, &values, room.as_deref_mut());
                    let _ = done.send(PassStats { at, values, sum: room });
                }
                Task::Add { mut values, answer } => {
                    let mut sums = values.clone();
                    self.sum(0, &values, (self.world.rank() == 0).then_some(&mut sums[..]));
                    values.copy_from_slice(&sums);
                    self.broadcast(0, &mut values);
                    let _ = answer.send(values);
                }
                Task::Gather { mine, answer } => {
                    let mut all = vec![0.0f32; mine.len() * self.world.size() as usize];
                    scope(|scope| {
                        self.wait(self.world.immediate_all_gather_into(scope, &mine[..], &mut all[..]));
                    });
                    let _ = answer.send(all);
                }
                Task::Broadcast { from, mut values, answer } => {
                    self.broadcast(from, &mut values);
                    let _ = answer.send(values);
                }
                Task::Nearby { value, answer } => {
                    let machine = self.world.split_shared(self.world.rank());
                    let mut all = vec![0u64; machine.size() as usize];
                    machine.all_gather_into(&value, &mut all[..]);
                    let _ = answer.send(all);
                }
                Task::Abort => self.world.abort(1),
            }
        }
    }

    /// Sums over ranks, into `sum` on the one that gets it.
    fn sum<T: ::mpi::traits::Equivalence>(&self, to: usize, values: &[T], sum: Option<&mut [T]>) {
        let (root, add) = (self.world.process_at_rank(to as i32), SystemOperation::sum());
        scope(|scope| match sum {
            Some(sum) => self.wait(root.immediate_reduce_into_root(scope, values, sum, add)),
            None => self.wait(root.immediate_reduce_into(scope, values, add)),
        });
    }

    fn broadcast<T: ::mpi::traits::Equivalence>(&self, from: usize, values: &mut [T]) {
        let root = self.world.process_at_rank(from as i32);
        scope(|scope| self.wait(root.immediate_broadcast_into(scope, values)));
    }

    /// Waits for an operation, or ends all ranks where this one was told to.
    fn wait<'a, T: ?Sized>(&self, mut request: Request<'a, T, &LocalScope<'a>>) {
        let mut asked = 0;
        while let Err(more) = request.test() {
            if self.abort.load(Ordering::SeqCst) {
                self.world.abort(1);
            }
            request = more;
            asked += 1;
            match asked < ASKED {
                true => std::thread::yield_now(),
                false => std::thread::sleep(SLEEP),
            }
        }
    }
}
