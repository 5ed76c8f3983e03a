//! The log of a session: all that a replay needs, and what an engineer wants to know of every real frame.
//!
//! **It is a secret.** Its seed gives the keys of every simulated node, so the file has mode 0600.
//!
//! A log is the line `cosmosmesh hil log 1` and records. A record is the length of its body (32 bits, little endian like all numbers), the body, and
//! the first 8 bytes of SHA-256 over the record's number (64 bits, from 0) and the body: a record that was changed, moved or left out is
//! found. A body begins with its kind:
//!
//! | Kind | Body after it |
//! |---|---|
//! | 1 header | JSON: [`Header`]; the first record, and only there |
//! | 2 frame in | stamp (ns), wall time (ns since 1970), interface (32 bits), sequence, entrance (32 bits: 2³²−1 for the air, or an asset), RSSI (16 bits, dBm), SNR (16 bits, quarters of a dB), bytes |
//! | 3 frame out | time (ns), wall time, interface, sequence, bytes |
//! | 4 granted | time (ns): the kernel may have gone so far; every frame before it is in the log |
//! | 5 end | time (ns), fingerprint (32 bytes), JSON: the reason |
//!
//! Times without a width have 64 bits. An unknown RSSI or SNR is −2¹⁵. A frame is in the log before the kernel has it. A log that ends in the middle of a record was
//! cut (the process was killed, the disk was full): it is good up to there, and says how many bytes are left over.

use crate::{
    engine::Fingerprint,
    sim::Entrance,
    units::{AssetIndex, SimTime},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// The first line.
const MAGIC: &[u8] = b"cosmosmesh hil log 1\n";
/// Longest body: scenarios have at most 256 files of 16 MiB, but nobody's has 128 MiB.
const MAX_BODY: u32 = 128 << 20;
const CHECK_BYTES: usize = 8;
const HEADER: u8 = 1;
const FRAME_IN: u8 = 2;
const FRAME_OUT: u8 = 3;
const GRANTED: u8 = 4;
const END: u8 = 5;
const UNKNOWN: i16 = i16::MIN;

/// What a session was begun with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The program's version.
    pub version: String,
    /// The scenario with its includes and imports, the scenario first; names are relative to its folder.
    pub files: Vec<SourceFile>,
    /// SHA-256 of the scenario with its includes, hexadecimal.
    pub scenario_hash: String,
    /// The seed.
    pub seed: u64,
    /// Where the run was to stop before the scenario's end, nanoseconds.
    pub until_ns: Option<i64>,
    /// Milliseconds between the nodes' civil time and the scenario's.
    pub civil_offset_ms: i64,
    /// Whether only links were simulated.
    pub links_alone: bool,
    /// What was real.
    pub interfaces: Vec<LoggedInterface>,
    /// The clock's mode, as typed.
    pub clock: String,
    /// The lag policy, as typed.
    pub policy: String,
    /// When the session began, nanoseconds since 1970.
    pub began_unix_ns: u64,
}

/// A file of the scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its name, relative to the scenario's folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// An interface of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedInterface {
    /// The binding, as typed.
    pub binding: String,
    /// The asset's index.
    pub asset: u32,
    /// Its radio.
    pub radio: u32,
    /// The only peer.
    pub peer: Option<u32>,
    /// The mark of a service; absent for a node.
    pub mark: Option<u8>,
    /// Whether it is a way, and no node.
    #[serde(default)]
    pub way: bool,
    /// What it carries.
    pub framing: String,
}

/// A real frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedFrame {
    /// Its stamp, or the end of its reception in the simulation.
    pub time: SimTime,
    /// When it came in or went out, nanoseconds since 1970.
    pub unix_ns: u64,
    /// The interface's number.
    pub interface: u32,
    /// Its number among the interface's.
    pub sequence: u64,
    /// How it enters.
    pub entrance: Entrance,
    /// How strongly it was heard, dBm.
    pub rssi_dbm: Option<i16>,
    /// Over the noise, quarters of a dB.
    pub snr_quarter_db: Option<i16>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEnd {
    /// When.
    pub time: SimTime,
    /// What the live session reached.
    pub fingerprint: Fingerprint,
    /// Why, in plain words.
    pub reason: String,
}

/// A record after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A frame came in.
    In(LoggedFrame),
    /// A frame went out.
    Out(LoggedFrame),
    /// The kernel may have gone so far.
    Granted(SimTime),
    /// The session ended in order.
    End(LoggedEnd),
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// After a whole record.
    Whole,
    /// In the middle of a record, of which there are so many bytes.
    Cut {
        /// Bytes left over.
        bytes: u64,
    },
}

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is there already is not a log, and stays.
    #[error("{}: is there, and is no log of a session: it is not replaced", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// It is not a log, or of another version.
    #[error("{}: not a log of this version (its first line is not `cosmosmesh hil log 1`)", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
    },
    /// A record does not hold what was written.
    #[error("{}: record {number} at byte {at} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record's number, from 0.
        number: u64,
        /// Where it begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Writes a log.
pub struct JournalWriter {
    path: PathBuf,
    out: BufWriter<File>,
    number: u64,
    body: Vec<u8>,
    failure: Option<io::Error>,
}

impl JournalWriter {
    /// Begins a log at `path`, mode 0600. A log that is there is kept as `path.1`, `path.2` and so on: a session with hardware cannot be had again.
    ///
    /// # Errors
    /// [`JournalError::Io`], and [`JournalError::Taken`] where something is that is no log.
    pub fn create(path: &Path, header: &Header) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        keep(path)?;
        let mut options = OpenOptions::new();
        // New, so that nobody has it open and its mode is the one that is asked for.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        out.write_all(MAGIC).map_err(failed)?;
        let mut writer = Self { path: path.to_owned(), out, number: 0, body: Vec::new(), failure: None };
        let json = serde_json::to_vec(header).map_err(|error| failed(error.into()))?;
        writer.begin(HEADER).extend_from_slice(&json);
        writer.put();
        writer.flush();
        match writer.failure.take() {
            Some(error) => Err(failed(error)),
            None => Ok(writer),
        }
    }

    fn begin(&mut self, kind: u8) -> &mut Vec<u8> {
        self.body.clear();
        self.body.push(kind);
        &mut self.body
    }

    fn put(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let Ok(length) = u32::try_from(self.body.len()) else { return };
        let check = check(self.number, &self.body);
        let written = self.out.write_all(&length.to_le_bytes());
        let written =
            written.and_then(|()| self.out.write_all(&self.body)).and_then(|()| self.out.write_all(&check));
        self.failure = written.err();
        self.number += 1;
    }

    fn frame(&mut self, kind: u8, frame: &LoggedFrame) {
        let body = self.begin(kind);
        body.extend_from_slice(&frame.time.0.to_le_bytes());
        body.extend_from_slice(&frame.unix_ns.to_le_bytes());
        body.extend_from_slice(&frame.interface.to_le_bytes());
        body.extend_from_slice(&frame.sequence.to_le_bytes());
        if kind == FRAME_IN {
            let entrance = match frame.entrance {
                Entrance::Air => u32::MAX,
                Entrance::Node(from) => from.0,
            };
            body.extend_from_slice(&entrance.to_le_bytes());
            body.extend_from_slice(&frame.rssi_dbm.unwrap_or(UNKNOWN).to_le_bytes());
            body.extend_from_slice(&frame.snr_quarter_db.unwrap_or(UNKNOWN).to_le_bytes());
        }
        body.extend_from_slice(&frame.bytes);
        self.put();
    }

    /// A frame came in.
    pub fn came_in(&mut self, frame: &LoggedFrame) {
        self.frame(FRAME_IN, frame);
    }

    /// A frame went out.
    pub fn went_out(&mut self, frame: &LoggedFrame) {
        self.frame(FRAME_OUT, frame);
    }

    /// The kernel may go so far.
    pub fn granted(&mut self, time: SimTime) {
        self.begin(GRANTED).extend_from_slice(&time.0.to_le_bytes());
        self.put();
    }

    /// Hands what was written to the operating system. A failure stays, and is told at the end.
    pub fn flush(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.flush().err();
        }
    }

    /// What went wrong so far.
    #[must_use]
    pub const fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Ends the log, and has it on the disk.
    ///
    /// # Errors
    /// [`JournalError::Io`]: the first failure since the beginning.
    pub fn finish(&mut self, end: &LoggedEnd) -> Result<(), JournalError> {
        let body = self.begin(END);
        body.extend_from_slice(&end.time.0.to_le_bytes());
        body.extend_from_slice(&end.fingerprint.0);
        body.extend_from_slice(end.reason.as_bytes());
        self.put();
        self.flush();
        let failed = |source| JournalError::Io { path: self.path.clone(), source };
        match self.failure.take() {
            Some(error) => Err(failed(error)),
            None => self.out.get_ref().sync_all().map_err(failed),
        }
    }
}

/// Moves a log that is at `path` to the first free number.
fn keep(path: &Path) -> Result<(), JournalError> {
    let failed = |source| JournalError::Io { path: path.to_owned(), source };
    let is = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    let mut magic = [0; MAGIC.len()];
    if !is.is_file()
        || File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_err()
        || magic != MAGIC
    {
        return Err(JournalError::Taken { path: path.to_owned() });
    }
    let aside = |number: u32| {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{number}"));
        PathBuf::from(aside)
    };
    let free = (1..).map(aside).find(|aside| fs::symlink_metadata(aside).is_err());
    let free = free.ok_or_else(|| failed(io::ErrorKind::AlreadyExists.into()))?;
    fs::rename(path, free).map_err(failed)
}

fn check(number: u64, body: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hash = Sha256::new();
    hash.update(number.to_le_bytes());
    hash.update(body);
    let digest: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|place| digest[place])
}

/// Reads a log, record by record.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    file: BufReader<File>,
    length: u64,
    at: u64,
    number: u64,
    tail: Option<Tail>,
}

impl JournalReader {
    /// Opens a log, and reads its header.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path) -> Result<(Self, Header), JournalError> {
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::new(file);
        let not = || JournalError::NotALog { path: path.to_owned() };
        let mut magic = vec![0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(|_| not())?;
        if magic != MAGIC {
            return Err(not());
        }
        let at = MAGIC.len() as u64;
        let mut reader = Self { path: path.to_owned(), file, length, at, number: 0, tail: None };
        let body = reader.body()?.ok_or_else(|| reader.damaged("there is no whole header"))?;
        match body.split_first() {
            Some((&HEADER, json)) => {
                let header =
                    serde_json::from_slice(json).map_err(|_| reader.damaged("the header cannot be read"))?;
                Ok((reader, header))
            }
            _ => Err(reader.damaged("the first record is not a header")),
        }
    }

    /// The next record; none at the end.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        let Some(body) = self.body()? else { return Ok(None) };
        entry(&body).map(Some).ok_or_else(|| self.damaged("its fields cannot be read"))
    }

    /// How it ends, once the last record was read.
    #[must_use]
    pub const fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// That the record just read does not hold what it should.
    pub(super) fn damaged(&self, what: &'static str) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), number: self.number, at: self.at, what }
    }

    fn body(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let left = self.length.saturating_sub(self.at);
        if left < 4 {
            self.tail = Some(if left == 0 { Tail::Whole } else { Tail::Cut { bytes: left } });
            return Ok(None);
        }
        let mut length = [0; 4];
        self.read(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == 0 || length > MAX_BODY {
            return Err(self.damaged("its length is impossible"));
        }
        if left < 4 + u64::from(length) + CHECK_BYTES as u64 {
            self.tail = Some(Tail::Cut { bytes: left });
            return Ok(None);
        }
        // The file has as many bytes: looked just above.
        let mut body = vec![0; length as usize];
        self.read(&mut body)?;
        let mut found = [0; CHECK_BYTES];
        self.read(&mut found)?;
        if found != check(self.number, &body) {
            return Err(self.damaged("its checksum does not hold"));
        }
        self.number += 1;
        self.at += 4 + u64::from(length) + CHECK_BYTES as u64;
        Ok(Some(body))
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), JournalError> {
        let path = &self.path;
        self.file.read_exact(into).map_err(|source| JournalError::Io { path: path.clone(), source })
    }
}

/// A piece of fixed length off the front.
fn piece<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*first)
}

fn entry(body: &[u8]) -> Option<Entry> {
    let (kind, mut rest) = body.split_first()?;
    let time = SimTime(i64::from_le_bytes(piece(&mut rest)?));
    match *kind {
        FRAME_IN | FRAME_OUT => {
            let unix_ns = u64::from_le_bytes(piece(&mut rest)?);
            let interface = u32::from_le_bytes(piece(&mut rest)?);
            let sequence = u64::from_le_bytes(piece(&mut rest)?);
            let (mut entrance, mut rssi_dbm, mut snr_quarter_db) = (Entrance::Air, None, None);
            if *kind == FRAME_IN {
                match u32::from_le_bytes(piece(&mut rest)?) {
                    u32::MAX => {}
                    asset => entrance = Entrance::Node(AssetIndex(asset)),
                }
                let known = |value: i16| Some(value).filter(|value| *value != UNKNOWN);
                rssi_dbm = known(i16::from_le_bytes(piece(&mut rest)?));
                snr_quarter_db = known(i16::from_le_bytes(piece(&mut rest)?));
            }
            let bytes = rest.to_vec();
            let frame =
                LoggedFrame { time, unix_ns, interface, sequence, entrance, rssi_dbm, snr_quarter_db, bytes };
            Some(if *kind == FRAME_IN { Entry::In(frame) } else { Entry::Out(frame) })
        }
        GRANTED => Some(Entry::Granted(time)),
        END => {
            let fingerprint = Fingerprint(piece(&mut rest)?);
            let reason = String::from_utf8(rest.to_vec()).ok()?;
            Some(Entry::End(LoggedEnd { time, fingerprint, reason }))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
