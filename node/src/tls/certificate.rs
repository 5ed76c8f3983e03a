//! A self-signed X.509 certificate (RFC 5280) around an Ed25519 key (RFC 8410), with the node ID as RFC 9174 §4.4.1 wants it.

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

/// The certificate of a node in DER. The same bytes every time: its dates are those of the standard's "no date" (RFC 5280 §4.1.2.5).
pub(super) fn self_signed(node: NodeId, keys: &KeyPair) -> Vec<u8> {
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
    let extensions = item(TAG_3, &[&item(SEQUENCE, &[&item(SEQUENCE, &[&ALTERNATIVE_NAME, &names])])]);
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
        fs::write(&path, self_signed(NodeId(7), &keys)).unwrap();
        let mut command = Command::new("openssl");
        command.args(["x509", "-inform", "DER", "-noout", "-text", "-in"]).arg(&path);
        // On a machine without OpenSSL, rustls is the only judge (the handshakes of this folder).
        let Ok(output) = command.output() else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(text.contains("ED25519") && text.contains("did:key:z6Mk"), "{text}");
    }
}
