//! The bytes of a bundle: from a file, from the command line, from standard input; raw or in hexadecimal.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use super::CliError;

/// The most that is read: more than any bundle that a node would take.
const MAX_BYTES: u64 = 1 << 28;

/// Reads what `from` names: `-`, a file, or hexadecimal digits.
///
/// # Errors
/// [`CliError::File`] and [`CliError::Input`] when there are no bytes to look at.
pub(super) fn read(from: &str) -> Result<Vec<u8>, CliError> {
    let path = Path::new(from);
    let unusable = |reason: &str| CliError::Input { path: path.into(), reason: reason.into() };
    let unreadable = |source| CliError::File { path: path.into(), source };
    let bytes = if from == "-" {
        take(io::stdin().lock()).map_err(unreadable)?
    } else if path.is_file() {
        take(fs::File::open(path).map_err(unreadable)?).map_err(unreadable)?
    } else {
        return match unhex(from.as_bytes()) {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            Some(_) => Err(unusable("no bytes to look at")),
            None => Err(unusable("neither a file nor hexadecimal digits in pairs")),
        };
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unusable("longer than 256 MiB"));
    }
    let bytes = if is_hex(&bytes) {
        unhex(&bytes).ok_or_else(|| unusable("an odd number of hexadecimal digits"))?
    } else {
        bytes
    };
    if bytes.is_empty() { Err(unusable("no bytes to look at")) } else { Ok(bytes) }
}

fn take(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether `bytes` is text in hexadecimal: a bundle in binary never is, for its first byte is none of its digits.
fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace())
}

/// The bytes of hexadecimal text, white space ignored.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Vec<u8> =
        digits.map(|byte| char::from(*byte).to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// `bytes` in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_with_its_white_space_and_only_in_pairs() {
        assert_eq!(unhex(b"0x9F 01\n ff"), Some(vec![0x9f, 1, 0xff]));
        assert_eq!(unhex(b"9f0"), None);
        assert_eq!(unhex(b"9g"), None);
        assert_eq!(unhex(hex(&[0, 0x7f, 0xff]).as_bytes()), Some(vec![0, 0x7f, 0xff]));
    }
}
