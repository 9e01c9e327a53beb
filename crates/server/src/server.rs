//! The server: its routes, and connections within limits.

use crate::admission::Admission;
use crate::guard::{Guard, guard};
use crate::handlers::{App, chat, completions, embeddings, models, responses, state, tokens};
use crate::metrics::Metrics;
use crate::options::{Limits, ServerOptions};
use crate::registry::Registry;
use crate::{ApiError, openapi, page};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 64 << 10;

/// A server that is about to take requests.
pub struct Server {
    app: Arc<App>,
    router: Router,
    limits: Limits,
}

impl Server {
    /// Holds the options against each other, and opens nothing.
    ///
    /// # Errors
    /// There is no model, or two of the same name.
    pub fn new(options: ServerOptions) -> Result<Server, String> {
        let limits = options.limits;
        let app = Arc::new(App {
            registry: Arc::new(Registry::new(options.models, options.memory, limits.clone())?),
            admission: Arc::new(Admission::new(limits.parallel + limits.queue)),
            metrics: Arc::new(Metrics::default()),
            limits: limits.clone(),
            pooling: options.pooling,
            draining: AtomicBool::new(false),
        });
        let watched = Arc::new(Guard {
            app: Arc::clone(&app),
            keys: options.keys,
            hosts: options.hosts,
            any_host: options.any_host,
            origins: options.origins,
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(chat::chat))
            .route("/v1/completions", post(completions::completions))
            .route("/v1/responses", post(responses::responses))
            .route("/openapi.json", get(openapi::openapi))
            .route("/v1/embeddings", post(embeddings::embeddings))
            .route("/tokenize", post(tokens::tokenize))
            .route("/detokenize", post(tokens::detokenize))
            .route("/tokenizer_info", get(tokens::tokenizer_info))
            .route("/v1/models", get(models::list))
            .route("/v1/models/{*model}", get(models::one))
            .route("/health", get(state::health))
            .route("/ready", get(state::ready))
            .route("/metrics", get(state::metrics))
            .method_not_allowed_fallback(wrong_method)
            .fallback(get(page::file))
            .layer(middleware::from_fn_with_state(watched, guard))
            .with_state(Arc::clone(&app));
        Ok(Server { app, router, limits })
    }

    /// Opens the first model.
    ///
    /// # Errors
    /// It cannot be opened: one line.
    pub async fn open(&self) -> Result<(), String> {
        self.app.registry.get(None).await.map(drop).map_err(|error| error.error.message)
    }

    /// Answers requests until `stop` comes; then takes no more connections and requests, and finishes those that it has.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn run(
        self,
        listener: std::net::TcpListener,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let (drain, draining) = watch::channel(false);
        tokio::pin!(stop);
        loop {
            let accepted = async {
                // Those beyond the limit wait in the system's queue.
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            let (Ok(place), Ok((stream, _))) = (place, accepted) else {
                // Too many open files, most likely: some close in time.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            tokio::spawn(connection(
                stream,
                self.router.clone(),
                self.limits.clone(),
                draining.clone(),
                place,
            ));
        }
        drop(listener);
        self.app.draining.store(true, Ordering::SeqCst);
        let _ = drain.send(true);
        tracing::info!("draining");
        // Every connection gives its place back when it is closed.
        let _ = places.acquire_many(self.limits.connections as u32).await;
        self.app.registry.close().await;
        Ok(())
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut draining: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    // A token is a small packet, and is wanted now.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let told = async { drop(draining.wait_for(|&draining| draining).await) };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn wrong_method() -> Response {
    ApiError::refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path takes another method; /openapi.json says which",
    )
    .into_response()
}
