//! What an error of a store means, once and in a user's words, and what to do about it.

use std::error::Error as _;

use object_store::Error;

/// What a store's answer has in it, what that means, and what to do.
const MEANINGS: [(&[&str], &str); 15] = [
    (
        &["RequestTimeTooSkewed", "RequestExpired"],
        "the clock of this machine is off by more than the store allows; set it, as with NTP",
    ),
    (&["InvalidAccessKeyId"], "the store does not know this access key; check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL"),
    (&["SignatureDoesNotMatch"], "the secret key does not belong to the access key; check AWS_SECRET_ACCESS_KEY"),
    (&["ExpiredToken", "TokenRefreshRequired"], "the session has expired; get new credentials (AWS_SESSION_TOKEN)"),
    (
        &["AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraint", "301 Moved Permanently"],
        "the bucket is in another region; set AWS_REGION to it",
    ),
    (
        &["501 Not Implemented", "NotImplemented"],
        "the store cannot put an object only where none is (If-None-Match), which runs need; take another store",
    ),
    (
        &["missing field `LastModified`"],
        "the store gives objects no stamp (Last-Modified), by which a run decides what is on time; take another store",
    ),
    (&["Too many open files"], "too many open files; raise the limit (ulimit -n)"),
    (&["SlowDown", "503 Service Unavailable", "429 Too Many Requests"], "the store is busy; try again later"),
    (&["NoSuchBucket"], "there is no such bucket; make it, or check its name and AWS_ENDPOINT_URL"),
    (
        &["AccessDenied", "403 Forbidden", "lacked the necessary privileges"],
        "the key has no right to do this; it needs to list, read and write below this path",
    ),
    (
        &["Account must be specified"],
        "there is no account; set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    ),
    (&["169.254.169.254"], "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (
        &["dns error", "failed to lookup address"],
        "the store's host is not known; check AWS_ENDPOINT_URL and the network",
    ),
    (&["Connection refused", "tcp connect error"], "nothing answers at the store's address; check AWS_ENDPOINT_URL"),
];

/// Cause and remedy of an error; of an unknown one the innermost cause, as the store says it.
pub fn explain(error: &Error) -> String {
    let mut chain = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        chain.push(inner.to_string());
        cause = inner.source();
    }
    let whole = chain.join("\n");
    let has = |signs: &[&str]| signs.iter().any(|sign| whole.contains(sign));
    if let Some((_, meaning)) = MEANINGS.iter().find(|(signs, _)| has(signs)) {
        return meaning.to_string();
    }
    if let Error::NotFound { path, .. } = error {
        return format!("there is no object {path}");
    }
    // What is around it only names the request.
    let innermost = chain.pop().unwrap_or_default();
    innermost.split(" (os error ").next().unwrap_or_default().to_string()
}

/// An error and its causes, each once. An error of a store is explained, without the names that each layer gives it.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let join = |told: String, more: &str| if told.is_empty() { more.to_string() } else { format!("{told}: {more}") };
    let (mut told, mut cause) = (String::new(), Some(error));
    while let Some(error) = cause {
        let text = error.to_string();
        if let Some(store) = error.downcast_ref::<Error>() {
            let meaning = explain(store);
            return if told.contains(&text) { told.replace(&text, &meaning) } else { join(told, &meaning) };
        }
        if !told.contains(&text) {
            told = join(told, &text);
        }
        cause = error.source();
    }
    told
}

/// What is told while a request is made again, from what the store's client notes of it.
pub fn retrying(note: &str) -> String {
    let wait = note.split_once("backing off for ").and_then(|(_, rest)| rest.split_once(" seconds"));
    let again = match wait.and_then(|(seconds, _)| seconds.parse::<f64>().ok()) {
        Some(seconds) => format!("trying again in {seconds:.1} s"),
        None => "trying again".into(),
    };
    let status = note.split_once("status ").and_then(|(_, rest)| rest.split_once(", backing off"));
    let what = match status {
        Some((status, _)) if status.starts_with("503") || status.starts_with("429") => format!("is busy ({status})"),
        Some((status, _)) => format!("fails ({status})"),
        None => "does not answer".into(),
    };
    format!("the store {what}; {again}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: &str) -> String {
        let source = format!("Error performing GET http://h/b in 1ms - Server returned non-2xx status code: {answer}");
        explain(&Error::Generic { store: "S3", source: source.into() })
    }

    #[test]
    fn an_answer_is_told_by_its_cause() {
        let denied = "403 Forbidden: <Error><Code>";
        for (answer, expected) in [
            (format!("{denied}RequestTimeTooSkewed</Code>"), "the clock of this machine is off"),
            (format!("{denied}InvalidAccessKeyId</Code>"), "the store does not know this access key"),
            (format!("{denied}SignatureDoesNotMatch</Code>"), "the secret key does not belong"),
            (format!("{denied}AccessDenied</Code>"), "the key has no right to do this"),
            ("400 Bad Request: <Code>AuthorizationHeaderMalformed</Code>".into(), "the bucket is in another region"),
            ("404 Not Found: <Code>NoSuchBucket</Code>".into(), "there is no such bucket"),
            ("501 Not Implemented: <Code>NotImplemented</Code>".into(), "the store cannot put an object only where"),
            ("503 Service Unavailable: <Code>SlowDown</Code>".into(), "the store is busy"),
        ] {
            let told = answered(&answer);
            assert!(told.starts_with(expected) && !told.contains("Error performing"), "{answer}: {told}");
        }
        let io = std::io::Error::from_raw_os_error(28);
        let full = Error::Generic { store: "LocalFileSystem", source: Box::new(io) };
        assert_eq!(explain(&full), "No space left on device");
        let none = Error::NotFound { path: "a/b".into(), source: "404".into() };
        assert_eq!(explain(&none), "there is no object a/b");
    }

    #[test]
    fn retries_are_told_in_plain_words() {
        let of_status = |status: &str| {
            retrying(&format!(
                "Encountered server error with status {status}, backing off for 0.25 seconds, retry 1 of 9"
            ))
        };
        assert_eq!(
            of_status("503 Service Unavailable"),
            "the store is busy (503 Service Unavailable); trying again in 0.2 s"
        );
        assert_eq!(
            of_status("500 Internal Server Error"),
            "the store fails (500 Internal Server Error); trying again in 0.2 s"
        );
        let transport = "Encountered transport error of kind Connect, backing off for 1.5 seconds, retry 1 of 9: HTTP";
        assert_eq!(retrying(transport), "the store does not answer; trying again in 1.5 s");
        assert_eq!(retrying("other words"), "the store does not answer; trying again");
    }
}
