//! The content of a text or JSONL file: decompressed, without a byte order mark, and checked against the file's name.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;

use crate::corpus::error::{DocumentError, words};
use crate::corpus::inputs::{Compression, Input};
use crate::words::{other_encoding, unmarked};

/// Number of bytes that reveal a file's type.
const HEAD: u64 = 64;
/// A zstd frame may ask for a window of up to 2^31 bytes.
const WINDOW_LOG: u32 = 31;

/// The first bytes of compressed files.
const MAGIC: [(&[u8], &str, Compression); 6] = [
    (&[0x1f, 0x8b], "gzip", Compression::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", Compression::Zstd),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", Compression::None),
    (b"BZh91AY&SY", "bzip2", Compression::None),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", Compression::None),
    (b"PK\x03\x04", "zip", Compression::None),
];

/// A file being read.
pub struct Content {
    pub reader: Box<dyn BufRead>,
    /// Whether it began with UTF-8's byte order mark, which `reader` leaves out.
    pub marked: bool,
    bytes: u64,
    read: Rc<Cell<u64>>,
    compression: Compression,
}

impl Content {
    /// Opens a file; `None` if it is empty.
    ///
    /// # Errors
    /// The file cannot be read, its name contradicts its content, or it is not UTF-8.
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
        // Skippable frames may come before those with data.
        let skippable = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18];
        let raw = Counted { inner: Cursor::new(head.clone()).chain(file), read: read.clone() };
        let mut reader: Box<dyn Read> = match compression {
            Compression::Gzip if is(Compression::Gzip) => Box::new(Members::new(raw)),
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
                return Err(wrong(format!("its name says {name}, but it is {what}: rename it to match its content")));
            }
        };
        let opened = Self { reader: Box::new(io::empty()), marked: false, bytes, read, compression: *compression };
        let mut start = self::head(&mut reader).map_err(|error| wrong(opened.words(&error)))?;
        if start.is_empty() {
            return Ok(None);
        }
        if *compression != Compression::None
            && let Some((_, name, _)) = MAGIC.iter().find(|(magic, ..)| start.starts_with(magic))
        {
            return Err(wrong(format!("what it holds is compressed once more ({name}): unpack it once")));
        }
        if let Some(encoding) = other_encoding(&start) {
            return Err(wrong(encoding));
        }
        let marked = unmarked(&start).len() < start.len();
        if marked {
            start.drain(..3);
        }
        let reader = Box::new(BufReader::with_capacity(1 << 16, Cursor::new(start).chain(reader)));
        Ok(Some(Self { reader, marked, ..opened }))
    }

    /// The part of the file that has been read, 0 to 1.
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

/// The content of a gzip file: its members one behind the other, and zero bytes, which some programs fill it up with.
struct Members<R: Read> {
    /// `None` behind the last member.
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Members<R> {
    fn new(raw: R) -> Self {
        Self { member: Some(GzDecoder::new(BufReader::new(raw))) }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let mut rest = self.member.take().expect("it was there").into_inner();
            loop {
                let filled = rest.fill_buf()?;
                let zeros = filled.iter().take_while(|byte| **byte == 0).count();
                match filled.get(zeros) {
                    Some(0x1f) => {
                        rest.consume(zeros);
                        self.member = Some(GzDecoder::new(rest));
                        break;
                    }
                    Some(_) => return Err(io::Error::other("behind its end lies something else than gzip data")),
                    None if zeros == 0 => break,
                    None => rest.consume(zeros),
                }
            }
        }
        Ok(0)
    }
}

/// Counts the bytes read from a file.
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

/// Line and column of a byte, from 1, as editors count them: columns are characters.
pub fn line_and_column(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}
