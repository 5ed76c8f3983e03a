//! The node's private key in a file that nobody else can read.

use crate::folder;
use cosmosmesh_protocol::identity::{Did, KeyPair};
use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// What the only line of a key file begins with.
const PREFIX: &str = "ed25519-seed ";
/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read or write the file.
    #[error("{}: mode {mode:04o} lets others at the key; allowed: 0600 (chmod 600)", path.display())]
    Permissions {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file does not hold a key.
    #[error("{}: not a key file: expected one line, `{PREFIX}` and 64 hexadecimal digits", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// The operating system has no randomness to give.
    #[error("no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// Reads the key at `path`. Refuses a file that group or others may read or write.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path) -> Result<KeyPair, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    // Permissions and content of the same file, whatever happens to the name in between.
    let file = File::open(path).map_err(failed)?;
    check_permissions(path, &file)?;
    let mut text = String::new();
    let malformed = || KeyError::Malformed { path: path.to_owned() };
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => malformed(),
        _ => failed(error),
    })?;
    let digits = text.trim_end().strip_prefix(PREFIX).filter(|digits| digits.len() == 64);
    let seed = digits.and_then(from_hex).ok_or_else(malformed)?;
    Ok(KeyPair::from_seed(seed))
}

/// Makes a key at `path` with mode 0600. An existing file is left as it is, and an error. After a crash at any moment, the whole key is there or
/// none; it is durable when this returns.
///
/// # Errors
/// [`KeyError`].
pub fn create(path: &Path) -> Result<KeyPair, KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        folder::make(parent).map_err(failed)?;
    }
    let seed = random()?;
    let digits: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    folder::write_new(path, format!("{PREFIX}{digits}\n").as_bytes()).map_err(failed)?;
    Ok(KeyPair::from_seed(seed))
}

/// Reads the key at `path`, or makes it where there is none.
///
/// # Errors
/// [`KeyError`].
pub fn read_or_create(path: &Path) -> Result<KeyPair, KeyError> {
    let is = |error: &KeyError, kind| matches!(error, KeyError::File { source, .. } if source.kind() == kind);
    match read(path) {
        Err(error) if is(&error, io::ErrorKind::NotFound) => match create(path) {
            // Somebody else was faster.
            Err(error) if is(&error, io::ErrorKind::AlreadyExists) => read(path),
            made => made,
        },
        other => other,
    }
}

/// The public name of a key.
#[must_use]
pub fn did(keys: &KeyPair) -> Did {
    Did::new(keys.public().clone())
}

/// 32 bytes that nobody can guess.
pub(crate) fn random() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(KeyError::Randomness)?;
    Ok(bytes)
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    for (at, byte) in seed.iter_mut().enumerate() {
        let pair = digits.get(2 * at..2 * at + 2)?;
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
    }
    Some(seed)
}

#[cfg(unix)]
fn check_permissions(path: &Path, file: &File) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Permissions { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_path: &Path, _file: &File) -> Result<(), KeyError> {
    // The folder's access list protects it: there are no mode bits to look at.
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _, thread};

    #[test]
    fn whoever_asks_for_a_key_at_once_gets_the_same_whole_one() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state/key");
            let made: Vec<_> = thread::scope(|scope| {
                let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| read_or_create(&path))).collect();
                asked.into_iter().map(|asked| asked.join().unwrap().unwrap().public().clone()).collect()
            });
            assert!(made.iter().all(|key| *key == made[0]));
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/key");
        let made = read_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_create(&path).unwrap().public(), made.public());
        assert!(matches!(create(&path), Err(KeyError::File { .. })), "a key is never overwritten");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = read(&path).map(drop);
            assert!(matches!(found, Err(KeyError::Permissions { mode: found, .. }) if found == mode));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let digits = "0".repeat(64);
        let texts = ["", "ed25519-seed 00", &digits, &format!("{PREFIX}{}g", &digits[1..]), "\u{fffd}"];
        for text in texts {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(read(&path), Err(KeyError::Malformed { .. })), "{text:?}");
        }
        fs::write(&path, [0xff; 100]).unwrap();
        assert!(matches!(read(&path), Err(KeyError::Malformed { .. })));
        assert!(read(folder.path()).is_err(), "a folder is none");
    }
}
