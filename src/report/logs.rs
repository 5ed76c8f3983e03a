//! The assets' logs in a run folder: `logs/NAME.log`, `logs/NAME.checkpoints` and `logs/members.csv`; of a log that was lost with its disk
//! `logs/NAME.BORN.log` and `logs/NAME.BORN.checkpoints`, by the incarnation that began it.
//!
//! A `.log` is a CBOR sequence (RFC 8742) of byte strings, one for each entry. A `.checkpoints` is an array of three: the asset's own signed
//! checkpoint, those of the others that it has seen, and others' signatures of its own. `members.csv` names node and `did:key` of each asset;
//! whoever does not trust the folder brings a copy of it from elsewhere.

use super::{
    ReportError,
    folder::{io, write},
};
use crate::engine::AssetLog;
use cosmosmesh_protocol::{
    cbor::{self, Reader},
    id::NodeId,
    identity::{Did, PublicKey},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const MEMBERS: &str = "members.csv";
const HEADER: &str = "name,node,did";

/// An asset's log as it was read.
#[derive(Clone, Debug, Default)]
pub struct LogFile {
    /// The entries, as far as they can be told apart.
    pub entries: Vec<Vec<u8>>,
    /// Whether bytes follow that are no entry.
    pub ragged: bool,
    /// The asset's own signed checkpoint.
    pub checkpoint: Vec<u8>,
    /// Others' signed checkpoints that it has seen.
    pub seen: Vec<Vec<u8>>,
    /// Others' signatures of its own checkpoints.
    pub cosignatures: Vec<Vec<u8>>,
}

/// All logs of a run.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// Name and key of each member.
    pub members: BTreeMap<NodeId, (String, PublicKey)>,
    /// The logs; a member may lack one.
    pub files: BTreeMap<NodeId, LogFile>,
    /// Logs of earlier births that were lost with their disks, by the incarnation that began them.
    pub earlier: BTreeMap<(NodeId, u32), LogFile>,
}

impl Logs {
    /// The name of a member, or its number.
    #[must_use]
    pub fn name(&self, node: NodeId) -> String {
        self.members.get(&node).map_or_else(|| format!("node {node}"), |(name, _)| name.clone())
    }

    /// The member of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.members.iter().find(|(_, (known, _))| known == name).map(|(node, _)| *node)
    }
}

/// Writes an asset's log into a run folder.
///
/// # Errors
/// [`ReportError::Io`].
pub fn write_log(folder: &Path, name: &str, log: &AssetLog) -> Result<(), ReportError> {
    let folder = folder.join("logs");
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    write_entries(&folder, name, &log.entries, &log.checkpoint, [&log.seen, &log.cosignatures])?;
    for earlier in &log.earlier {
        let name = format!("{name}.{}", earlier.born);
        write_entries(&folder, &name, &earlier.entries, &earlier.checkpoint, [&[], &[]])?;
    }
    let path = folder.join(MEMBERS);
    let mut members = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("{HEADER}\n"),
        Err(source) => return Err(ReportError::Io { path, source }),
    };
    members.push_str(&format!("{name},{},{}\n", log.node, Did::new(log.key.clone())));
    write(&path, members.as_bytes())
}

fn write_entries(
    folder: &Path,
    name: &str,
    log: &[Vec<u8>],
    checkpoint: &[u8],
    others: [&[Vec<u8>]; 2],
) -> Result<(), ReportError> {
    let mut entries = Vec::new();
    log.iter().for_each(|entry| cbor::put_bytes(&mut entries, entry));
    write(&folder.join(format!("{name}.log")), &entries)?;
    let mut checkpoints = Vec::new();
    cbor::put_head(&mut checkpoints, cbor::ARRAY, 3);
    cbor::put_bytes(&mut checkpoints, checkpoint);
    for list in others {
        cbor::put_head(&mut checkpoints, cbor::ARRAY, list.len() as u64);
        list.iter().for_each(|signed| cbor::put_bytes(&mut checkpoints, signed));
    }
    write(&folder.join(format!("{name}.checkpoints")), &checkpoints)
}

/// Reads the logs of a run folder; `members`: a trusted copy of `members.csv`, in place of the folder's.
///
/// # Errors
/// [`ReportError`] when there are none, or the list of members cannot be read. What is wrong with a log is for the audit to tell.
pub fn read_logs(folder: &Path, members: Option<&Path>) -> Result<Logs, ReportError> {
    let folder = folder.join("logs");
    let path = members.map_or_else(|| folder.join(MEMBERS), Path::to_path_buf);
    let text = fs::read_to_string(&path).map_err(io(&path))?;
    let mut logs = Logs::default();
    let births = births(&folder)?;
    for (line, row) in text.lines().enumerate().skip(1) {
        let (node, name, key) = member(row).ok_or_else(|| malformed(&path, line, row))?;
        logs.members.insert(node, (name.to_owned(), key));
        if let Some(file) = read_log(&folder, name)? {
            logs.files.insert(node, file);
        }
        for born in births.get(name).into_iter().flatten().copied() {
            if let Some(file) = read_log(&folder, &format!("{name}.{born}"))? {
                logs.earlier.insert((node, born), file);
            }
        }
    }
    Ok(logs)
}

fn read_log(folder: &Path, name: &str) -> Result<Option<LogFile>, ReportError> {
    let bytes = read_if_there(&folder.join(format!("{name}.log")))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let mut file = LogFile::default();
    let mut reader = Reader::new(&bytes);
    while reader.position() < bytes.len() {
        match reader.bytes() {
            Ok(entry) => file.entries.push(entry.to_vec()),
            Err(_) => {
                file.ragged = true;
                break;
            }
        }
    }
    let checkpoints = read_if_there(&folder.join(format!("{name}.checkpoints")))?.unwrap_or_default();
    // What cannot be read proves nothing, and the audit says what is unproven.
    let _ = read_checkpoints(&mut file, &checkpoints);
    Ok(Some(file))
}

/// The earlier births of which a log is here, by name and in order.
fn births(folder: &Path) -> Result<BTreeMap<String, BTreeSet<u32>>, ReportError> {
    let mut births: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(births);
    }
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let file = entry.map_err(io(folder))?.file_name();
        let parts = file.to_str().and_then(|file| file.strip_suffix(".log")?.split_once('.'));
        if let Some((name, born)) = parts.and_then(|(name, born)| Some((name, born.parse::<u32>().ok()?))) {
            births.entry(name.to_owned()).or_default().insert(born);
        }
    }
    Ok(births)
}

fn member(row: &str) -> Option<(NodeId, &str, PublicKey)> {
    let mut fields = row.split(',');
    let (name, node, did) = (fields.next()?, fields.next()?, fields.next()?);
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) && !name.is_empty();
    let did: Did = did.parse().ok()?;
    Some((NodeId(node.parse().ok()?), name, did.key().clone())).filter(|_| plain)
}

fn malformed(path: &Path, line: usize, row: &str) -> ReportError {
    ReportError::Value {
        path: path.into(),
        line: line as u64 + 1,
        field: "member",
        found: row.chars().take(80).collect(),
        allowed: "name, node and did:key",
    }
}

fn read_if_there(path: &PathBuf) -> Result<Option<Vec<u8>>, ReportError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReportError::Io { path: path.clone(), source }),
    }
}

fn read_checkpoints(file: &mut LogFile, bytes: &[u8]) -> Result<(), cbor::CborError> {
    let mut reader = Reader::new(bytes);
    reader.array_of(3)?;
    file.checkpoint = reader.bytes()?.to_vec();
    for _ in 0..reader.array()? {
        file.seen.push(reader.bytes()?.to_vec());
    }
    for _ in 0..reader.array()? {
        file.cosignatures.push(reader.bytes()?.to_vec());
    }
    reader.end()
}
