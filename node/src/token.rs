//! The token of a daemon's control: whoever can read its file may ask everything of the daemon.

use crate::key::{self, KeyError};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

const DIGITS: usize = 64;

/// 32 random bytes as hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Reads the token at `path`, as a daemon wrote it.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        File::open(path)?.take(DIGITS as u64 + 2).read_to_string(&mut text)?;
        Self::of(text.trim_end()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The token at `path`, for a daemon: one that others could read, or that is none, is made anew.
    pub(crate) fn keep(path: &Path) -> Result<Self, KeyError> {
        match Self::read(path) {
            Ok(token) if is_own(path) => Ok(token),
            _ => Self::create(path),
        }
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let token = Self(crate::message::hex::digits(&key::random()?));
        // Nobody ever sees the half of one.
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&new).and_then(|mut file| writeln!(file, "{}", token.0));
        written.and_then(|()| fs::rename(&new, path)).map_err(failed)?;
        Ok(token)
    }

    pub(crate) fn of(digits: &str) -> Option<Self> {
        let right = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        right.then(|| Self(digits.to_owned()))
    }

    /// Its digits.
    pub(crate) fn digits(&self) -> &str {
        &self.0
    }

    /// Whether it is this one, in the same time whatever it is.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        let differing = self.0.bytes().zip(shown).fold(0, |all, (own, shown)| all | (own ^ shown));
        shown.len() == self.0.len() && differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(unix)]
fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
const fn is_own(_path: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_is_its_owners_and_stays_until_others_could_have_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let first = Token::keep(&path).unwrap();
        assert_eq!(mode(), 0o600);
        assert_eq!(Token::keep(&path).unwrap(), first);
        assert_eq!(Token::read(&path).unwrap(), first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let second = Token::keep(&path).unwrap();
        assert_ne!(second, first);
        assert_eq!(mode(), 0o600);
        fs::write(&path, "half").unwrap();
        assert!(Token::read(&path).is_err());
        assert_ne!(Token::keep(&path).unwrap(), second);
        assert_eq!(format!("{second:?}"), "Token");
    }

    #[test]
    fn a_token_is_itself_and_nothing_shorter_longer_or_else() {
        let token = Token::of(&"a".repeat(64)).unwrap();
        assert!(token.is(&[b'a'; 64]));
        for wrong in [&[b'a'; 63][..], &[b'a'; 65], &[b'b'; 64], b""] {
            assert!(!token.is(wrong));
        }
        assert_eq!(Token::of("abc"), None);
        assert_eq!(Token::of(&"g".repeat(64)), None);
    }
}
