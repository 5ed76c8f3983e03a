//! A self-signed X.509 certificate (RFC 5280) around an Ed25519 key (RFC 8410), with the node ID as RFC 9174 §4.4.1 wants it, and what the
//! fleet's authority says of the key.

use super::verifier::SPKI_PREFIX;
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{Did, KeyPair},
};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Context-specific, constructed: [0] and [3].
const TAG_0: u8 = 0xa0;
const TAG_3: u8 = 0xa3;

/// 1.3.101.112, Ed25519 (RFC 8410 §3).
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
/// 2.5.4.3, common name.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
/// 2.5.29.17, subject alternative name.
const ALTERNATIVE_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];
/// 1.3.6.1.5.5.7.8.11, id-on-bundleEID (RFC 9174 §4.4.2.1).
const BUNDLE_EID: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x0b];
/// 2.25.147692877310035464923384453369701795274: what the authority says of the key, an octet string as `credential::pack` makes it. An arc
/// of this kind is anybody's who has drawn its number (ITU-T X.667).
const CREDENTIAL: [u8; 22] = [
    0x06, 0x14, 0x69, 0x81, 0xde, 0x9c, 0xce, 0xc3, 0xc7, 0xb5, 0xd2, 0xb1, 0xa7, 0x9d, 0xbf, 0x94, 0xb4,
    0x8c, 0x82, 0xcc, 0x8b, 0x4a,
];

/// The certificate of a node in DER, with what the authority says of its key, if there is one. The same bytes every time: its dates are those
/// of the standard's "no date" (RFC 5280 §4.1.2.5).
pub(super) fn self_signed(node: NodeId, keys: &KeyPair, credential: &[u8]) -> Vec<u8> {
    let key = keys.public();
    let algorithm = item(SEQUENCE, &[&ED25519]);
    let did = Did::new(key.clone()).to_string();
    let attribute = item(SEQUENCE, &[&COMMON_NAME, &item(UTF8_STRING, &[did.as_bytes()])]);
    let name = item(SEQUENCE, &[&item(SET, &[&attribute])]);
    let validity = item(
        SEQUENCE,
        &[&item(UTC_TIME, &[b"700101000000Z"]), &item(GENERALIZED_TIME, &[b"99991231235959Z"])],
    );
    // Positive, and as short as DER wants it: the first byte is neither 0 nor above 0x7f.
    let mut serial = [0; 16];
    serial.copy_from_slice(&key.as_bytes()[..16]);
    serial[0] = serial[0] & 0x3f | 0x40;
    let eid = node.endpoint(0).to_string();
    let other_name = item(TAG_0, &[&BUNDLE_EID, &item(TAG_0, &[&item(IA5_STRING, &[eid.as_bytes()])])]);
    let names = item(OCTET_STRING, &[&item(SEQUENCE, &[&other_name])]);
    let mut extensions = item(SEQUENCE, &[&ALTERNATIVE_NAME, &names]);
    if !credential.is_empty() {
        let value = item(OCTET_STRING, &[&item(OCTET_STRING, &[credential])]);
        extensions.extend(item(SEQUENCE, &[&CREDENTIAL, &value]));
    }
    let extensions = item(TAG_3, &[&item(SEQUENCE, &[&extensions])]);
    let body = item(
        SEQUENCE,
        &[
            &item(TAG_0, &[&item(INTEGER, &[&[2]])]),
            &item(INTEGER, &[&serial]),
            &algorithm,
            &name,
            &validity,
            &name,
            &[SPKI_PREFIX.as_slice(), key.as_bytes()].concat(),
            &extensions,
        ],
    );
    let signature = item(BIT_STRING, &[&[0], &keys.sign(&body)]);
    item(SEQUENCE, &[&body, &algorithm, &signature])
}

/// One item of DER: tag, length, content.
fn item(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// What the authority says of the key of a certificate, as its holder shows it: unproven. `None` when it shows nothing.
pub(super) fn credential(certificate: &[u8]) -> Option<&[u8]> {
    let (mut body, _) = open(open(certificate, SEQUENCE)?.0, SEQUENCE)?;
    // What comes before is not looked at: extensions are the last of the body (RFC 5280 §4.1).
    let mut extensions = loop {
        let (tag, content, rest) = next(body)?;
        if tag == TAG_3 {
            break open(content, SEQUENCE)?.0;
        }
        body = rest;
    };
    loop {
        let (extension, rest) = open(extensions, SEQUENCE)?;
        if let Some(value) = extension.strip_prefix(&CREDENTIAL) {
            let (value, _) = open(value, OCTET_STRING)?;
            return open(value, OCTET_STRING).map(|(credential, _)| credential);
        }
        extensions = rest;
    }
}

/// The content of an item that must have this tag, and what follows on the item.
fn open(bytes: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    next(bytes).filter(|(tag, ..)| *tag == expected).map(|(_, content, rest)| (content, rest))
}

/// Tag and content of the first item, and what follows on it.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command};

    /// OpenSSL reads it, and finds its own signature right.
    #[test]
    fn openssl_reads_the_certificate() {
        let keys = KeyPair::from_seed([7; 32]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate");
        fs::write(&path, self_signed(NodeId(7), &keys, &[0x5a; 700])).unwrap();
        let mut command = Command::new("openssl");
        command.args(["x509", "-inform", "DER", "-noout", "-text", "-in"]).arg(&path);
        // On a machine without OpenSSL, rustls is the only judge (the handshakes of this folder).
        let Ok(output) = command.output() else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(text.contains("ED25519") && text.contains("did:key:z6Mk"), "{text}");
        assert!(text.contains("2.25.147692877310035464923384453369701795274"), "{text}");
    }

    #[test]
    fn what_the_authority_says_comes_out_as_it_went_in_and_no_bytes_make_it_panic() {
        let keys = KeyPair::from_seed([7; 32]);
        assert_eq!(credential(&self_signed(NodeId(7), &keys, &[])), None);
        for length in [1, 100, 200, 300, 20_000] {
            let said = vec![0x5a; length];
            assert_eq!(credential(&self_signed(NodeId(7), &keys, &said)), Some(said.as_slice()), "{length}");
        }
        let whole = self_signed(NodeId(7), &keys, &[1, 2, 3]);
        for end in 0..whole.len() {
            let _ = credential(&whole[..end]);
            let mut changed = whole.clone();
            changed[end] ^= 0xff;
            let _ = credential(&changed);
        }
    }
}
