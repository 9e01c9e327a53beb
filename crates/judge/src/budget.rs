//! What a run will take, before its first request, and what it may cost.

use crate::Error;
use crate::chat::{ChatRequest, Reply, Usage};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Prices that come with sai: a table to be copied and edited.
pub const PRICES: &str = include_str!("prices.toml");

/// What a model's tokens cost, in US dollars a million.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Those that are read.
    pub input: f64,
    /// Those that are made.
    pub output: f64,
}

impl Price {
    /// Dollars of so many tokens.
    pub(crate) fn of(self, prompt_tokens: f64, completion_tokens: f64) -> f64 {
        (prompt_tokens * self.input + completion_tokens * self.output) / 1e6
    }
}

/// Prices by the model's name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    #[serde(default)]
    models: BTreeMap<String, Price>,
}

impl Prices {
    /// Reads a table; without one, that which comes with sai.
    ///
    /// # Errors
    /// The file cannot be read, or has a price that is none.
    pub fn open(path: Option<&Path>) -> Result<Prices, Error> {
        let (name, text) = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
                (path.display().to_string(), text)
            }
            None => ("prices".to_owned(), PRICES.to_owned()),
        };
        let prices: Prices = toml::from_str(&text).map_err(|e| {
            let line =
                e.span().map_or(0, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            Error::data(format!("{name}: line {line}"), e.message().to_owned())
        })?;
        let good = |price: &Price| [price.input, price.output].iter().all(|p| p.is_finite() && *p >= 0.0);
        match prices.models.iter().find(|(_, price)| !good(price)) {
            Some((model, _)) => {
                Err(Error::data(name, format!("the price of {model} is no number of 0 or more")))
            }
            None => Ok(prices),
        }
    }

    /// The price of a model: by its whole name, or without the date that it ends with (`gpt-4o-2024-08-06`).
    pub fn of(&self, model: &str) -> Option<Price> {
        let bare = model.rsplit('/').next().unwrap_or(model);
        let dated = |end: &str| !end.is_empty() && end.chars().all(|c| c.is_ascii_digit() || c == '-');
        let undated = || {
            let (name, _) = bare.match_indices('-').find_map(|(at, _)| {
                let (name, end) = (&bare[..at], &bare[at + 1..]);
                (dated(end) && end.len() >= 4).then_some((name, end))
            })?;
            self.models.get(name)
        };
        self.models.get(model).or_else(|| self.models.get(bare)).or_else(undated).copied()
    }
}

/// About how many tokens a text has, where its vocabulary is not at hand: four letters of ASCII, or one of others, make one.
pub(crate) fn tokens(text: &str) -> f64 {
    let ascii = text.bytes().filter(u8::is_ascii).count() as f64;
    let others = text.chars().filter(|c| !c.is_ascii()).count() as f64;
    ascii / 4.0 + others
}

/// Tokens of a request, with those that separate its messages.
pub(crate) fn prompt_tokens(request: &ChatRequest) -> f64 {
    request.messages.iter().map(|message| tokens(&message.content) + 5.0).sum::<f64>() + 3.0
}

/// What is still to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Requests, if each is read at once.
    pub requests: usize,
    /// Requests that the journal has an answer to.
    pub known: usize,
    /// About how many tokens will be read.
    pub prompt_tokens: f64,
    /// Tokens that may be made, at most.
    pub completion_tokens: f64,
    /// Dollars, at most; none where the price is not known.
    pub cost: Option<f64>,
    /// About how many seconds it takes.
    pub seconds: f64,
}

impl Estimate {
    /// Adds another model's.
    pub fn add(&mut self, other: &Estimate) {
        self.cost = match (self.requests, other.requests) {
            (_, 0) => self.cost,
            (0, _) => other.cost,
            _ => self.cost.zip(other.cost).map(|(a, b)| a + b),
        };
        self.requests += other.requests;
        self.known += other.known;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.seconds += other.seconds;
    }
}

/// What was spent, and what may be. Shared by all judges or contestants of a command.
#[derive(Debug, Default)]
pub struct Budget {
    limit: Option<f64>,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    spent: f64,
    /// Of requests that are on their way, at most.
    reserved: f64,
}

impl Budget {
    /// At most so many dollars; none for any.
    pub fn new(limit: Option<f64>) -> Budget {
        Budget { limit, spent: Mutex::default() }
    }

    /// The limit.
    pub fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Dollars spent so far.
    pub fn spent(&self) -> f64 {
        self.lock().spent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets aside what a request may cost at most.
    ///
    /// # Errors
    /// With it, the limit could be passed.
    pub(crate) fn reserve(&self, price: Option<Price>, request: &ChatRequest) -> Result<f64, Error> {
        let most = price.map_or(0.0, |price| price.of(prompt_tokens(request), request.max_tokens as f64));
        let mut now = self.lock();
        if let Some(limit) = self.limit.filter(|limit| now.spent + now.reserved + most > *limit) {
            return Err(Error::MaxCost { spent: now.spent, limit });
        }
        now.reserved += most;
        Ok(most)
    }

    /// Takes the set-aside sum back and books what the reply cost, and answers before it that were of no use; a request without
    /// an answer cost nothing.
    pub(crate) fn book(
        &self,
        reserved: f64,
        price: Option<Price>,
        request: &ChatRequest,
        reply: Option<&Reply>,
        unread: Usage,
    ) {
        let wasted =
            price.map_or(0.0, |price| price.of(unread.prompt_tokens as f64, unread.completion_tokens as f64));
        let cost = match (price, reply) {
            (Some(price), Some(reply)) => {
                let read = reply.prompt_tokens.map_or_else(|| prompt_tokens(request), |n| n as f64);
                let made = reply.completion_tokens.map_or_else(|| tokens(&reply.text), |n| n as f64);
                price.of(read, made)
            }
            _ => 0.0,
        };
        let mut now = self.lock();
        now.reserved -= reserved;
        now.spent += cost + wasted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sai_generation::Message;

    #[test]
    fn prices_are_found_by_name_with_and_without_a_date() {
        let prices = Prices::open(None).expect("reads");
        let known = prices.of("gpt-4o-mini").expect("is known");
        assert_eq!(prices.of("gpt-4o-mini-2024-07-18"), Some(known));
        assert_eq!(prices.of("openai/gpt-4o-mini"), Some(known));
        assert_ne!(prices.of("gpt-4o"), Some(known));
        assert_eq!(prices.of("somebody-else"), None);
        assert_eq!(prices.of(""), None);
    }

    #[test]
    fn a_table_with_a_wrong_price_is_refused_by_its_line() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("prices.toml");
        for (text, fact) in [
            ("[models.m]\ninput = 1\noutput = \"2\"\n", "line 3"),
            ("[models.m]\ninput = -1\noutput = 2\n", "m is no number"),
            ("[models.m]\ninput = 1\noutput = 2\ncached = 3\n", "cached"),
        ] {
            std::fs::write(&path, text).expect("writes");
            let error = Prices::open(Some(&path)).expect_err("is refused").to_string();
            assert!(error.contains(fact), "{error}");
        }
    }

    #[test]
    fn what_is_on_its_way_counts_against_the_limit() {
        let request = ChatRequest {
            messages: vec![Message::new("user", "a".repeat(368))],
            max_tokens: 100,
            temperature: 0.0,
            seed: 0,
            schema: None,
        };
        let price = Some(Price { input: 10_000.0, output: 10_000.0 });
        // 100 tokens each way: two dollars at most.
        let budget = Budget::new(Some(4.5));
        let first = budget.reserve(price, &request).expect("fits");
        assert!((first - 2.0).abs() < 1e-9);
        budget.reserve(price, &request).expect("fits");
        assert!(matches!(budget.reserve(price, &request), Err(Error::MaxCost { .. })));
        let reply = Reply { prompt_tokens: Some(100), completion_tokens: Some(1), ..Reply::plain("") };
        budget.book(first, price, &request, Some(&reply), Usage::default());
        assert!((budget.spent() - 1.01).abs() < 1e-9);
        assert!(budget.reserve(price, &request).is_err(), "1.01 + 2 + 2");
    }
}
