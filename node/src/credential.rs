//! Signed statements of the authority, in files and in TLS certificates: who may speak for whom, and whose word counts no more.
//!
//! A file holds one statement a line, its kind and its bytes in hexadecimal digits, so that files are put together by `cat`:
//!
//! ```text
//! # the camp's rover
//! certificate 8443a10127…
//! revocations 8443a10127…
//! ```
//!
//! Each statement is judged by its own signature: such a file is no secret, and whoever changes it makes it worthless.

use crate::message::hex;
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Certificate, CertificateError, KeyId, KeyPair, MAX_CHAIN, PublicKey, Statement, TrustError},
};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Words by the statement's number on the wire.
const WORDS: [&str; 3] = ["certificate", "succession", "revocations"];
/// Longest credential that a TLS certificate carries, in bytes: a certificate and its key's successions.
pub(crate) const MAX_PACKED: usize = 32 << 10;

/// Why a file of statements, or this node's own certificate, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that holds no statement.
    #[error("{}:{line}: expected `certificate`, `succession` or `revocations`, and hexadecimal digits", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A statement that nobody can have signed.
    #[error("{}:{line}: {source}", path.display())]
    Statement {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        source: TrustError,
    },
    /// No certificate in the file that is to hold this node's.
    #[error("{}: no certificate of node {node}: `certify issue` makes one", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// Whose.
        node: NodeId,
    },
    /// The certificate is not the authority's, or none.
    #[error("{}: {source}", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: CertificateError,
    },
    /// The key that is to be the authority's is another one.
    #[error("{}: not the authority's key", path.display())]
    NotAuthority {
        /// Which file.
        path: PathBuf,
    },
    /// The certificate is for another key than this node's.
    #[error("{}: for the key {found}, this node's is {own}", path.display())]
    OtherKey {
        /// Which file.
        path: PathBuf,
        /// The certificate's key.
        found: KeyId,
        /// This node's key.
        own: KeyId,
    },
}

/// The statements of a file, in its order.
pub(crate) fn read(path: &Path) -> Result<Vec<Statement>, CredentialError> {
    Ok(read_lines(path)?.into_iter().map(|(_, statement)| statement).collect())
}

/// The same with their lines, from 1.
pub(crate) fn read_lines(path: &Path) -> Result<Vec<(usize, Statement)>, CredentialError> {
    let failed = |source| CredentialError::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    parse_lines(&text).map_err(|line| CredentialError::Malformed { path: path.to_owned(), line })
}

/// The statements of a text.
///
/// # Errors
/// The number of the first line that holds none.
pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, usize> {
    Ok(parse_lines(text)?.into_iter().map(|(_, statement)| statement).collect())
}

fn parse_lines(text: &str) -> Result<Vec<(usize, Statement)>, usize> {
    let mut statements = Vec::new();
    for (line, number) in text.lines().zip(1_usize..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, digits) = line.split_once(' ').ok_or(number)?;
        let kind = WORDS.iter().position(|known| *known == word).ok_or(number)?;
        let bytes = hex::bytes(digits.trim()).ok_or(number)?;
        statements.push((number, Statement::from_parts(kind as u64, &bytes).ok_or(number)?));
    }
    Ok(statements)
}

/// A statement as a line.
pub(crate) fn line(statement: &Statement) -> String {
    let (number, bytes) = statement.parts();
    let mut line = WORDS[number as usize].to_owned();
    // Writing into a text cannot fail.
    let _ = writeln!(line, " {}", hex::digits(bytes));
    line
}

/// Writes a file that is there as a whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), CredentialError> {
    let failed = |source| CredentialError::File { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = File::create(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.and_then(|()| fs::rename(&new, path)).map_err(failed)
}

/// This node's certificate in the file at `path`: signed by the authority, for this node and its key. The last one of the file counts.
pub(crate) fn own_certificate(
    path: &Path,
    node: NodeId,
    keys: &KeyPair,
    authority: &PublicKey,
) -> Result<Statement, CredentialError> {
    let missing = || CredentialError::Missing { path: path.to_owned(), node };
    let is_own = |statement: &Statement| matches!(statement, Statement::Certificate(bytes) if Certificate::claimed_subject(bytes) == Some(node));
    let statement = read(path)?.into_iter().rfind(is_own).ok_or_else(missing)?;
    let opened = Certificate::open(statement.parts().1, authority);
    let certificate =
        opened.map_err(|source| CredentialError::Certificate { path: path.to_owned(), source })?;
    if certificate.key == *keys.public() {
        return Ok(statement);
    }
    let (found, own) = (KeyId::of(&certificate.key), KeyId::of(keys.public()));
    Err(CredentialError::OtherKey { path: path.to_owned(), found, own })
}

/// A certificate and the successions on its key in one string of bytes: kind, length in two bytes, statement, one after another.
pub(crate) fn pack(statements: &[Statement]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in statements.iter().map(Statement::parts) {
        let Ok(length) = u16::try_from(bytes.len()) else { continue };
        out.push(number as u8);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

/// What [`pack`] made; `None` for anything else. Revocations do not come this way.
pub(crate) fn unpack(mut bytes: &[u8]) -> Option<Vec<Statement>> {
    let mut statements = Vec::new();
    if bytes.len() > MAX_PACKED {
        return None;
    }
    while let Some((number, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (statement, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let statement = Statement::from_parts(u64::from(*number), statement)?;
        if matches!(statement, Statement::Revocations(_)) || statements.len() > MAX_CHAIN {
            return None;
        }
        statements.push(statement);
        bytes = rest;
    }
    Some(statements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmosmesh_protocol::{
        identity::{Role, Scope},
        time::DtnTime,
    };

    fn certificate(node: u64, keys: &KeyPair, authority: &KeyPair) -> Statement {
        let certificate = Certificate {
            subject: NodeId(node),
            key: keys.public().clone(),
            role: Role::Operator,
            scope: Scope::everything(),
            not_before: DtnTime(1000),
            expires: DtnTime(2000),
        };
        Statement::Certificate(certificate.issue(authority))
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_its_wrong_lines_are_named() {
        let (authority, keys) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
        let statement = certificate(2, &keys, &authority);
        let text = format!("# one\n\n{}{}", line(&statement), line(&statement));
        assert_eq!(parse(&text), Ok(vec![statement.clone(), statement]));
        for bad in ["certificate", "certificate 0g", "certificat 00", "revocations"] {
            assert_eq!(parse(&format!("# one\n{bad}")), Err(2), "{bad}");
        }
        assert_eq!(parse(&format!("certificate {}", "00".repeat(41 * 1024))), Err(1), "too long for any");
    }

    #[test]
    fn the_own_certificate_is_the_authoritys_for_this_node_and_its_key() {
        let [authority, keys, other] = [1, 2, 3].map(|seed| KeyPair::from_seed([seed; 32]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate");
        let own = |node, keys: &KeyPair, authority: &KeyPair| {
            own_certificate(&path, NodeId(node), keys, authority.public())
        };
        assert!(matches!(own(2, &keys, &authority), Err(CredentialError::File { .. })));
        let first = certificate(2, &other, &authority);
        let last = certificate(2, &keys, &authority);
        write(&path, &[line(&first), line(&last)].concat()).unwrap();
        assert_eq!(own(2, &keys, &authority).unwrap(), last);
        assert!(matches!(own(2, &other, &authority), Err(CredentialError::OtherKey { .. })));
        assert!(matches!(own(3, &keys, &authority), Err(CredentialError::Missing { .. })));
        assert!(matches!(own(2, &keys, &other), Err(CredentialError::Certificate { .. })));
    }

    #[test]
    fn what_is_packed_comes_out_and_nothing_else_does() {
        let (authority, keys) = (KeyPair::from_seed([1; 32]), KeyPair::from_seed([2; 32]));
        let statements = vec![certificate(2, &keys, &authority), Statement::Succession(vec![7; 90])];
        let packed = pack(&statements);
        assert_eq!(unpack(&packed), Some(statements));
        for end in 1..packed.len() {
            assert!(unpack(&packed[..end]).is_none_or(|found| found.len() == 1), "{end}");
        }
        assert_eq!(unpack(&pack(&[Statement::Revocations(vec![1])])), None);
        assert_eq!(unpack(&[9, 0, 0]), None);
        assert_eq!(unpack(&vec![0; MAX_PACKED + 1]), None);
    }
}
