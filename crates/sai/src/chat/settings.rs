//! How answers are sampled: the flags of `sai chat`, and what `/set` changes under the same names.

use clap::Args;
use sai_generation::{GenerationConfig, Sampling};

/// What is not said is as the model says, and where it says nothing as in 42dot's example of a chat, whose names these
/// are.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct Settings {
    /// Sampling temperature; 0 is greedy: always the likeliest token [the model's own, else 0.5]
    #[arg(long, value_name = "X", value_parser = temperature)]
    pub(crate) temperature: Option<f32>,

    /// Repetition penalty: divides the logits of tokens that were already said; 1 turns it off [the model's own, else 1.2]
    #[arg(long, value_name = "X", value_parser = repetition_penalty)]
    pub(crate) repetition_penalty: Option<f32>,

    /// Nucleus sampling: from the likeliest tokens that together reach this probability; 1 turns it off [the model's
    /// own, else 0.95]
    #[arg(long, value_name = "P", value_parser = top_p)]
    pub(crate) top_p: Option<f32>,

    /// Sample from this many of the likeliest tokens; 0 turns it off [the model's own, else 20]
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub(crate) top_k: Option<usize>,

    /// Sample from tokens at least this likely beside the likeliest; 0 turns it off [the model's own, else 0]
    #[arg(long, value_name = "P", value_parser = min_p)]
    pub(crate) min_p: Option<f32>,

    /// Most tokens of an answer
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = max_new_tokens)]
    pub(crate) max_new_tokens: usize,

    /// Random seed, with which the same is answered each time; a new one for each answer where not given
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub(crate) seed: Option<u64>,

    /// Stop sequence: end the answer before this text (\n is a newline); may be given several times
    #[arg(long, value_name = "TEXT", value_parser = stop)]
    pub(crate) stop: Vec<String>,

    /// What the model says of itself.
    #[arg(skip)]
    pub(crate) generation_config: GenerationConfig,
}

/// The names that `/set` knows, in the order in which it shows them.
pub(crate) const NAMES: [&str; 8] =
    ["temperature", "repetition-penalty", "top-p", "top-k", "min-p", "max-new-tokens", "seed", "stop"];

impl Settings {
    /// How tokens are chosen, by what was said, by the person first; the seed is not.
    pub(crate) fn sampling(&self) -> Sampling {
        let own = self.generation_config.sampling();
        Sampling {
            temperature: self.temperature.unwrap_or(own.temperature),
            repetition_penalty: self.repetition_penalty.unwrap_or(own.repetition_penalty),
            top_p: self.top_p.unwrap_or(own.top_p),
            top_k: self.top_k.unwrap_or(own.top_k),
            min_p: self.min_p.unwrap_or(own.min_p),
            ..own
        }
    }

    /// The value of an option as `/set` shows it.
    pub(crate) fn show(&self, name: &str) -> Option<String> {
        let (now, said) = (self.sampling(), &self.generation_config);
        // Said by the model and not by the person.
        let number = |value: String, person: bool, model: bool| {
            if model && !person { format!("{value} (the model's own)") } else { value }
        };
        Some(match canonical(name)? {
            "temperature" => {
                number(now.temperature.to_string(), self.temperature.is_some(), said.temperature.is_some())
            }
            "repetition-penalty" => number(
                now.repetition_penalty.to_string(),
                self.repetition_penalty.is_some(),
                said.repetition_penalty.is_some(),
            ),
            "top-p" => number(now.top_p.to_string(), self.top_p.is_some(), said.top_p.is_some()),
            "top-k" => number(now.top_k.to_string(), self.top_k.is_some(), said.top_k.is_some()),
            "min-p" => number(now.min_p.to_string(), self.min_p.is_some(), said.min_p.is_some()),
            "max-new-tokens" => self.max_new_tokens.to_string(),
            "seed" => self.seed.map_or_else(|| "new for each answer".to_owned(), |seed| seed.to_string()),
            _ if self.stop.is_empty() => "none".to_owned(),
            _ => self.stop.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" "),
        })
    }

    /// Changes an option. `none` takes back a seed and the stop texts; `stop TEXT` adds one.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some(name) = canonical(name) else { return Err(unknown(name)) };
        match name {
            "temperature" => self.temperature = Some(temperature(value)?),
            "repetition-penalty" => self.repetition_penalty = Some(repetition_penalty(value)?),
            "top-p" => self.top_p = Some(top_p(value)?),
            "top-k" => self.top_k = Some(whole(value)?),
            "min-p" => self.min_p = Some(min_p(value)?),
            "max-new-tokens" => self.max_new_tokens = max_new_tokens(value)?,
            "seed" if value == "none" => self.seed = None,
            "seed" => self.seed = Some(whole(value)?),
            _ if value == "none" => self.stop.clear(),
            _ => self.stop.push(stop(value)?),
        }
        Ok(())
    }
}

/// What to say about an option that does not exist.
pub(crate) fn unknown(name: &str) -> String {
    match super::commands::nearest(name, NAMES.into_iter()) {
        Some(near) => format!("no option `{name}`; did you mean `{near}`?"),
        None => format!("no option `{name}`; the options are {}", NAMES.join(", ")),
    }
}

fn canonical(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches('-').replace('_', "-").to_ascii_lowercase();
    NAMES.into_iter().find(|known| *known == name)
}

fn number(text: &str, what: &str, holds: impl Fn(f32) -> bool) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && holds(value) => Ok(value),
        _ => Err(format!("`{text}` is not {what}")),
    }
}

fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number from 0"))
}

fn temperature(text: &str) -> Result<f32, String> {
    number(text, "a temperature: 0 or more, such as 0.5", |x| x >= 0.0)
}

fn repetition_penalty(text: &str) -> Result<f32, String> {
    number(text, "a repetition penalty: more than 0, such as 1.2", |x| x > 0.0)
}

fn top_p(text: &str) -> Result<f32, String> {
    number(text, "a probability more than 0 and at most 1", |x| x > 0.0 && x <= 1.0)
}

fn min_p(text: &str) -> Result<f32, String> {
    number(text, "a probability from 0 to 1", |x| (0.0..=1.0).contains(&x))
}

fn max_new_tokens(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("`{text}` is not a number of tokens from 1")),
    }
}

fn stop(text: &str) -> Result<String, String> {
    let text = text.replace("\\n", "\n").replace("\\t", "\t");
    if text.is_empty() { Err("a stop text cannot be empty".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn defaults() -> Settings {
        Line::try_parse_from(["sai"]).expect("defaults hold").settings
    }

    #[test]
    fn defaults_are_those_of_42dot() {
        let settings = defaults();
        let shown: Vec<String> = NAMES.iter().filter_map(|name| settings.show(name)).collect();
        assert_eq!(shown, ["0.5", "1.2", "0.95", "20", "0", "512", "new for each answer", "none"]);
    }

    #[test]
    fn the_model_is_heard_where_the_person_said_nothing() {
        let mut settings = Line::try_parse_from(["sai", "--top-p", "0.8"]).expect("a flag").settings;
        settings.generation_config = GenerationConfig {
            temperature: Some(0.3),
            top_p: Some(0.9),
            top_k: Some(-1),
            ..GenerationConfig::default()
        };
        let now = settings.sampling();
        assert_eq!((now.temperature, now.top_p, now.top_k, now.repetition_penalty), (0.3, 0.8, 0, 1.2));
        assert_eq!(settings.show("temperature").as_deref(), Some("0.3 (the model's own)"));
        assert_eq!(settings.show("top-p").as_deref(), Some("0.8"));
        assert_eq!(settings.set("temperature", "0.7"), Ok(()));
        assert_eq!(settings.show("temperature").as_deref(), Some("0.7"));
    }

    #[test]
    fn set_takes_what_the_flags_take() {
        for (name, good, bad) in [
            ("temperature", "0", "-1"),
            ("temperature", "1.5", "nan"),
            ("repetition-penalty", "1", "0"),
            ("top-p", "1", "1.1"),
            ("top_k", "0", "-3"),
            ("--min-p", "0.05", "2"),
            ("max-new-tokens", "9", "0"),
            ("seed", "18446744073709551615", "x"),
            ("stop", "\\n\\n", ""),
        ] {
            let mut settings = defaults();
            assert_eq!(settings.set(name, good), Ok(()), "{name} {good}");
            let changed = settings.clone();
            assert!(settings.set(name, bad).is_err(), "{name} {bad}");
            assert_eq!(settings, changed, "a refused value changes nothing");
            let flag = format!("--{}={good}", canonical(name).expect("known"));
            assert_eq!(
                Line::try_parse_from(["sai", &flag]).ok().map(|line| line.settings),
                Some(changed),
                "{flag}"
            );
            let flag = format!("--{}={bad}", canonical(name).expect("known"));
            assert!(Line::try_parse_from(["sai", &flag]).is_err(), "{flag}");
        }
        let mut settings = defaults();
        assert_eq!(settings.set("seed", "7").and_then(|()| settings.set("seed", "none")), Ok(()));
        assert_eq!(settings, defaults());
        let error = settings.set("temprature", "1").expect_err("no such option");
        assert!(error.contains("`temperature`"), "{error}");
    }
}
