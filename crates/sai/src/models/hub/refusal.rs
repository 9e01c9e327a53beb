//! What the Hub's client says went wrong, in words that help.

use anyhow::anyhow;
use hf_hub::api::sync::ApiError;

use super::id::{HubId, Settings};

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the Hub did not answer, or not now: what another try or the cache may mend.
pub(super) fn is_unreachable(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(_) => status(error).is_none_or(|status| status >= 500 || status == 429),
        ApiError::IoError(io) => !matches!(
            io.kind(),
            std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::ReadOnlyFilesystem
                | std::io::ErrorKind::InvalidData
        ),
        ApiError::TooManyRetries(inner) => is_unreachable(inner),
        _ => false,
    }
}

/// The reason alone, without the client's own prefix.
pub(super) fn describe(error: &ApiError) -> String {
    match error {
        ApiError::RequestError(error) => match &**error {
            ureq::Error::StatusCode(status) => format!("status {status}"),
            ureq::Error::HostNotFound => "its name does not resolve".to_owned(),
            ureq::Error::Io(io) => io.to_string(),
            other => other.to_string(),
        },
        ApiError::IoError(io) => io.to_string(),
        other => other.to_string(),
    }
}

/// The words for a request that the Hub refused.
pub(super) fn refused(
    id: &HubId,
    settings: &Settings,
    file: Option<&str>,
    error: &ApiError,
) -> anyhow::Error {
    let endpoint = &settings.endpoint;
    let page = format!("{endpoint}/{}", id.repo);
    match (status(error), file) {
        (Some(401 | 403), Some(_)) if settings.token.is_none() => {
            anyhow!(
                "{id}: its files are for people who accepted the licence; accept it at {page} and set HF_TOKEN"
            )
        }
        (Some(401 | 403), Some(_)) => {
            anyhow!(
                "{id}: HF_TOKEN may not read its files; accept the licence at {page} with the token's account"
            )
        }
        (Some(401 | 403), None) if settings.token.is_some() => {
            anyhow!("{id}: the Hub refuses HF_TOKEN; make a new one at {endpoint}/settings/tokens")
        }
        (Some(401 | 403), None) => {
            anyhow!(
                "{id}: the Hub has no such public model; check the id, or set HF_TOKEN if the model is private"
            )
        }
        (Some(404), None) if id.revision != "main" => {
            anyhow!("{id}: the Hub has no such model or revision; check both at {endpoint}")
        }
        (Some(404), None) => {
            anyhow!("{id}: no such file or folder here, and no such model at {endpoint}; check the id")
        }
        (Some(status), file) => {
            let what = file.map(|file| format!(" {file}:")).unwrap_or_default();
            anyhow!("{id}:{what} the Hub at {endpoint} answered with status {status}")
        }
        (None, file) => {
            let what = file.map(|file| format!(" {file}:")).unwrap_or_default();
            anyhow!("{id}:{what} {}", describe(error))
        }
    }
}
