//! What answering and grading share: whom to ask, what it may cost, how far it is.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use sai_generation::LoadOptions;
use sai_judge::{
    ApiModel, ApiOptions, Asked, Budget, ChatModel, Estimate, GEMINI_URL, Key, LocalModel, Price, Prices,
    Protocol, RetryPolicy,
};
use ureq::tls::RootCerts;

use crate::cli::whole;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::{Thousands, Ui};

/// How services are asked.
#[derive(Args)]
#[command(next_help_heading = "Asking")]
pub(super) struct AskingArgs {
    /// The environment's variable that has a service's key; NAME=VARIABLE where several have their own
    #[arg(long, value_name = "[NAME=]VARIABLE")]
    key_env: Vec<String>,

    /// Requests at a time
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = whole(1..=256))]
    pub(super) parallel: usize,

    /// Seconds that a service's answer may take before it is asked again
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = whole(1..=86_400))]
    timeout: usize,

    /// US dollars that this command may cost; it ends before the request that could pass it
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    max_cost: Option<f64>,

    /// Prices of tokens (TOML) in place of those that come with sai
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,

    /// Show the estimate and three of the prompts as they would be sent, and ask nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Threads of models on this machine; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Context of models on this machine in tokens; their own, but at most 8192, where not given
    #[arg(short, long, value_name = "N", value_parser = whole(1..=crate::cli::MOST))]
    context: Option<usize>,
}

fn dollars(text: &str) -> Result<f64, String> {
    let amount = text
        .trim_start_matches('$')
        .parse::<f64>()
        .ok()
        .filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| "give dollars, as in 2.50".to_owned())
}

/// A temperature that models take.
pub(super) fn temperature(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|number| (0.0..=2.0).contains(number));
    number.ok_or_else(|| "give a number from 0 to 2".to_owned())
}

/// `NAME=REST`, where neither is empty.
pub(super) fn named(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, rest)| !name.is_empty() && !rest.is_empty());
    parts.map(|(name, rest)| (name.to_owned(), rest.to_owned())).ok_or_else(|| "it is NAME=…".to_owned())
}

/// Gemini's name, and its address where another is said.
pub(super) fn gemini(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        None if !text.is_empty() => Ok((text.to_owned(), GEMINI_URL.to_owned())),
        _ => named(text),
    }
}

impl AskingArgs {
    /// A model behind HTTP.
    pub(super) fn api(&self, name: &str, url: &str, protocol: Protocol) -> anyhow::Result<ApiModel> {
        let own = self.key_env.iter().find_map(|said| said.split_once('=').filter(|(of, _)| *of == name));
        let shared = self.key_env.iter().find(|said| !said.contains('=')).map(String::as_str);
        let variable = own.map(|(_, variable)| variable).or(shared);
        let key = match variable {
            None => None,
            Some(variable) => {
                let key = std::env::var(variable).ok().filter(|key| !key.trim().is_empty());
                Some(key.with_context(|| {
                    format!("--key-env {variable}: the variable is not set; export it with {name}'s key")
                })?)
            }
        };
        let roots = match crate::models::hub::trusted_certificates()? {
            Some(certificates) => RootCerts::new_with_certs(&certificates),
            None => RootCerts::WebPki,
        };
        Ok(ApiModel::new(ApiOptions {
            name: name.to_owned(),
            url: url.to_owned(),
            protocol,
            key: Key::new(key),
            timeout: Duration::from_secs(self.timeout as u64),
            retry: RetryPolicy::default(),
            roots,
        })?)
    }

    /// A model on this machine.
    pub(super) fn local(&self, name: &str, model: &str, ui: &Ui) -> anyhow::Result<LocalModel> {
        let source = crate::models::locate(model, ui)?;
        let options = LoadOptions {
            threads: self.threads,
            context: self.context,
            memory_limit: crate::models::memory::available(),
            now: Some(jiff::ZonedDateTime::now().datetime()),
            ..LoadOptions::default()
        };
        Ok(LocalModel::open(name, &source, &options)?)
    }

    /// What may be spent.
    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.max_cost)
    }

    /// The price of a service's tokens.
    ///
    /// # Errors
    /// A cost is to be capped, and the price is not known.
    pub(super) fn price(&self, name: &str) -> anyhow::Result<Option<Price>> {
        let price = Prices::open(self.prices.as_deref())?.of(name);
        if price.is_none() && self.max_cost.is_some() {
            bail!(
                "{name}: its price is not known, so that --max-cost cannot hold; write it into a table and give that with --prices FILE"
            );
        }
        Ok(price)
    }

    /// Says what is to come, before the first request.
    pub(super) fn announce(&self, ui: &Ui, name: &str, of: &Estimate) {
        let known = if of.known > 0 {
            format!(", {} known from before", Thousands(of.known as u64))
        } else {
            String::new()
        };
        if of.requests == 0 {
            ui.note(format_args!("{name}: nothing to ask{known}"));
            return;
        }
        let cost = match of.cost {
            Some(0.0) => "free".to_owned(),
            Some(cost) => format!("at most ${cost:.2}"),
            None => "price not known".to_owned(),
        };
        ui.note(format_args!(
            "{name}: {} requests{known} · about {} tokens to read, at most {} to write · {cost} · about {}",
            Thousands(of.requests as u64),
            Thousands(of.prompt_tokens as u64),
            Thousands(of.completion_tokens as u64),
            time(of.seconds)
        ));
        if let (Some(limit), Some(cost)) = (self.max_cost, of.cost)
            && cost > limit
        {
            ui.warn(format_args!(
                "{name}: it could cost ${cost:.2}, more than --max-cost {limit}; the command would end there, and what was answered be kept"
            ));
        }
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Asks with a bar, and ends the program where Ctrl-C was pressed.
pub(super) fn watch(
    ui: &Ui,
    interrupt: &Interrupt,
    name: &str,
    ask: impl FnOnce(&mut dyn FnMut(usize, usize) -> ControlFlow<()>) -> Result<Asked, sai_judge::Error>,
) -> anyhow::Result<()> {
    let bar = ui.bar(0, name);
    let asked = ask(&mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let asked = asked?;
    if asked.stopped {
        ui.note(format_args!("stopped; the same command goes on, and asks nothing twice"));
        std::process::exit(EXIT_INTERRUPTED)
    }
    for (fact, count) in &asked.failed {
        ui.warn(format_args!("{name}: {count} requests failed: {fact}; the same command asks them again"));
    }
    Ok(())
}

/// What services did not take, and what they cost.
pub(super) fn tell_spent(services: &[(ApiModel, Option<Price>)], budget: &Budget, ui: &Ui) {
    for (service, _) in services {
        let left_out = service.left_out();
        if !left_out.is_empty() {
            ui.note(format_args!("{}: the service does not take {}", service.name(), left_out.join(", ")));
        }
    }
    let spent = budget.spent();
    if spent > 0.0 {
        ui.note(format_args!("spent about ${spent:.4}"));
    }
}
