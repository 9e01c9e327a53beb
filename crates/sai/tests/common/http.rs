//! As much of HTTP as a server for tests needs.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without what follows a question mark.
    pub(crate) path: String,
    /// The token that was shown.
    pub(crate) token: Option<String>,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one from a connection; `None` where it ends before that.
    pub(crate) fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?);
        let path = path.split('?').next()?.to_owned();
        let mut request = Self { method, path, ..Self::default() };
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "content-type" => request.kind = value.trim().to_owned(),
                "authorization" => request.token = value.trim().strip_prefix("Bearer ").map(str::to_owned),
                _ => {}
            }
        }
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// An answer, after which the connection ends.
pub(crate) fn http(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| reply += &format!("{name}: {value}\r\n"));
    [reply.as_bytes(), b"\r\n", body].concat()
}
