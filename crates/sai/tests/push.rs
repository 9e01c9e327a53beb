//! Models to the Hub: a server on this machine that speaks its protocol of commits, and that of Git LFS.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::http::{Request, http};
use common::{config, fails, gguf, sai, succeeds, weights};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_write";

/// A repository on the server.
#[derive(Clone, Debug, Default)]
struct Repository {
    private: bool,
    /// By branch and name: the checksum, and the contents of what is no large file.
    files: BTreeMap<(String, String), (String, Vec<u8>)>,
    branches: BTreeSet<String>,
    messages: Vec<String>,
}

/// What the server holds and how it behaves.
#[derive(Default)]
struct State {
    address: String,
    repositories: BTreeMap<String, Repository>,
    /// Large files by their checksum.
    storage: BTreeMap<String, Vec<u8>>,
    /// Parts by the address they were put to.
    parts: BTreeMap<String, Vec<u8>>,
    /// Large files come in parts of so many bytes.
    chunk: Option<usize>,
    /// How many uploads were begun; parts of those before `forgotten` are refused.
    uploads: usize,
    forgotten: usize,
    /// So many more things are put, and none after.
    puts_left: Option<usize>,
    /// So many puts are answered with a fault first.
    faults: usize,
    /// How long a put takes.
    slow: Duration,
    /// What is asked of a path that begins so is answered with this status and body.
    refuses: Option<(&'static str, &'static str, &'static str)>,
    /// Large files that were told to be there.
    verified: usize,
    /// A repository of this name is made by somebody else after it was first asked for.
    taken: Option<&'static str>,
    /// Names that the repository's .gitignore leaves out.
    ignored: Vec<&'static str>,
    requests: Vec<Request>,
}

#[derive(Clone)]
struct Hub {
    state: Arc<Mutex<State>>,
}

impl Hub {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let hub = Self { state: Arc::new(Mutex::new(State { address, ..State::default() })) };
        let serving = hub.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let hub = serving.clone();
                std::thread::spawn(move || {
                    let request = Request::read(&stream)?;
                    let slow = hub.state().slow;
                    if request.method == "PUT" {
                        std::thread::sleep(slow);
                    }
                    // No answer is a lost connection.
                    let answer = hub.state().answer(request)?;
                    stream.write_all(&answer).ok()
                });
            }
        });
        hub
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }

    fn with(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state());
        self
    }

    fn command(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = sai(home);
        command.env("HF_ENDPOINT", &self.state().address).env("HF_TOKEN", TOKEN);
        command.arg("push").args(arguments);
        command
    }

    fn push(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(home, arguments);
        command.args(["--yes"]);
        command
    }

    /// The methods and paths so far, and forgets them.
    fn log(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    fn puts(&self) -> Vec<String> {
        self.log().into_iter().filter(|line| line.starts_with("PUT ")).collect()
    }

    /// The contents of a file of a branch, whether large or not.
    fn file(&self, repo: &str, branch: &str, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let (oid, content) =
            state.repositories.get(repo)?.files.get(&(branch.to_owned(), name.to_owned()))?;
        Some(state.storage.get(oid).unwrap_or(content).clone())
    }

    fn names(&self, repo: &str) -> Vec<String> {
        let state = self.state();
        let files = state.repositories.get(repo).map(|repo| repo.files.keys().cloned().collect::<Vec<_>>());
        files.unwrap_or_default().into_iter().map(|(_, name)| name).collect()
    }
}

impl State {
    fn answer(&mut self, request: Request) -> Option<Vec<u8>> {
        self.requests.push(request.clone());
        if let Some((path, status, body)) = self.refuses
            && request.path.starts_with(path)
        {
            return Some(http(status, &[], body.as_bytes()));
        }
        let path = request.path.clone();
        if request.method == "PUT" {
            return self.put(&path, request.body);
        }
        if let Some(oid) = path.strip_prefix("/done/") {
            return Some(self.whole(oid, &request.json()));
        }
        if request.token.as_deref() != Some(TOKEN) {
            return Some(http("401 Unauthorized", &[("X-Error-Message", "Invalid credentials")], b""));
        }
        if request.method != "GET" {
            return Some(self.post(&path, &request));
        }
        let found = self.repository(path.strip_prefix("/api/models/")?);
        if let Some(repo) = self.taken.take() {
            let branches = BTreeSet::from(["main".to_owned()]);
            self.repositories.insert(repo.to_owned(), Repository { branches, ..Repository::default() });
        }
        Some(found)
    }

    fn repository(&self, path: &str) -> Vec<u8> {
        let (repo, branch) = path.split_once("/revision/").unwrap_or((path, "main"));
        let Some(repository) = self.repositories.get(repo).filter(|there| there.branches.contains(branch))
        else {
            return http("404 Not Found", &[], b"{\"error\":\"Repository not found\"}");
        };
        let names = repository.files.keys().filter(|(of, _)| of == branch);
        let siblings: Vec<_> = names.map(|(_, name)| json!({ "rfilename": name })).collect();
        answer(json!({ "sha": COMMIT, "private": repository.private, "siblings": siblings }))
    }

    fn post(&mut self, path: &str, request: &Request) -> Vec<u8> {
        if path == "/api/validate-yaml" {
            let content = request.json()["content"].as_str().expect("a card").to_owned();
            return match content.contains("license: [") {
                true => http("400 Bad Request", &[], br#"{"errors":[{"message":"license is no text"}]}"#),
                false => answer(json!({ "errors": [], "warnings": [] })),
            };
        }
        if path == "/api/repos/create" {
            let asked = request.json();
            assert_eq!(asked["type"], "model");
            let text = |name: &str| asked[name].as_str().expect("a text").to_owned();
            let repo = format!("{}/{}", text("organization"), text("name"));
            if self.repositories.contains_key(&repo) {
                return http("409 Conflict", &[], b"{}");
            }
            let private = asked["private"].as_bool().expect("whether it is private");
            let branches = BTreeSet::from(["main".to_owned()]);
            self.repositories.insert(repo, Repository { private, branches, ..Repository::default() });
            return answer(json!({}));
        }
        if let Some(repo) = path.strip_prefix('/').and_then(|p| p.strip_suffix(".git/info/lfs/objects/batch"))
        {
            assert_eq!(request.kind, "application/vnd.git-lfs+json");
            assert!(self.repositories.contains_key(repo));
            return self.batch(&request.json());
        }
        let path = path.strip_prefix("/api/models/").expect("a path of the Hub");
        if path.starts_with("verify/") {
            let told = request.json();
            let size = told["oid"].as_str().and_then(|oid| self.storage.get(oid)).map(Vec::len);
            assert_eq!(told["size"].as_u64(), size.map(|size| size as u64));
            self.verified += 1;
            return answer(json!({}));
        }
        let words: Vec<&str> = path.splitn(4, '/').collect();
        let [owner, name, what, branch] = words[..] else { panic!("{path}") };
        let (repo, branch) = (format!("{owner}/{name}"), branch.replace("%2F", "/"));
        let Some(repository) = self.repositories.get_mut(&repo) else {
            return http("404 Not Found", &[], b"{}");
        };
        match what {
            "branch" if !repository.branches.insert(branch.clone()) => http("409 Conflict", &[], b"{}"),
            "branch" => answer(json!({})),
            _ if !repository.branches.contains(&branch) => http("404 Not Found", &[], b"{}"),
            "preupload" => {
                let asked = request.json();
                let files = asked["files"].as_array().expect("files").iter().map(|file| {
                    let name = file["path"].as_str().expect("a path");
                    assert!(STANDARD.decode(file["sample"].as_str().expect("a sample")).is_ok());
                    let large = [".safetensors", ".gguf"].iter().any(|end| name.ends_with(end));
                    let oid = repository.files.get(&(branch.clone(), name.to_owned())).map(|(oid, _)| oid);
                    json!({
                        "path": name, "uploadMode": if large { "lfs" } else { "regular" }, "oid": oid,
                        "shouldIgnore": self.ignored.contains(&name),
                    })
                });
                answer(json!({ "files": files.collect::<Vec<_>>() }))
            }
            "commit" => {
                assert_eq!(request.kind, "application/x-ndjson");
                let text = String::from_utf8(request.body.clone()).expect("UTF-8");
                for line in text.lines() {
                    let line: Value = serde_json::from_str(line).expect("a line of JSON");
                    let value = &line["value"];
                    let name = || (branch.clone(), value["path"].as_str().expect("a path").to_owned());
                    match line["key"].as_str() {
                        Some("header") => {
                            repository
                                .messages
                                .push(value["summary"].as_str().expect("a summary").to_owned());
                        }
                        Some("file") => {
                            let content = STANDARD.decode(value["content"].as_str().expect("text")).unwrap();
                            repository.files.insert(name(), (git_hash(&content), content));
                        }
                        Some("lfsFile") => {
                            let oid = value["oid"].as_str().expect("a checksum").to_owned();
                            let size = self.storage.get(&oid).map(Vec::len);
                            assert_eq!(value["size"].as_u64(), size.map(|size| size as u64));
                            repository.files.insert(name(), (oid, Vec::new()));
                        }
                        other => panic!("{other:?}"),
                    }
                }
                let page = format!("{}/{repo}/commit/{COMMIT}", self.address);
                answer(json!({ "commitOid": COMMIT, "commitUrl": page, "success": true }))
            }
            other => panic!("{other}"),
        }
    }

    fn batch(&mut self, asked: &Value) -> Vec<u8> {
        self.uploads += 1;
        let (address, upload) = (self.address.clone(), self.uploads);
        let objects = asked["objects"].as_array().expect("objects").iter().map(|object| {
            let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap() as usize);
            if self.storage.contains_key(oid) {
                return json!({ "oid": oid, "size": size });
            }
            let action = match self.chunk {
                None => json!({ "href": format!("{address}/store/{oid}?key=secret"), "header": {} }),
                Some(chunk) => {
                    let mut header = json!({ "chunk_size": chunk.to_string() });
                    for part in 1..=size.div_ceil(chunk) {
                        header[part.to_string()] =
                            json!(format!("{address}/part/{oid}/{upload}/{part}?key=secret"));
                    }
                    json!({ "href": format!("{address}/done/{oid}"), "header": header })
                }
            };
            let verify = json!({ "href": format!("{address}/api/models/verify/{oid}") });
            json!({ "oid": oid, "size": size, "actions": { "upload": action, "verify": verify } })
        });
        answer(json!({ "transfer": "multipart", "objects": objects.collect::<Vec<_>>() }))
    }

    fn put(&mut self, path: &str, body: Vec<u8>) -> Option<Vec<u8>> {
        if self.puts_left == Some(0) {
            return None;
        }
        self.puts_left = self.puts_left.map(|left| left - 1);
        if self.faults > 0 {
            self.faults -= 1;
            return Some(http("500 Internal Server Error", &[], b""));
        }
        if let Some(oid) = path.strip_prefix("/store/") {
            assert_eq!(sha256(&body), oid);
            self.storage.insert(oid.to_owned(), body);
            return Some(http("200 OK", &[], b""));
        }
        let upload: usize = path.split('/').nth(3)?.parse().ok()?;
        if upload <= self.forgotten {
            return Some(http("403 Forbidden", &[], b"<Error><Code>AccessDenied</Code></Error>"));
        }
        let etag = format!("\"{}\"", &sha256(&body)[..16]);
        self.parts.insert(path.to_owned(), body);
        Some(http("200 OK", &[("ETag", &etag)], b""))
    }

    /// Puts the parts of an upload together.
    fn whole(&mut self, oid: &str, told: &Value) -> Vec<u8> {
        let of_file: Vec<_> =
            self.parts.iter().filter(|(path, _)| path.starts_with(&format!("/part/{oid}/"))).collect();
        let mut bytes = Vec::new();
        for part in told["parts"].as_array().expect("parts") {
            let (number, etag) = (part["partNumber"].as_u64().unwrap(), part["etag"].as_str().unwrap());
            let found = of_file.iter().find(|(path, body)| {
                path.ends_with(&format!("/{number}")) && format!("\"{}\"", &sha256(body)[..16]) == etag
            });
            let Some((_, body)) = found else { return http("400 Bad Request", &[], b"") };
            bytes.extend_from_slice(body);
        }
        if sha256(&bytes) != oid {
            return http("422 Unprocessable Entity", &[], b"");
        }
        self.storage.insert(oid.to_owned(), bytes);
        answer(json!({}))
    }
}

fn answer(body: Value) -> Vec<u8> {
    http("200 OK", &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn git_hash(content: &[u8]) -> String {
    use sha1::Digest;
    hex(&sha1::Sha1::digest([format!("blob {}\0", content.len()).as_bytes(), content].concat()))
}

/// A home with a model's folder, which has what belongs to it and what does not.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = home.path().join("model").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    };
    write("config.json", config("LlamaForCausalLM").as_bytes());
    write("model.safetensors", &weights());
    write("README.md", b"---\nlicense: apache-2.0\n---\n# A model\n");
    write("empty.txt", b"");
    write(".secret", b"mine");
    write("optimizer.safetensors", b"moments");
    write("checkpoints/step-1/model.safetensors", b"older weights");
    home
}

#[test]
fn a_model_is_pushed_with_its_card_and_without_what_is_not_its_own() {
    let (home, hub) = (home(), Hub::new());
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert_eq!(ran.out, format!("{}/owner/name\n", hub.state().address));
    for said in [
        "README.md",
        "model.safetensors",
        "4 files, ",
        "a new repository, public",
        "left out: .secret (hidden), checkpoints/ (checkpoints), optimizer.safetensors (state of a training)",
        COMMIT,
    ] {
        assert!(ran.err.contains(said), "{said} is missing in {}", ran.err);
    }
    assert_eq!(hub.names("owner/name"), ["README.md", "config.json", "empty.txt", "model.safetensors"]);
    assert_eq!(hub.file("owner/name", "main", "model.safetensors"), Some(weights()));
    let card = hub.file("owner/name", "main", "README.md").expect("a card");
    assert!(card.starts_with(b"---\nlicense"));
    {
        let state = hub.state();
        let repository = &state.repositories["owner/name"];
        assert!(!repository.private);
        assert_eq!(state.verified, 1);
        assert_eq!(repository.messages, ["Upload the model with sai"]);
        // The token is for the Hub, and for nobody's eyes.
        for request in &state.requests {
            let stored = request.path.starts_with("/store/");
            assert_eq!(request.token.is_none(), stored, "{} {}", request.method, request.path);
        }
    }
    assert!(!ran.err.contains(TOKEN) && !ran.err.contains("secret?"), "{}", ran.err);

    // Again there is nothing to send.
    hub.log();
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert!(ran.err.contains("nothing is new, 4 files unchanged"), "{}", ran.err);
    assert!(ran.err.contains("replaces what is there") && ran.err.contains("which is public"), "{}", ran.err);
    assert!(!hub.log().iter().any(|line| line.contains("/commit/") || line.starts_with("PUT")));
}

#[test]
fn without_a_terminal_nothing_is_sent_unless_told() {
    let (home, hub) = (home(), Hub::new());
    let ran = common::run(&mut hub.command(home.path(), &["model", "owner/name"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("Push to owner/name? Nobody is at a terminal") && ran.err.contains("--yes"),
        "{ran:?}"
    );
    assert_eq!(hub.log(), ["GET /api/models/owner/name"]);
}

#[test]
fn a_private_model_is_never_in_a_public_repository() {
    let (home, hub) = (home(), Hub::new());
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name", "--private"]));
    assert!(ran.err.contains("a new repository, private"), "{}", ran.err);
    assert!(hub.state().repositories["owner/name"].private);
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert!(ran.err.contains("which is private"), "{}", ran.err);

    let hub = hub.with(|state| state.repositories.get_mut("owner/name").expect("it").private = false);
    hub.log();
    let error = fails(&mut hub.push(home.path(), &["model", "owner/name", "--private"]));
    assert!(error.contains("owner/name: the repository is public already"), "{error}");
    assert_eq!(hub.log(), ["GET /api/models/owner/name"]);

    // One that somebody makes meanwhile.
    let hub = Hub::new().with(|state| state.taken = Some("owner/name"));
    let error = fails(hub.push(home.path(), &["model", "owner/name", "--private"]).arg("--quiet"));
    assert!(error.contains("was made meanwhile and is not private; nothing was sent"), "{error}");
    assert!(!hub.log().iter().any(|line| line.contains("preupload") || line.contains("/commit/")));
    let hub = Hub::new().with(|state| state.taken = Some("owner/name"));
    succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
}

#[test]
fn what_the_storage_has_is_not_sent_again() {
    let (home, hub) = (home(), Hub::new());
    let hub = hub.with(|state| drop(state.storage.insert(sha256(&weights()), weights())));
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert!(ran.err.contains("1 file in the Hub's storage before"), "{}", ran.err);
    assert_eq!(hub.puts(), [""; 0]);
    assert_eq!(hub.file("owner/name", "main", "model.safetensors"), Some(weights()));
}

#[test]
fn parts_that_arrived_are_not_sent_twice() {
    let (home, hub) = (home(), Hub::new());
    let hub = hub.with(|state| (state.chunk, state.puts_left) = (Some(1000), Some(2)));
    let error = fails(hub.push(home.path(), &["model", "owner/name"]).arg("--quiet"));
    assert!(error.contains("sending large files") && error.contains("goes on where it stopped"), "{error}");
    let first: Vec<_> = hub.state().parts.keys().cloned().collect();
    assert_eq!(first.len(), 2);
    assert_eq!(hub.names("owner/name"), [""; 0], "nothing is seen before all of it is there");
    hub.log();
    let kept = home.path().join("cache/sai/uploads");
    let file = kept.read_dir().expect("a folder").next().expect("a file").expect("a file").path();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o077, 0, "addresses are keys");
    }

    let hub = hub.with(|state| state.puts_left = None);
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert!(ran.err.contains("2 of 5 parts were sent before; going on"), "{}", ran.err);
    let second = hub.puts();
    assert_eq!(second.len(), weights().len().div_ceil(1000) - 2);
    assert!(!first.iter().any(|path| second.contains(&format!("PUT {path}"))));
    assert_eq!(hub.file("owner/name", "main", "model.safetensors"), Some(weights()));
    assert!(!file.exists());
}

#[test]
fn parts_that_the_storage_forgot_are_sent_anew() {
    let (home, hub) = (home(), Hub::new());
    let hub = hub.with(|state| (state.chunk, state.puts_left) = (Some(1000), Some(3)));
    fails(hub.push(home.path(), &["model", "owner/name"]).arg("--quiet"));
    let hub = hub.with(|state| {
        (state.puts_left, state.forgotten) = (None, state.uploads);
        state.parts.clear();
    });
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert!(ran.err.contains("the storage forgot them; beginning anew"), "{}", ran.err);
    assert_eq!(hub.file("owner/name", "main", "model.safetensors"), Some(weights()));
}

#[test]
fn a_fault_of_the_storage_is_tried_again() {
    for chunk in [None, Some(1000)] {
        let (home, hub) = (home(), Hub::new().with(|state| (state.chunk, state.faults) = (chunk, 2)));
        let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
        assert!(ran.err.contains("status 500, a fault of the server); going on"), "{}", ran.err);
        assert_eq!(hub.file("owner/name", "main", "model.safetensors"), Some(weights()));
    }
}

#[cfg(unix)]
#[test]
fn a_push_that_was_stopped_is_gone_on_with() {
    let (home, hub) = (home(), Hub::new());
    let hub = hub.with(|state| (state.chunk, state.slow) = (Some(100), Duration::from_millis(60)));
    let mut command = hub.push(home.path(), &["model", "owner/name"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let begun = Instant::now();
    while hub.state().parts.len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no part arrives");
        std::thread::sleep(Duration::from_millis(10));
    }
    succeeds_at("kill", &["-INT", &child.id().to_string()]);
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(130), "{said}");
    assert!(said.contains("stopped; the same command goes on where it was"), "{said}");
    assert_eq!(hub.names("owner/name"), [""; 0]);

    let sent = hub.state().parts.len();
    hub.log();
    let hub = hub.with(|state| state.slow = Duration::ZERO);
    succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    // The part that was on its way may have arrived without an answer.
    assert!(hub.puts().len() <= weights().len().div_ceil(100) - sent + 1);
    assert_eq!(hub.file("owner/name", "main", "model.safetensors"), Some(weights()));
}

#[cfg(unix)]
fn succeeds_at(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().expect("it runs").success());
}

#[test]
fn a_branch_is_made_and_a_message_said() {
    let (home, hub) = (home(), Hub::new());
    let more = ["model", "owner/name", "--revision", "v2", "--message", "Better\n\nFor a reason."];
    let ran = succeeds(&mut hub.push(home.path(), &more));
    assert!(ran.out.ends_with("/owner/name/tree/v2\n") && ran.err.contains("to owner/name@v2"), "{ran:?}");
    assert_eq!(hub.state().repositories["owner/name"].messages, ["Better"]);
    assert_eq!(hub.file("owner/name", "v2", "model.safetensors"), Some(weights()));
    assert_eq!(hub.file("owner/name", "main", "model.safetensors"), None);
    // It is there now, and an id can say it too.
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name@v2"]));
    assert!(ran.err.contains("nothing is new") && ran.err.contains("replaces"), "{}", ran.err);
}

#[test]
fn a_gguf_is_pushed_and_a_file_of_the_same_contents_once() {
    let (home, hub) = (home(), Hub::new());
    let folder = home.path().join("files");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("m-q4_0.gguf"), gguf("llama")).expect("a file");
    fs::write(folder.join("m-copy.gguf"), gguf("llama")).expect("a file");
    let ran = succeeds(&mut hub.push(home.path(), &["files/m-q4_0.gguf", "owner/name"]));
    assert!(ran.err.contains("there is no card (README.md)"), "{}", ran.err);
    assert_eq!(hub.names("owner/name"), ["m-q4_0.gguf"]);
    hub.log();
    let hub = hub.with(|state| state.storage.clear());
    succeeds(&mut hub.push(home.path(), &["files", "owner/two"]));
    assert_eq!(hub.puts().len(), 1);
    assert_eq!(hub.names("owner/two"), ["m-copy.gguf", "m-q4_0.gguf"]);
}

#[test]
fn a_card_that_the_hub_does_not_take_is_said_before_anything_is_made() {
    let (home, hub) = (home(), Hub::new());
    fs::write(home.path().join("model/README.md"), "---\nlicense: [\n---\n").expect("a file");
    let error = fails(hub.push(home.path(), &["model", "owner/name"]).arg("--quiet"));
    assert!(error.contains("README.md: the Hub does not take this card: license is no text"), "{error}");
    assert!(hub.state().repositories.is_empty());
}

#[test]
fn what_the_repository_ignores_is_left_out_and_said() {
    let (home, hub) = (home(), Hub::new().with(|state| state.ignored = vec!["empty.txt"]));
    let ran = succeeds(&mut hub.push(home.path(), &["model", "owner/name"]));
    assert!(ran.err.contains("left out by the repository's .gitignore: empty.txt"), "{}", ran.err);
    assert_eq!(hub.names("owner/name"), ["README.md", "config.json", "model.safetensors"]);
}

#[test]
fn a_refusal_is_one_line_with_a_way_out() {
    let home = home();
    let refused = |path, status, body, said: &[&str]| {
        let hub = Hub::new().with(|state| state.refuses = Some((path, status, body)));
        let error = fails(hub.push(home.path(), &["model", "owner/name"]).arg("--quiet"));
        for said in said {
            assert!(error.contains(said), "{path} {status}: {said} is missing in {error}");
        }
        assert!(!error.contains(TOKEN) && !error.contains("key="), "{error}");
    };
    let json = r#"{"error":"You lack the rights"}"#;
    refused("/api/models/", "401 Unauthorized", "", &["refuses HF_TOKEN", "/settings/tokens"]);
    refused("/api/repos/create", "401 Unauthorized", "", &["making the repository", "refuses HF_TOKEN"]);
    let rights = ["HF_TOKEN may not do this (You lack the rights)", "`owner` must be you"];
    refused("/api/repos/create", "403 Forbidden", json, &rights);
    refused(
        "/api/models/owner/name/commit",
        "403 Forbidden",
        json,
        &["making the commit", "the permission to write"],
    );
    refused(
        "/api/models/owner/name/commit",
        "409 Conflict",
        "",
        &["somebody else changes", "run the command again"],
    );
    refused("/api/models/owner/name/commit", "412 Precondition Failed", "", &["somebody else changes"]);
    refused("/api/models/owner/name/preupload", "404 Not Found", "", &["no such repository or branch"]);
    refused("/api/models/owner/name/commit", "503 Service Unavailable", "", &["status 503", "later"]);
    refused("/owner/name.git", "413 Payload Too Large", "", &["more than"]);
    refused("/store/", "403 Forbidden", "<Error>", &["sending large files", "may not do this"]);
    refused("/api/models/", "200 OK", "<html>", &["sent a web page", "is HF_ENDPOINT right?"]);
    refused("/api/models/", "200 OK", "[]", &["no description of the repository"]);
}

#[test]
fn what_cannot_be_pushed_is_said_before_the_hub_is_asked() {
    let (home, hub) = (home(), Hub::new());
    fs::write(home.path().join("notes.txt"), "mine").expect("a file");
    let says = |arguments: &[&str], said: &str| {
        let error = fails(&mut hub.push(home.path(), arguments));
        assert!(error.contains(said), "{arguments:?}: {error}");
    };
    says(&["nothing", "owner/name"], "nothing: No such file");
    says(&["notes.txt", "owner/name"], "a push is of a GGUF file or a folder");
    says(&["cache", "owner/name"], "");
    says(&["model", "name"], "give owner/name");
    says(&["model", "owner/name:q4_0"], "without `:q4_0`");
    says(&["model", "https://example.com/m"], "no address of the Hub");
    says(&["model", "owner/name", "--revision", "a b"], "names no branch");
    says(&["model", "owner/name", "--message", " "], "--message is empty");
    let error = fails(hub.push(home.path(), &["model", "owner/name"]).env_remove("HF_TOKEN"));
    assert!(error.contains("needs a token that may write") && error.contains("set HF_TOKEN"), "{error}");
    let error = fails(hub.push(home.path(), &["model", "owner/name"]).env("HF_HUB_OFFLINE", "1"));
    assert!(error.contains("HF_HUB_OFFLINE is set"), "{error}");
    assert_eq!(hub.log(), [""; 0]);
}
