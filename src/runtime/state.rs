//! A node's own state on disk, to go on from after a stop or a crash: momentum or ratings, and the replica.
//!
//! The file is written beside the old one and renamed, so that there is always a whole file. The digest at its end
//! reveals damage. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4, 2 | `GNTS`, version |
//! | 32, 32 | digest of the run, hotkey |
//! | 8 | round |
//! | 4 | number of replicas; of each 32 digest, 8 number of parameters, 4 a parameter |
//! | 8 | length of the rest of the state, and that |
//! | 32 | blake3 digest of everything before |

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::digest::Digest;
use crate::node::ports::NodeState;
use crate::transport::{Hotkey, floats};

const MAGIC: [u8; 4] = *b"GNTS";
const VERSION: u16 = 7;
const FILE: &str = "state.bin";
const LOCK: &str = "lock";
/// Bytes of parameters to read or write at a time.
const PIECE: usize = 1 << 16;

/// The folder of one node.
pub struct StateFolder {
    path: PathBuf,
    run: Digest,
    hotkey: Hotkey,
    /// Held while the node lives. A second process with the same key would overwrite the state.
    lock: File,
}

/// A state read from disk.
pub struct SavedState {
    pub round: u64,
    pub bytes: Vec<u8>,
    pub replicas: BTreeMap<Digest, Vec<f32>>,
}

/// Why a node cannot go on from its saved state.
#[derive(Debug, Error)]
pub enum StateError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{0}: another process is running this node; stop it first, or give each node a --state of its own")]
    InUse(PathBuf),
    #[error("{path}: {what}; move it away to start this node afresh")]
    Unfit { path: PathBuf, what: String },
}

impl StateFolder {
    /// Opens the folder of a node of a run, and makes it if it does not exist.
    ///
    /// # Errors
    /// It cannot be made, or another process uses it.
    pub fn open(path: &Path, run: Digest, hotkey: Hotkey) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.into(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let lock = File::create(path.join(LOCK)).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), run, hotkey, lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse(path.into())),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The disk is full or fails. The previous state is still there.
    pub fn save(&self, round: u64, state: &NodeState) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        let mut writer = Hashing { inner: BufWriter::new(file.as_file_mut()), hasher: blake3::Hasher::new() };
        self.encode(round, state, &mut writer)?;
        let digest = writer.hasher.finalize();
        writer.inner.write_all(digest.as_bytes())?;
        writer.inner.flush()?;
        drop(writer);
        file.as_file().sync_data()?;
        file.persist(self.path.join(FILE))?;
        Ok(())
    }

    fn encode(&self, round: u64, state: &NodeState, writer: &mut impl Write) -> io::Result<()> {
        writer.write_all(&MAGIC)?;
        writer.write_all(&VERSION.to_le_bytes())?;
        writer.write_all(&self.run.0)?;
        writer.write_all(&self.hotkey.0)?;
        writer.write_all(&round.to_le_bytes())?;
        writer.write_all(&(state.replicas.len() as u32).to_le_bytes())?;
        for replica in &state.replicas {
            writer.write_all(&replica.digest.0)?;
            writer.write_all(&(replica.theta.len() as u64).to_le_bytes())?;
            for values in replica.theta.chunks(PIECE / 4) {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                writer.write_all(&bytes)?;
            }
        }
        writer.write_all(&(state.bytes.len() as u64).to_le_bytes())?;
        writer.write_all(&state.bytes)
    }

    /// Removes the state, if there is one.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn clear(&self) -> io::Result<()> {
        match std::fs::remove_file(self.path.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The saved state, if there is one. Replicas have `parameters` parameters each. It is read piece by piece, so
    /// memory holds little more than the result.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or belongs to another run or node.
    pub fn load(&self, parameters: usize) -> Result<Option<SavedState>, StateError> {
        let path = self.path.join(FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Io { path, source }),
        };
        self.decode(file, parameters).map(Some).map_err(|unread| match unread {
            Unread::Io(source) => StateError::Io { path, source },
            Unread::Damaged => StateError::Unfit { path, what: "it is damaged".into() },
            Unread::Unfit(what) => StateError::Unfit { path, what },
        })
    }

    fn decode(&self, file: File, parameters: usize) -> Result<SavedState, Unread> {
        let mut pieces = Pieces::of(file)?;
        if pieces.take()? != MAGIC {
            return Err(Unread::Damaged);
        }
        let version = u16::from_le_bytes(pieces.take()?);
        if version != VERSION {
            return Err(Unread::Unfit(format!("it is of format {version}, this program reads format {VERSION}")));
        }
        if Digest(pieces.take()?) != self.run {
            return Err(Unread::Unfit("it is the state of a node of another run".into()));
        }
        if Hotkey(pieces.take()?) != self.hotkey {
            return Err(Unread::Unfit("it is the state of another node".into()));
        }
        let round = u64::from_le_bytes(pieces.take()?);
        let count = u32::from_le_bytes(pieces.take()?);
        let mut replicas = BTreeMap::new();
        for _ in 0..count {
            let digest = Digest(pieces.take()?);
            let found = u64::from_le_bytes(pieces.take()?);
            if found != parameters as u64 {
                return Err(Unread::Unfit(format!("its model has {found} parameters, the run's has {parameters}")));
            }
            replicas.insert(digest, pieces.floats(parameters)?);
        }
        let length = u64::from_le_bytes(pieces.take()?);
        if length != pieces.left {
            return Err(Unread::Damaged);
        }
        let bytes = pieces.bytes(length)?;
        pieces.end()?;
        Ok(SavedState { round, bytes, replicas })
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        // A child that this process is just starting has all its files until it runs its own program. Closing this one
        // would leave the lock to the child, and the node could not start again meanwhile.
        let _ = self.lock.unlock();
    }
}

/// Why a file is not a state.
enum Unread {
    Io(io::Error),
    Damaged,
    Unfit(String),
}

/// A file that is read piece by piece, up to the digest at its end.
struct Pieces {
    file: BufReader<File>,
    hasher: blake3::Hasher,
    /// Bytes before the digest.
    left: u64,
}

impl Pieces {
    fn of(file: File) -> Result<Self, Unread> {
        let length = file.metadata().map_err(Unread::Io)?.len();
        let left = length.checked_sub(blake3::OUT_LEN as u64).ok_or(Unread::Damaged)?;
        Ok(Self { file: BufReader::new(file), hasher: blake3::Hasher::new(), left })
    }

    /// Fills `piece`, but does not read past the state's end.
    fn fill(&mut self, piece: &mut [u8]) -> Result<(), Unread> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(Unread::Damaged)?;
        self.file.read_exact(piece).map_err(Unread::Io)?;
        self.hasher.update(piece);
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unread> {
        let mut piece = [0; N];
        self.fill(&mut piece)?;
        Ok(piece)
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Unread> {
        if length > self.left {
            return Err(Unread::Damaged);
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, Unread> {
        if 4 * count as u64 > self.left {
            return Err(Unread::Damaged);
        }
        let (mut values, mut piece) = (Vec::with_capacity(count), vec![0; PIECE]);
        while values.len() < count {
            let piece = &mut piece[..PIECE.min(4 * (count - values.len()))];
            self.fill(piece)?;
            values.extend(floats(piece));
        }
        Ok(values)
    }

    /// Compares what was read with the digest that follows it.
    fn end(mut self) -> Result<(), Unread> {
        let mut digest = [0; blake3::OUT_LEN];
        self.file.read_exact(&mut digest).map_err(Unread::Io)?;
        if *self.hasher.finalize().as_bytes() == digest { Ok(()) } else { Err(Unread::Damaged) }
    }
}

/// A writer that hashes what it writes.
struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::ModelSettings;
    use crate::model::{Device, Llama, LlamaConfig, init_theta};
    use crate::training::Replica;
    use crate::transport::Identity;

    fn replica() -> Arc<Replica> {
        let config =
            LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
        let theta = init_theta(&config, 1);
        let model = Llama::from_flat(&config, &theta, &Device::Cpu);
        Arc::new(Replica { digest: Digest::of_f32(&theta), theta, model })
    }

    fn hotkey(index: u64) -> Hotkey {
        Identity::from_seed(1, "peer", index).hotkey()
    }

    #[test]
    fn a_state_reads_back_and_a_damaged_or_foreign_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, run) = (folder.path().join("node"), Digest::of(b"run"));
        let replica = replica();
        let parameters = replica.theta.len();
        let open = |run, hotkey| StateFolder::open(&path, run, hotkey);
        let state = open(run, hotkey(0)).unwrap();
        assert!(state.load(parameters).unwrap().is_none());
        state.save(7, &NodeState { bytes: vec![1, 2, 3], replicas: vec![replica.clone()], average: None }).unwrap();
        let read = state.load(parameters).unwrap().unwrap();
        assert_eq!((read.round, read.bytes), (7, vec![1, 2, 3]));
        assert_eq!(read.replicas[&replica.digest], replica.theta);
        let told = |error: Option<StateError>| error.unwrap().to_string().replace(&*path.to_string_lossy(), "STATE");
        assert_eq!(
            told(open(run, hotkey(0)).err()),
            "STATE: another process is running this node; stop it first, or give each node a --state of its own"
        );
        let unfit = told(state.load(3).err());
        assert!(unfit.starts_with("STATE") && unfit.ends_with("; move it away to start this node afresh"), "{unfit}");
        let io = StateError::Io { path: path.clone(), source: io::Error::from(io::ErrorKind::StorageFull) };
        assert_eq!(told(Some(io)), "STATE: no storage space");
        drop(state);

        let refused = |run, hotkey| open(run, hotkey).unwrap().load(parameters).is_err();
        assert!(refused(Digest::of(b"other"), hotkey(0)) && refused(run, hotkey(1)) && !refused(run, hotkey(0)));
        let file = path.join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[200] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(refused(run, hotkey(0)));
    }

    #[test]
    fn a_node_starts_again_while_a_child_that_is_being_started_has_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let open = || StateFolder::open(folder.path(), Digest::of(b"run"), hotkey(0));
        let first = open().unwrap();
        // Between fork and exec.
        let of_child = first.lock.try_clone().unwrap();
        assert!(matches!(open(), Err(StateError::InUse(_))));
        drop(first);
        assert!(open().is_ok());
        drop(of_child);
    }
}
