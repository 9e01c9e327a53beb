//! `sai serve` as a process: where it listens, how it ends, and how it begins again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn sai(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sai"));
    command.arg("serve").args(arguments).env_remove("SAI_MODEL").stdin(Stdio::null());
    command
}

/// A server over the built-in model, and where it listens.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut child = sai(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("http://"))
            .expect("where it listens");
        let address = line.rsplit("http://").next().unwrap().trim().to_owned();
        // What it says later is read, so that it is never held up.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, address }
    }

    fn post(&self, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code, or `None` where a signal ended it.
    fn code(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn refusal(arguments: &[&str]) -> String {
    let output = sai(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

const LONG: &str = r#"{"prompt": "서울은", "max_tokens": 400, "n": 16, "stream": true, "logit_bias": {"0": -100, "1": -100, "2": -100}}"#;

#[test]
fn other_addresses_want_keys() {
    let text = refusal(&["--host", "0.0.0.0", "--port", "0"]);
    assert!(text.contains("--api-key-file") && text.contains("--no-keys"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let keys = |text: &str, path: &Path| {
        std::fs::write(path, text).unwrap();
        refusal(&["--port", "0", "--api-key-file", path.to_str().unwrap()])
    };
    assert!(keys("anna short\n", &file).contains("line 1"));
    assert!(keys("# none\n", &file).contains("no key"));
    assert!(refusal(&["--port", "0", "--memory", "-1"]).contains("--memory"));
    assert!(refusal(&["--port", "0", "-m", "no/such.gguf"]).contains("no/such.gguf"));
    assert!(refusal(&["--port", "0", "--lora", "x"]).contains("NAME=FOLDER"));
    assert!(refusal(&["--port", "0", "-m", "mini", "-m", "mini"]).contains("two models"));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let server = Server::start(&["--port", "0"]);
    let port = server.address.rsplit(':').next().unwrap();
    let text = refusal(&["--port", port]);
    assert!(text.contains(port) && text.contains("--port"), "{text}");
}

#[test]
fn sigterm_finishes_what_was_asked_and_a_second_one_leaves() {
    let mut server = Server::start(&["--port", "0"]);
    let mut stream = server.post(LONG);
    stream.read_exact(&mut [0; 300]).unwrap();
    server.signal("TERM");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "the stream is whole");
    assert_eq!(server.code(), Some(0));

    let mut server = Server::start(&["--port", "0", "--header-time", "60"]);
    // Somebody who has not finished asking holds it up.
    let mut slow = TcpStream::connect(&server.address).unwrap();
    slow.write_all(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.child.try_wait().unwrap().is_none(), "it waits");
    server.signal("TERM");
    assert_eq!(server.code(), Some(130));
}

#[test]
fn one_that_was_killed_in_a_stream_begins_again_on_its_port() {
    let mut server = Server::start(&["--port", "0"]);
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    let mut stream = server.post(LONG);
    stream.read_exact(&mut [0; 300]).unwrap();
    server.signal("KILL");
    assert_eq!(server.code(), None);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("[DONE]"), "what is cut does not look whole");

    let again = Server::start(&["--port", &port]);
    let mut answer = String::new();
    again.post(r#"{"prompt": "서울은", "max_tokens": 3}"#).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
