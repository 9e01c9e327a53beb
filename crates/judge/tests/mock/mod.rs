//! A service that speaks OpenAI's chat completions on 127.0.0.1 and misbehaves on command.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the service does with a request.
pub(crate) enum Act {
    /// Answers with this text.
    Say(String),
    /// Answers with this text, cut at its limit of tokens.
    Cut(String),
    /// Answers with this status, headers and body.
    Status(u16, &'static str, String),
    /// Sends the half of an answer and closes.
    Half,
    /// Sends nothing for so long.
    Hang(Duration),
}

/// What a request was.
pub(crate) struct Asked {
    pub(crate) number: usize,
    pub(crate) headers: String,
    pub(crate) body: Value,
}

impl Asked {
    /// The last message.
    pub(crate) fn text(&self) -> &str {
        let messages = self.body["messages"].as_array().expect("messages");
        messages.last().expect("a message")["content"].as_str().expect("a text")
    }
}

type Script = dyn Fn(&Asked) -> Act + Send + Sync;

pub(crate) struct Mock {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
    count: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    pub(crate) fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Mock {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let (counted, stopped, seen) = (Arc::clone(&count), Arc::clone(&stop), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (script, counted, seen) = (Arc::clone(&script), Arc::clone(&counted), Arc::clone(&seen));
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream, &*script, &counted, &seen));
            }
        });
        Mock { url: format!("http://{address}/v1"), asked, count, stop, thread: Some(thread) }
    }

    /// Requests so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("http://").trim_end_matches("/v1");
        let _ = TcpStream::connect(address);
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut stream: TcpStream, script: &Script, count: &AtomicUsize, seen: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut headers, mut length) = (String::new(), 0usize);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
        headers += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let number = count.fetch_add(1, Ordering::SeqCst);
    seen.lock().expect("no panic").push(body.clone());
    let asked = Asked { number, headers, body };
    let answer = |text: &str, finish: &str| {
        json!({"id": "x", "object": "chat.completion", "model": asked.body["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}})
        .to_string()
    };
    let mut send = |status: u16, more: &str, body: &str, cut: usize| {
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body.as_bytes()[..cut]));
    };
    match script(&asked) {
        Act::Say(text) => {
            let body = answer(&text, "stop");
            send(200, "", &body, body.len());
        }
        Act::Cut(text) => {
            let body = answer(&text, "length");
            send(200, "", &body, body.len());
        }
        Act::Status(status, more, body) => send(status, more, &body, body.len()),
        Act::Half => {
            let body = answer("{\"half\": true}", "stop");
            send(200, "", &body, body.len() / 2);
        }
        Act::Hang(time) => std::thread::sleep(time),
    }
}
