//! How key and store of a node are found at its start: never made anew where there were some, unless that is asked for.
//!
//! A store that is lost with its count of incarnations would make this node say other things under numbers that its peers know. So a marker
//! beside the key tells that there was one, and which.

use crate::{
    clock::Clock,
    config::{Config, Durability},
    daemon::StartError,
    disk::{self, Disk, DiskError, Look, OpenStore, Title},
    folder, key, masks,
    store::Opener,
};
use cosmosmesh_protocol::{identity::KeyPair, node::Node};
use std::{
    error::Error,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the lines of a marker begin with.
const PREFIX: &str = "cosmosmesh-store ";
const INCARNATION: &str = "incarnation ";
const BATCHES: &str = "batches ";

/// What is known of the store apart from it.
#[derive(Clone, Copy)]
struct Marker {
    /// Which store was begun here.
    store: [u8; 16],
    /// The last incarnation that it began; 0 in a marker that does not say it.
    incarnation: u32,
    /// How many of its batches there were when it ended in order; 0 until then.
    batches: u64,
}

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) disk: Disk,
    /// Opens it again, and no other.
    pub(crate) open: Opener,
    /// Where a store was set aside.
    pub(crate) set_aside: Option<PathBuf>,
    /// Whether an empty one was begun in place of one that was set aside, or lost.
    pub(crate) is_anew: bool,
}

/// The node's key, made where there is none and never was one; and whether a store was here before it.
pub(crate) fn keys(config: &Config, set_aside_store: bool) -> Result<(KeyPair, bool), StartError> {
    let (path, store) = (config.key_file(), config.store_file());
    let had_one = store.exists() || marker_file(config).exists();
    if had_one && !path.exists() && !set_aside_store {
        return Err(StartError::KeyGone { path, store });
    }
    let is_new = had_one && !path.exists();
    Ok((key::read_or_create(&path)?, is_new))
}

/// Opens the store and restores the node from it, or says what is wrong with it. It is never emptied: at most renamed, when that was asked for.
pub(crate) fn store(
    config: &Config,
    keys: (&KeyPair, bool),
    clock: &Clock,
    (storage, set_aside): (Option<OpenStore>, bool),
    restore: impl Fn(&Disk) -> Result<Node, StartError>,
) -> Result<(Opened, Node), StartError> {
    let path = config.store_file();
    folder::make(&config.state).map_err(|source| system(&config.state, source))?;
    if folder::is_open_to_others(&config.state) {
        tracing::warn!(folder = %config.state.display(), "others can look into the state's folder: it was there before the node");
    }
    let flushed = config.preset.requires().durability == Durability::Power;
    let storage = Arc::new(storage.unwrap_or_else(|| disk::plain(flushed)));
    let why: Box<dyn Error> = match find(config, keys, &storage) {
        Ok((disk, title)) => match restore(&disk) {
            Err(source @ (StartError::Kept { .. } | StartError::NotConfigured { .. })) if set_aside => {
                drop(disk);
                Box::new(source)
            }
            node => {
                let node = node?;
                remember_incarnation(config, &disk, &title)?;
                let open = opener(path, storage, title);
                return Ok((Opened { disk, open, set_aside: None, is_anew: false }, node));
            }
        },
        Err(Trouble::Disk(source)) if source.is_corruption() && set_aside => Box::new(source),
        Err(Trouble::Disk(source)) if source.is_corruption() => {
            return Err(StartError::CorruptStore { path, source });
        }
        Err(Trouble::Disk(source)) => return Err(StartError::Store { path, source }),
        Err(Trouble::System(path, source)) => return Err(system(&path, source)),
    };
    let (opened, title) = begin_anew(config, keys.0, clock, storage, &*why)?;
    let node = restore(&opened.disk)?;
    remember_incarnation(config, &opened.disk, &title)?;
    Ok((opened, node))
}

/// Writes down which incarnation has begun, before it says anything: a store that is older, whether a copy was put back or the machine lost what it had
/// not written, would make the node use its numbers again.
fn remember_incarnation(config: &Config, disk: &Disk, title: &Title) -> Result<(), StartError> {
    let (path, marker) = (config.store_file(), marker_file(config));
    let (incarnation, _) =
        disk.standing().map_err(|source| StartError::Store { path: path.clone(), source })?;
    // Where commits are not flushed, this one is all the same.
    flush(&path).map_err(|source| system(&path, source))?;
    let known = Marker { store: title.store, incarnation, batches: 0 };
    write_marker(&marker, known).map_err(|source| system(&marker, source))
}

/// Writes down how far a store has come that was closed in order: a copy from within the same run is older too.
///
/// # Errors
/// Those of the system; the marker is as it was.
pub(crate) fn remember_end(config: &Config, (incarnation, batches): (u32, u64)) -> io::Result<()> {
    let marker = marker_file(config);
    let Some(marked) = read_marker(&marker)?.filter(|marked| marked.incarnation == incarnation) else {
        return Ok(());
    };
    flush(&config.store_file())?;
    write_marker(&marker, Marker { batches, ..marked })
}

/// Has the system write what it has of a file. Windows does that for what can be written only.
fn flush(path: &Path) -> io::Result<()> {
    fs::File::options().write(true).open(path).and_then(|file| file.sync_all())
}

/// Sets the store aside, and begins an empty one whose incarnations are above all that are known of, and above the seconds since 2000.
fn begin_anew(
    config: &Config,
    keys: &KeyPair,
    clock: &Clock,
    storage: Arc<OpenStore>,
    why: &dyn Error,
) -> Result<(Opened, Title), StartError> {
    let (path, marker) = (config.store_file(), marker_file(config));
    // With the store, the count of incarnations is gone: seconds since 2000 are more than there ever were.
    let seconds = clock.civil().map(|estimate| estimate.utc.as_millis() / 1000);
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok()).ok_or(StartError::NoClock)?;
    let at = |source| system(&path, source);
    // A clock that was ahead when a store was set aside before has counted further: marker and store tell.
    let marked = read_marker(&marker).ok().flatten().map_or(0, |marked| marked.incarnation);
    let held = Disk::look(&path, &storage).and_then(|look| look.disk().standing());
    let held = held.map_or(0, |(incarnation, _)| incarnation);
    let last = marked.max(held);
    let incarnation = seconds.max(last.saturating_add(1));
    // From here to the end, marker and store do not fit, and the node does not start: it is asked again whether that is meant.
    let title = new_title(keys).map_err(at)?;
    let known = Marker { store: title.store, incarnation: last, batches: 0 };
    write_marker(&marker, known).map_err(|source| system(&marker, source))?;
    // With the store, the counts of masks are gone: their seed goes aside too, so that no mask is used twice.
    let seed = masks::seed_file(config);
    if seed.exists() {
        set_aside(&seed).map_err(|source| system(&seed, source))?;
    }
    let aside = if path.exists() { Some(set_aside(&path).map_err(at)?) } else { None };
    tracing::error!(%why, aside = ?aside, "the store is unusable: it was set aside, and an empty one begun");
    let failed = |source| StartError::Store { path: path.clone(), source };
    begin(&path, &title, incarnation).map_err(failed)?;
    let disk = Disk::look(&path, &storage).and_then(Look::keep).map_err(failed)?;
    let open = opener(path, storage, title);
    Ok((Opened { disk, open, set_aside: aside, is_anew: true }, title))
}

/// What keeps a store from being opened.
enum Trouble {
    Disk(DiskError),
    System(PathBuf, io::Error),
}

impl From<DiskError> for Trouble {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// The store that is there, all of which can be read; a new one where there never was one.
fn find(
    config: &Config,
    (keys, is_new): (&KeyPair, bool),
    storage: &OpenStore,
) -> Result<(Disk, Title), Trouble> {
    let (path, marker) = (config.store_file(), marker_file(config));
    let at = |path: &Path, source| Trouble::System(path.to_owned(), source);
    let marked = read_marker(&marker).map_err(|source| at(&marker, source))?;
    match (fs::metadata(&path), marked) {
        (Ok(_), _) => {}
        (Err(error), _) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, error)),
        (Err(_), Some(_)) => return Err(DiskError::Gone.into()),
        (Err(_), None) => begin(&path, &new_title(keys).map_err(|source| at(&path, source))?, 1)?,
    }
    if folder::keep_from_others(&path).map_err(|source| at(&path, source))? {
        tracing::warn!(path = %path.display(), "others could look into the store until now");
    }
    // Nothing is written to a file before it is known to be ours, and to be readable: not even that it was open.
    let look = Disk::look(&path, storage)?;
    let title = titled(look.disk(), keys, marked, is_new)?;
    look.disk().examine()?;
    let disk = look.keep()?;
    let title = match title {
        Some(title) => title,
        None => {
            let title = new_title(keys).map_err(|source| at(&path, source))?;
            disk.set_title(&title)?;
            title
        }
    };
    folder::clear(&config.state);
    if marked.is_none() {
        write_marker(&marker, Marker { store: title.store, incarnation: 0, batches: 0 })
            .map_err(|source| at(&marker, source))?;
    }
    Ok((disk, title))
}

/// Which store it is: ours, and the one that the marker tells of. None of a version that gave it no name, and no marker.
fn titled(
    disk: &Disk,
    keys: &KeyPair,
    marked: Option<Marker>,
    is_new: bool,
) -> Result<Option<Title>, DiskError> {
    let title = match (disk.title()?, marked) {
        (Some(title), _) => title,
        (None, None) if !is_new => return Ok(None),
        // Whose it is nobody can say: it was here before the key.
        (None, _) => return Err(DiskError::Other),
    };
    title.check_key(keys.public())?;
    match marked {
        Some(marked) if marked.store != title.store => Err(DiskError::Other),
        Some(marked) if disk.standing()? < (marked.incarnation, marked.batches) => Err(DiskError::Older),
        _ => Ok(Some(title)),
    }
}

/// Opens a store again after it failed: the same one.
fn opener(path: PathBuf, storage: Arc<OpenStore>, title: Title) -> Opener {
    Box::new(move || {
        let look = Disk::look(&path, &storage)?;
        if look.disk().title()? != Some(title) {
            return Err(DiskError::Other);
        }
        look.keep()
    })
}

/// Makes a store that is there as a whole or not at all.
fn begin(path: &Path, title: &Title, incarnation: u32) -> Result<(), DiskError> {
    // A name of its own: of two that begin at once, one is put in place as a whole, and the other is not.
    let fresh = folder::beside(path)?;
    let begun = folder::new_file(&fresh)
        .map_err(DiskError::from)
        .and_then(|file| Disk::begin(file, title, incarnation).map(drop))
        .and_then(|()| Ok(folder::put_in_place(&fresh, path)?));
    if begun.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    begun
}

fn new_title(keys: &KeyPair) -> io::Result<Title> {
    let mut store = [0; 16];
    getrandom::fill(&mut store).map_err(io::Error::other)?;
    Ok(Title { store, key: *keys.public().as_bytes() })
}

fn marker_file(config: &Config) -> PathBuf {
    config.state.join("store.id")
}

fn write_marker(path: &Path, marker: Marker) -> io::Result<()> {
    let digits: String = marker.store.iter().map(|byte| format!("{byte:02x}")).collect();
    let text =
        format!("{PREFIX}{digits}\n{INCARNATION}{}\n{BATCHES}{}\n", marker.incarnation, marker.batches);
    folder::replace(path, text.as_bytes())
}

/// Which store was begun here, if one was.
fn read_marker(path: &Path) -> io::Result<Option<Marker>> {
    let mut text = String::new();
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?.take(256).read_to_string(&mut text)?,
    };
    let mut lines = text.lines();
    let store = lines.next().and_then(|line| crate::message::hex::bytes(line.strip_prefix(PREFIX)?));
    let store: Option<[u8; 16]> = store.and_then(|bytes| bytes.try_into().ok());
    let incarnation = match lines.next() {
        None => Some(0),
        Some(line) => line.strip_prefix(INCARNATION).and_then(|number| number.parse().ok()),
    };
    let batches = match lines.next() {
        None => Some(0),
        Some(line) => line.strip_prefix(BATCHES).and_then(|number| number.parse().ok()),
    };
    let marker = store.zip(incarnation).zip(batches);
    let marker = marker.map(|((store, incarnation), batches)| Marker { store, incarnation, batches });
    marker.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the name of a store"))
}

/// Renames a file to a name that nothing has.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    folder::keep_from_others(path)?;
    for number in 1..=u16::MAX {
        let aside = path.with_extension(format!("redb.corrupt-{number}"));
        if !aside.exists() {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

fn system(path: &Path, source: io::Error) -> StartError {
    StartError::System { what: path.display().to_string(), source }
}
