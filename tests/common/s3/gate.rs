//! Where every request passes once its signature has been verified: may it be, and does it go wrong?

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::DeleteObjectsInput;
use s3s::{S3Request, S3Result, s3_error};

use super::accounts::{Accounts, Asked};
use super::connection::break_current;
use super::faults::{Fault, Faults, View};

/// The gate.
pub struct Gate {
    pub accounts: Accounts,
    pub faults: Arc<Faults>,
}

impl Gate {
    /// Refuses what the account's policy does not allow.
    fn admit(&self, request: &S3AccessContext<'_>) -> S3Result<()> {
        let credentials = request.credentials().ok_or_else(|| s3_error!(AccessDenied, "sign your requests"))?;
        let Some(bucket) = request.s3_path().get_bucket_name() else { return Err(s3_error!(NotImplemented)) };
        let key = request.s3_path().get_object_key();
        let action = match (request.method().as_str(), key) {
            ("GET" | "HEAD", Some(_)) => "s3:GetObject",
            ("GET", None) => "s3:ListBucket",
            ("PUT", Some(_)) => "s3:PutObject",
            ("DELETE", Some(_)) => "s3:DeleteObject",
            // Names its keys in the body.
            ("POST", None) => return Ok(()),
            _ => return Err(s3_error!(NotImplemented)),
        };
        let has = |header| request.headers().contains_key(header);
        let (if_none_match, if_match) = (has("if-none-match"), has("if-match"));
        self.accounts.check(&credentials.access_key, &Asked { action, bucket, key, if_none_match, if_match })
    }
}

/// What a request is about, in the words of [`Sky::meets`](super::Sky::meets).
fn named(request: &S3AccessContext<'_>) -> (&'static str, String) {
    let key = request.s3_path().get_object_key();
    let what = match (request.method().as_str(), key) {
        ("PUT", _) => "put",
        ("HEAD", _) => "head",
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        _ => "delete",
    };
    let query = request.uri().query().unwrap_or_default();
    let mut words = url::form_urlencoded::parse(query.as_bytes());
    let prefix = || words.find(|(name, _)| name == "prefix").map(|(_, prefix)| prefix.into_owned());
    (what, key.map(Into::into).or_else(prefix).unwrap_or_default())
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        self.admit(request)?;
        let view = self.faults.sky().zip(request.credentials());
        let view = view.map(|(sky, credentials)| View { sky, account: credentials.access_key.clone() });
        let delay = view.as_ref().map_or(self.faults.delay(), |view| view.sky.delay(&view.account));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let fault = match &view {
            Some(view) => {
                let (what, key) = named(request);
                view.sky.meets(&view.account, what, &key)
            }
            None => self.faults.draw(request.method().as_str(), request.uri().path()),
        };
        if let Some(view) = view {
            request.extensions_mut().insert(view);
        }
        match fault {
            None => Ok(()),
            Some(Fault::Error(code)) => Err(code.into()),
            Some(Fault::Reset { before }) => {
                break_current(|| {});
                if before { Err(s3_error!(RequestTimeout)) } else { Ok(()) }
            }
            Some(Fault::ResetThen(then)) => {
                break_current(then);
                Ok(())
            }
            Some(Fault::Harm(harm)) => {
                request.extensions_mut().insert(harm);
                Ok(())
            }
        }
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let credentials = request.credentials.as_ref().ok_or_else(|| s3_error!(AccessDenied))?;
        let DeleteObjectsInput { bucket, delete, .. } = &request.input;
        let asked = Asked { action: "s3:DeleteObject", bucket, key: None, if_none_match: false, if_match: false };
        let check = |key| self.accounts.check(&credentials.access_key, &Asked { key: Some(key), ..asked });
        delete.objects.iter().try_for_each(|object| check(&object.key))
    }
}
