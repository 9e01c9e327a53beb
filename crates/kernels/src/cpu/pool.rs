//! One persistent pool of workers for the parallel regions of a token.
//!
//! A decoder opens a few hundred regions a token, some of them a few microseconds long, so starting one must cost less
//! than a system call: workers spin for a short while after a region and only then park. A region's tasks are shared
//! out beforehand, a run of them to each thread, so that threads do not fight over one counter; a thread that is done
//! takes what others have left, so an uneven machine (a busy core, a slow core) evens out by itself; and a worker
//! that comes when nothing is left is not waited for.

use std::cell::UnsafeCell;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// Rounds a worker looks for new work before it parks: some tens of microseconds, longer than the
/// gap between two regions of a token.
const SPIN_ROUNDS: u32 = 20_000;

/// Whether workers may enter the region; the bits below count those inside, the bits above the regions.
const OPEN: u64 = 1 << 31;
const NEXT_REGION: u64 = 1 << 32;

/// A value with cache lines to itself: two, for processors fetch them in pairs.
#[repr(align(128))]
struct Apart<T>(T);

/// A region's closure, with its lifetime taken away, and the number of its tasks.
#[derive(Clone, Copy)]
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    tasks: usize,
}

struct Shared {
    /// The number of the region, [`OPEN`], and how many workers are inside.
    gate: Apart<AtomicU64>,
    /// Written while the gate is closed and nobody inside, read inside.
    job: Apart<UnsafeCell<Option<Job>>>,
    /// The next task of each thread's run.
    next: Vec<Apart<AtomicUsize>>,
    /// Workers that are parked or about to be.
    parked: Apart<AtomicUsize>,
    panicked: AtomicBool,
    stop: AtomicBool,
}

// SAFETY: the job is shared under the gate's rule, stated there; a job's closure is `Sync`, and `Pool::run` keeps it
// alive until every worker has left it.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Worker threads that wait for parallel regions. The calling thread works too.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    handles: Vec<Thread>,
    /// Regions are opened one at a time, whoever calls.
    region: Mutex<()>,
}

impl Pool {
    /// A pool in which `threads` threads work, the caller among them; 0 means one per available core.
    pub(crate) fn new(threads: usize) -> Pool {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            n => n,
        };
        let shared = Arc::new(Shared {
            gate: Apart(AtomicU64::new(0)),
            job: Apart(UnsafeCell::new(None)),
            next: (0..threads).map(|_| Apart(AtomicUsize::new(0))).collect(),
            parked: Apart(AtomicUsize::new(0)),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        // A machine that refuses a thread still computes, with the threads it gave.
        let workers: Vec<_> = (1..threads)
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                thread::Builder::new().name(format!("sai-{i}")).spawn(move || work(&shared, i)).ok()
            })
            .collect();
        let handles = workers.iter().map(|w| w.thread().clone()).collect();
        Pool { shared, workers, handles, region: Mutex::new(()) }
    }

    /// Threads that work in a region, the caller among them.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task(0)`, …, `task(tasks - 1)`, each once, on any thread and in any order, and returns
    /// when all have returned. Must not be called from within a task.
    ///
    /// # Panics
    /// If a task panicked.
    pub(crate) fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() {
            return (0..tasks).for_each(task);
        }
        // The guard protects no data; a panic elsewhere leaves nothing broken.
        let _region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. `run` returns, or unwinds, only after the gate is
        // closed and empty, and a worker uses the job only between entering and leaving.
        let task_pointer: *const (dyn Fn(usize) + Sync + 'static) =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), _>(task) };
        // SAFETY: the last region left the gate closed and empty, and `region` keeps other callers out.
        unsafe { *shared.job.0.get() = Some(Job { task: task_pointer, tasks }) };
        for (thread, next) in shared.next.iter().enumerate() {
            next.0.store(run_of(thread, shared.next.len(), tasks).start, Ordering::Relaxed);
        }
        // Of a region that the caller left by a panic of its own.
        shared.panicked.store(false, Ordering::Relaxed);
        let region = shared.gate.0.load(Ordering::Relaxed) / NEXT_REGION;
        // Sequentially consistent with a worker's last look before it parks: either it sees this region, or it is
        // counted below.
        shared.gate.0.store(region.wrapping_add(1).wrapping_mul(NEXT_REGION) | OPEN, Ordering::SeqCst);
        if shared.parked.0.load(Ordering::SeqCst) > 0 {
            self.handles.iter().for_each(Thread::unpark);
        }

        let left = Leave(shared);
        drain(shared, 0, tasks, task);
        drop(left);
        if shared.panicked.swap(false, Ordering::Relaxed) {
            panic!("a task of a parallel region panicked");
        }
    }

    /// Splits `0..length` into runs of at most `grain` and calls `task` for each, in parallel.
    pub(crate) fn run_chunks(
        &self,
        length: usize,
        grain: usize,
        task: &(dyn Fn(std::ops::Range<usize>) + Sync),
    ) {
        let grain = grain.max(1);
        self.run(length.div_ceil(grain), &|i| task(i * grain..((i + 1) * grain).min(length)));
    }
}

/// Closes the gate and waits, even while unwinding, until no worker is inside.
struct Leave<'a>(&'a Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let gate = &self.0.gate.0;
        gate.fetch_and(!OPEN, Ordering::Relaxed);
        let mut rounds = 0u32;
        while !gate.load(Ordering::Acquire).is_multiple_of(NEXT_REGION) {
            rounds += 1;
            // The last tasks are about to end; but where the cores are oversubscribed, let them run.
            if rounds.is_multiple_of(256) { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

/// The tasks that a thread is given.
fn run_of(thread: usize, threads: usize, tasks: usize) -> std::ops::Range<usize> {
    tasks * thread / threads..tasks * (thread + 1) / threads
}

/// Does the thread's own tasks, and then what others have left of theirs.
fn drain(shared: &Shared, thread: usize, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
    let threads = shared.next.len();
    for owner in (thread..threads).chain(0..thread) {
        let end = run_of(owner, threads, tasks).end;
        let next = &shared.next[owner].0;
        // A look before each step, so that finished runs are not written to.
        while next.load(Ordering::Relaxed) < end {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= end {
                break;
            }
            task(i);
        }
    }
}

fn work(shared: &Shared, thread: usize) {
    let mut seen = 0;
    loop {
        let mut rounds = 0;
        // Enter the first region that is new and still open.
        let gate = &shared.gate.0;
        let mut now = gate.load(Ordering::Relaxed);
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            if now / NEXT_REGION != seen && now & OPEN != 0 {
                match gate.compare_exchange_weak(now, now + 1, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(changed) => now = changed,
                }
                continue;
            }
            rounds += 1;
            if rounds < SPIN_ROUNDS {
                std::hint::spin_loop();
                now = gate.load(Ordering::Relaxed);
                continue;
            }
            shared.parked.0.fetch_add(1, Ordering::SeqCst);
            now = gate.load(Ordering::SeqCst);
            if (now / NEXT_REGION == seen || now & OPEN == 0) && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
                now = gate.load(Ordering::Relaxed);
            }
            shared.parked.0.fetch_sub(1, Ordering::SeqCst);
        }
        seen = now / NEXT_REGION;
        // SAFETY: this thread is inside, so nobody writes the job.
        if let Some(Job { task, tasks }) = unsafe { *shared.job.0.get() } {
            // SAFETY: `run` keeps the closure alive until this worker has left, which is below.
            let task = unsafe { &*task };
            let tasks = std::panic::AssertUnwindSafe(|| drain(shared, thread, tasks, task));
            if std::panic::catch_unwind(tasks).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
        gate.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.handles.iter().for_each(Thread::unpark);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_runs_once() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for tasks in [0, 1, 2, 3, 17, 1000] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_regions_do_not_lose_work() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        for _ in 0..5_000 {
            pool.run(4, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.load(Ordering::Relaxed), 5_000 * 6);
    }

    #[test]
    fn parked_workers_wake() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            thread::sleep(std::time::Duration::from_millis(30));
            let sum = AtomicUsize::new(0);
            pool.run(64, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.load(Ordering::Relaxed), 64 * 63 / 2);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(8, &|i| assert!(i != 5, "task five"));
        }));
        assert!(result.is_err());
        for _ in 0..20 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                pool.run(8, &|i| panic!("task {i}"));
            }));
            assert!(result.is_err());
            let sum = AtomicUsize::new(0);
            pool.run(8, &|_| {
                sum.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(sum.load(Ordering::Relaxed), 8);
        }
    }

    #[test]
    fn chunks_cover_the_range() {
        let pool = Pool::new(2);
        let seen = Mutex::new(vec![0; 103]);
        pool.run_chunks(103, 10, &|range| {
            for i in range {
                seen.lock().unwrap()[i] += 1;
            }
        });
        assert!(seen.lock().unwrap().iter().all(|&n| n == 1));
    }
}
