//! Ranks as threads of one process, so that what they do together is tested where there is no MPI.

use sai_trainer::{Error, Ranks};
use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Condvar, Mutex};

/// By (for whom, at): what each rank gave.
type Sums = BTreeMap<(usize, usize), Vec<Option<Vec<f32>>>>;

struct Shared {
    sums: Mutex<Sums>,
    given: Condvar,
    /// What each rank said in the operation under way.
    said: Mutex<Vec<Vec<f64>>>,
    all: Barrier,
}

/// One of them.
pub(crate) struct Thread {
    rank: usize,
    size: usize,
    shared: Arc<Shared>,
}

/// Runs `work` on so many ranks; returns what each comes to.
pub(crate) fn together<T: Send>(size: usize, work: impl Fn(&Thread) -> T + Sync) -> Vec<T> {
    let shared = Arc::new(Shared {
        sums: Mutex::default(),
        given: Condvar::new(),
        said: Mutex::new(vec![Vec::new(); size]),
        all: Barrier::new(size),
    });
    std::thread::scope(|scope| {
        let spawn = |rank| {
            let thread = Thread { rank, size, shared: Arc::clone(&shared) };
            let work = &work;
            scope.spawn(move || work(&thread))
        };
        let threads: Vec<_> = (0..size).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

impl Thread {
    /// What every rank says.
    fn exchange(&self, mine: Vec<f64>) -> Vec<Vec<f64>> {
        self.shared.said.lock().unwrap()[self.rank] = mine;
        self.shared.all.wait();
        let all = self.shared.said.lock().unwrap().clone();
        self.shared.all.wait();
        all
    }
}

impl Ranks for Thread {
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
        let mut values = vec![f32::NAN; len];
        fill(&mut values);
        let mut sums = self.shared.sums.lock().unwrap();
        let before = sums.entry((to, at)).or_insert_with(|| vec![None; self.size])[self.rank].replace(values);
        assert!(before.is_none(), "begun twice");
        self.shared.given.notify_all();
        Ok(())
    }

    fn sums(&self, left: usize, on: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error> {
        let mut sums = self.shared.sums.lock().unwrap();
        loop {
            let complete: Vec<_> = sums
                .extract_if(.., |(to, _), given| *to == self.rank && given.iter().all(Option::is_some))
                .collect();
            for ((_, at), given) in complete {
                let mut sum = vec![0.0; given[0].as_ref().unwrap().len()];
                for values in given.iter().flatten() {
                    sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
                }
                on(at, &sum);
            }
            // The others may have begun more.
            let mine = sums.iter().filter(|(key, given)| key.0 == self.rank && given[self.rank].is_some());
            if mine.count() <= left {
                return Ok(());
            }
            sums = self.shared.given.wait(sums).unwrap();
        }
    }

    fn add(&self, values: &mut [f64]) -> Result<(), Error> {
        let all = self.exchange(values.to_vec());
        values.iter_mut().enumerate().for_each(|(i, value)| *value = all.iter().map(|said| said[i]).sum());
        Ok(())
    }

    fn gather(&self, mine: &[f32], all: &mut [f32]) -> Result<(), Error> {
        let said = self.exchange(mine.iter().map(|&x| f64::from(x)).collect());
        all.iter_mut().zip(said.iter().flatten()).for_each(|(x, &said)| *x = said as f32);
        Ok(())
    }

    fn broadcast(&self, from: usize, values: &mut [f32]) -> Result<(), Error> {
        let said = self.exchange(values.iter().map(|&x| f64::from(x)).collect());
        values.iter_mut().zip(&said[from]).for_each(|(x, &said)| *x = said as f32);
        Ok(())
    }
}
