//! What is asked of the Hub in a push, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::client::{Client, LFS, RequestError, Sibling, escaped};

const JSON: &str = "application/json";

/// What the Hub says of a repository.
#[derive(Deserialize)]
pub(super) struct Repository {
    // Not known is not public.
    pub(super) private: bool,
    #[serde(default)]
    pub(super) siblings: Vec<Sibling>,
}

/// How the Hub wants a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UploadMode {
    /// In the commit itself.
    Regular,
    /// In the storage of large files, and its checksum in the commit.
    Lfs,
}

/// What the Hub says of a file before it is sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Preupload {
    pub(super) path: String,
    pub(super) upload_mode: UploadMode,
    /// Whether the repository's `.gitignore` leaves it out.
    #[serde(default)]
    pub(super) should_ignore: bool,
    /// The checksum of the file of this name that is there: git's of a regular one, the sha256 of a large one.
    #[serde(default)]
    pub(super) oid: Option<String>,
}

/// A file that the Hub is asked about: its name, how it begins (in base64), and its bytes.
#[derive(Serialize)]
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) sample: String,
    pub(super) size: u64,
}

/// What is to be done for a large file.
#[derive(Deserialize)]
pub(super) struct LfsObject {
    pub(super) oid: String,
    /// None where the storage has it.
    #[serde(default)]
    pub(super) actions: Option<Actions>,
    #[serde(default)]
    pub(super) error: Option<LfsError>,
}

#[derive(Deserialize)]
pub(super) struct LfsError {
    pub(super) message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Actions {
    pub(super) upload: Option<Action>,
    /// What is told when it is there.
    #[serde(default)]
    pub(super) verify: Option<Action>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Action {
    pub(super) href: String,
    #[serde(default)]
    pub(super) header: BTreeMap<String, Value>,
}

impl Action {
    /// The headers as texts.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.header.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

/// What a commit became.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    pub(super) commit_oid: String,
}

impl Client<'_> {
    /// What the Hub says of the repository; `None` where it has none that the token may see.
    pub(super) fn repository(
        &self,
        repo: &str,
        revision: Option<&str>,
    ) -> Result<Option<Repository>, RequestError> {
        let at =
            revision.map(|revision| format!("/revision/{}", escaped(revision, false))).unwrap_or_default();
        let url = format!("{}/api/models/{repo}{at}", self.endpoint());
        match self.read(&url) {
            Ok(text) => parsed(&text, "description of the repository").map(Some),
            Err(RequestError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a repository. One that is there already is [`RequestError::Status`] 409.
    pub(super) fn create(&self, owner: &str, name: &str, private: bool) -> Result<(), RequestError> {
        let what = json!({ "type": "model", "name": name, "organization": owner, "private": private });
        self.post_json("/api/repos/create", &what).map(drop)
    }

    /// Makes a branch of the newest commit. One that is there already is [`RequestError::Status`] 409.
    pub(super) fn branch(&self, repo: &str, branch: &str) -> Result<(), RequestError> {
        self.post_json(&format!("/api/models/{repo}/branch/{}", escaped(branch, false)), &json!({})).map(drop)
    }

    /// Holds the front matter of a card to what the Hub takes. What is wrong with it, where something is.
    pub(super) fn check_card(&self, card: &str) -> Result<Option<String>, RequestError> {
        let what = json!({ "content": card, "repoType": "model" });
        match self.post_json("/api/validate-yaml", &what) {
            Ok(_) => Ok(None),
            Err(RequestError::Status { status: 400, reason, .. }) => Ok(Some(
                reason.unwrap_or_else(|| "its front matter is not YAML that the Hub takes".to_owned()),
            )),
            // A mirror need not know how; the commit is held to it again.
            Err(RequestError::Status { status: 404 | 405, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks how files are wanted.
    pub(super) fn preupload(
        &self,
        repo: &str,
        revision: &str,
        files: &[Asked<'_>],
    ) -> Result<Vec<Preupload>, RequestError> {
        #[derive(Deserialize)]
        struct Answer {
            files: Vec<Preupload>,
        }
        let path = format!("/api/models/{repo}/preupload/{}", escaped(revision, false));
        let text = self.post_json(&path, &json!({ "files": files }))?;
        parsed::<Answer>(&text, "list of files").map(|answer| answer.files)
    }

    /// Asks the storage of large files which of `objects`, by sha256 and bytes, it lacks, and where they go.
    pub(super) fn lfs_batch(
        &self,
        repo: &str,
        revision: &str,
        objects: &[(String, u64)],
    ) -> Result<Vec<LfsObject>, RequestError> {
        #[derive(Deserialize)]
        struct Answer {
            objects: Vec<LfsObject>,
        }
        let objects: Vec<_> = objects.iter().map(|(oid, size)| json!({ "oid": oid, "size": size })).collect();
        let what = json!({
            "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
            "ref": { "name": revision }, "objects": objects,
        });
        let url = format!("{}/{repo}.git/info/lfs/objects/batch", self.endpoint());
        let text = self.post(&url, LFS, what.to_string().as_bytes())?;
        parsed::<Answer>(&text, "answer of Git LFS").map(|answer| answer.objects)
    }

    /// Makes a commit of lines of JSON: a header, and a line for each file.
    pub(super) fn commit(&self, repo: &str, revision: &str, lines: &[u8]) -> Result<Commit, RequestError> {
        let url = format!("{}/api/models/{repo}/commit/{}", self.endpoint(), escaped(revision, false));
        parsed(&self.post(&url, "application/x-ndjson", lines)?, "answer to the commit")
    }

    fn post_json(&self, path: &str, what: &Value) -> Result<String, RequestError> {
        self.post(&format!("{}{path}", self.endpoint()), JSON, what.to_string().as_bytes())
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(text: &str, what: &str) -> Result<T, RequestError> {
    serde_json::from_str(text).map_err(|error| RequestError::Nonsense(format!("it sent no {what}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_lfs_answers_is_read() {
        let text = r#"{"oid":"ab","size":3,"actions":{"upload":{"href":"http://s/x","header":{"chunk_size":5,"1":"http://s/1"}}}}"#;
        let object: LfsObject = serde_json::from_str(text).expect("an object");
        let upload = object.actions.and_then(|actions| actions.upload).expect("an upload");
        let headers = upload.headers();
        assert!(headers.contains(&("chunk_size".to_owned(), "5".to_owned())));
        let there: LfsObject = serde_json::from_str(r#"{"oid":"ab","size":3}"#).expect("an object");
        assert!(there.actions.is_none() && there.error.is_none());
    }
}
