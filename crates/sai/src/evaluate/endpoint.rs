//! A model behind a completions server, as OpenAI's API has it, that returns log-probabilities of the prompt (`echo`).
//!
//! Prompts are sent as tokens, so that the server cuts nothing itself. They are cut by a vocabulary on this machine, or by the
//! server's own `/tokenize`, which vLLM and sai have. A server that ignores `echo` would make chance of every score without an
//! error; it is refused at its first answer.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, bail};
use sai_evals::encode::Vocabulary;
use sai_evals::{Continuations, Done, Error, GenerateUntil, LanguageModel, Score};
use serde_json::{Value, json};
use ureq::http::header;

use super::remote_vocabulary::RemoteVocabulary;
use crate::ui::Ui;

/// Tokens that a server reads which does not say how many: what the harness assumes.
const CONTEXT: usize = 2048;
/// How often a request is sent before the run gives up, and the first pause between; each is twice as long as the last.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest pause that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(600);
/// The longest answer that is read.
const LONGEST: u64 = 256 << 20;

/// A server, and how it is asked.
pub(super) struct Endpoint {
    client: Client,
    vocabulary: Box<dyn Vocabulary>,
    context: usize,
    at_once: usize,
}

/// What hears of a job's answer, and may end the work.
type Answered<'a, J, T> = dyn FnMut(&J, T) -> Result<ControlFlow<()>, Error> + 'a;

impl Endpoint {
    /// Looks a server's model up. `tokenizer` is the name of a model on this machine whose vocabulary it has.
    ///
    /// # Errors
    /// It cannot be reached, does not serve the model, or has no way to cut texts and none is given.
    pub(super) fn open(
        url: &str,
        model: &str,
        tokenizer: Option<&str>,
        at_once: usize,
        ui: &Ui,
    ) -> anyhow::Result<Endpoint> {
        let client = Client::new(url, model)?;
        let said = client.model()?;
        let vocabulary: Box<dyn Vocabulary> = match tokenizer {
            Some(name) => Box::new(crate::models::tokenizer(name, &[], ui)?),
            None => Box::new(RemoteVocabulary::open(client.clone()).with_context(|| {
                format!("{url}: the server does not cut texts; name the model's vocabulary with --tokenizer")
            })?),
        };
        let context = said["max_model_len"].as_u64().and_then(|length| usize::try_from(length).ok());
        Ok(Endpoint { client, vocabulary, context: context.unwrap_or(CONTEXT), at_once })
    }

    /// Sends requests, so many at a time, and hears of each answer.
    fn each<J: Sync, T: Send>(
        &self,
        jobs: &[J],
        ask: impl Fn(&J) -> Result<T, String> + Sync,
        done: &mut Answered<'_, J, T>,
    ) -> Result<ControlFlow<()>, Error> {
        let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (to, answers) = channel();
        std::thread::scope(|scope| {
            for _ in 0..self.at_once.min(jobs.len()) {
                let (to, next, stopped, ask) = (to.clone(), &next, &stopped, &ask);
                scope.spawn(move || {
                    while !stopped.load(Ordering::Relaxed)
                        && let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                        && to.send((job, ask(job))).is_ok()
                    {}
                });
            }
            drop(to);
            let mut flow = Ok(ControlFlow::Continue(()));
            for (job, answer) in answers {
                flow = match answer {
                    Ok(answer) => done(job, answer),
                    Err(fact) => Err(Error::Endpoint(format!("{}: {fact}", self.client.completions))),
                };
                if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                    stopped.store(true, Ordering::Relaxed);
                    break;
                }
            }
            flow
        })
    }
}

impl LanguageModel for Endpoint {
    fn identity(&self) -> String {
        format!("{} {}", self.client.completions, self.client.model)
    }

    fn context(&self) -> usize {
        // The token that such servers make at least has its place too, and the last of a text is read here.
        self.context.saturating_sub(2)
    }

    fn vocabulary(&self) -> &dyn Vocabulary {
        &*self.vocabulary
    }

    fn score(
        &self,
        texts: &[Continuations<'_>],
        done: &mut Done<'_, Score>,
    ) -> Result<ControlFlow<()>, Error> {
        let of_text = |(number, text): (usize, &Continuations<'_>)| {
            (0..text.continuations.len()).map(|i| (number, i)).collect::<Vec<_>>()
        };
        let jobs: Vec<(usize, usize)> = texts.iter().enumerate().flat_map(of_text).collect();
        let client = &self.client;
        let ask = |&(number, i): &(usize, usize)| {
            let text = &texts[number];
            let tokens = [text.context, text.continuations[i]].concat();
            let body = json!({
                "model": client.model, "prompt": [tokens], "max_tokens": 1, "temperature": 0, "seed": 1234,
                "logprobs": 1, "echo": true,
            });
            let answer = client.post(&client.completions, &body)?;
            score_of(&answer["choices"][0], tokens.len(), text.context.len())
        };
        self.each(&jobs, ask, &mut |&(number, i), score| done(number, i, score))
    }

    fn generate(
        &self,
        texts: &[&[u32]],
        how: &GenerateUntil,
        done: &mut Done<'_, String>,
    ) -> Result<ControlFlow<()>, Error> {
        let jobs: Vec<usize> = (0..texts.len()).collect();
        let client = &self.client;
        let ask = |&number: &usize| {
            let body = json!({
                "model": client.model, "prompt": [texts[number]], "max_tokens": how.max_tokens, "temperature": 0,
                "seed": 1234, "stop": how.until,
            });
            let answer = client.post(&client.completions, &body)?;
            let text = answer["choices"][0]["text"].as_str().ok_or("the answer has no `choices[0].text`")?;
            // Some servers leave the string that ended an answer in it.
            let end =
                how.until.iter().filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len());
            Ok(text[..end].to_owned())
        };
        self.each(&jobs, ask, &mut |&number, said| done(number, 0, said))
    }
}

/// The sum of the log-probabilities of a prompt's tokens from `first` on.
fn score_of(choice: &Value, tokens: usize, first: usize) -> Result<Score, String> {
    let logprobs = choice["logprobs"]["token_logprobs"].as_array().filter(|logprobs| !logprobs.is_empty());
    let logprobs = logprobs.ok_or(
        "the server returned no log-probabilities of the prompt, so that every score would be chance; it has to know \
         `echo` and `logprobs`, as vLLM and sai do and llama-server does not",
    )?;
    if logprobs.len() != tokens && logprobs.len() != tokens + 1 {
        return Err(format!(
            "{} log-probabilities came for a prompt of {tokens} tokens and one more; the server cuts or adds tokens, or \
             does not know `echo`",
            logprobs.len()
        ));
    }
    let top = &choice["logprobs"]["top_logprobs"];
    let mut score = Score { logprob: 0.0, greedy: true };
    for (i, logprob) in logprobs.iter().enumerate().take(tokens).skip(first) {
        let logprob = logprob.as_f64().ok_or_else(|| format!("`token_logprobs[{i}]` is no number"))?;
        let best = top[i].as_object().into_iter().flatten().filter_map(|(_, other)| other.as_f64());
        score.greedy &= best.fold(f64::NEG_INFINITY, f64::max) <= logprob;
        score.logprob += logprob;
    }
    Ok(score)
}

/// Asks one server of one model.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    /// Where the API is, without `/v1`.
    pub(super) root: String,
    completions: String,
    pub(super) model: String,
    key: Option<String>,
}

impl Client {
    fn new(url: &str, model: &str) -> anyhow::Result<Client> {
        let plain = url.trim_end_matches('/');
        if !(plain.starts_with("http://") || plain.starts_with("https://")) {
            bail!("{url}: no address; --endpoint wants one such as http://127.0.0.1:8000/v1");
        }
        let root = plain.strip_suffix("/completions").unwrap_or(plain);
        let root = root.strip_suffix("/v1").unwrap_or(root).to_owned();
        let completions = match plain.ends_with("/completions") {
            true => plain.to_owned(),
            false => format!("{root}/v1/completions"),
        };
        let config = ureq::Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("sai/", env!("CARGO_PKG_VERSION")))
            .build();
        let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.trim().is_empty());
        Ok(Client { agent: config.into(), root, completions, model: model.to_owned(), key })
    }

    /// What the server says of the model; nothing where it has no list.
    fn model(&self) -> anyhow::Result<Value> {
        let url = format!("{}/v1/models", self.root);
        let list = match self.send(&url, None) {
            Ok(list) => list,
            // Only servers of one model can do without.
            Err(Failure::Refused { status: 404 | 405, .. }) => return Ok(Value::Null),
            Err(failure) => bail!("{url}: {}", failure.fact()),
        };
        let models: Vec<&Value> = list["data"].as_array().into_iter().flatten().collect();
        match models.iter().find(|model| model["id"] == self.model.as_str()) {
            Some(model) => Ok((*model).clone()),
            None if models.is_empty() => Ok(Value::Null),
            None => {
                let names: Vec<&str> = models.iter().filter_map(|model| model["id"].as_str()).collect();
                bail!("{}: it serves no model `{}`; it has {}", self.root, self.model, names.join(", "))
            }
        }
    }

    /// The answer to a POST, after as many tries as are worth it.
    pub(super) fn post(&self, url: &str, body: &Value) -> Result<Value, String> {
        self.send(url, Some(body)).map_err(|failure| failure.fact())
    }

    /// The answer to a GET.
    pub(super) fn get(&self, url: &str) -> Result<Value, String> {
        self.send(url, None).map_err(|failure| failure.fact())
    }

    fn send(&self, url: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.once(url, body) {
                Err(Failure::Busy { retry_after, .. }) => {
                    std::thread::sleep(retry_after.map_or(wait, |asked| asked.min(LONGEST_WAIT)));
                    wait *= 2;
                }
                outcome => return outcome,
            }
        }
        self.once(url, body)
    }

    fn once(&self, url: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let busy = |e: ureq::Error| Failure::Busy { fact: e.to_string(), retry_after: None };
        let mut response = match body {
            Some(body) => {
                let mut request = self.agent.post(url).header(header::CONTENT_TYPE, "application/json");
                if let Some(key) = &self.key {
                    request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
                }
                request.send(body.to_string().as_bytes())
            }
            None => {
                let mut request = self.agent.get(url);
                if let Some(key) = &self.key {
                    request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
                }
                request.call()
            }
        }
        .map_err(busy)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
        let text = response.body_mut().with_config().limit(LONGEST).read_to_string().map_err(busy)?;
        let json: Option<Value> = serde_json::from_str(&text).ok();
        if (200..300).contains(&status) {
            return json.ok_or(Failure::Refused { status, fact: "the answer is no JSON".to_owned() });
        }
        let said = json.as_ref().and_then(|json| {
            let fields = ["/error/message", "/message", "/detail", "/error"];
            fields.into_iter().find_map(|field| json.pointer(field)?.as_str())
        });
        let said = said.map(|said| format!(" ({})", said.replace(['\n', '\r'], " "))).unwrap_or_default();
        let fact = format!("the server answered with status {status}{said}");
        match status {
            429 | 500 | 502 | 503 | 504 => Err(Failure::Busy { fact, retry_after }),
            _ => Err(Failure::Refused { status, fact }),
        }
    }
}

/// Why there is no answer.
enum Failure {
    /// Another try may help.
    Busy {
        fact: String,
        retry_after: Option<Duration>,
    },
    Refused {
        status: u16,
        fact: String,
    },
}

impl Failure {
    fn fact(self) -> String {
        match self {
            Failure::Busy { fact, .. } => {
                format!("{fact}, {TRIES} times; with --journal the run goes on from here")
            }
            Failure::Refused { fact, .. } => fact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_server_are_taken_with_and_without_their_ends() {
        for url in
            ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", "http://h:1/v1/completions"]
        {
            let client = Client::new(url, "m").expect("an address");
            assert_eq!(
                (client.root.as_str(), client.completions.as_str()),
                ("http://h:1", "http://h:1/v1/completions"),
                "{url}"
            );
        }
        assert!(Client::new("h:1", "m").is_err());
    }

    #[test]
    fn scores_are_of_the_continuation_and_without_the_token_that_was_made() {
        let choice = |logprobs: Value| {
            json!({"logprobs": {
                "token_logprobs": logprobs, "top_logprobs": [null, {"a": -1.0}, {"b": -0.5}, {"c": -2.0}, {"d": -0.1}],
            }})
        };
        let score = score_of(&choice(json!([null, -1.0, -0.5, -2.0, -0.1])), 4, 2).expect("a score");
        assert_eq!((score.logprob, score.greedy), (-2.5, true));
        assert!(!score_of(&choice(json!([null, -1.0, -0.75, -2.0])), 4, 2).expect("a score").greedy);
        for (logprobs, fact) in [
            (json!(null), "no log-probabilities of the prompt"),
            (json!([]), "no log-probabilities of the prompt"),
            (json!([-0.1]), "1 log-probabilities came for a prompt of 4 tokens"),
            (json!([null, -1.0, null, -2.0]), "`token_logprobs[2]` is no number"),
        ] {
            assert!(score_of(&choice(logprobs), 4, 2).is_err_and(|e| e.contains(fact)), "{fact}");
        }
    }
}
