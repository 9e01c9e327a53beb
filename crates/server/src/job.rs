//! Work for an engine, and what it tells of it, without waiting on a thread.

use crate::admission::Permit;
use crate::error::ApiError;
use crate::handlers::App;
use crate::registry::Loaded;
use sai_generation::{
    Completion, Embedding, Output, Pooling, Request, ScoreRequest, Scores, Step, StreamEvent, Ticket,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The code of an error after which a model has to be opened again.
pub(crate) const ENGINE_STOPPED: &str = "engine_stopped";

/// What is told of one of a job's texts, which is known by its number.
pub(crate) enum Told {
    /// A token was chosen.
    Step(usize, Step),
    /// An answer is finished.
    Completion(usize, Completion),
    /// A text is scored.
    Scores(usize, Scores),
    /// A text is embedded.
    Embedding(usize, Embedding),
}

/// Texts that an engine works on. Dropping it takes back what is not finished, before the next pass.
pub(crate) struct Job {
    loaded: Arc<Loaded>,
    app: Arc<App>,
    /// Gone once the job is waited for, so that an engine that has stopped is noticed.
    to: Option<UnboundedSender<(usize, StreamEvent)>>,
    events: UnboundedReceiver<(usize, StreamEvent)>,
    tickets: Vec<Ticket>,
    /// When each was asked, and when its latest token came.
    times: Vec<(Instant, Option<Instant>)>,
    unfinished: usize,
    _permit: Arc<Permit>,
}

impl Job {
    pub(crate) fn new(loaded: Arc<Loaded>, app: Arc<App>, permit: Arc<Permit>) -> Job {
        let (to, events) = unbounded_channel();
        Job {
            loaded,
            app,
            to: Some(to),
            events,
            tickets: Vec::new(),
            times: Vec::new(),
            unfinished: 0,
            _permit: permit,
        }
    }

    fn listener(&mut self) -> sai_generation::Listener {
        let to = self.to.clone().expect("all texts are given before the first is waited for");
        let number = self.tickets.len();
        self.times.push((Instant::now(), None));
        self.unfinished += 1;
        // What a slow reader has not taken is bounded by the answer's length.
        Box::new(move |told| match told {
            StreamEvent::Prefill { .. } if !to.is_closed() => ControlFlow::Continue(()),
            told => to.send((number, told)).map_or(ControlFlow::Break(()), ControlFlow::Continue),
        })
    }

    /// Continues a text.
    pub(crate) fn generate(&mut self, prompt: Vec<u32>, request: Request) {
        let listener = self.listener();
        self.tickets.push(self.loaded.engine.generate_with(prompt, request, listener));
    }

    /// Scores a text.
    pub(crate) fn score(&mut self, tokens: Vec<u32>, request: ScoreRequest) {
        let listener = self.listener();
        self.tickets.push(self.loaded.engine.score_with(tokens, request, listener));
    }

    /// Makes a vector of a text.
    pub(crate) fn embed(&mut self, tokens: Vec<u32>, pooling: Pooling) {
        let listener = self.listener();
        self.tickets.push(self.loaded.engine.embed_with(tokens, pooling, listener));
    }

    /// What comes next; `None` after the end of all.
    ///
    /// # Errors
    /// A text was refused, or the engine failed.
    pub(crate) async fn next(&mut self) -> Result<Option<Told>, ApiError> {
        let next = self.told().await;
        if next.as_ref().is_err_and(|error| error.error.code == Some(ENGINE_STOPPED)) {
            self.app.registry.forget(&self.loaded);
        }
        next
    }

    async fn told(&mut self) -> Result<Option<Told>, ApiError> {
        self.to = None;
        while self.unfinished > 0 {
            let Some((number, told)) = self.events.recv().await else {
                return Err(ApiError::internal("the engine has stopped").code(ENGINE_STOPPED));
            };
            match told {
                StreamEvent::Prefill { .. } => {}
                StreamEvent::Step(step) => {
                    let now = Instant::now();
                    let (asked, latest) = &mut self.times[number];
                    self.app.metrics.token(&self.loaded.name, *asked, *latest, now);
                    *latest = Some(now);
                    return Ok(Some(Told::Step(number, step)));
                }
                StreamEvent::Failed(error) => return Err(error.into()),
                StreamEvent::Done(output) => {
                    self.unfinished -= 1;
                    let told = match output {
                        Output::Completion(completion) => Told::Completion(number, completion),
                        Output::Scores(scores) => Told::Scores(number, scores),
                        Output::Embedding(embedding) => Told::Embedding(number, embedding),
                    };
                    let usage = match &told {
                        Told::Completion(_, Completion { usage, .. })
                        | Told::Scores(_, Scores { usage, .. }) => usage,
                        Told::Embedding(_, Embedding { usage, .. }) => usage,
                        Told::Step(..) => return Ok(Some(told)),
                    };
                    self.app.metrics.finished(&self.loaded.name, usage);
                    return Ok(Some(told));
                }
            }
        }
        Ok(None)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.unfinished > 0 {
            // The engine knows nothing any more of those that are finished.
            self.tickets.iter().for_each(|&ticket| self.loaded.engine.cancel(ticket));
        }
    }
}
