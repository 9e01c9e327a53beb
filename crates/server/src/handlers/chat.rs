//! `/v1/chat/completions`.

use super::sse::{Events, Left};
use super::{App, blocking, finish_reason, logprobs, now, room, sse};
use crate::conversation::Conversation;
use crate::error::ApiError;
use crate::job::{Job, Told};
use crate::registry::Loaded;
use crate::reply::{Call, Part, Reply};
use crate::settings::{self, MOST_CANDIDATES, Settings, new_id};
use crate::tool_choice::ToolChoice;
use crate::wire::{
    AnswerMessage, CallBody, CalledFunction, ChatChoice, ChatChunk, ChatLogprobs, ChatRequest, ChatResponse,
    ChunkChoice, Delta, UsageBody,
};
use crate::{body, error};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sai_generation::{Completion, Request, Step, Usage};
use std::sync::Arc;

/// Answers a conversation.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "chat", request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer; a stream of chunks where `stream` is true", body = ChatResponse),
        (status = 400, description = "A field is wrong", body = error::ErrorBody),
        (status = 404, description = "There is no such model", body = error::ErrorBody),
        (status = 429, description = "More is asked than can be answered soon", body = error::ErrorBody),
    )
)]
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let asked: ChatRequest = body::read(&headers, body, &app.limits).await?;
    let (stream, include_usage) = settings::streamed(asked.stream, asked.stream_options.as_ref())?;
    let settings = settings_of(&asked);
    let answers = settings.answers()?;
    let (loaded, permit) = app.begin(asked.model.as_deref(), answers).await?;
    let of = Arc::clone(&loaded);
    let ready = blocking(move || prepare(&of, &asked, &settings)).await?;

    let mut job = Job::new(Arc::clone(&loaded), Arc::clone(&app), permit);
    for i in 0..answers {
        let mut request = ready.request.clone();
        request.sampling.seed = request.sampling.seed.wrapping_add(i as u64);
        job.generate(ready.tokens.clone(), request);
    }
    let replies = (0..answers).map(|_| Answer::new(&ready)).collect();
    let chat = Chat {
        loaded,
        job,
        replies,
        id: new_id("chatcmpl"),
        created: now(),
        usage: Usage::default(),
        echo: ready.echo,
    };
    if stream {
        return Ok(sse::respond(&app.limits, move |events| chat.stream(events, include_usage)));
    }
    Ok(body::json(&chat.whole().await?))
}

fn settings_of(asked: &ChatRequest) -> Settings {
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
pub(crate) struct Ready {
    pub(crate) prompt: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) request: Request,
    pub(crate) logprobs: bool,
    pub(crate) choice: ToolChoice,
    /// What leads the answer, where it is to.
    pub(crate) echo: String,
}

/// Holds a request to its ranges, and writes its prompt.
pub(crate) fn prepare(loaded: &Loaded, asked: &ChatRequest, settings: &Settings) -> Result<Ready, ApiError> {
    if asked.functions.is_some() {
        return Err(ApiError::field("functions", "is not taken; give `tools`"));
    }
    let logprobs = asked.logprobs.unwrap_or(false);
    let candidates = match asked.top_logprobs {
        None => 0,
        Some(0) => 0,
        Some(_) if !logprobs => return Err(ApiError::field("top_logprobs", "wants `logprobs` to be true")),
        Some(count @ 1..=MOST_CANDIDATES) => count,
        Some(count) => {
            return Err(ApiError::field("top_logprobs", format!("is {count}; give 0 to {MOST_CANDIDATES}")));
        }
    };
    let (most, name) = match (asked.max_completion_tokens, asked.max_tokens) {
        (Some(most), _) => (Some(most), "max_completion_tokens"),
        (None, most) => (most, "max_tokens"),
    };
    if most == Some(0) {
        return Err(ApiError::field(name, "is 0; give 1 or more"));
    }
    let continued = asked.continue_final_message.unwrap_or(false);
    if continued && asked.add_generation_prompt == Some(true) {
        return Err(ApiError::field(
            "continue_final_message",
            "and `add_generation_prompt` are contrary; give one alone",
        ));
    }
    let choice = ToolChoice::of(asked, loaded)?;
    let conversation = Conversation {
        messages: &asked.messages,
        tools: choice.told(),
        add_generation_prompt: asked.add_generation_prompt.unwrap_or(!continued),
        continue_final_message: continued,
        kwargs: asked.chat_template_kwargs.as_ref(),
    };
    let prompt = conversation.prompt(loaded)?;
    let room = room(loaded, prompt.tokens.len(), most)?;
    let mut request = settings.request(loaded, room)?;
    request.candidates = candidates;
    let grammar = settings::grammar(asked.response_format.as_ref(), asked.structured_outputs.as_ref())?;
    let grammar = match (choice.grammar(loaded)?, grammar) {
        (Some(_), Some(_)) => {
            return Err(ApiError::field(
                "response_format",
                "and a tool that must be called are contrary; give one alone",
            ));
        }
        (of_tools, of_answer) => of_tools.or(of_answer),
    };
    let field = if choice.must() { "tools" } else { "response_format" };
    request.constraint =
        grammar.map(|grammar| loaded.constraint(&grammar)).transpose().map_err(|error| error.about(field))?;
    request.shown_special = choice.marks(loaded);
    let echo = match asked.echo.unwrap_or(false) && continued {
        true => conversation.messages.last().and_then(|m| m.content.as_ref()?.as_str()).unwrap_or_default(),
        false => "",
    };
    Ok(Ready { echo: echo.to_owned(), prompt: prompt.text, tokens: prompt.tokens, request, logprobs, choice })
}

/// An answer as it grows.
pub(crate) struct Answer {
    reply: Reply,
    /// Bytes of its text that have come.
    length: usize,
    logprobs: Option<ChatLogprobs>,
    calls: usize,
}

impl Answer {
    pub(crate) fn new(ready: &Ready) -> Answer {
        // What a grammar holds has no room for the end of thoughts that the prompt begins.
        let prompt = if ready.request.constraint.is_some() { "" } else { &ready.prompt };
        let reply = Reply::new(prompt, ready.choice.format());
        Answer { reply, length: 0, logprobs: ready.logprobs.then(ChatLogprobs::default), calls: 0 }
    }

    /// What a token brought.
    pub(crate) fn step(&mut self, loaded: &Loaded, step: &Step) -> Vec<Part> {
        if let Some(told) = &mut self.logprobs {
            told.content.push(logprobs::of_chat(&loaded.model.tokenizer, step));
        }
        self.length += step.text.len();
        self.read(&step.text)
    }

    /// What was held back, and why the answer ended.
    pub(crate) fn finish(&mut self, done: &Completion) -> Result<(Vec<Part>, &'static str), ApiError> {
        let mut parts = self.read(&done.text[self.length..]);
        let last = self.reply.finish();
        self.calls += last.iter().filter(|part| matches!(part, Part::Call(_))).count();
        parts.extend(last);
        let reason = match finish_reason(done.finish_reason)? {
            "stop" if self.calls > 0 => "tool_calls",
            reason => reason,
        };
        Ok((parts, reason))
    }

    fn read(&mut self, text: &str) -> Vec<Part> {
        let parts = self.reply.push(text);
        self.calls += parts.iter().filter(|part| matches!(part, Part::Call(_))).count();
        parts
    }
}

/// A call with a name of its own.
pub(crate) fn called(call: Call, index: Option<usize>) -> CallBody {
    let function = CalledFunction { name: call.name, arguments: call.arguments };
    CallBody { index, id: new_id("call"), kind: "function", function }
}

/// A conversation on its way.
struct Chat {
    loaded: Arc<Loaded>,
    job: Job,
    replies: Vec<Answer>,
    id: String,
    created: u64,
    usage: Usage,
    echo: String,
}

impl Chat {
    /// Adds what an answer took; the prompt is counted once.
    fn count(&mut self, i: usize, usage: &Usage) {
        self.usage.prompt_tokens = usage.prompt_tokens;
        if i == 0 {
            // Other answers begin with what the first one computed; that was not there before.
            self.usage.cached_tokens = usage.cached_tokens;
        }
        self.usage.completion_tokens += usage.completion_tokens;
    }

    fn usage(&self) -> UsageBody {
        let Usage { prompt_tokens, cached_tokens, completion_tokens, .. } = self.usage;
        UsageBody::new(prompt_tokens, cached_tokens, completion_tokens)
    }

    async fn whole(mut self) -> Result<ChatResponse, ApiError> {
        let mut choices: Vec<Option<ChatChoice>> = self.replies.iter().map(|_| None).collect();
        let mut parts: Vec<Vec<Part>> = self.replies.iter().map(|_| Vec::new()).collect();
        while let Some(told) = self.job.next().await? {
            match told {
                Told::Step(i, step) => parts[i].extend(self.replies[i].step(&self.loaded, &step)),
                Told::Completion(i, done) => {
                    self.count(i, &done.usage);
                    let (last, finish_reason) = self.replies[i].finish(&done)?;
                    let all = std::mem::take(&mut parts[i]).into_iter().chain(last);
                    let message = message(&self.echo, all);
                    let logprobs = self.replies[i].logprobs.take();
                    choices[i] = Some(ChatChoice { index: i, message, logprobs, finish_reason });
                }
                Told::Scores(..) | Told::Embedding(..) => {}
            }
        }
        let usage = self.usage();
        Ok(ChatResponse {
            id: self.id,
            object: "chat.completion",
            created: self.created,
            model: self.loaded.name.clone(),
            choices: choices.into_iter().flatten().collect(),
            usage,
        })
    }

    async fn stream(mut self, events: Events, include_usage: bool) {
        if let Err(Some(error)) = self.send(&events, include_usage).await {
            tracing::warn!(id = self.id, message = error.error.message, "stream failed");
            events.error(&error).await;
        }
    }

    /// Fails with nothing where the reader has left.
    async fn send(&mut self, events: &Events, include_usage: bool) -> Result<(), Option<ApiError>> {
        let chunk = |choices: Vec<ChunkChoice>, usage: Option<UsageBody>| ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.loaded.name.clone(),
            choices,
            usage: include_usage.then_some(usage),
        };
        let blank = chunk(Vec::new(), None);
        let one = |index, delta, logprobs, finish_reason| {
            let mut chunk = blank.clone();
            chunk.choices.push(ChunkChoice { index, delta, logprobs, finish_reason });
            chunk
        };
        let left = |_: Left| None;
        for i in 0..self.replies.len() {
            let content = Some(self.echo.clone());
            let delta = Delta { role: Some("assistant"), content, ..Delta::default() };
            events.data(&one(i, delta, None, None)).await.map_err(left)?;
        }
        let mut calls = vec![0; self.replies.len()];
        while let Some(told) = self.job.next().await.map_err(Some)? {
            let (i, parts, end) = match told {
                Told::Step(i, step) => (i, self.replies[i].step(&self.loaded, &step), None),
                Told::Completion(i, done) => {
                    self.count(i, &done.usage);
                    let (parts, reason) = self.replies[i].finish(&done).map_err(Some)?;
                    (i, parts, Some(reason))
                }
                Told::Scores(..) | Told::Embedding(..) => continue,
            };
            let mut logprobs = self.replies[i].logprobs.as_mut().map(std::mem::take);
            for part in parts {
                let delta = delta(part, &mut calls[i]);
                // Each token is told once.
                events.data(&one(i, delta, logprobs.take(), None)).await.map_err(left)?;
            }
            let untold = logprobs.filter(|told| !told.content.is_empty());
            if end.is_some() || untold.is_some() {
                events.data(&one(i, Delta::default(), untold, end)).await.map_err(left)?;
            }
        }
        if include_usage {
            let mut chunk = blank.clone();
            chunk.usage = Some(Some(self.usage()));
            events.data(&chunk).await.map_err(left)?;
        }
        events.done().await.map_err(left)
    }
}

fn delta(part: Part, calls: &mut usize) -> Delta {
    match part {
        Part::Content(text) => Delta { content: Some(text), ..Delta::default() },
        Part::Reasoning(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
        Part::Call(call) => {
            let index = Some(*calls);
            *calls += 1;
            Delta { tool_calls: Some(vec![called(call, index)]), ..Delta::default() }
        }
    }
}

/// The parts of an answer as one message.
fn message(echo: &str, parts: impl Iterator<Item = Part>) -> AnswerMessage {
    let (mut content, mut reasoning, mut calls) = (echo.to_owned(), String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Content(text) => content += &text,
            Part::Reasoning(text) => reasoning += &text,
            Part::Call(call) => calls.push(called(call, None)),
        }
    }
    AnswerMessage {
        role: "assistant",
        content: Some(content).filter(|content| !content.is_empty() || calls.is_empty()),
        reasoning_content: Some(reasoning).filter(|reasoning| !reasoning.is_empty()),
        tool_calls: Some(calls).filter(|calls| !calls.is_empty()),
        refusal: None,
    }
}
