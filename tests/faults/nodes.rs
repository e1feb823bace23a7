//! Nodes as processes: started, killed, started again, and what they said.

#![allow(dead_code)] // Not every test binary uses everything.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::s3::S3Server;

/// What a node is told besides who and where it is.
pub struct NodeSettings<'a> {
    pub name: &'a str,
    pub role: &'a str,
    pub bucket: &'a str,
    pub access_key: &'a str,
    pub secret: &'a str,
    pub clock: Clock,
}

/// The clock by which a node lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's.
    Right,
    /// The machine's, half a minute ahead.
    Wrong,
    /// That of the test.
    Shared(SocketAddr),
}

/// A node of the network, whether it runs or not. Its process is killed when it is dropped.
pub struct Node {
    pub name: String,
    pub hotkey: String,
    folder: PathBuf,
    state: PathBuf,
    words: Vec<String>,
    environment: Vec<(&'static str, String)>,
    child: Option<Child>,
    listeners: Vec<JoinHandle<()>>,
    said: Arc<Mutex<String>>,
}

/// `sim` with these words, in a folder.
pub fn sim(folder: &Path, words: &[&str], environment: &[(&'static str, String)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(words)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .envs(environment.iter().cloned())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sim {}: {told}", words.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles the library that makes a program's clock wrong.
fn wrong_clock(folder: &Path) -> String {
    let (source, library) = ("tests/faults/wrong_clock.c", folder.join("wrong_clock.so"));
    let compiler = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(compiler.unwrap().success(), "cc {source}");
    library.display().to_string()
}

/// Makes a key and says its hotkey.
pub fn new_key(folder: &Path, name: &str) -> String {
    let file = format!("{name}.key");
    sim(folder, &["key", "new", &file], &[]);
    sim(folder, &["key", "show", &file], &[]).split_whitespace().last().unwrap().to_string()
}

impl Node {
    /// A node whose key is there; it does not run yet.
    pub fn new(folder: &Path, hotkey: &str, settings: &NodeSettings<'_>, server: &S3Server) -> Self {
        let NodeSettings { name, role, bucket, access_key, secret, clock } = *settings;
        let key = format!("{name}.key");
        let words = [role, "--bucket", bucket, "--key", &key, "--threads", "1"];
        let mut words: Vec<String> = words.map(String::from).into();
        let mut environment = Vec::from(server.environment(access_key, secret));
        match clock {
            Clock::Right => {}
            Clock::Wrong => environment.push(("LD_PRELOAD", wrong_clock(folder))),
            Clock::Shared(address) => words.extend(["--clock".into(), address.to_string()]),
        }
        let state = folder.join(format!("{name}.state"));
        Self::with((folder, state), (name, hotkey), words, environment)
    }

    /// A node of the run's scenario, the `part`th of its role, on the test's clock. It says at once when the store fails
    /// as it starts.
    pub fn of_scenario(
        folder: &Path,
        hotkey: &str,
        settings: &NodeSettings<'_>,
        part: usize,
        server: &S3Server,
    ) -> Self {
        let NodeSettings { name, role, bucket, access_key, secret, clock } = *settings;
        let Clock::Shared(address) = clock else { panic!("{name}: only nodes on a shared clock play a part") };
        let (part, address) = (part.to_string(), address.to_string());
        let words = [role, "--bucket", bucket, "--as", &part, "--threads", "1", "--state", ".", "--clock", &address];
        let mut environment = Vec::from(server.environment(access_key, secret));
        environment.push((gauntlet::bucket::GIVE_UP, "0".into()));
        let words = words.map(String::from).into();
        Self::with((folder, folder.join(&hotkey[..12])), (name, hotkey), words, environment)
    }

    fn with(
        (folder, state): (&Path, PathBuf),
        (name, hotkey): (&str, &str),
        words: Vec<String>,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            name: name.into(),
            hotkey: hotkey.into(),
            folder: folder.into(),
            state,
            words,
            environment,
            child: None,
            listeners: Vec::new(),
            said: Arc::default(),
        }
    }

    /// Its state on disk.
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// The number of its process, if it has not been seen to end.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts it.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        // A file that grows too long is an error for the program, not its end.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_sim")])
            .args(&self.words)
            .current_dir(&self.folder)
            .env("RUST_LOG", "info")
            .env("RUST_BACKTRACE", "1")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.listen(child.stdout.take().unwrap());
        self.listen(child.stderr.take().unwrap());
        self.child = Some(child);
    }

    fn listen(&mut self, stream: impl std::io::Read + Send + 'static) {
        let said = self.said.clone();
        self.listeners.push(std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                *said.lock().unwrap() += &(line + "\n");
            }
        }));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
        self.note("killed");
    }

    /// Limits the length of the files that it may write from now on, as a full disk would; `None` lifts that.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let Some(child) = &self.child else { return };
        let limit = bytes.map_or("unlimited".into(), |bytes| bytes.to_string());
        let arguments = [format!("--pid={}", child.id()), format!("--fsize={limit}:unlimited")];
        assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
        self.note(&format!("may write files of {limit} bytes"));
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        self.note(&format!("ended: {status}"));
        Some(status)
    }

    /// Whether its process has ended; what [`ended`](Self::ended) tells stays to be told.
    pub fn has_failed(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// All that it said, in all its lives.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Writes something between the lines of what it says.
    fn note(&self, text: &str) {
        *self.said.lock().unwrap() += &format!("[test: {text}]\n");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        self.listeners.drain(..).for_each(|listener| listener.join().unwrap());
    }
}
