//! `/v1/responses`, without a memory.

use super::chat::{Answer, Ready, prepare};
use super::sse::{Events, Left};
use super::{App, blocking, now, sse};
use crate::error::ApiError;
use crate::job::{Job, Told};
use crate::registry::Loaded;
use crate::reply::{Call, Part};
use crate::settings::{Settings, new_id};
use crate::wire::{
    ChatMessage, ChatRequest, Function, FunctionCall, OutputDetails, PromptDetails, ResponsesRequest,
    ResponsesResponse, ResponsesUsage, Tool, ToolCall,
};
use crate::{body, error};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sai_generation::Usage;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers a conversation that the request brings whole.
#[utoipa::path(
    post, path = "/v1/responses", tag = "responses", request_body = ResponsesRequest,
    responses(
        (status = 200, description = "The answer; a stream of events where `stream` is true", body = ResponsesResponse),
        (status = 400, description = "A field is wrong", body = error::ErrorBody),
        (status = 404, description = "There is no such model", body = error::ErrorBody),
        (status = 429, description = "More is asked than can be answered soon", body = error::ErrorBody),
    )
)]
pub(crate) async fn responses(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let asked: ResponsesRequest = body::read(&headers, body, &app.limits).await?;
    let kept = asked.conversation.as_ref().is_some_and(|conversation| !conversation.is_null());
    for (field, given) in
        [("previous_response_id", asked.previous_response_id.is_some()), ("conversation", kept)]
    {
        if given {
            return Err(ApiError::field(
                field,
                "is not taken: this server keeps nothing; send the whole conversation as `input`",
            ));
        }
    }
    if asked.background == Some(true) {
        return Err(ApiError::field(
            "background",
            "is not taken: this server keeps nothing to be fetched later",
        ));
    }
    let chat = chat_of(&asked)?;
    let (loaded, permit) = app.begin(asked.model.as_deref(), 1).await?;
    let of = Arc::clone(&loaded);
    let settings = Settings {
        temperature: asked.temperature,
        top_p: asked.top_p,
        cache_salt: asked.cache_salt.clone(),
        ..Settings::default()
    };
    let ready = blocking(move || prepare(&of, &chat, &settings).map_err(renamed)).await?;
    let mut job = Job::new(Arc::clone(&loaded), Arc::clone(&app), permit);
    job.generate(ready.tokens.clone(), ready.request.clone());
    let stream = asked.stream.unwrap_or(false);
    let answer = Answering::new(loaded, job, &ready, &asked);
    if stream {
        return Ok(sse::respond(&app.limits, move |events| answer.stream(events)));
    }
    Ok(body::json(&answer.whole().await?))
}

/// Names a field as this endpoint has it.
fn renamed(mut error: ApiError) -> ApiError {
    if let Some(param) = &mut error.error.param {
        for (chat, own) in
            [("messages", "input"), ("max_tokens", "max_output_tokens"), ("response_format", "text.format")]
        {
            if let Some(rest) = param.strip_prefix(chat) {
                let (old, new) = (format!("`{param}`"), format!("{own}{rest}"));
                error.error.message = error.error.message.replacen(&old, &format!("`{new}`"), 1);
                *param = new;
                break;
            }
        }
    }
    error
}

/// The same as a chat.
fn chat_of(asked: &ResponsesRequest) -> Result<ChatRequest, ApiError> {
    let mut messages = Vec::new();
    let message = |role: &str, content: Value| ChatMessage {
        role: role.to_owned(),
        content: Some(content),
        ..ChatMessage::default()
    };
    messages.extend(asked.instructions.as_deref().map(|text| message("system", text.into())));
    match &asked.input {
        Value::String(text) => messages.push(message("user", text.as_str().into())),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                add(&mut messages, item, &format!("input[{i}]"))?;
            }
        }
        Value::Null => return Err(ApiError::field("input", "is missing")),
        _ => return Err(ApiError::field("input", "is neither a text nor a list")),
    }
    let mut tools = Vec::new();
    for (i, tool) in asked.tools.iter().flatten().enumerate() {
        if tool.kind != "function" {
            return Err(ApiError::field(
                format!("tools[{i}].type"),
                format!("is `{}`; this server has functions alone", tool.kind),
            ));
        }
        let function = Function {
            name: tool.name.clone().unwrap_or_default(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
            strict: None,
        };
        tools.push(Tool { kind: tool.kind.clone(), function });
    }
    let tool_choice = match &asked.tool_choice {
        Some(choice) if choice["type"] == "function" => {
            Some(json!({ "type": "function", "function": { "name": choice["name"] } }))
        }
        other => other.clone(),
    };
    let format = asked.text.as_ref().and_then(|text| text.format.as_ref());
    Ok(ChatRequest {
        messages,
        max_tokens: asked.max_output_tokens,
        tools: Some(tools).filter(|tools| !tools.is_empty()),
        tool_choice,
        parallel_tool_calls: asked.parallel_tool_calls,
        response_format: format.map(|format| format.nested()),
        chat_template_kwargs: asked.chat_template_kwargs.clone(),
        ..ChatRequest::default()
    })
}

/// An item as a message. Calls one after another are one message's.
fn add(messages: &mut Vec<ChatMessage>, item: &Value, path: &str) -> Result<(), ApiError> {
    let text = |key: &str| {
        let value = item[key].as_str().map(str::to_owned);
        value.ok_or_else(|| ApiError::field(format!("{path}.{key}"), "is missing, or no text"))
    };
    match item["type"].as_str() {
        None | Some("message") => messages.push(ChatMessage {
            role: text("role")?,
            content: item.get("content").cloned(),
            ..ChatMessage::default()
        }),
        Some("function_call") => {
            let function = FunctionCall { name: text("name")?, arguments: item.get("arguments").cloned() };
            let call = ToolCall { id: Some(text("call_id")?), kind: "function".to_owned(), function };
            match messages.last_mut().filter(|last| last.role == "assistant") {
                Some(last) => last.tool_calls.get_or_insert_default().push(call),
                None => messages.push(ChatMessage {
                    role: "assistant".to_owned(),
                    tool_calls: Some(vec![call]),
                    ..ChatMessage::default()
                }),
            }
        }
        Some("function_call_output") => messages.push(ChatMessage {
            role: "tool".to_owned(),
            content: item.get("output").cloned(),
            tool_call_id: Some(text("call_id")?),
            ..ChatMessage::default()
        }),
        // Thoughts of earlier answers are not read again.
        Some("reasoning") => {}
        Some(kind) => {
            return Err(ApiError::field(format!("{path}.type"), format!("is `{kind}`, which is not taken")));
        }
    }
    Ok(())
}

/// A piece of the answer that has begun and not ended.
struct Open {
    index: usize,
    id: String,
    thought: bool,
    text: String,
}

/// An answer on its way.
struct Answering {
    loaded: Arc<Loaded>,
    job: Job,
    answer: Answer,
    body: ResponsesResponse,
    open: Option<Open>,
    sequence: u64,
}

impl Answering {
    fn new(loaded: Arc<Loaded>, job: Job, ready: &Ready, asked: &ResponsesRequest) -> Answering {
        let tools = asked.tools.iter().flatten().map(|tool| {
            json!({
                "type": "function", "name": tool.name, "description": tool.description,
                "parameters": tool.parameters, "strict": false,
            })
        });
        let body = ResponsesResponse {
            id: new_id("resp"),
            object: "response",
            created_at: now(),
            status: "in_progress",
            model: loaded.name.clone(),
            output: Vec::new(),
            incomplete_details: None,
            error: None,
            instructions: asked.instructions.clone(),
            metadata: asked.metadata.clone().unwrap_or_default(),
            parallel_tool_calls: asked.parallel_tool_calls.unwrap_or(true),
            tool_choice: asked.tool_choice.clone().unwrap_or_else(|| "auto".into()),
            tools: tools.collect(),
            temperature: asked.temperature,
            top_p: asked.top_p,
            max_output_tokens: asked.max_output_tokens,
            store: false,
            usage: None,
        };
        Answering { loaded, job, answer: Answer::new(ready), body, open: None, sequence: 0 }
    }

    async fn whole(mut self) -> Result<ResponsesResponse, ApiError> {
        while self.next().await?.is_some() {}
        Ok(self.body)
    }

    async fn stream(mut self, events: Events) {
        let begun = self.body_value();
        for name in ["response.created", "response.in_progress"] {
            let event = self.event(name, json!({ "response": begun }));
            if events.named(name, &event).await.is_err() {
                return;
            }
        }
        loop {
            match self.next().await {
                Ok(Some(told)) => {
                    for event in told {
                        let name = event["type"].as_str().unwrap_or_default().to_owned();
                        if let Err(Left) = events.named(&name, &event).await {
                            return;
                        }
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.body.status = "failed";
                    let code = error.error.code.unwrap_or("server_error");
                    self.body.error = Some(json!({ "code": code, "message": error.error.message }));
                    let response = self.body_value();
                    let event = self.event("response.failed", json!({ "response": response }));
                    let _ = events.named("response.failed", &event).await;
                    return;
                }
            }
        }
    }

    fn body_value(&self) -> Value {
        serde_json::to_value(&self.body).unwrap_or_default()
    }

    fn event(&mut self, name: &str, mut event: Value) -> Value {
        event["type"] = name.into();
        event["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        event
    }

    /// The events of what comes next; `None` after the end.
    async fn next(&mut self) -> Result<Option<Vec<Value>>, ApiError> {
        let mut events = Vec::new();
        match self.job.next().await? {
            None => return Ok(None),
            Some(Told::Step(_, step)) => {
                for part in self.answer.step(&self.loaded, &step) {
                    self.take(part, &mut events);
                }
            }
            Some(Told::Completion(_, done)) => {
                let (parts, reason) = self.answer.finish(&done)?;
                for part in parts {
                    self.take(part, &mut events);
                }
                self.close(&mut events);
                self.end(reason, &done.usage, &mut events);
            }
            Some(Told::Scores(..) | Told::Embedding(..)) => {}
        }
        Ok(Some(events))
    }

    fn end(&mut self, reason: &str, usage: &Usage, events: &mut Vec<Value>) {
        let complete = reason != "length";
        self.body.status = if complete { "completed" } else { "incomplete" };
        self.body.incomplete_details = (!complete).then(|| json!({ "reason": "max_output_tokens" }));
        self.body.usage = Some(ResponsesUsage {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails::default(),
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
        });
        let name = if complete { "response.completed" } else { "response.incomplete" };
        let response = self.body_value();
        events.push(self.event(name, json!({ "response": response })));
    }

    fn take(&mut self, part: Part, events: &mut Vec<Value>) {
        match part {
            Part::Content(text) => self.say(text, false, events),
            Part::Reasoning(text) => self.say(text, true, events),
            Part::Call(call) => {
                self.close(events);
                self.call(call, events);
            }
        }
    }

    fn say(&mut self, text: String, thought: bool, events: &mut Vec<Value>) {
        if self.open.as_ref().is_some_and(|open| open.thought != thought) {
            self.close(events);
        }
        if self.open.is_none() {
            let (index, id) = (self.body.output.len(), new_id(if thought { "rs" } else { "msg" }));
            let item = item(&id, thought, None);
            events.push(
                self.event("response.output_item.added", json!({ "output_index": index, "item": item })),
            );
            let at = json!({ "item_id": id, "output_index": index, "content_index": 0, "part": content(thought, "") });
            events.push(self.event("response.content_part.added", at));
            self.open = Some(Open { index, id, thought, text: String::new() });
        }
        let Some(open) = &mut self.open else { return };
        open.text += &text;
        let delta =
            json!({ "item_id": open.id, "output_index": open.index, "content_index": 0, "delta": text });
        events.push(self.event(
            if thought { "response.reasoning_text.delta" } else { "response.output_text.delta" },
            delta,
        ));
    }

    /// Ends what is open.
    fn close(&mut self, events: &mut Vec<Value>) {
        let Some(Open { index, id, thought, text }) = self.open.take() else { return };
        let at = |more: Value| {
            let mut event = json!({ "item_id": id, "output_index": index, "content_index": 0 });
            if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
                event.extend(more);
            }
            event
        };
        let name = if thought { "response.reasoning_text.done" } else { "response.output_text.done" };
        events.push(self.event(name, at(json!({ "text": text }))));
        events.push(self.event("response.content_part.done", at(json!({ "part": content(thought, &text) }))));
        let item = item(&id, thought, Some(&text));
        events.push(self.event("response.output_item.done", json!({ "output_index": index, "item": item })));
        self.body.output.push(item);
    }

    fn call(&mut self, call: Call, events: &mut Vec<Value>) {
        let (index, id) = (self.body.output.len(), new_id("fc"));
        let item = |status: &str, arguments: &str, call_id: &str| {
            json!({
                "type": "function_call", "id": id, "call_id": call_id, "name": call.name,
                "arguments": arguments, "status": status,
            })
        };
        let call_id = new_id("call");
        let begun = item("in_progress", "", &call_id);
        events
            .push(self.event("response.output_item.added", json!({ "output_index": index, "item": begun })));
        let at = |key: &str| json!({ "item_id": id, "output_index": index, key: call.arguments });
        events.push(self.event("response.function_call_arguments.delta", at("delta")));
        events.push(self.event("response.function_call_arguments.done", at("arguments")));
        let done = item("completed", &call.arguments, &call_id);
        events.push(self.event("response.output_item.done", json!({ "output_index": index, "item": done })));
        self.body.output.push(done);
    }
}

/// What is said or thought as an item: begun, or with its whole text.
fn item(id: &str, thought: bool, text: Option<&str>) -> Value {
    let status = if text.is_some() { "completed" } else { "in_progress" };
    let parts: Vec<Value> = text.map(|text| content(thought, text)).into_iter().collect();
    match thought {
        true => json!({ "type": "reasoning", "id": id, "summary": [], "content": parts, "status": status }),
        false => {
            json!({ "type": "message", "id": id, "role": "assistant", "status": status, "content": parts })
        }
    }
}

fn content(thought: bool, text: &str) -> Value {
    match thought {
        true => json!({ "type": "reasoning_text", "text": text }),
        false => json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }),
    }
}
