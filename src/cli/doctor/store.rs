//! What a store does: rights, its two promises, order of lists, stamps, clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use gauntlet::bucket::probe;
use gauntlet::bucket::untrusted::create;
use gauntlet::bucket::words::explain;
use gauntlet::runtime::run::RunError;
use gauntlet::runtime::{Bucket, Run, bucket, store_time};
use gauntlet::scenario::Scenario;
use gauntlet::transport::{Hotkey, Identity, keys};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use super::Finding;

/// Objects that are put to see lists and stamps, in an order that is not that of their names.
const NAMES: [&str; 5] = ["d", "b", "e", "a", "c"];
/// Time between two of them, so that not all have the same stamp.
const PAUSE: Duration = Duration::from_millis(130);
/// Requests of a machine whose clock is off by more than this are refused by most stores.
const REFUSED: TimeDelta = TimeDelta::minutes(15);
const NO_STAMP: TimeDelta = TimeDelta::days(20 * 365);
const MUCH: TimeDelta = TimeDelta::seconds(60);

/// Tries a store. Returns the scenario of the run that is in it, if there is one.
pub async fn examine(url: &str, node: Option<&Identity>, findings: &mut Vec<Finding>) -> Option<Scenario> {
    let bucket = match bucket::open_patiently(url, false) {
        Ok(bucket) => bucket,
        Err(error) => {
            findings.push(Finding::told("bucket", &error.to_string()));
            return None;
        }
    };
    let made_up = stranger();
    let hotkey = node.unwrap_or(&made_up).hotkey();
    let run = the_run(&bucket, findings).await;
    let place = keys::prefix(&hotkey).join("doctor");
    if rights(&bucket, &place, node.is_some(), findings).await {
        let kept = promises(bucket.store.as_ref(), &place.clone().join("word"), findings).await;
        lists_and_stamps(&bucket, &place, findings).await;
        clock(&bucket, &hotkey, findings).await;
        others(&bucket, findings).await;
        if let (Some(run), Some(identity), true) = (&run, node, kept) {
            part(run, &identity.hotkey(), findings).await;
        }
        clear(&bucket, &hotkey, &place, findings).await;
    }
    run.map(|run| run.scenario)
}

async fn the_run(bucket: &Bucket, findings: &mut Vec<Finding>) -> Option<Run> {
    let (finding, run) = match Run::read(bucket.clone()).await {
        Ok(run) => (Finding::ok("run", format!("{}, seed {}", run.scenario.name, run.scenario.seed)), Some(run)),
        Err(RunError::NoRun { .. }) => (Finding::ok("run", "none yet; `sim genesis` writes one"), None),
        Err(RunError::Store { source, .. }) => (Finding::told("run", &explain(&source)), None),
        Err(error) => (Finding::told("run", &error.to_string()), None),
    };
    findings.push(finding);
    run
}

/// Whether this key may list, write, and read back below a node's prefix.
async fn rights(bucket: &Bucket, place: &Path, is_named: bool, findings: &mut Vec<Finding>) -> bool {
    let store = &bucket.store;
    if let Err(error) = store.list_with_delimiter(None).await {
        findings.push(Finding::told("list", &explain(&error)));
        return false;
    }
    findings.push(Finding::ok("list", "allowed"));
    let (key, bytes) = (place.clone().join("rights"), "what is put is read");
    if let Err(error) = store.put(&key, bytes.into()).await {
        let mut told = Finding::told("write", &explain(&error));
        if matches!(error, Error::PermissionDenied { .. }) && !is_named {
            told.remedy = "if the store lets each node write below its own prefix only, name the node's key with --key"
                .to_string();
        }
        findings.push(told);
        return false;
    }
    findings.push(Finding::ok("write", "allowed below the node's prefix"));
    let read = async { store.get(&key).await?.bytes().await };
    findings.push(match read.await {
        Ok(found) if found == bytes => Finding::ok("read", "what was put is there at once"),
        Ok(_) => Finding::problem("read", "other bytes than were put", "the store or the way to it is broken"),
        Err(Error::NotFound { .. }) => {
            Finding::problem("read", "what was put is not there yet", "take a store whose reads see earlier writes")
        }
        Err(error) => Finding::told("read", &explain(&error)),
    });
    true
}

/// Whether the store keeps both promises.
async fn promises(store: &dyn ObjectStore, key: &Path, findings: &mut Vec<Finding>) -> bool {
    let mut kept = true;
    for (what, yes, tried) in [
        ("put if absent", "kept: the first put stays", probe::keeps_the_first(store, key).await),
        (
            "replace if unchanged",
            "kept: only what was read is replaced",
            probe::replaces_what_was_seen(store, key).await,
        ),
    ] {
        let finding = match tried {
            Ok(Ok(())) => Finding::ok(what, yes),
            Ok(Err(broken)) => Finding::told(what, &broken.to_string()),
            Err(error) => Finding::told(what, &explain(&error)),
        };
        kept &= finding.verdict == super::Verdict::Ok;
        findings.push(finding);
    }
    kept
}

/// The order of a list, and the stamps that objects get.
async fn lists_and_stamps(bucket: &Bucket, place: &Path, findings: &mut Vec<Finding>) {
    let (store, place) = (&bucket.store, place.clone().join("list"));
    let tried = async {
        let mut stamps = Vec::new();
        for name in NAMES {
            let key = place.clone().join(name);
            store.put(&key, "listed".into()).await?;
            stamps.push(store.head(&key).await?.last_modified);
            tokio::time::sleep(PAUSE).await;
        }
        let listed: Vec<_> = store.list(Some(&place)).try_collect().await?;
        let after: Vec<_> = store.list_with_offset(Some(&place), &place.clone().join("c")).try_collect().await?;
        let name = |meta: &object_store::ObjectMeta| meta.location.filename().unwrap_or_default().to_string();
        Ok::<_, Error>((
            stamps,
            listed.iter().map(name).collect::<Vec<_>>(),
            after.iter().map(name).collect::<Vec<_>>(),
        ))
    };
    match tried.await {
        Ok((stamps, listed, after)) => {
            findings.push(order(&listed, &after));
            findings.push(resolution(&stamps));
        }
        Err(error) => findings.push(Finding::told("stamps", &explain(&error))),
    }
}

fn order(listed: &[String], after: &[String]) -> Finding {
    let what = "list order";
    let (mut all, mut later) = (listed.to_vec(), after.to_vec());
    all.sort();
    later.sort();
    if all != ["a", "b", "c", "d", "e"] || later != ["d", "e"] {
        let found = format!("of a to e it lists [{}], behind c [{}]", listed.join(" "), after.join(" "));
        return Finding::problem(what, found, "take a store whose lists show what has been put, and no more");
    }
    match all == listed {
        true => Finding::ok(what, "by name, with all that was put"),
        false => Finding::ok(what, "all that was put, not by name; nodes sort for themselves"),
    }
}

fn resolution(stamps: &[DateTime<Utc>]) -> Finding {
    let what = "stamps";
    if stamps.is_sorted() {
        let fine = stamps.iter().any(|stamp| stamp.timestamp_subsec_millis() != 0);
        return Finding::ok(what, if fine { "in milliseconds" } else { "in whole seconds" });
    }
    let found = "an object has an earlier stamp than one that was put before it";
    Finding::problem(what, found, "stamps decide what is on time; take a store whose machines agree about the time")
}

async fn clock(bucket: &Bucket, hotkey: &Hotkey, findings: &mut Vec<Finding>) {
    findings.push(match store_time(bucket, hotkey).await {
        Ok(time) => offset(Utc::now() - time.now()),
        Err(error) => Finding::told("clock", &explain(&error)),
    });
}

fn offset(ahead: TimeDelta) -> Finding {
    // The epoch stands for a stamp that is not there.
    if ahead > NO_STAMP {
        return Finding::problem("clock", "the store gives objects no stamp", "take another store");
    }
    let seconds = ahead.as_seconds_f64();
    let side = if seconds < 0.0 { "behind" } else { "ahead of" };
    let found = format!("this machine is {:.1} s {side} the store", seconds.abs());
    let remedy =
        "nodes go by the store's clock, but stores refuse requests that are 15 minutes off; set the clock, as with NTP";
    match ahead.abs() {
        off if off >= REFUSED => Finding::problem("clock", found, remedy),
        off if off >= MUCH => Finding::warning("clock", found, remedy),
        _ => Finding::ok("clock", found),
    }
}

/// Whether this key may write what belongs to another node.
async fn others(bucket: &Bucket, findings: &mut Vec<Finding>) {
    let (what, key) = ("others' objects", keys::prefix(&stranger().hotkey()).join("doctor"));
    let finding = match bucket.store.put(&key, "not ours".into()).await {
        Err(Error::PermissionDenied { .. }) => Finding::ok(what, "out of this key's reach"),
        Err(error) => Finding::told(what, &explain(&error)),
        Ok(_) => {
            let _ = bucket.store.delete(&key).await;
            match bucket.folder {
                Some(_) => Finding::ok(what, "whoever may write in this folder may replace them"),
                None => Finding::warning(
                    what,
                    "this key may replace them",
                    "between strangers, give each node a policy of its own: deploy/s3, docs/cluster.md",
                ),
            }
        }
    };
    findings.push(finding);
}

/// Whether a node may do its part in this run: a validator puts records, a peer claims a slot. It is tried on an object
/// that is there, which a store that keeps its word leaves alone.
async fn part(run: &Run, hotkey: &Hotkey, findings: &mut Vec<Finding>) {
    let (what, prefix, policy) = match run.is_validator(hotkey) {
        true => ("put records", keys::records(), "deploy/s3/validator.json"),
        false => ("register", keys::slots(), "deploy/s3/peer.json"),
    };
    let listed = run.bucket.store.list(Some(&prefix)).try_next().await;
    let finding = match listed {
        Err(error) => Finding::told(what, &explain(&error)),
        Ok(None) => Finding::ok(what, format!("not tried: nothing is below {prefix}/ yet")),
        Ok(Some(there)) => match create(run.bucket.store.as_ref(), &there.location, "".into()).await {
            Ok(false) => Finding::ok(what, format!("allowed below {prefix}/")),
            Ok(true) => Finding::problem(what, format!("{} was replaced", there.location), "take another store"),
            Err(Error::PermissionDenied { .. }) => {
                Finding::problem(what, format!("this key may not create below {prefix}/"), format!("see {policy}"))
            }
            Err(error) => Finding::told(what, &explain(&error)),
        },
    };
    findings.push(finding);
}

/// Removes what was put.
async fn clear(bucket: &Bucket, hotkey: &Hotkey, place: &Path, findings: &mut Vec<Finding>) {
    let store = &bucket.store;
    let tried = async {
        let listed = NAMES.map(|name| place.clone().join("list").join(name));
        let others = [place.clone().join("rights"), place.clone().join("word"), keys::clock(hotkey)];
        for key in listed.into_iter().chain(others) {
            match store.delete(&key).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok::<_, Error>(())
    };
    findings.push(match tried.await {
        Ok(()) => Finding::ok("delete", "allowed; nothing of this is left"),
        Err(error) => {
            let remedy = format!("nodes delete what is old of their own; the doctor's objects are below {place}/");
            Finding::problem("delete", explain(&error), remedy)
        }
    });
}

/// A key that nobody else has.
fn stranger() -> Identity {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("the system gives random numbers");
    Identity::from_secret(&secret)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn a_list_that_lacks_something_is_a_problem_and_another_order_is_not() {
        assert_eq!(order(&names("abcde"), &names("de")).verdict, Verdict::Ok);
        assert_eq!(order(&names("ecabd"), &names("ed")).verdict, Verdict::Ok);
        assert_eq!(order(&names("abde"), &names("de")).verdict, Verdict::Problem);
        assert_eq!(order(&names("abcde"), &names("cde")).verdict, Verdict::Problem);
    }

    #[test]
    fn stamps_and_clocks_are_judged() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap();
        assert_eq!(resolution(&[at(1000), at(1000), at(2000)]).found, "in whole seconds");
        assert_eq!(resolution(&[at(1000), at(1130)]).found, "in milliseconds");
        assert_eq!(resolution(&[at(2000), at(1000)]).verdict, Verdict::Problem);
        assert_eq!(offset(TimeDelta::milliseconds(-300)).verdict, Verdict::Ok);
        assert_eq!(offset(TimeDelta::minutes(2)).verdict, Verdict::Warning);
        let far = offset(TimeDelta::minutes(-20));
        assert!(far.verdict == Verdict::Problem && far.found.contains("1200.0 s behind"), "{far:?}");
    }
}
