//! `/v1/completions`: continued texts, and the log-probabilities of given ones.

use super::logprobs::TextLogprobs;
use super::sse::{Events, Left};
use super::{App, blocking, finish_reason, now, room, sse};
use crate::admission::Permit;
use crate::error::ApiError;
use crate::job::{Job, Told};
use crate::registry::Loaded;
use crate::settings::{self, MOST_CANDIDATES, Settings, new_id};
use crate::wire::{
    CompletionChoice, CompletionLogprobs, CompletionRequest, CompletionResponse, Prompt, UsageBody,
};
use crate::{body, error};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sai_generation::{Completion, FinishReason, Request, ScoreRequest, Scores, Step, Tokenizer, Usage};
use std::sync::Arc;

/// Tokens of an answer where nothing is said, as OpenAI's API has it.
const DEFAULT_TOKENS: usize = 16;
/// Texts of a request at most.
pub(super) const MOST_PROMPTS: usize = 2048;

/// Continues texts.
#[utoipa::path(
    post, path = "/v1/completions", tag = "completions", request_body = CompletionRequest,
    responses(
        (status = 200, description = "The texts; a stream of pieces where `stream` is true", body = CompletionResponse),
        (status = 400, description = "A field is wrong", body = error::ErrorBody),
        (status = 404, description = "There is no such model", body = error::ErrorBody),
        (status = 429, description = "More is asked than can be answered soon", body = error::ErrorBody),
    )
)]
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let mut asked: CompletionRequest = body::read(&headers, body, &app.limits).await?;
    let (stream, include_usage) = settings::streamed(asked.stream, asked.stream_options.as_ref())?;
    let settings = settings_of(&asked);
    let answers = settings.answers()?;
    let prompts = std::mem::take(&mut asked.prompt).into_list();
    check_count(prompts.len(), "prompt")?;
    if prompts.len() * answers > MOST_PROMPTS {
        let fact =
            format!("times the prompts is {}; give at most {MOST_PROMPTS} answers", prompts.len() * answers);
        return Err(ApiError::field("n", fact));
    }
    let (loaded, permit) = app.begin(asked.model.as_deref(), prompts.len() * answers).await?;
    let of = Arc::clone(&loaded);
    let ready = blocking(move || prepare(&of, &asked, prompts, &settings)).await?;
    let texts = Texts {
        app: Arc::clone(&app),
        loaded,
        permit,
        ready,
        answers,
        id: new_id("cmpl"),
        created: now(),
        usage: Usage::default(),
    };
    if stream {
        return Ok(sse::respond(&app.limits, move |events| texts.stream(events, include_usage)));
    }
    Ok(body::json(&texts.whole().await?))
}

/// Holds the number of texts to its range.
pub(super) fn check_count(count: usize, field: &str) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::field(field, "is empty; give a text or its tokens")),
        1..=MOST_PROMPTS => Ok(()),
        _ => Err(ApiError::field(field, format!("has {count} texts; give at most {MOST_PROMPTS}"))),
    }
}

/// A text's tokens.
///
/// # Errors
/// It has none, or one that the model does not have; `field` is its path.
pub(super) fn tokens(
    loaded: &Loaded,
    prompt: Prompt,
    special: bool,
    field: &str,
) -> Result<Vec<u32>, ApiError> {
    let vocab_size = loaded.model.decoder.config().vocab_size;
    let tokens = match prompt {
        Prompt::Text(text) if special => loaded.model.encode_text(&text),
        Prompt::Text(text) => loaded.model.tokenizer.encode(&text),
        Prompt::Tokens(tokens) => tokens,
    };
    if tokens.is_empty() {
        return Err(ApiError::field(field, "has no tokens; the model needs at least one to continue"));
    }
    match tokens.iter().find(|&&token| token as usize >= vocab_size) {
        Some(token) => Err(ApiError::field(
            field,
            format!("has the token {token}; the model has 0 to {}", vocab_size - 1),
        )),
        None => Ok(tokens),
    }
}

fn settings_of(asked: &CompletionRequest) -> Settings {
    Settings {
        n: asked.n,
        seed: asked.seed,
        stop: asked.stop.clone(),
        temperature: asked.temperature,
        top_p: asked.top_p,
        top_k: asked.top_k,
        min_p: asked.min_p,
        repetition_penalty: asked.repetition_penalty,
        presence_penalty: asked.presence_penalty,
        frequency_penalty: asked.frequency_penalty,
        logit_bias: asked.logit_bias.clone(),
        cache_salt: asked.cache_salt.clone(),
    }
}

/// A request that nothing is wrong with.
struct Ready {
    prompts: Vec<Vec<u32>>,
    /// One for each prompt.
    requests: Vec<Request>,
    echo: bool,
    logprobs: Option<usize>,
}

fn prepare(
    loaded: &Loaded,
    asked: &CompletionRequest,
    prompts: Vec<Prompt>,
    settings: &Settings,
) -> Result<Ready, ApiError> {
    if asked.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(ApiError::field(
            "suffix",
            "is not taken: the models continue texts, and do not fill gaps",
        ));
    }
    if asked.best_of.is_some_and(|best| best != asked.n.unwrap_or(1)) {
        return Err(ApiError::field("best_of", "is not taken but as much as `n`; ask for `n` and choose"));
    }
    if let Some(count) = asked.logprobs.filter(|&count| count > MOST_CANDIDATES) {
        return Err(ApiError::field("logprobs", format!("is {count}; give 0 to {MOST_CANDIDATES}")));
    }
    let echo = asked.echo.unwrap_or(false);
    let most = asked.max_tokens.unwrap_or(DEFAULT_TOKENS);
    if most == 0 && !echo {
        return Err(ApiError::field(
            "max_tokens",
            "is 0; give 1 or more, or `echo` to hear of the prompt alone",
        ));
    }
    let grammar = settings::grammar(asked.response_format.as_ref(), asked.structured_outputs.as_ref())?;
    let constraint = grammar.map(|grammar| loaded.constraint(&grammar)).transpose();
    let constraint = constraint.map_err(|error| error.about("response_format"))?;
    let several = prompts.len() > 1;
    let (mut of_prompts, mut requests) =
        (Vec::with_capacity(prompts.len()), Vec::with_capacity(prompts.len()));
    for (i, prompt) in prompts.into_iter().enumerate() {
        let field = if several { format!("prompt[{i}]") } else { "prompt".to_owned() };
        let tokens = tokens(loaded, prompt, asked.add_special_tokens.unwrap_or(true), &field)?;
        let room = match most {
            // Its last token is scored, and not computed.
            0 if tokens.len() <= loaded.model.context => 0,
            most => room(loaded, tokens.len(), Some(most)).map_err(|error| error.about(&field))?,
        };
        let mut request = settings.request(loaded, room)?;
        request.candidates = asked.logprobs.unwrap_or(0);
        request.constraint.clone_from(&constraint);
        of_prompts.push(tokens);
        requests.push(request);
    }
    Ok(Ready { prompts: of_prompts, requests, echo, logprobs: asked.logprobs })
}

/// Texts on their way.
struct Texts {
    app: Arc<App>,
    loaded: Arc<Loaded>,
    permit: Arc<Permit>,
    ready: Ready,
    /// To each prompt.
    answers: usize,
    id: String,
    created: u64,
    usage: Usage,
}

impl Texts {
    fn job(&self) -> Job {
        Job::new(Arc::clone(&self.loaded), Arc::clone(&self.app), Arc::clone(&self.permit))
    }

    /// Log-probabilities of the prompts, where they are wanted.
    async fn scores(&self) -> Result<Vec<Scores>, ApiError> {
        let (true, Some(candidates)) = (self.ready.echo, self.ready.logprobs) else { return Ok(Vec::new()) };
        let mut job = self.job();
        for (tokens, request) in self.ready.prompts.iter().zip(&self.ready.requests) {
            let cache_salt = request.cache_salt.clone();
            job.score(tokens.clone(), ScoreRequest { first: 1, candidates, cache_salt });
        }
        let mut scores = vec![Scores::default(); self.ready.prompts.len()];
        while let Some(told) = job.next().await? {
            if let Told::Scores(i, of) = told {
                scores[i] = of;
            }
        }
        Ok(scores)
    }

    /// What leads each prompt's answers.
    async fn heads(&mut self) -> Result<Vec<Head>, ApiError> {
        let scores = self.scores().await?;
        let tokenizer = &self.loaded.model.tokenizer;
        let mut heads = Vec::with_capacity(self.ready.prompts.len());
        for (i, tokens) in self.ready.prompts.iter().enumerate() {
            let text = if self.ready.echo { tokenizer.decode_with_special(tokens) } else { String::new() };
            let mut head = Head { text, logprobs: None, offset: 0 };
            if let (Some(scores), Some(count)) = (scores.get(i), self.ready.logprobs) {
                let mut told = TextLogprobs::new(tokenizer, count);
                for (at, &token) in tokens.iter().enumerate() {
                    let logprob = at.checked_sub(1).and_then(|at| scores.logprobs.get(at)).copied();
                    let candidates = at.checked_sub(1).and_then(|at| scores.candidates.get(at));
                    told.push(token, logprob, candidates.map(Vec::as_slice).unwrap_or_default());
                }
                head.offset = told.offset();
                head.logprobs = Some(told.finish());
            }
            self.usage.prompt_tokens += tokens.len();
            heads.push(head);
        }
        Ok(heads)
    }

    fn generate(&self) -> Job {
        let mut job = self.job();
        for (tokens, request) in self.ready.prompts.iter().zip(&self.ready.requests) {
            for i in 0..self.answers {
                let mut request = request.clone();
                request.sampling.seed = request.sampling.seed.wrapping_add(i as u64);
                job.generate(tokens.clone(), request);
            }
        }
        job
    }

    /// Whether anything is to be continued.
    fn continues(&self) -> bool {
        self.ready.requests.iter().any(|request| request.max_new_tokens > 0)
    }

    fn count(&mut self, i: usize, usage: &Usage) {
        // Other answers begin with what the first one computed, or what was scored; that was not there before.
        let scored = self.ready.echo && self.ready.logprobs.is_some();
        if i.is_multiple_of(self.answers) && !scored {
            self.usage.cached_tokens += usage.cached_tokens;
        }
        self.usage.completion_tokens += usage.completion_tokens;
    }

    fn usage(&self) -> UsageBody {
        let Usage { prompt_tokens, cached_tokens, completion_tokens, .. } = self.usage;
        UsageBody::new(prompt_tokens, cached_tokens, completion_tokens)
    }

    fn response(
        &self,
        choices: Vec<CompletionChoice>,
        usage: Option<Option<UsageBody>>,
    ) -> CompletionResponse {
        CompletionResponse {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.loaded.name.clone(),
            choices,
            usage,
        }
    }

    async fn whole(mut self) -> Result<CompletionResponse, ApiError> {
        let heads = self.heads().await?;
        let count = self.ready.prompts.len() * self.answers;
        let mut choices: Vec<CompletionChoice> = (0..count)
            .map(|index| {
                let head = &heads[index / self.answers];
                let (text, logprobs) = (head.text.clone(), head.logprobs.clone());
                CompletionChoice { index, text, logprobs, finish_reason: Some("length") }
            })
            .collect();
        if self.continues() {
            let loaded = Arc::clone(&self.loaded);
            let mut tails: Vec<Tail<'_>> = (0..count)
                .map(|i| Tail::new(&loaded.model.tokenizer, &heads[i / self.answers], &self.ready))
                .collect();
            let mut job = self.generate();
            while let Some(told) = job.next().await? {
                match told {
                    Told::Step(i, step) => tails[i].step(&step),
                    Told::Completion(i, done) => {
                        self.count(i, &done.usage);
                        tails[i].end(&done);
                        choices[i].text += &done.text;
                        choices[i].finish_reason = Some(finish_reason(done.finish_reason)?);
                        join(&mut choices[i].logprobs, tails[i].take());
                    }
                    Told::Scores(..) | Told::Embedding(..) => {}
                }
            }
        }
        let usage = self.usage();
        Ok(self.response(choices, Some(Some(usage))))
    }

    async fn stream(mut self, events: Events, include_usage: bool) {
        if let Err(Some(error)) = self.send(&events, include_usage).await {
            tracing::warn!(id = self.id, message = error.error.message, "stream failed");
            events.error(&error).await;
        }
    }

    /// Fails with nothing where the reader has left.
    async fn send(&mut self, events: &Events, include_usage: bool) -> Result<(), Option<ApiError>> {
        let left = |_: Left| None;
        let nothing = include_usage.then_some(None);
        let heads = self.heads().await.map_err(Some)?;
        let count = self.ready.prompts.len() * self.answers;
        let continues = self.continues();
        let piece = |texts: &Texts, index, text, logprobs, finish_reason| {
            texts.response(vec![CompletionChoice { index, text, logprobs, finish_reason }], nothing)
        };
        for i in (0..count).filter(|_| self.ready.echo) {
            let head = &heads[i / self.answers];
            let end = (!continues).then_some("length");
            let told = piece(self, i, head.text.clone(), head.logprobs.clone(), end);
            events.data(&told).await.map_err(left)?;
        }
        if continues {
            let loaded = Arc::clone(&self.loaded);
            let mut tails: Vec<Tail<'_>> = (0..count)
                .map(|i| Tail::new(&loaded.model.tokenizer, &heads[i / self.answers], &self.ready))
                .collect();
            let mut job = self.generate();
            while let Some(told) = job.next().await.map_err(Some)? {
                let (i, text, end) = match told {
                    Told::Step(i, step) => {
                        tails[i].step(&step);
                        (i, step.text, None)
                    }
                    Told::Completion(i, done) => {
                        self.count(i, &done.usage);
                        tails[i].end(&done);
                        let reason = finish_reason(done.finish_reason).map_err(Some)?;
                        (i, done.text[tails[i].length..].to_owned(), Some(reason))
                    }
                    Told::Scores(..) | Told::Embedding(..) => continue,
                };
                let logprobs = tails[i].take().filter(|told| !told.tokens.is_empty());
                if !text.is_empty() || logprobs.is_some() || end.is_some() {
                    events.data(&piece(self, i, text, logprobs, end)).await.map_err(left)?;
                }
            }
        }
        if include_usage {
            let told = self.response(Vec::new(), Some(Some(self.usage())));
            events.data(&told).await.map_err(left)?;
        }
        events.done().await.map_err(left)
    }
}

/// A prompt that leads its answers.
struct Head {
    text: String,
    logprobs: Option<CompletionLogprobs>,
    /// Characters of its tokens.
    offset: usize,
}

/// An answer's log-probabilities as they come.
struct Tail<'t> {
    tokenizer: &'t Tokenizer,
    logprobs: Option<TextLogprobs<'t>>,
    count: usize,
    /// Bytes of text that have come.
    length: usize,
    /// Whether the token that ends it is told too: a harness counts on one more than the prompt has.
    tells_end: bool,
}

impl<'t> Tail<'t> {
    fn new(tokenizer: &'t Tokenizer, head: &Head, ready: &Ready) -> Tail<'t> {
        let count = ready.logprobs.unwrap_or(0);
        let logprobs = ready.logprobs.map(|count| TextLogprobs::new(tokenizer, count).at(head.offset));
        Tail { tokenizer, logprobs, count, length: 0, tells_end: ready.echo }
    }

    fn step(&mut self, step: &Step) {
        self.length += step.text.len();
        if let Some(told) = &mut self.logprobs {
            told.push(step.token, Some(step.logprob), &step.raw);
        }
    }

    fn end(&mut self, done: &Completion) {
        if let (Some(told), Some(end), true) = (&mut self.logprobs, &done.end, self.tells_end)
            && done.finish_reason == FinishReason::Stop
        {
            told.push(end.token, Some(end.logprob), &end.raw);
        }
    }

    /// What was not told yet.
    fn take(&mut self) -> Option<CompletionLogprobs> {
        let told = self.logprobs.take()?;
        self.logprobs = Some(TextLogprobs::new(self.tokenizer, self.count).at(told.offset()));
        Some(told.finish())
    }
}

/// Adds what comes later.
fn join(told: &mut Option<CompletionLogprobs>, more: Option<CompletionLogprobs>) {
    let Some(more) = more else { return };
    match told {
        None => *told = Some(more),
        Some(told) => {
            told.tokens.extend(more.tokens);
            told.token_logprobs.extend(more.token_logprobs);
            told.text_offset.extend(more.text_offset);
            if let (Some(top), Some(more)) = (&mut told.top_logprobs, more.top_logprobs) {
                top.extend(more);
            }
        }
    }
}
