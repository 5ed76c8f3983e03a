//! Endpoint identifiers in CBOR (RFC 9171 §4.2.5.1, RFC 9758 §6).

use alloc::vec::Vec;

use super::{decode::MAX_ENDPOINT_NAME, error::BundleError};
use crate::{
    cbor::{self, Reader},
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
    reader.array_of(2)?;
    match reader.uint()? {
        DTN => read_dtn(reader, at),
        IPN => read_ipn(reader, at),
        scheme => Err(BundleError::Scheme { at, scheme }),
    }
}

fn read_dtn(reader: &mut Reader<'_>, at: usize) -> Result<EndpointId, BundleError> {
    if reader.peek().is_some_and(|initial| initial >> 5 == cbor::UINT) {
        let none = reader.uint()? == 0;
        return if none { Ok(EndpointId::Null) } else { Err(BundleError::Endpoint { at }) };
    }
    let name = reader.text()?;
    if name.len() <= MAX_ENDPOINT_NAME && is_dtn_name(name) {
        Ok(EndpointId::Dtn(name.into()))
    } else {
        Err(BundleError::Endpoint { at })
    }
}

fn read_ipn(reader: &mut Reader<'_>, at: usize) -> Result<EndpointId, BundleError> {
    let node = match reader.array()? {
        2 => reader.uint()?,
        // RFC 9758 §6.1.2: allocator and node number of 32 bits each.
        3 => {
            let (allocator, number) = (reader.uint()?, reader.uint()?);
            let (Ok(allocator), Ok(number)) = (u32::try_from(allocator), u32::try_from(number)) else {
                return Err(BundleError::Endpoint { at });
            };
            u64::from(allocator) << 32 | u64::from(number)
        }
        _ => return Err(BundleError::Endpoint { at }),
    };
    let service = reader.uint()?;
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
