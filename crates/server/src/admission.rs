//! How much is taken on: what is beyond is refused at once, and told when to come again.

use crate::error::ApiError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Finished answers that the rate is measured by.
const MEASURED: usize = 64;
/// How long ago they may have finished.
const MEASURED_TIME: Duration = Duration::from_secs(60);
/// What is said where nothing was measured, and at most.
const RETRY: (u64, u64) = (1, 60);

/// Counts answers that are asked for and not finished.
pub(crate) struct Admission {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: usize,
    shed: u64,
    finished: VecDeque<Instant>,
}

/// Answers that are taken on; dropping it gives their places back.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    answers: usize,
}

impl Admission {
    pub(crate) fn new(limit: usize) -> Admission {
        Admission { limit: limit.max(1), state: Mutex::default() }
    }

    /// Takes on so many answers. They are taken together where there is room for one, so that no request is too large
    /// for ever.
    pub(crate) fn admit(self: &Arc<Self>, answers: usize) -> Result<Permit, ApiError> {
        let mut state = self.lock();
        if state.open >= self.limit {
            state.shed += 1;
            let excess = state.open + answers - self.limit;
            return Err(ApiError::busy(state.seconds_for(excess, Instant::now())));
        }
        state.open += answers;
        Ok(Permit { admission: Arc::clone(self), answers })
    }

    /// Answers that are taken on and not finished, and requests that were refused.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let state = self.lock();
        (state.open, state.shed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long it takes until so many have finished, by the rate of the latest.
    fn seconds_for(&mut self, answers: usize, now: Instant) -> u64 {
        while self.finished.front().is_some_and(|&at| now - at > MEASURED_TIME) {
            self.finished.pop_front();
        }
        let Some(&first) = self.finished.front() else { return RETRY.0 };
        let seconds = (now - first).as_secs_f64().max(0.001) * answers as f64 / self.finished.len() as f64;
        (seconds.ceil() as u64).clamp(RETRY.0, RETRY.1)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.open -= self.answers;
        for _ in 0..self.answers.min(MEASURED) {
            if state.finished.len() == MEASURED {
                state.finished.pop_front();
            }
            state.finished.push_back(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_is_refused_and_places_come_back() {
        let admission = Arc::new(Admission::new(2));
        let first = admission.admit(1).unwrap();
        let large = admission.admit(5).unwrap();
        let error = admission.admit(1).err().unwrap();
        assert_eq!((error.status.as_u16(), error.retry_after), (429, Some(1)));
        drop(large);
        assert!(admission.admit(1).is_ok());
        drop(first);
        assert_eq!(admission.counts(), (0, 1));
    }

    #[test]
    fn the_wait_follows_the_measured_rate() {
        let now = Instant::now();
        let at = |ms: u64| now - Duration::from_millis(ms);
        let mut state = State { finished: (0..10).map(|i| at(5000 - 500 * i)).collect(), ..State::default() };
        // Ten in five seconds are two a second.
        assert_eq!(state.seconds_for(7, now), 4);
        assert_eq!(state.seconds_for(100_000, now), 60);
        state.finished.clear();
        assert_eq!(state.seconds_for(7, now), 1);
    }
}
