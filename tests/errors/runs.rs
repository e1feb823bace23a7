//! Errors of scenarios, runs, experiments and stores.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use gauntlet::bucket::BucketError;
use gauntlet::bucket::probe::Broken;
use gauntlet::engine;
use gauntlet::lab::sweep::SweepError;
use gauntlet::lab::{CompareError, LabError};
use gauntlet::report::explain::ExplainError;
use gauntlet::report::{ReportError, SimulationError};
use gauntlet::runtime::process::ProcessError;
use gauntlet::runtime::run::RunError;
use gauntlet::scenario::{Place, Problem, ScenarioError};
use gauntlet::storm::batch::BatchError;
use gauntlet::transport::genesis::GenesisError;
use tokio::task::JoinError;

use super::network::hotkey;
use super::{Seen, seen};

const URL: &str = "s3://b/run";

fn url() -> String {
    URL.into()
}

fn path(name: &str) -> PathBuf {
    name.into()
}

fn denied() -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: "403 Forbidden: <Code>AccessDenied</Code>".into() }
}

fn ended() -> JoinError {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        task.await.unwrap_err()
    })
}

pub fn all() -> Vec<Seen> {
    [scenarios(), folders(), experiments(), stores(), nodes()].into_iter().flatten().collect()
}

fn scenarios() -> Vec<Seen> {
    let problem = |key: &str, message: &str| Problem {
        place: Place::Line { file: "x.toml".into(), line: 2, column: 1 },
        key: key.into(),
        message: message.into(),
    };
    let task = ended().to_string();
    let stopped =
        format!("a node stopped unexpectedly ({task}): a defect; please report it with the scenario and the seed");
    assert_eq!(engine::RunError::Node(ended()).to_string().split(" (").next(), stopped.split(" (").next());
    assert_eq!(ProcessError::Node(ended()).to_string().split("): ").last(), stopped.split("): ").last());
    vec![
        seen(
            ScenarioError::NotFound { path: "copycta".into(), hint: "did you mean `copycat`?".into() },
            "copycta: no such file, and no shipped scenario has this name; did you mean `copycat`?",
        ),
        seen(
            ScenarioError::Unreadable { path: "x".into(), reason: Error::from_raw_os_error(21) },
            "x: cannot be read: Is a directory; expected a scenario, a TOML text file",
        ),
        seen(
            ScenarioError::Invalid(vec![problem("rounds", "rounds is 0; expected 1 or more")]),
            "x.toml:2:1: rounds is 0; expected 1 or more",
        ),
        seen(
            engine::RunError::Checkpoint("of another run".into()),
            "cannot resume from the checkpoint: of another run",
        ),
    ]
}

fn folders() -> Vec<Seen> {
    let csv = || path("r/rounds.csv");
    vec![
        seen(ReportError::NoFolder(path("r")), "r: it is no folder; choose another with --out DIR"),
        seen(
            ReportError::Exists(path("r")),
            "r exists and is not empty; use --out DIR for another folder, --resume to continue the run in it, or remove it",
        ),
        seen(
            ReportError::NotARun(path("r")),
            "r is no run folder: it has no manifest.json; `sim run SCENARIO.toml` makes one",
        ),
        seen(
            ReportError::Version { path: path("r"), found: 99, writer: "9.9".into() },
            "r was written by gauntlet 9.9 (run folder format 99); this is gauntlet PROGRAM, which reads format 2: use \
             gauntlet 9.9, or run the scenario again",
        ),
        seen(
            ReportError::Io { path: csv(), action: "write", source: Error::from(ErrorKind::StorageFull) },
            "r/rounds.csv: cannot write: no storage space; free some space, then continue with --resume",
        ),
        seen(
            ReportError::Csv { path: csv(), line: 3, message: "column lr: not a number".into() },
            "r/rounds.csv, line 3: column lr: not a number; restore the file, or run the scenario again",
        ),
        seen(
            ReportError::Lost { path: csv(), line: 3, message: "round 1 is missing".into(), way_on: "run it again" },
            "r/rounds.csv, line 3: round 1 is missing; restore the file, or run it again",
        ),
        seen(
            ReportError::Damaged { path: path("r/a"), message: "it was cut off".into(), way_on: "run it again".into() },
            "r/a: it was cut off; restore the file, or run it again",
        ),
        seen(
            ReportError::Json { path: path("r/manifest.json"), message: "empty".into() },
            "r/manifest.json: empty; restore the file, or run the scenario again",
        ),
        seen(
            ReportError::Content { path: path("r/manifest.json"), message: "no columns".into() },
            "r/manifest.json: no columns",
        ),
        seen(ReportError::Plot { figure: "loss".into(), message: "no room".into() }, "cannot draw loss: no room"),
        seen(ExplainError::Central("r".into()), "r: central training has no peers"),
        seen(
            ExplainError::NoPeer { run: "r".into(), uid: 9, known: "0 to 3".into() },
            "r: no peer has held uid 9; there are uids 0 to 3",
        ),
        seen(
            ExplainError::Beyond { run: "r".into(), round: 9, done: 6 },
            "r: round 9 is not one of its 6; expected 0 to 5",
        ),
        seen(
            ExplainError::NotThere { run: "r".into(), uid: 1, round: 9, there: "0 to 5".into() },
            "r: nobody held uid 1 in round 9; expected one of rounds 0 to 5",
        ),
        seen(
            ExplainError::NotKept { run: "r".into(), round: 9, kept: "0, 10".into() },
            "r: the folder has no peers' lines of round 9; expected one of rounds 0, 10",
        ),
    ]
}

fn experiments() -> Vec<Seen> {
    let full = || SimulationError::Report(ReportError::Exists(path("r")));
    let absent = || ScenarioError::NotFound { path: "x".into(), hint: "did you mean `y`?".into() };
    vec![
        seen(
            LabError::Network { which: "seed 3".into(), source: Box::new(full()) },
            "the network with seed 3: r exists and is not empty; use --out DIR for another folder, --resume to continue the \
             run in it, or remove it",
        ),
        seen(
            LabError::Store {
                url: url(),
                action: "read",
                object: "sweep.json".into(),
                reason: "the store is busy".into(),
            },
            "s3://b/run: cannot read sweep.json: the store is busy; what is there stays, and the same command resumes",
        ),
        seen(
            LabError::Other { url: url(), what: "sweep", differs: "seeds = 2".into() },
            "s3://b/run holds another sweep: seeds = 2; take another place with --out, or give the same command as before",
        ),
        seen(
            LabError::Taken { url: "r".into(), by: "a run" },
            "r is the folder of a run; take another place with --out",
        ),
        seen(
            LabError::Damaged { url: "s/".into(), file: "sweep.json", what: "sweep", reason: "empty".into() },
            "s/sweep.json: empty; restore it, or begin the sweep in another place with --out",
        ),
        seen(
            LabError::Format { url: "s".into(), file: "sweep.json", what: "sweep", found: 4, expected: 3 },
            "s/sweep.json has format 4, expected 3; use the version of gauntlet that wrote it, or begin the sweep in \
             another place with --out",
        ),
        seen(
            LabError::Strategy { which: "mix".into(), source: absent() },
            "the network with the strategy `mix`: x: no such file, and no shipped scenario has this name; did you mean `y`?",
        ),
        seen(
            BatchError::Io { path: path("storms.csv"), source: Error::from_raw_os_error(28) },
            "storms.csv: cannot be read or written: No space left on device; the same command resumes",
        ),
        seen(
            BatchError::Other { path: path("storms.csv"), line: 7 },
            "storms.csv: line 7 is no storm of these settings; take another --out, or move the file away",
        ),
        seen(SweepError::Grid { grid: "a".into(), reason: "expected KEY=A,B".into() }, "--grid a: expected KEY=A,B"),
        seen(
            SweepError::TooMany { found: "9 networks".into(), most: 5 },
            "9 networks; expected 5 at most: take fewer values or seeds",
        ),
        seen(
            SweepError::Seeds { first: 7, count: 3 },
            "3 seeds from 7 on; the last would be more than 9223372036854775807, the largest that TOML can write",
        ),
        seen(
            SweepError::Refused { combination: "a = 1".into(), problem: "a is 1; expected 0".into() },
            "the combination a = 1: a is 1; expected 0",
        ),
        seen(
            SweepError::Control { combination: "a = 1".into(), problem: "no honest peer".into() },
            "--control: the combination a = 1 without its adversaries: no honest peer",
        ),
        seen(
            SweepError::None { url: url() },
            "s3://b/run: there is no sweep here: it has no sweep.json; `sim sweep SCENARIO --grid KEY=VALUES --out DIR` makes \
             one",
        ),
        seen(
            SweepError::Part { url: url(), there: 1, of: 5 },
            "s3://b/run: 1 of 5 networks are there; finish the sweep with the command that began it",
        ),
        seen(
            CompareError::Nothing("r".into()),
            "r: there is no run and no sweep here; expected a folder with manifest.json or sweep.json",
        ),
        seen(
            CompareError::Central("r".into()),
            "r: the baseline alone, in which nobody is paid; `sim plot` draws its loss beside that of runs",
        ),
    ]
}

fn stores() -> Vec<Seen> {
    vec![
        seen(
            BucketError::Url { url: "s3://".into(), source: "s3://[".parse::<url::Url>().unwrap_err() },
            "bucket s3://: invalid IPv6 address",
        ),
        seen(
            BucketError::Scheme { url: "ftp://b".into() },
            "bucket ftp://b: expected a folder, file://, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH; for MinIO, \
             R2 and others set AWS_ENDPOINT_URL",
        ),
        seen(
            BucketError::PlainHttp { url: url(), endpoint: "http://h".into() },
            "bucket s3://b/run: AWS_ENDPOINT_URL = http://h is not encrypted; set AWS_ALLOW_HTTP=true if that is meant, or \
             take an https:// address",
        ),
        seen(
            BucketError::Seconds { name: "GAUNTLET_STORE_TIMEOUT", value: "x".into() },
            "GAUNTLET_STORE_TIMEOUT = \"x\": expected seconds, 0 to 86400",
        ),
        seen(
            BucketError::NoFolder { url: "b".into() },
            "bucket b: there is no such folder; `sim genesis` and `sim launch` make it",
        ),
        seen(
            BucketError::Folder { url: "b".into(), source: Error::from_raw_os_error(13) },
            "bucket b: Permission denied",
        ),
        seen(
            BucketError::Store { url: url(), source: denied() },
            "bucket s3://b/run: the key has no right to do this; it needs to list, read and write below this path",
        ),
        seen(
            Broken::LastWins,
            "the store replaces an object that it was told to put only where none is (If-None-Match): several validators \
             could decide one round; take a store that refuses that, as S3, R2, MinIO, GCS and Azure do",
        ),
        seen(
            Broken::NoCondition,
            "the store cannot put an object only where none is (If-None-Match): it answers that it does not implement that; \
             take a store that does, as S3, R2, MinIO, GCS and Azure",
        ),
        seen(
            Broken::ReplacesChanged,
            "the store replaces an object that has changed since it was read, though it was told not to (If-Match): a record \
             could be lost; take a store that refuses that, as S3, R2, MinIO, GCS and Azure do",
        ),
        seen(
            Broken::ReplacesNothing,
            "the store refuses to replace exactly the object that was read (If-Match): what somebody puts in a record's place \
             could not be removed; take a store that does, as S3, R2, MinIO, GCS and Azure",
        ),
        seen(
            Broken::NoTag,
            "the store gives objects no tag (ETag), without which none can be replaced only if it is unchanged; take a store \
             that does, as S3, R2, MinIO, GCS and Azure",
        ),
    ]
}

fn nodes() -> Vec<Seen> {
    let address = "127.0.0.1:9".parse().unwrap();
    vec![
        seen(
            RunError::NoRun { url: url() },
            "bucket s3://b/run: there is no run; `sim genesis SCENARIO.toml --bucket s3://b/run` writes one",
        ),
        seen(
            RunError::Genesis { url: url(), source: GenesisError::Version { found: 9 } },
            "bucket s3://b/run: genesis: it is of format 9; this program reads format 1",
        ),
        seen(
            RunError::Garbled { url: url() },
            "bucket s3://b/run: each read of the genesis gives different content; the store or the connection to it is broken",
        ),
        seen(
            RunError::Scenario {
                url: url(),
                source: Box::new(ScenarioError::Invalid(vec![Problem {
                    place: Place::File("genesis".into()),
                    key: "rounds".into(),
                    message: "unknown key `rouds`".into(),
                }])),
            },
            "bucket s3://b/run: genesis: its scenario does not fit this version of the program: genesis: unknown key `rouds`",
        ),
        seen(
            RunError::OtherRun { url: url(), found: "honest".into() },
            "bucket s3://b/run: another run is in it (honest); take another bucket, or another path in it",
        ),
        seen(
            RunError::NotEmpty { url: url() },
            "bucket s3://b/run: it is not empty and has no run; take another bucket, or another path in it",
        ),
        seen(
            RunError::Word { url: url(), broken: Broken::NoTag },
            "bucket s3://b/run: the store gives objects no tag (ETag), without which none can be replaced only if it is \
             unchanged; take a store that does, as S3, R2, MinIO, GCS and Azure",
        ),
        seen(
            RunError::Store { url: url(), source: denied() },
            "bucket s3://b/run: the key has no right to do this; it needs to list, read and write below this path",
        ),
        seen(
            RunError::Theta { url: url() },
            "bucket s3://b/run: theta: the model that the genesis names is unavailable",
        ),
        seen(
            RunError::Corpus { expected: "1".into(), found: "2".into() },
            "the corpus of this machine is not the run's: digest 2, the run has 1; see corpus.path",
        ),
        seen(
            RunError::NoModel { url: url(), rounds: 1, available: "there are those after 2".into() },
            "bucket s3://b/run: there is no model after 1 round; there are those after 2",
        ),
        seen(
            ProcessError::Restore { path: path("state"), what: "it was cut off".into() },
            "state: it was cut off; move it away to start this node afresh",
        ),
        seen(
            ProcessError::NotAValidator { hotkey: hotkey("a") },
            "A is no validator of this run; its genesis lists them",
        ),
        seen(
            ProcessError::IsValidator { hotkey: hotkey("a") },
            "A is a validator of this run, which gets no slot; `sim key new` makes a key for a peer",
        ),
        seen(
            ProcessError::Launcher { address, source: Error::from_raw_os_error(111) },
            "the launcher at 127.0.0.1:9 does not answer: Connection refused",
        ),
        seen(
            ProcessError::OwnBucket { url: url() },
            "s3://b/run: this run does not read uploads there; chain.peer_buckets in its settings says where it does",
        ),
        seen(
            ProcessError::System(Error::from_raw_os_error(24)),
            "the process's clock and sockets cannot be set up: Too many open files; raise the limit of open files (ulimit -n)",
        ),
    ]
}
