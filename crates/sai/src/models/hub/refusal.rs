//! What went wrong with the Hub, in words that help.

use anyhow::anyhow;

use super::client::RequestError;
use super::id::{HubId, RepoType, Settings};
use crate::texts::texts;

/// Whether the Hub did not answer, or not now: what another try or the cache may mend.
pub(super) fn is_unreachable(error: &RequestError) -> bool {
    match error {
        RequestError::Connection(_) => true,
        RequestError::Status { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}

/// The reason alone.
pub(super) fn describe(error: &RequestError) -> String {
    match error {
        RequestError::Connection(why) | RequestError::Nonsense(why) => why.clone(),
        RequestError::Status { status: 429, .. } => "status 429, too many requests".to_owned(),
        RequestError::Status { status, .. } if *status >= 500 => {
            format!("status {status}, a fault of the server")
        }
        RequestError::Status { status, .. } => format!("status {status}"),
        RequestError::WebPage { host } => format!("{host} sent a web page"),
        RequestError::MissingHeader { name, host } => format!("{host} sent no header {name}"),
    }
}

/// The words for a Hub that does not answer, or not now, where the cache does not help either.
pub(super) fn unreachable(id: &HubId, settings: &Settings, error: &RequestError) -> anyhow::Error {
    let (endpoint, cache) = (&settings.endpoint, settings.cache.folder.display());
    let why = describe(error);
    let way = local(id.repo_type);
    match error {
        RequestError::Status { status: 429, retry_after, .. } => {
            let wait = match retry_after.as_deref() {
                Some(seconds) if seconds.parse::<u64>().is_ok() => format!("in {seconds} seconds"),
                _ => "in a few minutes".to_owned(),
            };
            let token = if settings.token.is_none() { "; with HF_TOKEN more are let through" } else { "" };
            anyhow!("{id}: {endpoint} answers with {why}; run the command again {wait}{token}")
        }
        RequestError::Status { .. } => anyhow!(
            "{id}: {endpoint} answers with {why}, and {cache} holds no whole copy; try again later, or give {way}"
        ),
        _ if id.repo_type == RepoType::Model => anyhow!((texts().unreachable)(id, endpoint, &why, &cache)),
        _ => anyhow!(
            "{id}: the Hub at {endpoint} cannot be reached ({why}) and {cache} holds no whole copy; check the network, or give {way}"
        ),
    }
}

/// What stands in for the Hub.
pub(super) fn local(repo_type: RepoType) -> &'static str {
    match repo_type {
        RepoType::Model => "--model a local file",
        RepoType::Dataset => "a folder of its files",
    }
}

/// The words for a request that the Hub refused, or that something else than a Hub answered.
pub(super) fn refused(
    id: &HubId,
    settings: &Settings,
    file: Option<&str>,
    error: &RequestError,
) -> anyhow::Error {
    let endpoint = &settings.endpoint;
    let (what_it_is, page) =
        (id.repo_type.name(), format!("{endpoint}/{}{}", id.repo_type.prefix(), id.repo));
    let what = file.map(|file| format!(" {file}:")).unwrap_or_default();
    match error {
        RequestError::Status { status: 401 | 403, host, with_token, .. } => match (&settings.token, file) {
            (Some(_), _) if !with_token => anyhow!(
                "{id}: {host}, to which {endpoint} redirects, wants a token, and sai shows yours to {endpoint} alone; \
                     if you trust it, set HF_ENDPOINT to https://{host}"
            ),
            (Some(token), Some(_)) => anyhow!(
                "{id}: {} may not read its files; accept the licence at {page} with the token's account",
                token.origin
            ),
            (Some(token), None) => {
                anyhow!(
                    "{id}: the Hub refuses {}; make a new one at {endpoint}/settings/tokens",
                    token.origin
                )
            }
            (None, Some(_)) => anyhow!((texts().licence_first)(id, &page)),
            (None, None) if id.repo_type == RepoType::Model => anyhow!((texts().no_public_model)(id)),
            (None, None) => anyhow!(
                "{id}: the Hub has no such public {what_it_is}; check the id, or set HF_TOKEN if it is private"
            ),
        },
        RequestError::Status { status: 404, .. } if file.is_none() && id.revision != "main" => {
            anyhow!("{id}: the Hub has no such {what_it_is} or revision; check both at {endpoint}")
        }
        RequestError::Status { status: 404, .. } if file.is_none() => {
            if id.repo_type == RepoType::Model {
                return anyhow!((texts().no_model_at)(id, endpoint));
            }
            anyhow!("{id}: no such file or folder here, and no such {what_it_is} at {endpoint}; check the id")
        }
        RequestError::Status { status, host, .. } => {
            anyhow!("{id}:{what} the Hub at {host} answered with status {status}")
        }
        RequestError::WebPage { host } => anyhow!(
            "{id}:{what} {host} sent a web page where a Hub's answer belongs; is HF_ENDPOINT ({endpoint}) right, or does \
             this network ask for a login first?"
        ),
        RequestError::MissingHeader { name, host } => anyhow!(
            "{id}:{what} the answer of {host} lacks the header {name}, which a Hub sends; is HF_ENDPOINT ({endpoint}) \
             right, or does a proxy take it out?"
        ),
        RequestError::Connection(why) | RequestError::Nonsense(why) => {
            anyhow!("{id}:{what} {why}; is HF_ENDPOINT ({endpoint}) right?")
        }
    }
}

/// The words for a push that did not succeed while `step` was done.
pub(super) fn not_pushed(repo: &str, settings: &Settings, step: &str, error: &RequestError) -> anyhow::Error {
    let endpoint = &settings.endpoint;
    let token = settings.token.as_ref().map_or("the token", |token| token.origin.as_str());
    let owner = repo.split('/').next().unwrap_or_default();
    let RequestError::Status { status, host, reason, .. } = error else {
        let again = match error {
            RequestError::Connection(_) => "; run the command again and it goes on where it stopped",
            _ => "; is HF_ENDPOINT right?",
        };
        return anyhow!("{repo}: {step} at {endpoint}: {}{again}", describe(error));
    };
    let said = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    match status {
        401 => anyhow!(
            "{repo}: {step}: {host} refuses {token}{said}; make one that may write at {endpoint}/settings/tokens"
        ),
        403 => anyhow!(
            "{repo}: {step}: {token} may not do this{said}; it needs the permission to write, and `{owner}` must be you or \
             an organisation of yours"
        ),
        404 => anyhow!(
            "{repo}: {step}: {host} knows no such repository or branch{said}; check both at {endpoint}"
        ),
        409 | 412 => anyhow!(
            "{repo}: {step}: somebody else changes the repository at this moment{said}; run the command again"
        ),
        413 => anyhow!("{repo}: {step}: it is more than {host} takes{said}"),
        429 => anyhow!(
            "{repo}: {step}: {host} answers with {}{said}; run the command again in a few minutes",
            describe(error)
        ),
        500.. => anyhow!(
            "{repo}: {step}: {host} answers with {}{said}; run the command again later and it goes on where it stopped",
            describe(error)
        ),
        _ => anyhow!("{repo}: {step}: {host} answered with status {status}{said}"),
    }
}
