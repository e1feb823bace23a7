//! The bytes of a text or JSONL file: unpacked, without a byte order mark, and held against what the name says.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use crate::corpus::error::{DocumentError, words};
use crate::corpus::inputs::{Compression, Input};

/// Bytes that tell what a file is.
const HEAD: u64 = 64;
/// A frame of zstd may ask for a window of 2^31 bytes.
const WINDOW_LOG: u32 = 31;

/// What compressed files begin with.
const MAGIC: [(&[u8], &str, Compression); 6] = [
    (&[0x1f, 0x8b], "gzip", Compression::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", Compression::Zstd),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", Compression::None),
    (b"BZh91AY&SY", "bzip2", Compression::None),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", Compression::None),
    (b"PK\x03\x04", "zip", Compression::None),
];

/// A file that is being read.
pub struct Content {
    pub reader: Box<dyn BufRead>,
    /// It began with UTF-8's byte order mark, which `reader` does not have.
    pub marked: bool,
    bytes: u64,
    read: Rc<Cell<u64>>,
    compression: Compression,
}

impl Content {
    /// Opens a file; `None` for one that holds nothing.
    ///
    /// # Errors
    /// What cannot be read; a name and a content that contradict one another; another encoding than UTF-8.
    pub fn open(input: &Input) -> Result<Option<Self>, DocumentError> {
        let Input { path, compression, .. } = input;
        let failed = |error: io::Error| DocumentError::of_file(path, words(&error));
        let wrong = |reason: String| DocumentError::of_file(path, reason);
        let mut file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes == 0 {
            return Ok(None);
        }
        let read = Rc::new(Cell::new(0));
        let head = head(&mut file).map_err(failed)?;
        let found = MAGIC.iter().find(|(magic, ..)| head.starts_with(magic));
        let is = |wanted: Compression| found.is_some_and(|(.., found)| *found == wanted);
        // Frames that are passed over may come before those with data.
        let skippable = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18];
        let raw = Counted { inner: Cursor::new(head.clone()).chain(file), read: read.clone() };
        let mut reader: Box<dyn Read> = match compression {
            Compression::Gzip if is(Compression::Gzip) => {
                Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(raw)))
            }
            Compression::Zstd if is(Compression::Zstd) || skippable => {
                let mut decoder = zstd::Decoder::new(raw).map_err(failed)?;
                decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
                Box::new(decoder)
            }
            Compression::None => {
                if let Some((_, name, known)) = found {
                    let end = match known {
                        Compression::Gzip => "rename it so that it ends in .gz",
                        Compression::Zstd => "rename it so that it ends in .zst",
                        Compression::None => "unpack it; only .gz and .zst are read compressed",
                    };
                    return Err(wrong(format!("it is compressed ({name}), and its name does not say so: {end}")));
                }
                Box::new(raw)
            }
            Compression::Gzip | Compression::Zstd => {
                let name = if *compression == Compression::Gzip { "gzip" } else { "zstd" };
                let what = found.map_or("not compressed".to_string(), |(_, name, _)| format!("{name} data"));
                return Err(wrong(format!("its name says {name}, but it is {what}: rename it as what it is")));
            }
        };
        let opened = Self { reader: Box::new(io::empty()), marked: false, bytes, read, compression: *compression };
        let mut start = self::head(&mut reader).map_err(|error| wrong(opened.words(&error)))?;
        if start.is_empty() {
            return Ok(None);
        }
        if let Some(encoding) = other_encoding(&start) {
            return Err(wrong(format!("it is {encoding}; expected UTF-8: iconv -f {encoding} -t UTF-8 makes it so")));
        }
        let marked = start.starts_with(b"\xef\xbb\xbf");
        if marked {
            start.drain(..3);
        }
        let reader = Box::new(BufReader::with_capacity(1 << 16, Cursor::new(start).chain(reader)));
        Ok(Some(Self { reader, marked, ..opened }))
    }

    /// What part of the file has been read, 0 to 1.
    pub fn fraction(&self) -> f64 {
        self.read.get() as f64 / self.bytes as f64
    }

    /// What an error of the reader means.
    pub fn words(&self, error: &io::Error) -> String {
        let name = match self.compression {
            Compression::None => return words(error),
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        };
        format!("the {name} data is damaged or cut off ({})", words(error))
    }
}

fn head(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The encoding of what is not UTF-8: by its byte order mark, or as every second byte of it is 0.
fn other_encoding(start: &[u8]) -> Option<&'static str> {
    let zeros = |from: usize| start.len() >= 4 && start[from..].iter().step_by(2).all(|byte| *byte == 0);
    match start {
        [0xff, 0xfe, 0, 0, ..] => Some("UTF-32LE"),
        [0, 0, 0xfe, 0xff, ..] => Some("UTF-32BE"),
        [0xff, 0xfe, ..] => Some("UTF-16LE"),
        [0xfe, 0xff, ..] => Some("UTF-16BE"),
        _ if zeros(0) == zeros(1) => None,
        _ if zeros(1) => Some("UTF-16LE"),
        _ => Some("UTF-16BE"),
    }
}

/// Counts what is read of a file.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// Line and column of a byte, from 1, as an editor counts them: columns are characters.
pub fn line_and_column(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}
