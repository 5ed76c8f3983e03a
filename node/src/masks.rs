//! The masks of a plan: this node's secret, the public keys that it publishes, and those of all that its configuration names.
//!
//! `node --mask-keys 16` prints a line of a file that every member's configuration names:
//!
//! ```text
//! mask-keys NODE EPOCHS KEYS SIGNATURE
//! ```
//!
//! `KEYS` are, for each epoch, the X25519 keys of the asset, of its seat's masks and of its seat's shares, 96 bytes, in hexadecimal digits;
//! `SIGNATURE` is the node's over domain, number, epochs and keys. One epoch is used up by each coordinator in a row.

use crate::{
    config::{Config, Masks},
    folder,
    key::{self, KeyError},
    message::hex,
};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{KeyPair, PublicKey},
    node::PrivacyConfig,
    planning::{
        message::FRACTION_BITS,
        privacy::{Enrolled, Seat},
        secure::{Enrolment, EpochSeed},
    },
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

const WORD: &str = "mask-keys";
const DOMAIN: &[u8] = b"cosmosmesh-mask-keys-v1";
/// Bytes of keys in an epoch.
const EPOCH_BYTES: usize = 96;
/// Most epochs that keys are published for.
pub(crate) const MAX_EPOCHS: u64 = 1024;
/// Longest file that is read, in bytes: a thousand members with 16 epochs each, or 32 with all.
const MAX_FILE_BYTES: u64 = 8 << 20;
const SEED: &str = "mask-seed ";

/// Why a plan has no masks.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The secret.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file of the secret holds none.
    #[error("{}: not the seed of masks: expected one line, `{SEED}` and 64 hexadecimal digits", path.display())]
    Seed {
        /// Which.
        path: PathBuf,
    },
    /// A line that is none of `node --mask-keys`.
    #[error("{}:{line}: not a line of `node --mask-keys`", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Keys of a node whose own key the configuration does not say: nobody can tell whose they are.
    #[error("{}:{line}: nobody here knows the key of node {node}: no peer with a `did`", path.display())]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In whose name.
        node: NodeId,
    },
    /// Two lines of one node.
    #[error("{}:{line}: node {node} has a line already", path.display())]
    Twice {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Whose.
        node: NodeId,
    },
    /// Keys that the node in whose name they are has not signed.
    #[error("{}:{line}: node {node} has not signed these keys", path.display())]
    BadSignature {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In whose name.
        node: NodeId,
    },
    /// Somebody takes part whose keys are not there.
    #[error("{}: no keys of node {node}: `node --mask-keys` prints them there", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// Whose.
        node: NodeId,
    },
    /// The keys in this node's name are not those of its secret.
    #[error("{}: other keys of this node than those of {}", path.display(), seed.display())]
    NotOwn {
        /// The file of the keys.
        path: PathBuf,
        /// That of the secret.
        seed: PathBuf,
    },
}

pub(crate) fn seed_file(config: &Config) -> PathBuf {
    config.state.join("mask-seed")
}

/// This node's secret, made where there is none.
fn seed(config: &Config) -> Result<EpochSeed, MaskError> {
    let path = seed_file(config);
    let failed = |source| MaskError::File { path: path.clone(), source };
    let mut text = String::new();
    match fs::File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            text = format!("{SEED}{}\n", hex::digits(&key::random()?));
            folder::make(&config.state).map_err(failed)?;
            folder::write_new(&path, text.as_bytes()).map_err(failed)?;
        }
        other => drop(other.map_err(failed)?.take(256).read_to_string(&mut text).map_err(failed)?),
    }
    if folder::keep_from_others(&path).map_err(failed)? {
        tracing::warn!(path = %path.display(), "others could read the seed of masks until now");
    }
    let bytes = text.trim_end().strip_prefix(SEED).and_then(hex::bytes);
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(EpochSeed::new).ok_or(MaskError::Seed { path })
}

/// The public keys of a seed for so many epochs.
fn keys_of(seed: &EpochSeed, epochs: u64) -> Vec<u8> {
    let epoch = |epoch| {
        let seat = seed.seat(epoch);
        [seed.asset(epoch).public_key(), seat.mask_key(), seat.share_key()].concat()
    };
    (1..=epochs).flat_map(epoch).collect()
}

fn signed(node: u64, epochs: u64, keys: &[u8]) -> Vec<u8> {
    [DOMAIN, &node.to_be_bytes(), &epochs.to_be_bytes(), keys].concat()
}

/// The line that this node publishes.
pub(crate) fn line(config: &Config, keys: &KeyPair, epochs: u64) -> Result<String, MaskError> {
    let (node, public) = (config.node.0, keys_of(&seed(config)?, epochs));
    let signature = keys.sign(&signed(node, epochs, &public));
    Ok(format!("{WORD} {node} {epochs} {} {}\n", hex::digits(&public), hex::digits(&signature)))
}

struct Line {
    node: NodeId,
    keys: Vec<u8>,
}

/// Reads a line; `None` when it is none. The signature is given with what it is over.
fn parse(line: &str) -> Option<(Line, Vec<u8>, [u8; 64])> {
    let mut words = line.split_whitespace();
    let (WORD, node, epochs) =
        (words.next()?, words.next()?.parse().ok()?, words.next()?.parse::<u64>().ok()?)
    else {
        return None;
    };
    let keys = hex::bytes(words.next()?)?;
    let signature = hex::bytes(words.next()?)?.try_into().ok()?;
    let is_whole = (1..=MAX_EPOCHS).contains(&epochs)
        && keys.len() as u64 == epochs * EPOCH_BYTES as u64
        && words.next().is_none();
    let over = signed(node, epochs, &keys);
    is_whole.then_some((Line { node: NodeId(node), keys }, over, signature))
}

/// What the file publishes, each line by the key of its node.
fn published(
    path: &Path,
    key: impl Fn(NodeId) -> Option<PublicKey>,
) -> Result<BTreeMap<NodeId, Vec<u8>>, MaskError> {
    let path = path.to_owned();
    let mut text = String::new();
    let read = fs::File::open(&path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    if let Err(source) = read {
        return Err(MaskError::File { path, source });
    }
    let mut found = BTreeMap::new();
    let lines = text.lines().enumerate().map(|(place, line)| (place + 1, line.trim()));
    for (number, text) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let Some((line, over, signature)) = parse(text) else {
            return Err(MaskError::Malformed { path, line: number });
        };
        let node = line.node;
        let Some(key) = key(node) else {
            return Err(MaskError::Unknown { path, line: number, node });
        };
        if !key.verify(&over, &signature) {
            return Err(MaskError::BadSignature { path, line: number, node });
        }
        if found.insert(node, line.keys).is_some() {
            return Err(MaskError::Twice { path, line: number, node });
        }
    }
    Ok(found)
}

/// What the node is told of its plan's masks.
///
/// # Errors
/// [`MaskError`].
pub(crate) fn read(config: &Config, keys: &KeyPair) -> Result<Option<PrivacyConfig>, MaskError> {
    let Some((plan, masks)) = config.plan.as_ref().and_then(|plan| Some((plan, plan.masks.as_ref()?))) else {
        return Ok(None);
    };
    let key = |node: NodeId| match node == config.node {
        true => Some(keys.public().clone()),
        false => config.peers.iter().find(|peer| peer.node == node)?.key.clone(),
    };
    let path = &masks.keys;
    let published = published(path, key)?;
    let seed = seed(config)?;
    let of =
        |node: &NodeId| published.get(node).ok_or(MaskError::Missing { path: path.clone(), node: *node });
    let mut roster = [plan.config.participants.as_slice(), &plan.config.joiners].concat();
    roster.sort_unstable();
    let everyone = roster.iter().chain(&masks.committee);
    let lists =
        everyone.map(|node| Ok(of(node)?.len() / EPOCH_BYTES)).collect::<Result<Vec<_>, MaskError>>()?;
    let epochs = lists.into_iter().min().unwrap_or(0);
    if let Some(own) = published.get(&config.node)
        && *own != keys_of(&seed, (own.len() / EPOCH_BYTES) as u64)
    {
        return Err(MaskError::NotOwn { path: path.clone(), seed: seed_file(config) });
    }
    let mut terms = Vec::with_capacity(epochs);
    for epoch in 0..epochs {
        let part = |node: &NodeId, which: usize| -> Result<[u8; 32], MaskError> {
            let begin = epoch * EPOCH_BYTES + which * 32;
            let mut key = [0; 32];
            key.copy_from_slice(&of(node)?[begin..begin + 32]);
            Ok(key)
        };
        let seat =
            |node: &NodeId| Ok(Seat { node: *node, mask_key: part(node, 1)?, share_key: part(node, 2)? });
        let asset = |node: &NodeId| Ok(Enrolled { node: *node, key: part(node, 0)? });
        terms.push((
            masks.committee.iter().map(seat).collect::<Result<Vec<Seat>, MaskError>>()?,
            roster.iter().map(asset).collect::<Result<Vec<Enrolled>, MaskError>>()?,
        ));
    }
    let numbers = (plan.config.settings.eps_abs, roster.len(), plan.config.couplings.len());
    Ok(Some(privacy(masks, numbers, terms, seed)))
}

fn privacy(
    masks: &Masks,
    (tolerance, assets, entries): (f64, usize, usize),
    epochs: Vec<(Vec<Seat>, Vec<Enrolled>)>,
    seed: EpochSeed,
) -> PrivacyConfig {
    let unit = (1_u64 << FRACTION_BITS) as f64;
    // Half a step of each asset's rounding, all together, stays below half of the tolerance.
    let step = (tolerance * unit / assets.max(1) as f64) as u64;
    let grain = if step < 2 { 0 } else { step.ilog2().min(30) as u8 };
    // Of everybody's files, which say the same: what is published is the same, too.
    let noise = masks.noise.map(|noise| noise.settings(entries, grain));
    let most = noise.map_or(masks.most, |noise| masks.most.max(noise.widest()));
    let enrolment = Enrolment {
        plan: 1,
        k_min: masks.k_min,
        cohort: masks.cohort,
        changes: masks.changes,
        threshold: masks.threshold,
        recoveries: masks.recoveries,
        greatest: (most * unit) as u64,
        total: None,
        grain,
        epochs,
    };
    PrivacyConfig {
        enrolment: Arc::new(enrolment),
        seed,
        noise,
        delta: masks.noise.map_or(1e-6, |noise| noise.delta),
        patience: masks.patience,
        changes: masks.changes,
    }
}
