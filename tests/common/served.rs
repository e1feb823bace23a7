//! A page that a command serves, asked without a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A command that serves a page. It is killed with the test.
pub struct Served {
    child: Child,
    /// Address and port of the page.
    pub address: String,
}

impl Served {
    /// Starts it and waits for the address that it prints.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut line).unwrap();
        let (_, address) = line.split_once("http://").unwrap_or_else(|| panic!("{command:?} printed {line:?}"));
        let address = address.split('/').next().unwrap().to_string();
        // Nobody reads the rest, and a full pipe would hold the command up.
        std::thread::spawn(move || std::io::copy(&mut printed, &mut std::io::sink()));
        Self { child, address }
    }

    /// The head and the body of the answer to a request for a path.
    pub fn ask_as(&self, host: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_string())
    }

    /// The same, asked by its own address.
    pub fn ask(&self, path: &str) -> (String, String) {
        self.ask_as(&self.address, path)
    }

    /// What is at a path, which must be there.
    pub fn json(&self, path: &str) -> Value {
        let (head, body) = self.ask(path);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Ends it as Ctrl-C does. Its exit code.
    pub fn end(mut self) -> Option<i32> {
        // SAFETY: the child has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGINT) };
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
