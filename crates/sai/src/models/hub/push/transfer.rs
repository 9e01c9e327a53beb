//! Large files on their way to the storage: in one piece or in parts, tried again where the connection is lost, and gone on
//! with in the next run where one was ended.
//!
//! The parts of a file go to addresses that the storage gave for them, and each is answered with an ETag. Both are kept in
//! a file of the person's own until the whole is there, so that parts which arrived are not sent twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::client::{Client, LFS, RequestError};
use super::super::refusal::{describe, is_unreachable};
use super::Outgoing;
use super::api::{Action, Actions};
use crate::ui::Ui;

/// How often something is tried before the command gives up.
const TRIES: u32 = 5;
/// The pause before the second time; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Why something was not sent.
pub(super) enum Failure {
    Hub(RequestError),
    Other(anyhow::Error),
    /// The person pressed Ctrl-C.
    Stopped,
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Hub(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Sends large files of one repository.
pub(super) struct Transfer<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) repo: &'a str,
    pub(super) ui: &'a Ui,
    pub(super) stop: &'a dyn Fn() -> bool,
    /// Where parts that arrived are remembered, if that can be anywhere.
    pub(super) kept: Option<PathBuf>,
}

/// A file that is sent in parts.
#[derive(Serialize, Deserialize)]
struct Multipart {
    /// Bytes of a part; the last may have fewer.
    chunk: u64,
    /// Where each goes, in order.
    parts: Vec<String>,
    /// What is told when all are there.
    whole: String,
    /// The ETag of each part that is there, by its place.
    etags: BTreeMap<usize, String>,
}

impl Multipart {
    /// What the storage asks for; `None` where it takes the file in one piece.
    fn asked(upload: &Action, bytes: u64) -> anyhow::Result<Option<Self>> {
        let headers = upload.headers();
        let Some((_, chunk)) = headers.iter().find(|(name, _)| name == "chunk_size") else {
            return Ok(None);
        };
        let chunk: Option<u64> = chunk.parse().ok().filter(|chunk| *chunk > 0);
        let parts: BTreeMap<u32, &String> =
            headers.iter().filter_map(|(name, url)| Some((name.parse().ok()?, url))).collect();
        let parts: Vec<String> = parts.into_values().cloned().collect();
        match chunk {
            Some(chunk) if parts.len() as u64 == bytes.div_ceil(chunk) => {
                Ok(Some(Self { chunk, parts, whole: upload.href.clone(), etags: BTreeMap::new() }))
            }
            _ => Err(anyhow!(
                "the storage asks for {} parts of {}, which do not make up its {bytes} bytes; try again later",
                parts.len(),
                chunk.map_or_else(|| "no size".to_owned(), |chunk| format!("{chunk} bytes")),
            )),
        }
    }

    /// The bytes of a part: where they begin, and how many they are.
    fn extent(&self, part: usize, bytes: u64) -> (u64, u64) {
        let start = self.chunk * part as u64;
        (start, self.chunk.min(bytes - start))
    }
}

impl Transfer<'_> {
    /// Sends a file whose sha256 is `oid`, as the storage asks.
    pub(super) fn send(&self, file: &Outgoing, oid: &str, actions: &Actions) -> Result<(), Failure> {
        if let Some(upload) = &actions.upload {
            let bar = self.ui.bytes_bar(file.bytes, &file.name);
            let sent = match Multipart::asked(upload, file.bytes)? {
                None => self.whole(file, upload, &bar),
                Some(fresh) => self.in_parts(file, oid, fresh, &bar),
            };
            bar.finish_and_clear();
            sent?;
        }
        if let Some(verify) = &actions.verify {
            let what = json!({ "oid": oid, "size": file.bytes }).to_string();
            self.tried(&file.name, || self.client.post(&verify.href, LFS, what.as_bytes()))?;
        }
        Ok(())
    }

    fn whole(&self, file: &Outgoing, upload: &Action, bar: &ProgressBar) -> Result<(), Failure> {
        let headers = upload.headers();
        self.tried(&file.name, || self.put(file, &upload.href, &headers, (0, file.bytes), bar).map(drop))
    }

    /// Goes on with the parts that an earlier run sent, or begins anew where there are none or the storage forgot them.
    fn in_parts(
        &self,
        file: &Outgoing,
        oid: &str,
        mut fresh: Multipart,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let kept = self.kept_at(oid);
        let known = kept.as_ref().and_then(|path| serde_json::from_slice(&fs::read(path).ok()?).ok());
        let known = known.filter(|known: &Multipart| {
            known.chunk > 0 && known.parts.len() as u64 == file.bytes.div_ceil(known.chunk)
        });
        if let Some(mut known) = known {
            self.ui.note(format_args!(
                "{}: {} of {} parts were sent before; going on",
                file.name,
                known.etags.len(),
                known.parts.len()
            ));
            match self.parts(file, oid, &mut known, bar) {
                // Addresses of a storage are good for a day or so.
                Err(Failure::Hub(RequestError::Status { status, .. }))
                    if (400..500).contains(&status) && status != 429 =>
                {
                    self.ui.note(format_args!("{}: the storage forgot them; beginning anew", file.name));
                }
                done => return done,
            }
        }
        self.parts(file, oid, &mut fresh, bar)
    }

    fn parts(
        &self,
        file: &Outgoing,
        oid: &str,
        parts: &mut Multipart,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let kept = self.kept_at(oid);
        for part in 0..parts.parts.len() {
            if parts.etags.contains_key(&part) {
                continue;
            }
            let extent = parts.extent(part, file.bytes);
            let etag = self.tried(&file.name, || {
                self.put(file, &parts.parts[part], &[], extent, bar)?.ok_or_else(|| {
                    RequestError::Nonsense(format!("the storage sent no ETag of part {}", part + 1))
                })
            })?;
            parts.etags.insert(part, etag);
            // That it cannot be kept is no reason to stop: the next run would send it again.
            if let Some(path) = &kept {
                let _ = path.parent().map(fs::create_dir_all);
                let _ = crate::output::write_private(path, json!(parts).to_string().as_bytes());
            }
        }
        let etags: Vec<_> =
            parts.etags.iter().map(|(part, etag)| json!({ "partNumber": part + 1, "etag": etag })).collect();
        let what = json!({ "oid": oid, "parts": etags }).to_string();
        let whole = self.tried(&file.name, || self.client.post_untold(&parts.whole, LFS, what.as_bytes()));
        // Kept only where another try with the same parts may succeed.
        if let Some(path) = kept.filter(|_| match &whole {
            Ok(_) => true,
            Err(Failure::Hub(error)) => !is_unreachable(error),
            Err(_) => false,
        }) {
            let _ = fs::remove_file(path);
        }
        whole.map(drop)
    }

    fn put(
        &self,
        file: &Outgoing,
        url: &str,
        headers: &[(String, String)],
        (start, length): (u64, u64),
        bar: &ProgressBar,
    ) -> Result<Option<String>, RequestError> {
        let open = || -> io::Result<File> {
            let mut open = File::open(&file.path)?;
            open.seek(SeekFrom::Start(start))?;
            Ok(open)
        };
        let broken = |error| RequestError::Nonsense(format!("{}: {error}", file.path.display()));
        bar.set_position(start);
        bar.reset_eta();
        let mut content = Sending { file: open().map_err(broken)?, left: length, bar, stop: self.stop };
        self.client.put(url, headers, length, &mut content)
    }

    /// Does something until it succeeds, is refused, or was tried often enough.
    pub(super) fn tried<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, RequestError>,
    ) -> Result<T, Failure> {
        let mut wait = FIRST_WAIT;
        for tries in 1.. {
            if (self.stop)() {
                return Err(Failure::Stopped);
            }
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(_) if (self.stop)() => return Err(Failure::Stopped),
                Err(error) => error,
            };
            if !is_unreachable(&error) || tries == TRIES {
                return Err(error.into());
            }
            self.ui.note(format_args!("{what}: the connection was lost ({}); going on", describe(&error)));
            std::thread::sleep(wait);
            wait *= 2;
        }
        Err(Failure::Stopped)
    }

    /// Where the parts of a file are remembered. The name says of which repository they are: another one's storage may be
    /// another.
    fn kept_at(&self, oid: &str) -> Option<PathBuf> {
        let whose = hex(&Sha256::digest(format!("{}/{}", self.client.endpoint(), self.repo)));
        Some(self.kept.as_ref()?.join(format!("{oid}-{}.json", &whose[..16])))
    }
}

/// The bytes of a part of a file as they are sent.
struct Sending<'a> {
    file: File,
    left: u64,
    bar: &'a ProgressBar,
    stop: &'a dyn Fn() -> bool,
}

impl Read for Sending<'_> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other("it was stopped"));
        }
        let most = block.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut block[..most])?;
        if read == 0 && most > 0 {
            return Err(io::Error::other("the file became shorter while it was sent"));
        }
        self.left -= read as u64;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

/// The sha256 of a file, and that it has the bytes that were counted.
pub(super) fn sha256(file: &Outgoing, ui: &Ui, stop: &dyn Fn() -> bool) -> Result<String, Failure> {
    let named = || file.path.display().to_string();
    let mut open = File::open(&file.path).with_context(named)?;
    let bar = ui.bytes_bar(file.bytes, &format!("checksum of {}", file.name));
    let (mut digest, mut block, mut whole) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        if stop() {
            return Err(Failure::Stopped);
        }
        let read = open.read(&mut block).with_context(named)?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
        whole += read as u64;
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    if whole != file.bytes {
        return Err(anyhow!("{}: it changed while it was read; run the command again", named()).into());
    }
    Ok(hex(&digest.finalize()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(header: serde_json::Value) -> Action {
        serde_json::from_value(json!({ "href": "http://s/done", "header": header })).expect("an action")
    }

    #[test]
    fn parts_are_in_the_order_of_their_numbers_and_make_up_the_file() {
        let upload = action(json!({ "chunk_size": "4", "10": "j", "2": "b", "1": "a" }));
        let parts = Multipart::asked(&upload, 11).ok().flatten().expect("parts");
        assert_eq!(parts.parts, ["a", "b", "j"]);
        assert_eq!((parts.extent(0, 11), parts.extent(2, 11)), ((0, 4), (8, 3)));
        assert!(Multipart::asked(&upload, 13).is_err());
        assert!(Multipart::asked(&action(json!({ "chunk_size": 0, "1": "a" })), 1).is_err());
        assert!(Multipart::asked(&action(json!({ "x-store": "1" })), 11).is_ok_and(|parts| parts.is_none()));
    }
}
