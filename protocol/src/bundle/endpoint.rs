//! Endpoint identifiers in CBOR (RFC 9171 §4.2.5.1, RFC 9758 §6).

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::{decode::MAX_ENDPOINT_NAME, error::BundleError};
use crate::{
    cbor::{self, CborError, Reader},
    id::{EndpointId, NodeId, is_dtn_name},
};

const DTN: u64 = 1;
const IPN: u64 = 2;

/// Appends `endpoint`. An `ipn` name takes the two-element form (RFC 9758 §6.1.1), which every implementation reads.
pub(crate) fn put_endpoint(out: &mut Vec<u8>, endpoint: &EndpointId) {
    cbor::put_head(out, cbor::ARRAY, 2);
    match endpoint {
        EndpointId::Null => {
            cbor::put_uint(out, DTN);
            cbor::put_uint(out, 0);
        }
        EndpointId::Dtn(name) => {
            cbor::put_uint(out, DTN);
            cbor::put_text(out, name);
        }
        EndpointId::Ipn { node, service } => {
            cbor::put_uint(out, IPN);
            cbor::put_head(out, cbor::ARRAY, 2);
            cbor::put_uint(out, node.0);
            cbor::put_uint(out, *service);
        }
    }
}

/// Reads an endpoint in any of its forms.
pub(crate) fn read_endpoint(reader: &mut Reader<'_>) -> Result<EndpointId, BundleError> {
    let at = reader.position();
    let array = reader.open()?;
    let endpoint = match reader.uint()? {
        DTN => read_dtn(reader, at)?,
        IPN => read_ipn(reader, at)?,
        scheme => return Err(BundleError::Scheme { at, scheme }),
    };
    reader.close(array, 2)?;
    Ok(endpoint)
}

fn read_dtn(reader: &mut Reader<'_>, at: usize) -> Result<EndpointId, BundleError> {
    if reader.peek().is_some_and(|initial| initial >> 5 == cbor::UINT) {
        let none = reader.uint()? == 0;
        return if none { Ok(EndpointId::Null) } else { Err(BundleError::Endpoint { at }) };
    }
    let name = read_name(reader, at)?;
    if name.len() <= MAX_ENDPOINT_NAME && is_dtn_name(&name) {
        Ok(EndpointId::Dtn(name.into()))
    } else {
        Err(BundleError::Endpoint { at })
    }
}

/// A text, or the texts of one of indefinite length together: these are refused as soon as they are too long.
fn read_name<'a>(reader: &mut Reader<'a>, at: usize) -> Result<Cow<'a, str>, BundleError> {
    if !reader.open_text() {
        return Ok(Cow::Borrowed(reader.text()?));
    }
    let mut name = String::new();
    while !reader.skip_byte(cbor::BREAK) {
        name.push_str(reader.text()?);
        if name.len() > MAX_ENDPOINT_NAME {
            return Err(BundleError::Endpoint { at });
        }
    }
    Ok(Cow::Owned(name))
}

fn read_ipn(reader: &mut Reader<'_>, at: usize) -> Result<EndpointId, BundleError> {
    let malformed = |_| BundleError::Endpoint { at };
    let array = reader.open()?;
    let mut parts = [0; 3];
    let mut count = 0;
    while count < parts.len() && reader.has_more(array, count as u64) {
        parts[count] = reader.uint()?;
        count += 1;
    }
    reader.close(array, count as u64).map_err(|error| match error {
        CborError::Items { .. } => BundleError::Endpoint { at },
        error => error.into(),
    })?;
    let (node, service) = match (count, parts) {
        (2, [node, service, _]) => (node, service),
        // RFC 9758 §6.1.2: allocator and node number of 32 bits each.
        (3, [allocator, number, service]) => {
            let allocator = u32::try_from(allocator).map_err(malformed)?;
            let number = u32::try_from(number).map_err(malformed)?;
            (u64::from(allocator) << 32 | u64::from(number), service)
        }
        _ => return Err(BundleError::Endpoint { at }),
    };
    // RFC 9758 §3.4.1: node 0 of the default allocator is nobody, whatever the service.
    Ok(if node == 0 { EndpointId::Null } else { EndpointId::Ipn { node: NodeId(node), service } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<EndpointId, BundleError> {
        let mut reader = Reader::new(bytes);
        let endpoint = read_endpoint(&mut reader)?;
        reader.end()?;
        Ok(endpoint)
    }

    #[test]
    fn both_ipn_forms_name_the_same_endpoint() {
        // ipn:977000.100.1 in the forms of RFC 9758 §6.1.1 and §6.1.2.
        let two = [0x82, 0x02, 0x82, 0x1b, 0x00, 0x0e, 0xe8, 0x68, 0x00, 0x00, 0x00, 0x64, 0x01];
        let three = [0x82, 0x02, 0x83, 0x1a, 0x00, 0x0e, 0xe8, 0x68, 0x18, 0x64, 0x01];
        let expected: EndpointId = "ipn:977000.100.1".parse().unwrap();
        assert_eq!(read(&two), Ok(expected.clone()));
        assert_eq!(read(&three), Ok(expected.clone()));
        let mut out = Vec::new();
        put_endpoint(&mut out, &expected);
        assert_eq!(out, two);
    }

    #[test]
    fn every_form_of_nobody_is_the_null_endpoint() {
        for bytes in
            [&[0x82, 1, 0][..], &[0x82, 2, 0x82, 0, 0], &[0x82, 2, 0x82, 0, 7], &[0x82, 2, 0x83, 0, 0, 0]]
        {
            assert_eq!(read(bytes), Ok(EndpointId::Null), "{bytes:x?}");
        }
    }

    #[test]
    fn malformed_endpoints_are_refused() {
        assert_eq!(read(&[0x82, 3, 0]), Err(BundleError::Scheme { at: 0, scheme: 3 }));
        for bytes in [&[0x82, 1, 1][..], &[0x82, 1, 0x64, b'n', b'o', b'n', b'e'], &[0x82, 2, 0x81, 0]] {
            assert_eq!(read(bytes), Err(BundleError::Endpoint { at: 0 }), "{bytes:x?}");
        }
        let wide = [0x82, 2, 0x83, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1];
        assert_eq!(read(&wide), Err(BundleError::Endpoint { at: 0 }));
    }
}
