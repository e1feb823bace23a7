//! The server of the page. It does nothing unless a browser asks, and reads only what has been written since.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use gauntlet::report::page::{Data, Held, History, Span, Watched, document};
use gauntlet::words::plain;
use serde::Serialize;

use crate::cli::UsageError;
use crate::cli::shared::told;

/// Where the page is served, unless a command says otherwise.
pub const USUAL: &str = "127.0.0.1:8451";

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A page that has its port, and is served once it has a folder.
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
}

/// What is served.
struct Shown {
    root: PathBuf,
    watched: Option<Watched>,
    /// Why the folder does not grow now.
    notice: Option<String>,
}

type Shared = State<Arc<Mutex<Shown>>>;

impl Page {
    /// Takes the port. `option` is what the user may change.
    ///
    /// # Errors
    /// The port is in use, or the address is not this machine's.
    pub fn bind(at: SocketAddr, option: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(at).map_err(|error| {
            let cause = match error.kind() {
                std::io::ErrorKind::AddrInUse => "another program uses this port".to_string(),
                _ => plain(&error.to_string()),
            };
            UsageError(format!("{option} {at}: {cause}; `{option}={}:0` takes a free port", at.ip()))
        })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shown = Shown { root: PathBuf::new(), watched: None, notice: None };
        Ok(Self { listener, address, shown: Arc::new(Mutex::new(shown)) })
    }

    /// The address for a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves a run's folder until the process ends, from a thread of its own.
    ///
    /// # Errors
    /// The system has no thread or socket left.
    pub fn serve(&self, root: &Path) -> anyhow::Result<()> {
        lock(&self.shown).root = root.to_path_buf();
        let listener = self.listener.try_clone()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (shown, is_local) = (self.shown.clone(), self.address.ip().is_loopback());
        let serve = move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this process");
                let served = axum::serve(listener, router(shown, is_local)).await;
                served.unwrap_or_else(|error| tracing::error!(%error, "the page is not served any more"));
            });
        };
        std::thread::Builder::new().name("page".into()).spawn(serve).context("the page cannot be served")?;
        Ok(())
    }

    /// Tells those who look at the page why it stands still; `None`: it does not.
    pub fn tell(&self, notice: Option<String>) {
        lock(&self.shown).notice = notice;
    }
}

fn router(shown: Arc<Mutex<Shown>>, is_local: bool) -> Router {
    let mut router = Router::new().route("/", get(|| async { answer(StatusCode::OK, HTML, document::served()) }));
    for (path, kind, text) in document::PARTS {
        router = router.route(path, get(move || async move { answer(StatusCode::OK, kind, text) }));
    }
    router
        .route("/data", get(data))
        .route("/span", get(span))
        .route("/peer", get(peer))
        .layer(from_fn_with_state(is_local, guard))
        .with_state(shown)
}

/// Refuses what another site's page could ask for under a name of its own, and tells the browser what it may do.
async fn guard(State(is_local): State<bool>, request: Request, next: Next) -> Response {
    let mut response = match is_local && !is_own(request.headers()) {
        true => answer(StatusCode::FORBIDDEN, TEXT, "ask for 127.0.0.1 or localhost"),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(document::POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a request names the server by an address, or as `localhost`, as no other site can.
fn is_own(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

async fn data(State(shown): Shared, uri: Uri) -> Response {
    let held = held(&uri);
    with_run(&shown, |watched| {
        let (kept, generation) = (watched.kept(), watched.generation());
        let data = held.map_or_else(|| Some(Data::all(kept, generation)), |held| Data::since(kept, generation, held));
        data.map_or_else(|| answer(StatusCode::NO_CONTENT, TEXT, ""), |data| json(&data))
    })
}

async fn span(State(shown): Shared, uri: Uri) -> Response {
    let (Some(from), Some(to)) = (number(&uri, "from"), number(&uri, "to")) else {
        return answer(StatusCode::BAD_REQUEST, TEXT, "expected from=ROUND&to=ROUND");
    };
    with_run(&shown, |watched| match watched.span(from, to) {
        Ok((every, rows)) => json(&Span::of(watched.kept(), watched.generation(), (every, &rows))),
        Err(error) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, told(&error.into())),
    })
}

async fn peer(State(shown): Shared, uri: Uri) -> Response {
    let Some(uid) = number(&uri, "uid").and_then(|uid| uid.try_into().ok()) else {
        return answer(StatusCode::BAD_REQUEST, TEXT, "expected uid=UID");
    };
    with_run(&shown, |watched| match History::of(watched.kept(), uid) {
        Some(history) => json(&history),
        None => answer(StatusCode::NOT_FOUND, TEXT, format!("uid {uid} holds no slot in any round that is kept")),
    })
}

/// What is served. After a panic in an earlier request everything is read anew.
fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(|poisoned| {
        shown.clear_poison();
        let mut shown = poisoned.into_inner();
        shown.watched = None;
        shown
    })
}

/// Reads the folder and answers from it.
fn with_run(shown: &Mutex<Shown>, respond: impl FnOnce(&Watched) -> Response) -> Response {
    let shown = &mut *lock(shown);
    if let Some(notice) = &shown.notice {
        return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, plain(notice));
    }
    let read = match &mut shown.watched {
        Some(watched) => watched.refresh(),
        None => Watched::open(&shown.root).map(|watched| shown.watched = Some(watched)),
    };
    match (read, &shown.watched) {
        (Ok(()), Some(watched)) => respond(watched),
        (Err(error), _) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, plain(&told(&error.into()))),
        (Ok(()), None) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "there is no run yet"),
    }
}

fn json(data: &impl Serialize) -> Response {
    match serde_json::to_vec(data) {
        Ok(text) => answer(StatusCode::OK, JSON, text),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What the page says that it holds; `None` at its first question.
fn held(uri: &Uri) -> Option<Held> {
    let count = |name| number(uri, name).and_then(|count| count.try_into().ok());
    Some(Held {
        generation: number(uri, "generation")?,
        rounds: count("rounds")?,
        baseline: count("baseline")?,
        backdoor: count("backdoor")?,
        kept: count("kept")?,
        finished: value(uri, "finished")? == "true",
    })
}

fn number(uri: &Uri, name: &str) -> Option<u64> {
    value(uri, name)?.parse().ok()
}

fn value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        let own = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            is_own(&headers)
        };
        for host in ["127.0.0.1:8451", "127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:8451", "[::1]"] {
            assert!(own(host), "{host}");
        }
        for host in ["evil.example:8451", "127.0.0.1.evil.example", "localhost.evil.example", "", "a:b"] {
            assert!(!own(host), "{host}");
        }
        assert!(!is_own(&HeaderMap::new()));
    }

    #[test]
    fn what_the_page_holds_is_read_and_anything_odd_means_nothing() {
        let of = |query: &str| held(&format!("/data?{query}").parse().unwrap());
        let all = "generation=2&rounds=10&baseline=9&backdoor=0&kept=5&finished=true";
        let expected = Held { generation: 2, rounds: 10, baseline: 9, backdoor: 0, kept: 5, finished: true };
        assert_eq!(of(all), Some(expected));
        for query in
            ["", "generation=2", &all.replace("=10", "=-1"), &all.replace("=9", "=1e3"), &all.replace("kept", "k")]
        {
            assert_eq!(of(query), None, "{query}");
        }
    }
}
