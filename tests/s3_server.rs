//! The S3 server that other tests rely on, seen through the client that nodes use.

#[path = "s3_server/commands.rs"]
mod commands;
#[path = "s3_server/lab.rs"]
mod lab;
#[path = "common/s3/mod.rs"]
mod s3;
#[path = "common/served.rs"]
mod served;
#[path = "s3_server/watch.rs"]
mod watch;

use std::time::Duration;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, RetryConfig, UpdateVersion,
};
use s3::{ACCESS_KEY, BUCKET, Injected, Policy, Rates, S3Server, SECRET_KEY};
use tokio::time::Instant;

/// A client that tries so often again.
fn client(server: &S3Server, access_key: &str, secret: &str, max_retries: usize) -> AmazonS3 {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(1), max_backoff: Duration::from_millis(5), base: 2.0 };
    // What the program does when it opens a bucket.
    let _ = rustls::crypto::ring::default_provider().install_default();
    AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(BUCKET)
        .with_access_key_id(access_key)
        .with_secret_access_key(secret)
        .with_retry(RetryConfig { backoff, max_retries, retry_timeout: Duration::from_secs(20) })
        .build()
        .unwrap()
}

/// A server, and a client that never tries again.
fn start() -> (S3Server, AmazonS3) {
    let server = S3Server::start(1);
    let client = client(&server, ACCESS_KEY, SECRET_KEY, 0);
    (server, client)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

async fn text(client: &AmazonS3, key: &str) -> object_store::Result<String> {
    let bytes = client.get(&path(key)).await?.bytes().await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn create(client: &AmazonS3, key: &str, bytes: &'static str) -> object_store::Result<()> {
    client.put_opts(&path(key), bytes.into(), PutMode::Create.into()).await.map(drop)
}

#[tokio::test]
async fn what_is_put_is_there_until_it_is_deleted() {
    let (server, client) = start();
    assert!(matches!(text(&client, "a/b").await, Err(Error::NotFound { .. })));
    client.put(&path("a/b"), "first".into()).await.unwrap();
    client.put(&path("a/b"), "second".into()).await.unwrap();
    assert_eq!(text(&client, "a/b").await.unwrap(), "second");
    assert_eq!(server.bucket().bytes("a/b").unwrap(), "second");

    let meta = client.head(&path("a/b")).await.unwrap();
    assert_eq!(meta.size, 6);
    assert_eq!(meta.last_modified.timestamp_subsec_nanos(), 0, "S3 stamps in whole seconds");
    assert_eq!(client.get(&path("a/b")).await.unwrap().meta, meta);

    client.delete(&path("a/b")).await.unwrap();
    client.delete(&path("a/b")).await.unwrap();
    assert!(matches!(client.head(&path("a/b")).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn an_object_is_created_once_and_replaced_only_where_it_is_known() {
    let (server, client) = start();
    create(&client, "slot", "first").await.unwrap();
    assert!(matches!(create(&client, "slot", "second").await, Err(Error::AlreadyExists { .. })));
    assert_eq!(text(&client, "slot").await.unwrap(), "first");

    let e_tag = client.head(&path("slot")).await.unwrap().e_tag;
    let replace = async |bytes: &'static str| {
        let version = UpdateVersion { e_tag: e_tag.clone(), version: None };
        client.put_opts(&path("slot"), bytes.into(), PutMode::Update(version).into()).await
    };
    replace("third").await.unwrap();
    assert!(matches!(replace("fourth").await, Err(Error::Precondition { .. })));
    assert_eq!(server.bucket().bytes("slot").unwrap(), "third");
}

/// Of many that create at the same moment one has it.
#[tokio::test]
async fn a_race_has_one_winner() {
    let (_server, client) = start();
    let racers = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let outcomes = futures::future::join_all(racers.map(|name| create(&client, "slot", name))).await;
    let winners: Vec<_> = racers.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(text(&client, "slot").await.unwrap(), *winners[0].0);
}

#[tokio::test]
async fn a_range_transfers_no_more_and_tells_the_whole_length() {
    let (_server, client) = start();
    client.put(&path("long"), "0123456789".into()).await.unwrap();
    client.put(&path("empty"), "".into()).await.unwrap();
    let get = async |key: &str, range| {
        let options = GetOptions { range: Some(range), ..Default::default() };
        let answer = client.get_opts(&path(key), options).await?;
        let size = answer.meta.size;
        Ok::<_, Error>((size, answer.bytes().await?))
    };
    assert_eq!(get("long", GetRange::Bounded(2..5)).await.unwrap(), (10, "234".into()));
    assert_eq!(get("long", GetRange::Bounded(0..99)).await.unwrap(), (10, "0123456789".into()));
    assert_eq!(get("long", GetRange::Offset(7)).await.unwrap(), (10, "789".into()));
    assert_eq!(get("long", GetRange::Suffix(2)).await.unwrap(), (10, "89".into()));
    let beyond = get("long", GetRange::Bounded(10..20)).await.unwrap_err().to_string();
    assert!(beyond.contains("416"), "{beyond}");
    assert!(get("empty", GetRange::Bounded(0..1)).await.is_err());
}

#[tokio::test]
async fn a_listing_has_prefixes_and_pages_and_a_place_to_start() {
    let (server, client) = start();
    for nth in 0..1100 {
        server.bucket().put(&format!("many/{nth:04}"), "");
    }
    for key in ["nodes/a/x", "nodes/a/y", "nodes/b/x", "nodes/c", "other"] {
        client.put(&path(key), "1".into()).await.unwrap();
    }
    let keys = async |prefix: &str| -> Vec<String> {
        let listed: Vec<_> = client.list(Some(&path(prefix))).try_collect().await.unwrap();
        listed.into_iter().map(|meta| meta.location.to_string()).collect()
    };
    assert_eq!(keys("nodes").await, ["nodes/a/x", "nodes/a/y", "nodes/b/x", "nodes/c"]);
    assert_eq!(keys("nodes/a").await, ["nodes/a/x", "nodes/a/y"]);
    assert_eq!(keys("many").await, server.bucket().keys("many/"), "1100 keys are two pages");
    assert_eq!(keys("many").await.len(), 1100);
    assert_eq!(keys("nothing").await, [""; 0]);

    let after: Vec<_> = client
        .list_with_offset(Some(&path("many")), &path("many/1097"))
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(after, ["many/1098", "many/1099"]);

    let here = client.list_with_delimiter(Some(&path("nodes"))).await.unwrap();
    assert_eq!(here.common_prefixes, [path("nodes/a"), path("nodes/b")]);
    assert_eq!(here.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["nodes/c"]);
    let top = client.list_with_delimiter(None).await.unwrap();
    assert_eq!(top.common_prefixes, [path("many"), path("nodes")], "1100 keys behind one prefix count once");
}

#[tokio::test]
async fn a_batch_is_deleted_at_once() {
    let (server, client) = start();
    ["a", "b", "c"].iter().for_each(|key| server.bucket().put(key, "1"));
    let doomed = futures::stream::iter(["a", "missing", "c"].map(|key| Ok(path(key))));
    let deleted: Vec<_> = client.delete_stream(Box::pin(doomed)).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 3);
    assert_eq!(server.bucket().keys(""), ["b"]);
}

#[tokio::test]
async fn a_wrong_secret_another_bucket_and_no_signature_are_refused() {
    let (server, client_of_ours) = start();
    client_of_ours.put(&path("a"), "1".into()).await.unwrap();
    let stranger = client(&server, ACCESS_KEY, "guessed", 0);
    assert!(matches!(text(&stranger, "a").await, Err(Error::PermissionDenied { .. })));
    assert!(matches!(stranger.put(&path("b"), "1".into()).await, Err(Error::PermissionDenied { .. })));
    let anonymous = AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_bucket_name(BUCKET)
        .with_skip_signature(true)
        .build()
        .unwrap();
    assert!(matches!(text(&anonymous, "a").await, Err(Error::PermissionDenied { .. })));
    assert!(matches!(anonymous.put(&path("c"), "1".into()).await, Err(Error::PermissionDenied { .. })));
    let elsewhere = AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_bucket_name("another")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .build()
        .unwrap();
    assert!(matches!(text(&elsewhere, "a").await, Err(Error::NotFound { .. })));
    assert_eq!(server.bucket().keys(""), ["a"]);
}

/// A client with one of the policies of `deploy/s3`, for the node `hotkey`.
fn limited(server: &S3Server, policy: &str, hotkey: &str) -> AmazonS3 {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/s3").join(policy);
    let json = std::fs::read_to_string(file).unwrap().replace("BUCKET", BUCKET).replace("HOTKEY", hotkey);
    server.accounts().admit(hotkey, "its secret", Some(Policy::from_json(&json)));
    client(server, hotkey, "its secret", 0)
}

async fn denied(outcome: impl Future<Output = object_store::Result<impl Sized>>) -> bool {
    matches!(outcome.await, Err(Error::PermissionDenied { .. }))
}

#[tokio::test]
async fn with_its_policy_a_peer_writes_below_its_prefix_and_registers_once() {
    let (server, _) = start();
    let (peer, other) = (limited(&server, "peer.json", "aa"), limited(&server, "peer.json", "ab"));
    let put = async |key: &str| peer.put(&path(key), "1".into()).await;
    let remove = async |key: &str| peer.delete(&path(key)).await;

    put("nodes/aa/rounds/00000001/upload").await.unwrap();
    put("nodes/aa/rounds/00000001/upload").await.unwrap();
    assert_eq!(text(&other, "nodes/aa/rounds/00000001/upload").await.unwrap(), "1", "everybody reads it");
    remove("nodes/aa/rounds/00000001/upload").await.unwrap();
    for elsewhere in ["nodes/ab/rounds/00000001/upload", "nodes/aab/x", "genesis", "rounds/00000001/record"] {
        assert!(denied(put(elsewhere)).await && denied(remove(elsewhere)).await, "{elsewhere}");
        assert!(denied(create(&peer, elsewhere, "1")).await, "{elsewhere}");
    }
    let doomed = futures::stream::iter(["nodes/aa/x", "nodes/ab/x"].map(|key| Ok(path(key))));
    assert!(denied(peer.delete_stream(Box::pin(doomed)).try_collect::<Vec<_>>()).await);

    assert!(denied(put("chain/slots/00000/00000000")).await, "a slot is not overwritten");
    create(&peer, "chain/slots/00000/00000000", "aa").await.unwrap();
    assert!(matches!(create(&other, "chain/slots/00000/00000000", "ab").await, Err(Error::AlreadyExists { .. })));
    assert!(denied(remove("chain/slots/00000/00000000")).await);
    assert_eq!(peer.list(Some(&path("chain"))).try_collect::<Vec<_>>().await.unwrap().len(), 1);
}

#[tokio::test]
async fn with_its_policy_a_validator_writes_a_record_once_and_prunes() {
    let (server, _) = start();
    let validator = limited(&server, "validator.json", "ba");
    let record = "rounds/00000001/record";
    assert!(denied(validator.put(&path(record), "1".into())).await, "only where nothing is");
    create(&validator, record, "1").await.unwrap();
    assert!(matches!(create(&validator, record, "2").await, Err(Error::AlreadyExists { .. })));
    let version = UpdateVersion { e_tag: validator.head(&path(record)).await.unwrap().e_tag, version: None };
    validator.put_opts(&path(record), "3".into(), PutMode::Update(version).into()).await.unwrap();
    validator.delete(&path(record)).await.unwrap();
    validator.put(&path("nodes/ba/checkpoints/00000100"), "1".into()).await.unwrap();
    for call in ["nodes/ba/weights/0000000084", "nodes/ba/weights/0000000084.01"] {
        assert!(denied(validator.put(&path(call), "1".into())).await, "only where nothing is: {call}");
        create(&validator, call, "1").await.unwrap();
        assert!(matches!(create(&validator, call, "2").await, Err(Error::AlreadyExists { .. })));
        let version = UpdateVersion { e_tag: validator.head(&path(call)).await.unwrap().e_tag, version: None };
        assert!(denied(validator.put_opts(&path(call), "3".into(), PutMode::Update(version).into())).await);
        assert!(denied(validator.delete(&path(call))).await, "what others have read stays: {call}");
    }
    for elsewhere in ["nodes/aa/rounds/00000001/upload", "genesis", "chain/slots/00000/00000000"] {
        assert!(denied(validator.put(&path(elsewhere), "1".into())).await, "{elsewhere}");
        assert!(denied(create(&validator, elsewhere, "1")).await, "{elsewhere}");
    }
}

#[tokio::test]
async fn with_its_policy_an_operator_writes_genesis_once_and_nothing_else() {
    let (server, _) = start();
    let operator = limited(&server, "operator.json", "ca");
    create(&operator, "genesis", "1").await.unwrap();
    operator.put(&path("theta"), "1".into()).await.unwrap();
    assert!(matches!(create(&operator, "genesis", "2").await, Err(Error::AlreadyExists { .. })));
    assert!(denied(operator.put(&path("genesis"), "2".into())).await);
    assert!(denied(operator.delete(&path("genesis"))).await);
    assert!(denied(create(&operator, "rounds/00000001/record", "1")).await);
}

#[tokio::test]
async fn errors_come_with_their_rate_and_have_no_effect() {
    let (server, client) = start();
    server.faults().set(Rates { errors: 1.0, ..Rates::default() });
    let mut told = String::new();
    for nth in 0..10 {
        told += &client.put(&path(&nth.to_string()), "1".into()).await.unwrap_err().to_string();
    }
    assert!(told.contains("500") && told.contains("503"), "{told}");
    assert_eq!(server.bucket().keys(""), [""; 0]);
    assert_eq!(server.faults().injected(), Injected { errors: 10, ..Injected::default() });
    server.faults().stop();
    client.put(&path("a"), "1".into()).await.unwrap();
}

/// What a node may not take for its own failure or success: the answer is lost, the object may be there.
#[tokio::test]
async fn a_reset_comes_before_or_after_the_effect() {
    let (server, client) = start();
    server.faults().set(Rates { resets: 1.0, ..Rates::default() });
    for nth in 0..20 {
        let error = create(&client, &format!("{nth:02}"), "1").await.unwrap_err();
        assert!(matches!(error, Error::Generic { .. }), "{error}");
    }
    let arrived = server.bucket().keys("").len();
    assert!((1..20).contains(&arrived), "{arrived} of 20 arrived");
    server.faults().stop();
    for nth in 0..20 {
        let again = create(&client, &format!("{nth:02}"), "2").await;
        assert!(matches!(again, Ok(()) | Err(Error::AlreadyExists { .. })));
    }
}

#[tokio::test]
async fn a_truncated_body_is_an_error_and_a_flipped_bit_is_not() {
    let (server, client) = start();
    let good = "a body of some length";
    client.put(&path("a"), good.into()).await.unwrap();
    server.faults().set(Rates { truncated: 1.0, ..Rates::default() });
    assert!(text(&client, "a").await.is_err());

    server.faults().set(Rates { flipped: 1.0, ..Rates::default() });
    for _ in 0..10 {
        let bytes = client.get(&path("a")).await.unwrap().bytes().await.unwrap();
        let changed: u32 = bytes.iter().zip(good.bytes()).map(|(&found, sent)| (found ^ sent).count_ones()).sum();
        assert_eq!((bytes.len(), changed), (good.len(), 1));
    }
    assert_eq!(server.bucket().bytes("a").unwrap(), good, "the object itself is whole");
    client.put(&path("b"), good.into()).await.unwrap();
    assert_eq!(server.bucket().bytes("b").unwrap(), good, "only what is read is harmed");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_faults_for_each_key() {
    let outcomes = async |seed, order: [usize; 4]| {
        let server = S3Server::start(seed);
        let client = client(&server, ACCESS_KEY, SECRET_KEY, 0);
        (0..4).for_each(|nth| server.bucket().put(&nth.to_string(), "1"));
        server.faults().set(Rates { errors: 0.3, resets: 0.3, ..Rates::default() });
        let mut failed = [const { Vec::new() }; 4];
        for _ in 0..8 {
            for nth in order {
                failed[nth].push(client.head(&path(&nth.to_string())).await.is_err());
            }
        }
        failed
    };
    let first = outcomes(1, [0, 1, 2, 3]).await;
    assert_eq!(outcomes(1, [2, 0, 3, 1]).await, first);
    assert_ne!(outcomes(2, [0, 1, 2, 3]).await, first);
}

#[tokio::test]
async fn answers_can_be_slow() {
    let (server, client) = start();
    let delay = Duration::from_millis(30);
    server.faults().set(Rates { delay, ..Rates::default() });
    let start = Instant::now();
    client.put(&path("a"), "1".into()).await.unwrap();
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn a_server_that_is_down_refuses_and_comes_back_with_its_objects() {
    let (server, client) = start();
    client.put(&path("a"), "1".into()).await.unwrap();
    for _ in 0..2 {
        server.go_down();
        assert!(matches!(text(&client, "a").await, Err(Error::Generic { .. })));
        let refused = std::net::TcpStream::connect(server.endpoint().trim_start_matches("http://"));
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        server.come_back();
        assert_eq!(text(&client, "a").await.unwrap(), "1");
    }
}

/// A client as nodes have it gets through all of it at once.
#[tokio::test]
async fn a_client_that_tries_again_gets_through() {
    let server = S3Server::start(3);
    let client = client(&server, ACCESS_KEY, SECRET_KEY, 10);
    server.faults().set(Rates { errors: 0.2, resets: 0.2, truncated: 0.1, ..Rates::default() });
    for nth in 0..30 {
        let key = nth.to_string();
        // A put over a connection that was reset is tried again only where it may be repeated.
        client.put(&path(&key), "a body of some length".into()).await.unwrap();
        assert_eq!(text(&client, &key).await.unwrap(), "a body of some length");
    }
    let Injected { errors, resets, truncated, flipped } = server.faults().injected();
    assert!(errors > 0 && resets > 0 && truncated > 0 && flipped == 0, "{:?}", server.faults().injected());
}

#[tokio::test]
async fn a_test_sees_and_damages_objects_and_waits_for_them() {
    let (server, client) = start();
    client.put(&path("a"), "12345".into()).await.unwrap();
    let before = client.head(&path("a")).await.unwrap();
    assert!(server.bucket().damage("a", |bytes| bytes.truncate(3)));
    assert!(!server.bucket().damage("b", |bytes| bytes.clear()));
    let after = client.head(&path("a")).await.unwrap();
    assert_eq!((after.size, after.last_modified), (3, before.last_modified));
    assert_eq!(text(&client, "a").await.unwrap(), "123");
    server.bucket().delete("a");
    assert!(matches!(text(&client, "a").await, Err(Error::NotFound { .. })));

    let limit = Duration::from_secs(20);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.bucket().wait_for(limit, |objects| objects.get("late").cloned()));
        server.bucket().put("late", "here");
        assert_eq!(waiting.join().unwrap().unwrap().bytes, "here");
    });
    assert!(server.bucket().wait_for(Duration::from_millis(1), |objects| objects.get("never").cloned()).is_none());
}
