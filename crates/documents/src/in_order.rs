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
    let threads = threads.max(1);
    let bytes_total = reader.bytes_total();
    let source = Mutex::new((0u64, reader));
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
                        let (number, done, raw) = {
                            let mut source = lock(&source);
                            let number = source.0;
                            if !shelf.wait_for_room(number) {
                                return;
                            }
                            source.0 += 1;
                            let Some(raw) = source.1.next_raw() else { return };
                            (number, source.1.bytes_done(), raw)
                        };
                        let result =
                            raw.and_then(crate::Raw::parse).map(|batch| (work(&mut worker, batch), done));
                        shelf.put(number, result);
                    }
                })
                .map_err(|e| Error::Setup(format!("no thread can be started: {e}")))?;
        }
        while let Some(result) = shelf.next(threads) {
            let (result, bytes_done) = result?;
            if take(BatchResult { result, bytes_done, bytes_total }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Results that wait for their turn.
struct Shelf<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// How far a batch may be ahead of the next to be taken.
    ahead: u64,
}

struct State<T> {
    waiting: BTreeMap<u64, Result<T, Error>>,
    next: u64,
    /// How many threads are done.
    left: usize,
    stopped: bool,
}

impl<T> Default for State<T> {
    fn default() -> State<T> {
        State { waiting: BTreeMap::new(), next: 0, left: 0, stopped: false }
    }
}

impl<T> Shelf<T> {
    /// Waits until batch `number` is not too far ahead; false where nobody wants it any more.
    fn wait_for_room(&self, number: u64) -> bool {
        let mut state = lock(&self.state);
        while !state.stopped && number >= state.next + self.ahead {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopped
    }

    fn put(&self, number: u64, result: Result<T, Error>) {
        lock(&self.state).waiting.insert(number, result);
        self.changed.notify_all();
    }

    /// The next result in order; `None` when all `threads` are done and nothing waits.
    fn next(&self, threads: usize) -> Option<Result<T, Error>> {
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
struct Stop<'s, T>(&'s Shelf<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.state).stopped = true;
        self.0.changed.notify_all();
    }
}

/// Counts a worker that ended. A panic stops the others, and the scope passes it on.
struct Left<'s, T>(&'s Shelf<T>);

impl<T> Drop for Left<'_, T> {
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
