//! A server over the built-in model on a port of its own, and a client of a few lines.

#![allow(dead_code)]

use sai_generation::{ChatTemplate, LoadOptions, Model};
use sai_server::{ModelEntry, OpenError, Server, ServerOptions};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The file of the built-in model.
pub(crate) fn mini() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/mini/mini.gguf")
}

pub(crate) fn options() -> LoadOptions {
    LoadOptions { threads: 1, ..LoadOptions::default() }
}

/// The built-in model by a name, opened so.
pub(crate) fn entry(name: &str, options: LoadOptions) -> ModelEntry {
    ModelEntry {
        name: name.to_owned(),
        aliases: Vec::new(),
        parent: None,
        open: Box::new(move |memory_limit| {
            let options = LoadOptions { memory_limit, ..options.clone() };
            Model::open(mini().as_path(), &options).map_err(|error| OpenError {
                need: match &error {
                    sai_generation::Error::Memory { need, .. } => Some(need.total()),
                    _ => None,
                },
                fact: error.to_string(),
            })
        }),
    }
}

/// With a template that teaches calls as Hermes has them.
pub(crate) fn with_tools(name: &str) -> ModelEntry {
    let template = "{%- for tool in tools or [] %}{{ tool | tojson }}\n{% endfor -%}\
        {%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}\
        {%- for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor -%}\
        <|im_end|>\n{% endfor -%}{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif -%}";
    let template = Some(ChatTemplate::jinja(template, "tools").unwrap());
    entry(name, LoadOptions { template, ..options() })
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// One model, all else as it is by itself.
    pub(crate) fn plain() -> Running {
        Running::start(ServerOptions { models: vec![entry("mini", options())], ..ServerOptions::default() })
    }

    pub(crate) fn start(options: ServerOptions) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let server = Server::new(options).unwrap();
            runtime.block_on(async {
                server.open().await.unwrap();
                server.run(listener, async { drop(stopped.await) }).await.unwrap();
            });
        });
        Running { address, stop: Some(stop), thread: Some(thread) }
    }

    /// Begins to drain.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// Whether it has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes and reads to the end.
    pub(crate) fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        // A server may close before it has read all that it refuses.
        let _ = stream.read_to_end(&mut bytes);
        Answer::read(&bytes)
    }

    /// A request's bytes.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.raw(&self.request("GET", path, "", b""))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string())
    }

    pub(crate) fn post_text(&self, path: &str, body: &str) -> Answer {
        self.raw(&self.request("POST", path, "Content-Type: application/json\r\n", body.as_bytes()))
    }

    /// What comes back as JSON, which is to be 200.
    pub(crate) fn ok(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
        answer.json()
    }

    /// The events of a stream, which is to end with `[DONE]`.
    pub(crate) fn events(&self, path: &str, body: &Value) -> Vec<Value> {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut lines: Vec<&str> =
            answer.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(lines.pop(), Some("[DONE]"));
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The value of a line of /metrics that begins so; 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    /// Waits until a metric is this, for at most ten seconds.
    pub(crate) fn wait_for(&self, name: &str, value: f64) {
        let began = Instant::now();
        while self.metric(name) != value {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{name} is {} and not {value}",
                self.metric(name)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body =
            if chunked { String::from_utf8(joined(rest.as_bytes())).unwrap() } else { rest.to_owned() };
        Answer { status, head: head.to_owned(), body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of =
            |line: &'_ str| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).is_some();
        self.head.lines().find(|line| of(line)).and_then(|line| Some(line.split_once(": ")?.1))
    }

    /// The status, and which field the error is about.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (self.status, text("param"), text("message"))
    }
}

/// The chunks of a body, one after another.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        if size == 0 || rest.len() < at + 2 + size {
            break;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = rest.get(at + 4 + size..).unwrap_or_default();
    }
    body
}
