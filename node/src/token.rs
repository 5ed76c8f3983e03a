//! The token of a daemon's control: whoever can read its file may ask everything of the daemon.

use crate::{
    folder,
    key::{self, KeyError},
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    net::SocketAddr,
    path::Path,
};

const DIGITS: usize = 64;
/// What keeps answers apart from all else that is hashed.
const ANSWER: &[u8] = b"cosmosmesh-control-v1";

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

    /// A new token at `path`, for a daemon that starts: who got hold of the one of before has nothing.
    pub(crate) fn make(path: &Path) -> Result<Self, KeyError> {
        let token = Self(crate::message::hex::digits(&key::random()?));
        let written = folder::replace(path, format!("{}\n", token.0).as_bytes());
        written.map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        Ok(token)
    }

    /// What whoever has the token answers to a question of `asked` at `address`. Who heard it cannot answer another question, or at another address.
    pub(crate) fn answer(&self, address: SocketAddr, asked: &[u8; 32]) -> String {
        let question = Sha256::new().chain_update(address.to_string()).chain_update(asked).finalize();
        let answer = Sha256::new().chain_update(ANSWER).chain_update(&self.0).chain_update(question);
        crate::message::hex::digits(&answer.finalize())
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn a_token_is_its_owners_and_another_at_each_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let first = Token::make(&path).unwrap();
        assert_eq!(mode(), 0o600);
        assert_eq!(Token::read(&path).unwrap(), first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let second = Token::make(&path).unwrap();
        assert_ne!(second, first);
        assert_eq!((mode(), fs::read_dir(folder.path()).unwrap().count()), (0o600, 1));
        fs::write(&path, "half").unwrap();
        assert!(Token::read(&path).is_err());
        assert_eq!(format!("{second:?}"), "Token");
    }

    #[test]
    fn an_answer_is_for_one_question_at_one_address_by_one_token() {
        let [one, other] = ["a", "b"].map(|digit| Token::of(&digit.repeat(64)).unwrap());
        let [here, there] = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
        let answer = one.answer(here, &[7; 32]);
        assert_eq!(answer, one.answer(here, &[7; 32]));
        for another in [one.answer(there, &[7; 32]), one.answer(here, &[8; 32]), other.answer(here, &[7; 32])]
        {
            assert_ne!(answer, another);
        }
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
