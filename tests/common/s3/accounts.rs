//! Who may do what: access keys, and policies as S3 understands them.
//!
//! A policy is the JSON of `deploy/s3`. What is understood of it is what stands there: statements that allow actions on
//! resources with `*` at their end, some only for requests that carry `If-None-Match`. Anything else is a mistake of
//! the test's author, and panics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use serde::Deserialize;

/// The accounts of a server, by access key.
#[derive(Clone, Default)]
pub struct Accounts(Arc<Mutex<BTreeMap<String, Account>>>);

struct Account {
    secret: String,
    /// Without one everything is allowed.
    policy: Option<Policy>,
}

/// What an account may do.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(rename = "Version")]
    _version: String,
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _name: String,
    #[serde(rename = "Effect")]
    _effect: Allow,
    action: OneOrMore,
    resource: OneOrMore,
    condition: Option<Condition>,
}

#[derive(Deserialize)]
enum Allow {
    Allow,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Condition {
    #[serde(rename = "Null")]
    _null: MustCreate,
}

/// Only requests in which the header is not null.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MustCreate {
    #[serde(rename = "s3:if-none-match")]
    _if_none_match: False,
}

#[derive(Deserialize)]
enum False {
    #[serde(rename = "false")]
    False,
}

impl OneOrMore {
    fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(one) => matches(one),
            Self::More(more) => more.iter().any(|one| matches(one)),
        }
    }
}

impl Policy {
    /// Reads a policy of `deploy/s3`.
    pub fn from_json(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}\nis no policy that is understood: {error}"))
    }

    fn allows(&self, action: &str, resource: &str, creates: bool) -> bool {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => resource.starts_with(prefix),
            None => resource == pattern,
        };
        let applies = |statement: &Statement| {
            statement.action.any(|allowed| allowed == action)
                && statement.resource.any(matches)
                && (statement.condition.is_none() || creates)
        };
        self.statement.iter().any(applies)
    }
}

impl Accounts {
    /// Takes in an account, or changes it.
    pub fn admit(&self, access_key: &str, secret: &str, policy: Option<Policy>) {
        self.0.lock().unwrap().insert(access_key.into(), Account { secret: secret.into(), policy });
    }

    /// Whether an account may do something to a bucket (no key) or an object.
    pub fn check(
        &self,
        access_key: &str,
        action: &str,
        bucket: &str,
        key: Option<&str>,
        creates: bool,
    ) -> S3Result<()> {
        let accounts = self.0.lock().unwrap();
        let Some(account) = accounts.get(access_key) else { return Err(s3_error!(InvalidAccessKeyId)) };
        let resource = key.map_or(format!("arn:aws:s3:::{bucket}"), |key| format!("arn:aws:s3:::{bucket}/{key}"));
        match &account.policy {
            Some(policy) if !policy.allows(action, &resource, creates) => {
                Err(s3_error!(AccessDenied, "{access_key} may not {action} {resource}"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl S3Auth for Accounts {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let accounts = self.0.lock().unwrap();
        let account = accounts.get(access_key).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(account.secret.clone().into())
    }
}
