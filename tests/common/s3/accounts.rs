//! Who may do what: access keys, and policies as S3 understands them.
//!
//! A policy is the JSON of `deploy/s3`. What is understood of it is what stands there: statements that allow actions on
//! resources with `*` at their end, some only for requests with a condition. Anything else is a mistake of
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

/// Only requests in which a header is not null.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Condition {
    null: NotNull,
}

#[derive(Deserialize)]
enum NotNull {
    #[serde(rename = "s3:if-none-match")]
    IfNoneMatch(False),
    #[serde(rename = "s3:if-match")]
    IfMatch(False),
}

#[derive(Deserialize)]
enum False {
    #[serde(rename = "false")]
    False,
}

/// Something that an account asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub action: &'a str,
    pub bucket: &'a str,
    /// Without one it is about the bucket.
    pub key: Option<&'a str>,
    /// Has the header `If-None-Match`, or `If-Match`.
    pub if_none_match: bool,
    pub if_match: bool,
}

impl Condition {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        match self.null {
            NotNull::IfNoneMatch(False::False) => asked.if_none_match,
            NotNull::IfMatch(False::False) => asked.if_match,
        }
    }
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

    fn allows(&self, asked: &Asked<'_>, resource: &str) -> bool {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => resource.starts_with(prefix),
            None => resource == pattern,
        };
        let applies = |statement: &Statement| {
            statement.action.any(|allowed| allowed == asked.action)
                && statement.resource.any(matches)
                && statement.condition.as_ref().is_none_or(|condition| condition.holds(asked))
        };
        self.statement.iter().any(applies)
    }
}

impl Accounts {
    /// Takes in an account, or changes it.
    pub fn admit(&self, access_key: &str, secret: &str, policy: Option<Policy>) {
        self.0.lock().unwrap().insert(access_key.into(), Account { secret: secret.into(), policy });
    }

    /// Whether an account may do what it asks for.
    pub fn check(&self, access_key: &str, asked: &Asked<'_>) -> S3Result<()> {
        let accounts = self.0.lock().unwrap();
        let Some(account) = accounts.get(access_key) else { return Err(s3_error!(InvalidAccessKeyId)) };
        let Asked { action, bucket, key, .. } = asked;
        let resource = key.map_or(format!("arn:aws:s3:::{bucket}"), |key| format!("arn:aws:s3:::{bucket}/{key}"));
        match &account.policy {
            Some(policy) if !policy.allows(asked, &resource) => {
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
