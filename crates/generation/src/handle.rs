//! An engine on a thread of its own, for callers on many others.

use crate::{
    Engine, EngineOptions, EngineStats, Error, Event, Model, Output, Pooling, Request, RequestId,
    ScoreRequest, Step,
};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What a caller is told of its request. The last is [`StreamEvent::Done`] or [`StreamEvent::Failed`].
#[derive(Debug)]
pub enum StreamEvent {
    /// So many of the prompt's new tokens are computed.
    Prefill {
        /// Tokens computed.
        done: usize,
        /// Tokens to compute.
        total: usize,
    },
    /// A token was chosen.
    Step(Step),
    /// The request is finished.
    Done(Output),
    /// The request was refused, or the device failed.
    Failed(Error),
}

/// Takes what is told of one request, on the engine's thread; breaking off takes the request back.
pub type Listener = Box<dyn FnMut(StreamEvent) -> ControlFlow<()> + Send>;

/// A request as its caller knows it, whether or not the engine has taken it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

enum Command {
    Ask { ticket: Ticket, asked: RequestKind, listener: Listener },
    Cancel(Ticket),
    Drain,
}

enum RequestKind {
    Generate { prompt: Vec<u32>, request: Box<Request> },
    Score { tokens: Vec<u32>, request: ScoreRequest },
    Embed { tokens: Vec<u32>, pooling: Pooling },
}

/// The way to an engine that computes on a thread of its own. It may be shared; dropping the last one drains it.
pub struct EngineHandle {
    commands: Sender<Command>,
    tickets: AtomicU64,
    stats: Arc<Mutex<EngineStats>>,
    thread: Option<JoinHandle<()>>,
}

impl EngineHandle {
    /// Starts an engine over `model`.
    ///
    /// # Errors
    /// More memory for keys and values than can be had, or no thread.
    pub fn start(model: Arc<Model>, options: EngineOptions) -> Result<EngineHandle, Error> {
        let (commands, inbox) = channel();
        let stats = Arc::new(Mutex::new(EngineStats::default()));
        let (ready, started) = channel();
        let shared = Arc::clone(&stats);
        let thread = std::thread::Builder::new()
            .name("sai-engine".to_owned())
            .spawn(move || match Engine::new(&model, options) {
                Ok(engine) => {
                    let _ = ready.send(Ok(()));
                    drop(ready);
                    let (listeners, ids) = (HashMap::new(), HashMap::new());
                    Thread { engine, listeners, ids, stats: shared }.run(&inbox);
                }
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(|source| Error::Thread { source })?;
        // The thread answers or is gone, and then it has panicked.
        started.recv().unwrap_or(Err(Error::EngineStopped))?;
        Ok(EngineHandle { commands, tickets: AtomicU64::new(0), stats, thread: Some(thread) })
    }

    /// Continues a text; the stream tells of it and takes the request back when it is dropped.
    pub fn generate(&self, prompt: Vec<u32>, request: Request) -> Stream {
        self.stream(RequestKind::Generate { prompt, request: Box::new(request) })
    }

    /// Scores a text, as [`Engine::score`].
    pub fn score(&self, tokens: Vec<u32>, first: usize) -> Stream {
        self.stream(RequestKind::Score { tokens, request: ScoreRequest { first, ..ScoreRequest::default() } })
    }

    /// Continues a text and tells `listener` of it.
    pub fn generate_with(&self, prompt: Vec<u32>, request: Request, listener: Listener) -> Ticket {
        self.ask(RequestKind::Generate { prompt, request: Box::new(request) }, listener)
    }

    /// Scores a text and tells `listener` of it.
    pub fn score_with(&self, tokens: Vec<u32>, request: ScoreRequest, listener: Listener) -> Ticket {
        self.ask(RequestKind::Score { tokens, request }, listener)
    }

    /// Makes a vector of a text and tells `listener` of it, as [`Engine::embed`].
    pub fn embed_with(&self, tokens: Vec<u32>, pooling: Pooling, listener: Listener) -> Ticket {
        self.ask(RequestKind::Embed { tokens, pooling }, listener)
    }

    /// Takes a request back before the next pass, be it waiting or running. Its listener hears no more.
    pub fn cancel(&self, ticket: Ticket) {
        let _ = self.commands.send(Command::Cancel(ticket));
    }

    fn stream(&self, asked: RequestKind) -> Stream {
        let (to, events) = channel();
        // A listener that is gone has sent a `Cancel` too, which comes before the next pass.
        let listener = move |told| to.send(told).map_or(ControlFlow::Break(()), ControlFlow::Continue);
        let ticket = self.ask(asked, Box::new(listener));
        Stream { events, ticket, commands: self.commands.clone() }
    }

    fn ask(&self, asked: RequestKind, listener: Listener) -> Ticket {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        if let Err(unsent) = self.commands.send(Command::Ask { ticket, asked, listener }) {
            refuse(unsent.0);
        }
        ticket
    }

    /// What the engine was doing after its latest pass.
    pub fn stats(&self) -> EngineStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes all that was asked, and ends the thread; what is asked after this is refused.
    pub fn drain(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        let _ = self.commands.send(Command::Drain);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there, and those who wait have heard that the engine stopped.
            let _ = thread.join();
        }
    }
}

impl Drop for EngineHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What is told of one request, in order; it ends after [`StreamEvent::Done`] or [`StreamEvent::Failed`].
pub struct Stream {
    events: Receiver<StreamEvent>,
    ticket: Ticket,
    commands: Sender<Command>,
}

impl Stream {
    /// Waits for the end.
    ///
    /// # Errors
    /// The request was refused, the device failed, or the engine is gone.
    pub fn output(mut self) -> Result<Output, Error> {
        for told in self.by_ref() {
            match told {
                StreamEvent::Done(output) => return Ok(output),
                StreamEvent::Failed(error) => return Err(error),
                StreamEvent::Prefill { .. } | StreamEvent::Step(_) => {}
            }
        }
        Err(Error::EngineStopped)
    }
}

impl Iterator for Stream {
    type Item = StreamEvent;

    fn next(&mut self) -> Option<StreamEvent> {
        self.events.recv().ok()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Of a request that is finished, the engine knows nothing any more.
        let _ = self.commands.send(Command::Cancel(self.ticket));
    }
}

/// Says of a command that comes too late that it does.
fn refuse(command: Command) {
    if let Command::Ask { mut listener, .. } = command {
        let _ = listener(StreamEvent::Failed(Error::EngineStopped));
    }
}

/// The thread's own.
struct Thread<'m> {
    engine: Engine<'m>,
    listeners: HashMap<RequestId, Listener>,
    ids: HashMap<Ticket, RequestId>,
    stats: Arc<Mutex<EngineStats>>,
}

impl Thread<'_> {
    fn run(mut self, inbox: &Receiver<Command>) {
        let mut draining = false;
        while !(draining && self.engine.is_idle()) {
            // With nothing to do, the thread sleeps until it is asked.
            if self.engine.is_idle() {
                match inbox.recv() {
                    Ok(command) => draining |= self.take(command, draining),
                    Err(_) => draining = true,
                }
            }
            loop {
                match inbox.try_recv() {
                    Ok(command) => draining |= self.take(command, draining),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        draining = true;
                        break;
                    }
                }
            }
            self.step();
        }
        inbox.try_iter().for_each(refuse);
    }

    /// Whether nothing is to be taken after it.
    fn take(&mut self, command: Command, draining: bool) -> bool {
        match command {
            Command::Ask { .. } if draining => refuse(command),
            Command::Ask { ticket, asked, mut listener } => {
                let id = match asked {
                    RequestKind::Generate { prompt, request } => self.engine.generate(prompt, &request),
                    RequestKind::Score { tokens, request } => self.engine.score_by(tokens, request),
                    RequestKind::Embed { tokens, pooling } => self.engine.embed(tokens, pooling),
                };
                match id {
                    Ok(id) => {
                        self.ids.insert(ticket, id);
                        self.listeners.insert(id, listener);
                    }
                    Err(error) => drop(listener(StreamEvent::Failed(error))),
                }
            }
            Command::Cancel(ticket) => {
                if let Some(id) = self.ids.remove(&ticket) {
                    self.engine.cancel(id);
                    self.listeners.remove(&id);
                }
            }
            Command::Drain => return true,
        }
        false
    }

    fn step(&mut self) {
        let listeners = &mut self.listeners;
        let finished = self.engine.step(&mut |id, event| {
            let told = match event {
                Event::Prefill { done, total } => StreamEvent::Prefill { done, total },
                Event::Step(step) => StreamEvent::Step(step.clone()),
            };
            listeners.get_mut(&id).map_or(ControlFlow::Break(()), |listener| listener(told))
        });
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.engine.stats();
        match finished {
            Ok(finished) => {
                for (id, output) in finished {
                    if let Some(mut listener) = self.listeners.remove(&id) {
                        let _ = listener(StreamEvent::Done(output));
                    }
                }
                // A finished request has no listener any more.
                self.ids.retain(|_, id| self.listeners.contains_key(id));
            }
            Err(error) => {
                // A device that fails fails for all; each hears why.
                let fact = error.to_string();
                for (id, mut listener) in self.listeners.drain() {
                    self.engine.cancel(id);
                    let _ = listener(StreamEvent::Failed(Error::Device { fact: fact.clone() }));
                }
            }
        }
    }
}
