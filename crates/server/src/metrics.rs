//! What is counted, as Prometheus reads it (text format 0.0.4).

use crate::admission::Admission;
use crate::registry::Loaded;
use sai_generation::Usage;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds that the first token may take.
const FIRST: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Seconds between tokens.
const BETWEEN: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// Seconds that a request may take.
const REQUEST: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];

#[derive(Default)]
struct Histogram {
    /// Up to each bound, and beyond the last.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn add(&mut self, bounds: &[f64], value: Duration) {
        let value = value.as_secs_f64();
        self.counts.resize(bounds.len() + 1, 0);
        self.counts[bounds.partition_point(|&bound| bound < value)] += 1;
        self.sum += value;
    }
}

#[derive(Default)]
struct Inner {
    requests: BTreeMap<(String, u16), u64>,
    durations: BTreeMap<String, Histogram>,
    tokens: BTreeMap<(String, &'static str), u64>,
    first: BTreeMap<String, Histogram>,
    between: BTreeMap<String, Histogram>,
    left: u64,
}

/// The counts of a server.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<Inner>);

impl Metrics {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token came.
    pub(crate) fn token(&self, model: &str, asked: Instant, latest: Option<Instant>, now: Instant) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        match latest {
            None => histogram(&mut inner.first, model).add(FIRST, now - asked),
            Some(latest) => histogram(&mut inner.between, model).add(BETWEEN, now - latest),
        }
    }

    /// A text is finished.
    pub(crate) fn finished(&self, model: &str, usage: &Usage) {
        let mut inner = self.lock();
        for (kind, tokens) in [
            ("prompt", usage.prompt_tokens),
            ("cached", usage.cached_tokens),
            ("completion", usage.completion_tokens),
        ] {
            *inner.tokens.entry((model.to_owned(), kind)).or_default() += tokens as u64;
        }
    }

    /// A request is answered, or its client has left.
    pub(crate) fn answered(&self, route: &str, status: Option<u16>, took: Duration) {
        let mut inner = self.lock();
        match status {
            Some(status) => *inner.requests.entry((route.to_owned(), status)).or_default() += 1,
            None => inner.left += 1,
        }
        histogram(&mut inner.durations, route).add(REQUEST, took);
    }

    /// All of it as text.
    pub(crate) fn text(&self, admission: &Admission, open: &[Arc<Loaded>]) -> String {
        let inner = self.lock();
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, rows: Vec<(String, f64)>| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in rows {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        };
        let requests = inner.requests.iter().map(|((route, status), &count)| {
            (format!("{{route={},status=\"{status}\"}}", quoted(route)), count as f64)
        });
        family("sai_requests_total", "counter", "Requests by route and status.", requests.collect());
        let (taken, shed) = admission.counts();
        family(
            "sai_requests_shed_total",
            "counter",
            "Requests refused with 429.",
            vec![(String::new(), shed as f64)],
        );
        let left = vec![(String::new(), inner.left as f64)];
        family("sai_requests_abandoned_total", "counter", "Requests whose client left.", left);
        family(
            "sai_answers_open",
            "gauge",
            "Answers taken on and not finished.",
            vec![(String::new(), taken as f64)],
        );
        let tokens = inner.tokens.iter().map(|((model, kind), &count)| {
            (format!("{{model={},kind=\"{kind}\"}}", quoted(model)), count as f64)
        });
        let help = "Tokens of prompts, of those the ones found in the cache, and of answers.";
        family("sai_tokens_total", "counter", help, tokens.collect());

        let stats: Vec<_> =
            open.iter().map(|loaded| (of_model(&loaded.name), loaded.engine.stats())).collect();
        let mut gauge = |name: &str,
                         kind: &str,
                         help: &str,
                         value: &dyn Fn(&sai_generation::EngineStats) -> f64| {
            family(name, kind, help, stats.iter().map(|(labels, s)| (labels.clone(), value(s))).collect());
        };
        gauge("sai_requests_running", "gauge", "Texts that the engine computes.", &|s| s.running as f64);
        gauge("sai_requests_waiting", "gauge", "Texts that wait for the engine.", &|s| s.waiting as f64);
        gauge("sai_cache_pages", "gauge", "Pages of the cache.", &|s| s.pages as f64);
        gauge("sai_cache_used_pages", "gauge", "Pages that running texts use.", &|s| s.used_pages as f64);
        gauge("sai_cache_kept_pages", "gauge", "Pages kept for texts that begin alike.", &|s| {
            s.kept_pages as f64
        });
        gauge("sai_preemptions_total", "counter", "Texts that gave their pages up.", &|s| s.preempted as f64);
        gauge("sai_passes_total", "counter", "Passes through the model.", &|s| s.passes as f64);
        gauge("sai_rows_total", "counter", "Rows of those passes.", &|s| s.rows as f64);
        let bytes = open.iter().map(|loaded| (of_model(&loaded.name), loaded.bytes as f64)).collect();
        family("sai_model_memory_bytes", "gauge", "Memory of open models.", bytes);

        for (name, label, help, bounds, all) in [
            (
                "sai_time_to_first_token_seconds",
                "model",
                "From a request to its first token.",
                FIRST,
                &inner.first,
            ),
            (
                "sai_time_between_tokens_seconds",
                "model",
                "From a token to the next.",
                BETWEEN,
                &inner.between,
            ),
            (
                "sai_request_duration_seconds",
                "route",
                "From a request to the head of its answer; a stream goes on behind it.",
                REQUEST,
                &inner.durations,
            ),
        ] {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
            for (of, histogram) in all {
                let of = format!("{label}={}", quoted(of));
                let mut sum = 0;
                for (bound, count) in bounds.iter().zip(&histogram.counts) {
                    sum += count;
                    let _ = writeln!(out, "{name}_bucket{{{of},le=\"{bound}\"}} {sum}");
                }
                sum += histogram.counts.last().copied().unwrap_or(0);
                let _ = writeln!(out, "{name}_bucket{{{of},le=\"+Inf\"}} {sum}");
                let _ = writeln!(out, "{name}_sum{{{of}}} {}\n{name}_count{{{of}}} {sum}", histogram.sum);
            }
        }
        out
    }
}

fn histogram<'h>(all: &'h mut BTreeMap<String, Histogram>, of: &str) -> &'h mut Histogram {
    if !all.contains_key(of) {
        all.insert(of.to_owned(), Histogram::default());
    }
    all.get_mut(of).expect("it was put there")
}

fn of_model(name: &str) -> String {
    format!("{{model={}}}", quoted(name))
}

/// A label's value.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
