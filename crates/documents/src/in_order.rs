//! Work on documents on many threads, its results in the documents' order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::batch::Batch;
use crate::error::Error;
use crate::reader::Reader;

/// What came of a batch.
#[derive(Debug)]
pub struct BatchResult<T> {
    /// The result of the work.
    pub result: T,
    /// Bytes of the files that were read when the batch was.
    pub bytes_done: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
}

/// Takes documents from `reader` apart and works on them on `threads` threads, and gives the results to `take` in the
/// documents' order, on the thread that calls.
///
/// `worker` makes what a thread keeps between its batches, such as a cache; `work` must give the same for a batch
/// whatever that holds, for which thread gets which batch differs from run to run. At most a few results for each
/// thread wait to be taken. `take` ends everything with [`ControlFlow::Break`], which is then returned.
///
/// # Errors
/// The first error in the order of the documents, of the reader, or of a batch that does not parse. What comes before
/// it was taken.
pub fn in_order<W, T: Send>(
    reader: Reader,
    threads: usize,
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, Batch) -> T + Sync,
    mut take: impl FnMut(BatchResult<T>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let bytes_total = reader.bytes_total();
    let mut reader = reader;
    let next = || reader.next_raw().map(|raw| raw.map(|raw| (raw, reader.bytes_done())));
    ordered(
        threads,
        next,
        worker,
        |worker, (raw, bytes_done)| Ok((work(worker, raw.parse()?), bytes_done)),
        |(result, bytes_done)| Ok(take(BatchResult { result, bytes_done, bytes_total })),
        |e| Error::Setup(format!("no thread can be started: {e}")),
    )
}

/// Works on what `next` gives on `threads` threads, and gives the results to `take` in the order of what they were made from, on the
/// thread that calls. `next` is asked by one thread at a time; `worker` and `work` are as those of [`in_order`], and
/// `no_thread` makes an error of the system's refusal to start one.
///
/// # Errors
/// The first in the order of what `next` gives; what comes before it was taken. Those of `take`.
pub fn ordered<B, W, T: Send, E: Send>(
    threads: usize,
    next: impl FnMut() -> Option<Result<B, E>> + Send,
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, B) -> Result<T, E> + Sync,
    mut take: impl FnMut(T) -> Result<ControlFlow<()>, E>,
    no_thread: impl Fn(std::io::Error) -> E,
) -> Result<ControlFlow<()>, E> {
    let threads = threads.max(1);
    let source = Mutex::new((0u64, next));
    let shelf =
        Shelf { state: Mutex::new(State::default()), changed: Condvar::new(), ahead: 2 * threads as u64 };
    std::thread::scope(|scope| {
        // However this closure is left, the workers must not wait for it.
        let _stop = Stop(&shelf);
        for _ in 0..threads {
            std::thread::Builder::new()
                .name("sai-documents".to_owned())
                .spawn_scoped(scope, || {
                    let _left = Left(&shelf);
                    let mut worker = worker();
                    loop {
                        let (number, block) = {
                            let mut source = lock(&source);
                            let number = source.0;
                            if !shelf.wait_for_room(number) {
                                return;
                            }
                            source.0 += 1;
                            let Some(block) = source.1() else { return };
                            (number, block)
                        };
                        let result = block.and_then(|block| work(&mut worker, block));
                        shelf.put(number, result);
                    }
                })
                .map_err(&no_thread)?;
        }
        while let Some(result) = shelf.next(threads) {
            if take(result?)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Results that wait for their turn.
struct Shelf<T, E> {
    state: Mutex<State<T, E>>,
    changed: Condvar,
    /// How far a batch may be ahead of the next to be taken.
    ahead: u64,
}

struct State<T, E> {
    waiting: BTreeMap<u64, Result<T, E>>,
    next: u64,
    /// How many threads are done.
    left: usize,
    stopped: bool,
}

impl<T, E> Default for State<T, E> {
    fn default() -> State<T, E> {
        State { waiting: BTreeMap::new(), next: 0, left: 0, stopped: false }
    }
}

impl<T, E> Shelf<T, E> {
    /// Waits until batch `number` is not too far ahead; false where nobody wants it any more.
    fn wait_for_room(&self, number: u64) -> bool {
        let mut state = lock(&self.state);
        while !state.stopped && number >= state.next + self.ahead {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopped
    }

    fn put(&self, number: u64, result: Result<T, E>) {
        lock(&self.state).waiting.insert(number, result);
        self.changed.notify_all();
    }

    /// The next result in order; `None` when all `threads` are done and nothing waits.
    fn next(&self, threads: usize) -> Option<Result<T, E>> {
        let mut state = lock(&self.state);
        loop {
            let number = state.next;
            if let Some(result) = state.waiting.remove(&number) {
                state.next += 1;
                drop(state);
                self.changed.notify_all();
                return Some(result);
            }
            if state.left == threads || state.stopped {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tells the workers to end.
struct Stop<'s, T, E>(&'s Shelf<T, E>);

impl<T, E> Drop for Stop<'_, T, E> {
    fn drop(&mut self) {
        lock(&self.0.state).stopped = true;
        self.0.changed.notify_all();
    }
}

/// Counts a worker that ended. A panic stops the others, and the scope passes it on.
struct Left<'s, T, E>(&'s Shelf<T, E>);

impl<T, E> Drop for Left<'_, T, E> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.left += 1;
        state.stopped |= std::thread::panicking();
        drop(state);
        self.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
