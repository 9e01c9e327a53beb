//! Streams of events as browsers and OpenAI's clients read them.

use crate::Limits;
use crate::error::ApiError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that wait for a slow reader; the work waits with them.
const WAITING: usize = 64;

/// Where the events of a stream are sent.
pub(crate) struct Events {
    to: Sender<Bytes>,
    /// How long the reader may take none.
    patience: Duration,
}

/// The reader has left, or takes nothing any more.
pub(crate) struct Left;

impl Events {
    /// A value as an event.
    pub(crate) async fn data<T: Serialize>(&self, value: &T) -> Result<(), Left> {
        self.write(format!("data: {}\n\n", line(value))).await
    }

    /// A value as an event with a name.
    pub(crate) async fn named<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Left> {
        self.write(format!("event: {name}\ndata: {}\n\n", line(value))).await
    }

    /// The end of OpenAI's streams.
    pub(crate) async fn done(&self) -> Result<(), Left> {
        self.write("data: [DONE]\n\n".to_owned()).await
    }

    /// An error, after which nothing comes: what failed must not look finished.
    pub(crate) async fn error(&self, error: &ApiError) {
        let _ = self.data(&error.body()).await;
    }

    async fn write(&self, text: String) -> Result<(), Left> {
        match tokio::time::timeout(self.patience, self.to.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Left),
        }
    }
}

fn line<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A response whose events `work` sends, with a comment every so often where there are none.
pub(crate) fn respond<W>(limits: &Limits, work: impl FnOnce(Events) -> W) -> Response
where
    W: Future<Output = ()> + Send + 'static,
{
    let keep_alive = limits.keep_alive;
    let (to, events) = channel(WAITING);
    // It is dropped with the response's body: a reader that leaves takes the work with it.
    let task = tokio::spawn(work(Events { to, patience: limits.write_time }));
    let body = stream::unfold((events, Task(task)), move |(mut events, task)| async move {
        let next = next(&mut events, keep_alive).await?;
        Some((Ok::<Bytes, std::convert::Infallible>(next), (events, task)))
    });
    let mut response = Response::new(Body::from_stream(body.boxed()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Proxies of nginx's kind hold answers back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

async fn next(events: &mut Receiver<Bytes>, keep_alive: Duration) -> Option<Bytes> {
    match tokio::time::timeout(keep_alive, events.recv()).await {
        Ok(next) => next,
        Err(_) => Some(Bytes::from_static(b": keep-alive\n\n")),
    }
}

struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
