//! Models of the Hub, from a server on this machine that speaks its protocol.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::http::http;
use common::{config, fails, run, sai, succeeds, weights};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

type Headers = &'static [(&'static str, &'static str)];

/// What the server holds and how it behaves.
struct Behaviour {
    repo: &'static str,
    /// What stands before the id in addresses of files.
    prefix: &'static str,
    commit: &'static str,
    files: BTreeMap<String, Vec<u8>>,
    /// The licence must be accepted: files need this token.
    token: Option<&'static str>,
    /// How many downloads of weights are cut after half of what they asked for.
    cuts: usize,
    /// Weights arrive with another byte.
    corrupt: bool,
    /// Every request is answered with this redirect to another Hub.
    moved: Option<(&'static str, String)>,
    /// Every request is answered with this status, these headers and this body.
    broken: Option<(&'static str, Headers, &'static str)>,
    /// A header that answers about files lack.
    lacks: &'static str,
    /// Parts of files are not given: an answer is the whole of it.
    whole: bool,
    /// The tokens that were shown.
    tokens: Vec<String>,
    log: Vec<String>,
}

/// A Hub of one repository. Weights come from a second address, as the real Hub's do.
#[derive(Clone)]
struct Hub {
    address: String,
    state: Arc<Mutex<Behaviour>>,
}

impl Hub {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect();
        let state = Behaviour {
            repo: "owner/name",
            prefix: "",
            commit: COMMIT,
            files,
            token: None,
            cuts: 0,
            corrupt: false,
            moved: None,
            broken: None,
            lacks: "",
            whole: false,
            tokens: vec![],
            log: vec![],
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let hub = Self { address, state: Arc::new(Mutex::new(state)) };
        let serving = hub.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = serving.clone();
                std::thread::spawn(move || hub.answer(&stream));
            }
        });
        hub
    }

    fn with(self, change: impl FnOnce(&mut Behaviour)) -> Self {
        change(&mut self.state.lock().expect("the state"));
        self
    }

    /// The requests so far, and forgets them.
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("the state").log)
    }

    fn command(&self, home: &Path, model: &str) -> Command {
        let mut command = sai(home);
        command.env("HF_ENDPOINT", &self.address).args(["inspect", model]);
        command
    }

    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next()?.ok()?;
        let path = request.split(' ').nth(1)?.to_owned();
        let (mut range, mut token) = (None, None);
        for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            match name.to_ascii_lowercase().as_str() {
                "range" => range = value.trim().strip_prefix("bytes=").map(str::to_owned),
                "authorization" => token = value.trim().strip_prefix("Bearer ").map(str::to_owned),
                _ => {}
            }
        }
        let mut state = self.state.lock().expect("the state");
        let shown = range.as_ref().map(|r| format!(" {r}")).unwrap_or_default();
        state.log.push(format!("{}{shown}", path.split('?').next()?));
        state.tokens.extend(token.clone());
        let range = range.filter(|_| !state.whole);
        let reply = state.reply(&path, range.as_deref(), token.as_deref(), &self.address);
        drop(state);
        let mut stream = stream;
        stream.write_all(&reply).ok()
    }
}

impl Behaviour {
    fn reply(&mut self, path: &str, range: Option<&str>, token: Option<&str>, address: &str) -> Vec<u8> {
        if let Some((status, host)) = &self.moved {
            return http(status, &[("Location", &format!("{host}{path}"))], b"");
        }
        if let Some((status, headers, body)) = self.broken {
            return http(status, headers, body.as_bytes());
        }
        let path = path.split('?').next().unwrap_or_default();
        let (repo, prefix) = (self.repo, self.prefix);
        let kind = if prefix.is_empty() { "models" } else { "datasets" };
        let known = ["main", "v1", "refs%2Fconvert%2Fparquet", self.commit];
        if known.iter().any(|revision| path == format!("/api/{kind}/{repo}/revision/{revision}")) {
            let siblings: Vec<_> = self
                .files
                .iter()
                .map(|(name, bytes)| serde_json::json!({ "rfilename": name, "size": bytes.len() }))
                .collect();
            let body =
                serde_json::json!({ "sha": self.commit, "siblings": siblings, "gated": false }).to_string();
            return http("200 OK", &[], body.as_bytes());
        }
        if path.starts_with("/api/") {
            // As the Hub says to a stranger, who shall not learn whether a private model is there.
            return http("401 Unauthorized", &[("X-Error-Code", "RepoNotFound")], b"{}");
        }
        if let Some(name) = path.strip_prefix(&format!("/{prefix}{repo}/resolve/{}/", self.commit)) {
            if self.token.is_some_and(|wanted| token != Some(wanted)) {
                return http("401 Unauthorized", &[("X-Error-Code", "GatedRepo")], b"{}");
            }
            let Some(bytes) = self.files.get(name) else { return http("404 Not Found", &[], b"") };
            let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if [".safetensors", ".gguf", ".parquet"].iter().any(|end| name.ends_with(end)) {
                let (location, etag) = (format!("{address}/store/{name}"), format!("\"{hash}\""));
                let headers = [
                    ("Location", location.as_str()),
                    ("X-Linked-Etag", &etag),
                    ("X-Repo-Commit", self.commit),
                ];
                let mut kept: Vec<_> = headers.into_iter().filter(|(name, _)| *name != self.lacks).collect();
                if self.lacks == "X-Linked-Etag" {
                    kept.push(("ETag", &etag));
                }
                return http("302 Found", &kept, b"");
            }
            let etag = format!("\"{}\"", &hash[..40]);
            let headers = [("ETag", etag.as_str()), ("X-Repo-Commit", self.commit)];
            let kept: Vec<_> = headers.into_iter().filter(|(name, _)| *name != self.lacks).collect();
            return part(bytes, range, &kept, false);
        }
        if let Some(bytes) = path.strip_prefix("/store/").and_then(|name| self.files.get(name)) {
            let mut bytes = bytes.clone();
            if self.corrupt {
                *bytes.last_mut().expect("weights") ^= 1;
            }
            let cut = self.cuts > 0 && range != Some("0-0");
            self.cuts -= usize::from(cut);
            return part(&bytes, range, &[("ETag", "\"of the store\"")], cut);
        }
        http("404 Not Found", &[], b"")
    }
}

/// The range `start-` or `start-end` of `bytes`; a cut one promises all and sends half.
fn part(bytes: &[u8], range: Option<&str>, headers: &[(&str, &str)], cut: bool) -> Vec<u8> {
    if range.is_none() {
        return http("200 OK", headers, bytes);
    }
    let (start, end) = range.and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
    let start: usize = start.parse().expect("a start");
    let end = end.parse::<usize>().map_or(bytes.len(), |end| end + 1);
    if start >= bytes.len() {
        return http("416 Range Not Satisfiable", &[], b"");
    }
    let body = &bytes[start..end];
    let extent = format!("bytes {start}-{}/{}", end - 1, bytes.len());
    let mut reply =
        http("206 Partial Content", &[headers, &[("Content-Range", extent.as_str())]].concat(), body);
    if cut {
        reply.truncate(reply.len() - body.len() / 2);
    }
    reply
}

fn folder() -> Hub {
    Hub::new(&[
        ("README.md", b"a model".to_vec()),
        ("config.json", config("LlamaForCausalLM").into_bytes()),
        ("generation_config.json", b"{}".to_vec()),
        ("model.safetensors", weights()),
        ("pytorch_model.bin", b"not wanted".to_vec()),
    ])
}

fn snapshot(home: &Path, commit: &str) -> PathBuf {
    home.join("hf/hub/models--owner--name/snapshots").join(commit)
}

#[test]
fn a_model_is_fetched_once() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    let ran = succeeds(&mut hub.command(home.path(), "owner/name"));
    assert!(ran.out.contains("LlamaForCausalLM"), "{ran:?}");
    assert!(ran.err.contains("fetching 3 files") && !ran.err.contains('\r'), "{ran:?}");
    let log = hub.log();
    assert!(log.iter().any(|r| r == "/store/model.safetensors 0-"), "{log:?}");
    assert!(!log.iter().any(|r| r.contains("pytorch_model") || r.contains("README")), "{log:?}");
    let found = std::fs::read(snapshot(home.path(), COMMIT).join("model.safetensors")).expect("the weights");
    assert_eq!(found, weights());

    // The second time only the repository's state is asked for.
    let again = succeeds(&mut hub.command(home.path(), "owner/name"));
    assert_eq!((again.out, again.err.as_str()), (ran.out, ""));
    assert_eq!(hub.log(), ["/api/models/owner/name/revision/main"]);
}

#[test]
fn a_family_that_sai_does_not_run_is_said_before_its_weights_come() {
    let files = [
        ("config.json", config("MambaForCausalLM").replace("\"llama\"", "\"mamba\"").into_bytes()),
        ("generation_config.json", b"{}".to_vec()),
        ("model.safetensors", weights()),
    ];
    let (home, hub) =
        (tempfile::tempdir().expect("a folder"), Hub::new(&files).with(|state| state.corrupt = true));
    // That it is said although the weights never arrive shows that it comes first.
    let ran = run(&mut hub.command(home.path(), "owner/name"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("warning: owner/name: sai cannot run this model (config.json: "), "{ran:?}");
    let hub = hub.with(|state| state.corrupt = false);
    let ran = succeeds(&mut hub.command(home.path(), "owner/name"));
    assert!(ran.out.contains("sai cannot run it") && ran.out.contains("MambaForCausalLM"), "{ran:?}");
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder().with(|state| state.cuts = 1));
    let ran = succeeds(&mut hub.command(home.path(), "owner/name"));
    assert!(ran.err.contains("going on"), "{ran:?}");
    let half = weights().len() - weights().len() / 2;
    assert!(hub.log().contains(&format!("/store/model.safetensors {half}-")));
    assert_eq!(
        std::fs::read(snapshot(home.path(), COMMIT).join("model.safetensors")).expect("weights"),
        weights()
    );
}

#[test]
fn the_next_run_goes_on_where_the_last_one_gave_up() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    // What a run that was ended leaves: a part beside the place of the whole.
    let blobs = home.path().join("hf/hub/models--owner--name/blobs");
    std::fs::create_dir_all(&blobs).expect("a folder");
    let hash: String = Sha256::digest(weights()).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(blobs.join(format!("{hash}.part")), &weights()[..100]).expect("a part");
    succeeds(&mut hub.command(home.path(), "owner/name"));
    assert!(hub.log().contains(&"/store/model.safetensors 100-".to_owned()));
    assert_eq!(
        std::fs::read(snapshot(home.path(), COMMIT).join("model.safetensors")).expect("weights"),
        weights()
    );
}

#[test]
fn damaged_weights_are_not_kept() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder().with(|state| state.corrupt = true));
    let error = fails(hub.command(home.path(), "owner/name").arg("--quiet"));
    assert!(error.contains("owner/name: model.safetensors: what arrived has sha256"), "{error}");
    assert!(!snapshot(home.path(), COMMIT).join("model.safetensors").exists());
    let hub = hub.with(|state| state.corrupt = false);
    succeeds(&mut hub.command(home.path(), "owner/name"));
}

#[test]
fn without_a_network_the_cache_answers() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    succeeds(&mut hub.command(home.path(), "owner/name"));
    hub.log();
    let offline = succeeds(hub.command(home.path(), "owner/name").env("HF_HUB_OFFLINE", "1"));
    assert_eq!((offline.err.as_str(), hub.log().len()), ("", 0));
    // A port at which nobody listens.
    let dead = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let unreachable = succeeds(
        sai(home.path()).env("HF_ENDPOINT", format!("http://{dead}")).args(["inspect", "owner/name"]),
    );
    assert!(
        unreachable.err.contains("cannot be reached") && unreachable.err.contains("cache"),
        "{unreachable:?}"
    );
    assert_eq!(unreachable.out, offline.out);

    let empty = tempfile::tempdir().expect("a folder");
    let error = fails(hub.command(empty.path(), "owner/name").env("HF_HUB_OFFLINE", "1"));
    assert!(error.contains("HF_HUB_OFFLINE is set"), "{error}");
    let error =
        fails(sai(empty.path()).env("HF_ENDPOINT", format!("http://{dead}")).args(["inspect", "owner/name"]));
    assert!(error.contains("cannot be reached"), "{error}");
}

#[test]
fn a_licence_must_be_accepted() {
    let (home, hub) =
        (tempfile::tempdir().expect("a folder"), folder().with(|state| state.token = Some("hf_good")));
    let error = fails(hub.command(home.path(), "owner/name").arg("--quiet"));
    assert!(error.contains("accept it at") && error.contains("/owner/name and set HF_TOKEN"), "{error}");
    let error = fails(hub.command(home.path(), "owner/name").arg("--quiet").env("HF_TOKEN", "hf_other"));
    assert!(error.contains("HF_TOKEN may not read"), "{error}");
    succeeds(hub.command(home.path(), "owner/name").env("HF_TOKEN", "hf_good"));
}

#[test]
fn a_wrong_id_is_one_line() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    let error = fails(&mut hub.command(home.path(), "owner/nothing"));
    assert!(error.contains("owner/nothing: the Hub has no such public model"), "{error}");
}

#[test]
fn shards_are_those_that_the_index_names() {
    let index =
        r#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let files = [
        ("config.json", config("LlamaForCausalLM").into_bytes()),
        ("model.safetensors.index.json", index.as_bytes().to_vec()),
        ("model-00001-of-00002.safetensors", common::safetensors(&[("a", &[2, 2])])),
        ("model-00002-of-00002.safetensors", common::safetensors(&[("b", &[2])])),
        ("consolidated.safetensors", weights()),
    ];
    let (home, hub) = (tempfile::tempdir().expect("a folder"), Hub::new(&files));
    let ran = succeeds(hub.command(home.path(), "owner/name@v1").arg("--tensors"));
    assert!(ran.out.contains("2 tensors"), "{ran:?}");
    assert!(!hub.log().iter().any(|r| r.contains("consolidated")));
    // A snapshot that lacks a shard is not whole.
    std::fs::remove_file(snapshot(home.path(), COMMIT).join("model-00002-of-00002.safetensors"))
        .expect("removed");
    fails(hub.command(home.path(), "owner/name@v1").env("HF_HUB_OFFLINE", "1"));
}

#[test]
fn one_gguf_of_many() {
    let files = [("m-Q8_0.gguf", common::gguf("llama")), ("m-Q4_K_M.gguf", common::gguf("other"))];
    let (home, hub) = (tempfile::tempdir().expect("a folder"), Hub::new(&files));
    assert!(succeeds(&mut hub.command(home.path(), "owner/name")).out.contains("other"));
    assert!(!hub.log().iter().any(|r| r.contains("Q8_0")));
    assert!(succeeds(&mut hub.command(home.path(), "owner/name:q8_0")).out.contains("llama"));
    let error = fails(&mut hub.command(home.path(), "owner/name:q2_k"));
    assert!(error.contains("it holds m-Q4_K_M.gguf, m-Q8_0.gguf"), "{error}");
}

#[test]
fn the_same_weights_under_a_new_commit_are_not_fetched_again() {
    const NEXT: &str = "89abcdef0123456789abcdef0123456789abcdef";
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    succeeds(&mut hub.command(home.path(), "owner/name"));
    hub.log();
    let hub = hub.with(|state| state.commit = NEXT);
    let ran = run(&mut hub.command(home.path(), "owner/name"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!hub.log().contains(&"/store/model.safetensors 0-".to_owned()));
    assert_eq!(
        std::fs::read(snapshot(home.path(), NEXT).join("model.safetensors")).expect("weights"),
        weights()
    );
}

#[test]
fn a_server_that_is_no_hub_is_said() {
    let (home, hub) =
        (tempfile::tempdir().expect("a folder"), folder().with(|state| state.commit = "../../evil"));
    let error = fails(&mut hub.command(home.path(), "owner/name"));
    assert!(error.contains("is HF_ENDPOINT right?"), "{error}");
}

#[test]
fn a_vocabulary_of_the_hub_is_judged_beside_files() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokenizer/tests/fixtures/gpt2.json");
    let vocabulary = std::fs::read(&fixture).expect("a vocabulary");
    let files = [
        ("config.json", config("LlamaForCausalLM").into_bytes()),
        ("tokenizer.json", vocabulary),
        ("model.safetensors", weights()),
    ];
    let (home, hub) = (tempfile::tempdir().expect("a folder"), Hub::new(&files));
    std::fs::write(home.path().join("a.txt"), "값이 얼마예요? It's a test.").expect("a text");
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini/mini.gguf");
    let mut command = sai(home.path());
    command.env("HF_ENDPOINT", &hub.address).args(["tokenizer", "eval", "owner/name", "owner/name@v1"]);
    let ran = succeeds(command.args([&fixture, &gguf]).args(["--text", "a=a.txt", "--json"]));
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let judged = found["tokenizers"].as_array().expect("a list");
    let names: Vec<&str> = judged.iter().filter_map(|one| one["tokenizer"].as_str()).collect();
    assert_eq!(names, ["name", "name@v1", "gpt2.json", "mini.gguf"]);
    let tokens: Vec<_> = judged.iter().map(|one| one["sets"][0]["tokens"].as_u64()).collect();
    assert!(tokens[0].is_some_and(|count| count > 0), "{ran:?}");
    assert!(tokens[0] == tokens[1] && tokens[0] == tokens[2] && tokens[0] != tokens[3], "{ran:?}");
    assert!(!hub.log().iter().any(|r| r.contains("safetensors")), "weights are not asked for");
}

#[test]
fn a_mirror_that_leads_to_another_hub_is_followed_without_the_token() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
        let address = hub.address.clone();
        let mirror = Hub::new(&[]).with(|state| state.moved = Some((status, address)));
        succeeds(mirror.command(home.path(), "owner/name").env("HF_TOKEN", "hf_mine"));
        let found = std::fs::read(snapshot(home.path(), COMMIT).join("model.safetensors"));
        assert_eq!(found.expect("weights"), weights(), "{status}");
        let tokens = |hub: &Hub| hub.state.lock().expect("the state").tokens.clone();
        assert!(tokens(&mirror).iter().all(|token| token == "hf_mine") && !tokens(&mirror).is_empty());
        assert_eq!(tokens(&hub), [""; 0], "{status}");
    }
    // What is behind a licence there cannot be had by a token that is for the mirror.
    let (home, hub) =
        (tempfile::tempdir().expect("a folder"), folder().with(|state| state.token = Some("hf_good")));
    let address = hub.address.clone();
    let mirror = Hub::new(&[]).with(|state| state.moved = Some(("308 Permanent Redirect", address)));
    let error = fails(mirror.command(home.path(), "owner/name").arg("--quiet").env("HF_TOKEN", "hf_good"));
    assert!(error.contains("redirects, wants a token") && error.contains("set HF_ENDPOINT"), "{error}");
}

#[test]
fn a_storage_that_has_an_etag_of_its_own_does_not_name_the_file() {
    for header in ["", "X-Linked-Etag"] {
        let (home, hub) =
            (tempfile::tempdir().expect("a folder"), folder().with(|state| state.lacks = header));
        succeeds(&mut hub.command(home.path(), "owner/name"));
        let blobs = std::fs::read_dir(home.path().join("hf/hub/models--owner--name/blobs")).expect("blobs");
        let names: Vec<_> =
            blobs.map(|blob| blob.expect("a blob").file_name().to_string_lossy().into_owned()).collect();
        let hash: String = Sha256::digest(weights()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(names.contains(&hash), "{header}: {names:?}");
    }
}

#[test]
fn a_redirect_that_goes_in_a_circle_ends() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    let address = hub.address.clone();
    let hub = hub.with(|state| state.moved = Some(("308 Permanent Redirect", address)));
    let error = fails(&mut hub.command(home.path(), "owner/name"));
    assert!(error.contains("redirects more than"), "{error}");
    let hub = hub.with(|state| {
        state.moved = None;
        state.broken = Some(("302 Found", &[], ""));
    });
    let error = fails(&mut hub.command(home.path(), "owner/name"));
    assert!(error.contains("redirects to no address"), "{error}");
}

#[test]
fn a_pasted_address_is_its_model() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    let host = hub.address.strip_prefix("http://").expect("an address").to_owned();
    for asked in [
        "https://huggingface.co/owner/name",
        "https://huggingface.co/owner/name/tree/main",
        "huggingface.co/owner/name",
        "hf.co/owner/name",
        &format!("http://{host}/owner/name"),
    ] {
        let ran = succeeds(&mut hub.command(home.path(), asked));
        assert!(ran.out.contains("LlamaForCausalLM"), "{asked}: {ran:?}");
    }
    let files = [("m-Q8_0.gguf", common::gguf("llama")), ("m-Q4_K_M.gguf", common::gguf("other"))];
    let (home, hub) = (tempfile::tempdir().expect("a folder"), Hub::new(&files));
    for (asked, kind) in [
        ("hf.co/owner/name:Q4_K_M", "other"),
        ("hf.co/owner/name:Q8_0", "llama"),
        ("https://huggingface.co/owner/name/resolve/main/m-Q8_0.gguf?download=true", "llama"),
        ("https://huggingface.co/owner/name/blob/main/m-Q4_K_M.gguf", "other"),
    ] {
        let ran = succeeds(&mut hub.command(home.path(), asked));
        assert!(ran.out.contains(kind), "{asked}: {ran:?}");
    }
    let error = fails(&mut hub.command(home.path(), "https://huggingface.co/datasets/owner/name"));
    assert!(error.contains("no address of a model"), "{error}");
}

#[test]
fn what_is_wrong_with_a_hub_is_said_for_what_it_is() {
    let home = tempfile::tempdir().expect("a folder");
    let says = |change: &dyn Fn(&mut Behaviour)| {
        let hub = folder().with(change);
        fails(hub.command(home.path(), "owner/name").arg("--quiet"))
    };
    let broken = |status, headers, body| says(&|state| state.broken = Some((status, headers, body)));
    let error = broken("429 Too Many Requests", &[("Retry-After", "42")], "");
    assert!(error.contains("too many requests; run the command again in 42 seconds"), "{error}");
    for (status, code) in [("500 Internal Server Error", "500"), ("503 Service Unavailable", "503")] {
        let error = broken(status, &[], "");
        assert!(error.contains(&format!("status {code}, a fault of the server")), "{error}");
        assert!(!error.contains("network"), "{error}");
    }
    for headers in [&[("Content-Type", "text/html; charset=utf-8")][..], &[]] {
        let error = broken("200 OK", headers, "<!DOCTYPE html><title>Log in</title>");
        assert!(error.contains("sent a web page where a Hub's answer belongs; is HF_ENDPOINT"), "{error}");
    }
    let error = broken("200 OK", &[], "{}");
    assert!(error.contains("sent no list of files"), "{error}");
    for (header, said) in [("X-Repo-Commit", "X-Repo-Commit"), ("ETag", "ETag")] {
        let error = says(&|state| state.lacks = header);
        assert!(error.contains("config.json: the answer of"), "{error}");
        assert!(error.contains(&format!("lacks the header {said}")), "{error}");
    }
    // A cached copy is better than none.
    let hub = folder();
    succeeds(&mut hub.command(home.path(), "owner/name"));
    let hub = hub.with(|state| state.broken = Some(("503 Service Unavailable", &[], "")));
    let ran = succeeds(&mut hub.command(home.path(), "owner/name"));
    assert!(ran.err.contains("status 503") && ran.err.contains("taking the copy in the cache"), "{ran:?}");
    let error = fails(sai(home.path()).env("HF_ENDPOINT", "hub.example").args(["inspect", "a/b"]));
    assert!(error.contains("HF_ENDPOINT is `hub.example`; it begins with https://"), "{error}");
}

#[test]
fn a_token_is_found_where_other_tools_find_it_and_named() {
    let home = tempfile::tempdir().expect("a folder");
    let hub = folder().with(|state| state.token = Some("hf_good"));
    let command = || {
        let mut command = hub.command(home.path(), "owner/name");
        command.arg("--quiet");
        command
    };
    let error = fails(command().env("HUGGING_FACE_HUB_TOKEN", "hf_other"));
    assert!(error.contains("HUGGING_FACE_HUB_TOKEN may not read"), "{error}");
    std::fs::create_dir_all(home.path().join("hf")).expect("a folder");
    std::fs::write(home.path().join("hf/token"), "hf_other\r\n").expect("a file");
    let error = fails(&mut command());
    assert!(error.contains("the token in") && error.contains("hf/token may not read"), "{error}");
    assert!(!error.contains("HF_TOKEN"), "{error}");
    // The first that is not empty is taken.
    let mut both = command();
    both.env("HF_TOKEN", " ").env("HUGGING_FACE_HUB_TOKEN", "hf_good\n");
    succeeds(&mut both);
}

#[test]
fn a_mirror_that_gives_no_parts_of_files_will_do() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder().with(|state| state.whole = true));
    let blobs = home.path().join("hf/hub/models--owner--name/blobs");
    std::fs::create_dir_all(&blobs).expect("a folder");
    let hash: String = Sha256::digest(weights()).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(blobs.join(format!("{hash}.part")), &weights()[..100]).expect("a part");
    succeeds(&mut hub.command(home.path(), "owner/name"));
    let found = std::fs::read(snapshot(home.path(), COMMIT).join("model.safetensors"));
    assert_eq!(found.expect("weights"), weights());
}

#[test]
fn a_file_of_certificates_that_is_none_is_named() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), folder());
    std::fs::write(home.path().join("none.pem"), "nothing").expect("a file");
    let error = fails(hub.command(home.path(), "owner/name").env("SSL_CERT_FILE", "none.pem"));
    assert!(error.contains("none.pem: holds no certificate"), "{error}");
    let error = fails(hub.command(home.path(), "owner/name").env("REQUESTS_CA_BUNDLE", "missing.pem"));
    assert!(error.contains("missing.pem: the certificates cannot be read"), "{error}");
}

/// The dataset of the tests of `evals`, of which a file is the split `test` of a task.
fn dataset() -> Hub {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../evals/tests/fixtures/hub/skt/kobest_v1");
    let read = |name: &str| std::fs::read(fixtures.join(name)).expect("the fixture");
    let files = ["copa/test/0000.parquet", "copa/train/0000.parquet"].map(|name| (name, read(name)));
    Hub::new(&files).with(|state| (state.repo, state.prefix) = ("skt/kobest_v1", "datasets/"))
}

fn evaluate(hub: &Hub, home: &Path) -> Command {
    let mut command = sai(home);
    command.env("HF_ENDPOINT", &hub.address).args(["evaluate"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../evals/tests/fixtures/model"));
    command.args(["--tasks", "kobest_copa", "--json"]);
    command
}

#[test]
fn the_data_of_a_task_is_fetched_once_and_only_the_split_that_is_asked() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), dataset().with(|state| state.cuts = 1));
    let ran = succeeds(&mut evaluate(&hub, home.path()));
    assert!(ran.err.contains("fetching copa/test/0000.parquet") && ran.err.contains("going on"), "{ran:?}");
    let log = hub.log();
    assert!(!log.iter().any(|request| request.contains("train")), "{log:?}");
    let at = home.path().join("hf/hub/datasets--skt--kobest_v1/snapshots").join(COMMIT);
    assert!(at.join("copa/test/0000.parquet").exists());
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let file = &found["tasks"][0]["data"]["kobest_copa"][0];
    assert!(file["path"].as_str().is_some_and(|path| path.contains(COMMIT)), "{file}");
    let bytes = std::fs::read(at.join("copa/test/0000.parquet")).expect("the file");
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(file["sha256"], sum);
    // A branch is asked for again, its files are not.
    assert_eq!(succeeds(&mut evaluate(&hub, home.path())).out, ran.out);
    assert_eq!(hub.log(), ["/api/datasets/skt/kobest_v1/revision/refs%2Fconvert%2Fparquet"]);
    // Examples are of another split.
    succeeds(evaluate(&hub, home.path()).args(["--fewshot", "1"]));
    assert!(hub.log().iter().any(|request| request.contains("copa/train/0000.parquet")));
}

#[test]
fn a_dataset_in_the_cache_needs_no_network_and_what_it_lacks_is_named() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), dataset());
    let ran = succeeds(&mut evaluate(&hub, home.path()));
    hub.log();
    let offline = succeeds(evaluate(&hub, home.path()).env("HF_HUB_OFFLINE", "1"));
    assert_eq!((offline.out, hub.log().len()), (ran.out, 0));
    let error = fails(evaluate(&hub, home.path()).env("HF_HUB_OFFLINE", "1").args(["--fewshot", "1"]));
    assert!(error.contains("lacks copa/train/0000.parquet"), "{error}");
    let error =
        fails(evaluate(&hub, home.path()).env("HF_HUB_OFFLINE", "1").args(["--tasks", "kobest_boolq"]));
    assert!(error.contains("no Parquet of the split test of the configuration boolq"), "{error}");
    let empty = tempfile::tempdir().expect("a folder");
    let error = fails(evaluate(&hub, empty.path()).env("HF_HUB_OFFLINE", "1"));
    assert!(error.contains("does not know this dataset"), "{error}");
    let dead = hub.with(|state| state.broken = Some(("503 Service Unavailable", &[], "")));
    let ran = succeeds(&mut evaluate(&dead, home.path()));
    assert!(ran.err.contains("taking what the cache has"), "{ran:?}");
}

#[test]
fn a_dataset_that_is_damaged_private_or_none_is_said_so() {
    let (home, hub) = (tempfile::tempdir().expect("a folder"), dataset().with(|state| state.corrupt = true));
    let error = fails(evaluate(&hub, home.path()).arg("--quiet"));
    assert!(error.contains("copa/test/0000.parquet: what arrived has sha256"), "{error}");
    let hub = dataset().with(|state| state.token = Some("hf_good"));
    let error = fails(evaluate(&hub, home.path()).arg("--quiet"));
    assert!(error.contains("/datasets/skt/kobest_v1 and set HF_TOKEN"), "{error}");
    let hub = dataset().with(|state| state.repo = "skt/other");
    let error = fails(&mut evaluate(&hub, home.path()));
    assert!(error.contains("the Hub has no such public dataset"), "{error}");
}
