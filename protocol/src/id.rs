//! Names of nodes and endpoints: [`NodeId`] and [`EndpointId`] (RFC 9171 §4.2.5.1, RFC 9758).

use alloc::boxed::Box;
use core::{fmt, str::FromStr};

/// A node's number in the `ipn` scheme: the fully-qualified node number, allocator in the upper 32 bits (RFC 9758 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The allocator identifier; 0 is the default allocator.
    #[must_use]
    pub const fn allocator(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The node number within its allocator.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The node number that means "this node" wherever it is read (RFC 9758 §3.4.2).
    pub const LOCAL: Self = Self(0xffff_ffff);

    /// This node's endpoint for `service`.
    #[must_use]
    pub const fn endpoint(self, service: u64) -> EndpointId {
        EndpointId::Ipn { node: self, service }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.allocator() != 0 {
            write!(f, "{}.", self.allocator())?;
        }
        write!(f, "{}", self.number())
    }
}

/// A bundle endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointId {
    /// `dtn:none`: nobody.
    Null,
    /// `ipn:[allocator.]node.service`.
    Ipn {
        /// The fully-qualified node number.
        node: NodeId,
        /// The service number; 0 is the administrative endpoint.
        service: u64,
    },
    /// `dtn://node/demux`: the text after `dtn:`, starting with `//`.
    Dtn(Box<str>),
}

impl EndpointId {
    /// Whether the endpoint is one of whichever node reads it (`ipn:!.service`, RFC 9758 §5.4).
    #[must_use]
    pub fn is_local_node(&self) -> bool {
        self.node() == Some(NodeId::LOCAL)
    }

    /// The node in the `ipn` scheme that this endpoint belongs to.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Ipn { node, .. } => Some(*node),
            Self::Null | Self::Dtn(_) => None,
        }
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("dtn:none"),
            Self::Ipn { node: NodeId::LOCAL, service } => write!(f, "ipn:!.{service}"),
            Self::Ipn { node, service } => write!(f, "ipn:{node}.{service}"),
            Self::Dtn(name) => write!(f, "dtn:{name}"),
        }
    }
}

/// Why a text is not an endpoint identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointIdError {
    /// The scheme is neither `ipn` nor `dtn`.
    #[error("unknown scheme: allowed are ipn: and dtn:")]
    Scheme,
    /// An `ipn` text that is not `node.service` or `allocator.node.service` in decimal.
    #[error("malformed ipn endpoint: expected ipn:node.service or ipn:allocator.node.service")]
    Ipn,
    /// A `dtn` text that is neither `none` nor `//node/…` in printable ASCII.
    #[error("malformed dtn endpoint: expected dtn:none or dtn://node/demux")]
    Dtn,
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, EndpointIdError> {
        if let Some(rest) = text.strip_prefix("ipn:") {
            return parse_ipn(rest).ok_or(EndpointIdError::Ipn);
        }
        match text.strip_prefix("dtn:") {
            Some("none") => Ok(Self::Null),
            Some(name) if is_dtn_name(name) => Ok(Self::Dtn(name.into())),
            Some(_) => Err(EndpointIdError::Dtn),
            None => Err(EndpointIdError::Scheme),
        }
    }
}

/// Whether `name` may follow `dtn:`: `//`, a node name that is not empty, and a slash, all in printable ASCII.
#[must_use]
pub fn is_dtn_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("//") else { return false };
    let Some((node, _demux)) = rest.split_once('/') else { return false };
    !node.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn parse_ipn(text: &str) -> Option<EndpointId> {
    if let Some(service) = text.strip_prefix("!.") {
        return Some(NodeId::LOCAL.endpoint(decimal(service)?));
    }
    let mut parts = text.split('.');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (node, service) = match third {
        Some(service) => {
            let (allocator, number) = (decimal(first)?, decimal(second)?);
            let (allocator, number) = (u32::try_from(allocator).ok()?, u32::try_from(number).ok()?);
            (u64::from(allocator) << 32 | u64::from(number), service)
        }
        None => (decimal(first)?, second),
    };
    Some(EndpointId::Ipn { node: NodeId(node), service: decimal(service)? })
}

fn decimal(text: &str) -> Option<u64> {
    // `u64::from_str` also takes a sign, which the scheme does not have.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn endpoint_texts_survive_a_round_trip() {
        for text in ["dtn:none", "ipn:5.1", "ipn:977000.5.1", "ipn:!.7", "dtn://rover/mail"] {
            assert_eq!(text.parse::<EndpointId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn malformed_endpoints_are_refused() {
        assert_eq!("ipn:4294967295.7".parse(), "ipn:!.7".parse::<EndpointId>());
        for text in
            ["ipn:5", "ipn:!", "ipn:1.!.7", "ipn:+5.1", "ipn:1.2.3.4", "dtn:rover", "dtn://", "http://x/", ""]
        {
            assert!(text.parse::<EndpointId>().is_err(), "{text}");
        }
    }
}
