//! How long to wait before a request is made again, and for whom.
//!
//! What may pass by itself is tried again: 408, 409, 425, 429, 5xx, a connection that breaks, an answer that never comes or
//! breaks off. The wait doubles from a second, with a part of chance so that many do not come back together; a service that says
//! `Retry-After` is taken at its word. A limit of requests holds for all of them, so all wait at one [`Gate`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How often and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Requests at most, the first one counted.
    pub attempts: usize,
    /// The first wait.
    pub first: Duration,
    /// The longest wait that is not asked for.
    pub longest: Duration,
    /// The longest wait that is taken at the service's word; where it asks for more, the request has failed.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        let seconds = Duration::from_secs;
        RetryPolicy { attempts: 6, first: seconds(1), longest: seconds(60), patience: seconds(600) }
    }
}

impl RetryPolicy {
    /// The wait after `failed` requests; `asked` is the service's `Retry-After`, `chance` a number in [0, 1). None where there
    /// is to be no other.
    pub fn wait(&self, failed: usize, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if failed >= self.attempts || asked.is_some_and(|asked| asked > self.patience) {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (failed.saturating_sub(1)).min(20)).min(self.longest);
        // At least half of it, so that the wait grows.
        let own = doubled.mul_f64(0.5 + 0.5 * chance);
        Some(asked.map_or(own, |asked| asked.max(own.min(Duration::from_secs(1)))))
    }
}

/// Whether a request that was answered with this status may do better another time.
pub(crate) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..=599)
}

/// What `Retry-After` says: seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second();
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(at).ok()?))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Where all requests to a service wait while it wants none.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Nobody passes for so long.
    pub(crate) fn close(&self, wait: Duration) {
        let until = Instant::now().checked_add(wait);
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = (*closed).max(until);
    }

    /// Waits until the gate is open; false where it was told to stop before that.
    pub(crate) fn pass(&self, stop: &AtomicBool) -> bool {
        loop {
            let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            match until.and_then(|until| until.checked_duration_since(Instant::now())) {
                None => return true,
                Some(left) => std::thread::sleep(left.min(Duration::from_millis(50))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let policy = RetryPolicy::default();
        let wait = |failed, chance| policy.wait(failed, None, chance).map(|wait| wait.as_secs_f64());
        assert_eq!(wait(1, 0.0), Some(0.5));
        assert_eq!(wait(1, 1.0), Some(1.0));
        assert_eq!(wait(3, 1.0), Some(4.0));
        assert_eq!(RetryPolicy { attempts: 99, ..policy }.wait(40, None, 1.0), Some(Duration::from_secs(60)));
        assert_eq!(wait(6, 1.0), None);
    }

    #[test]
    fn a_service_that_says_when_is_taken_at_its_word_within_reason() {
        let policy = RetryPolicy::default();
        let seconds = Duration::from_secs;
        assert_eq!(policy.wait(1, Some(seconds(90)), 0.5), Some(seconds(90)));
        assert_eq!(policy.wait(1, Some(seconds(3600)), 0.5), None);
        let now = SystemTime::UNIX_EPOCH + seconds(1_796_040_000);
        assert_eq!(retry_after("7", now), Some(seconds(7)));
        assert_eq!(retry_after("0.25", now), Some(Duration::from_millis(250)));
        assert_eq!(retry_after("Mon, 30 Nov 2026 12:00:20 GMT", now), Some(seconds(20)));
        assert_eq!(retry_after("Mon, 30 Nov 2026 11:00:00 GMT", now), Some(seconds(0)));
        for nonsense in ["", "soon", "-3", "NaN", "inf"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn a_closed_gate_holds_all_and_opens_by_itself() {
        let (gate, stop) = (Gate::default(), AtomicBool::new(false));
        gate.close(Duration::from_millis(120));
        let began = Instant::now();
        assert!(gate.pass(&stop) && began.elapsed() >= Duration::from_millis(120));
        gate.close(Duration::from_secs(60));
        stop.store(true, Ordering::Relaxed);
        assert!(!gate.pass(&stop));
    }
}
