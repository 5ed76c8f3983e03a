//! [`Refusal`]: one reason why a bundle is not accepted, with what was found and what is allowed.

use cosmosmesh_protocol::{bundle::BundleError, cbor::CborError};
use serde::Serialize;

use super::anatomy::Anatomy;

/// One reason.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    /// A stable word, the one that nodes count by.
    pub(super) reason: &'static str,
    /// Where the rule stands.
    pub(super) section: &'static str,
    /// The reason in a sentence.
    pub(super) message: String,
    /// The number of the block, where it is about one; 0 is the primary block.
    pub(super) block: Option<u64>,
    /// Offset in the input, where it has a place.
    pub(super) at: Option<usize>,
    pub(super) found: Option<String>,
    pub(super) allowed: Option<String>,
}

impl Refusal {
    /// `error` about the bundle that `anatomy` shows.
    pub(super) fn new(error: &BundleError, anatomy: &Anatomy) -> Self {
        let Facts { at, block, found, allowed } = facts(error);
        let block = block.or_else(|| at.and_then(|at| block_at(anatomy, at)));
        let at = at.or_else(|| place_of(anatomy, error));
        Self {
            reason: error.reason(),
            section: error.section(),
            message: error.to_string(),
            block,
            at,
            found,
            allowed,
        }
    }
}

#[derive(Default)]
struct Facts {
    at: Option<usize>,
    block: Option<u64>,
    found: Option<String>,
    allowed: Option<String>,
}

fn place(at: usize, found: Option<String>, allowed: Option<String>) -> Facts {
    Facts { at: Some(at), block: None, found, allowed }
}

fn facts(error: &BundleError) -> Facts {
    let some = |text: &dyn ToString| Some(text.to_string());
    match error {
        BundleError::Cbor(error) => cbor_facts(error),
        BundleError::NotABundle => Facts { at: Some(0), allowed: some(&"0x9f"), ..Facts::default() },
        BundleError::Version { found } => {
            Facts { block: Some(0), found: some(found), allowed: some(&7), ..Facts::default() }
        }
        BundleError::CrcType { at, found } => place(*at, some(found), some(&"0, 1 or 2")),
        BundleError::CrcLength { at, found, expected } => place(*at, some(found), some(expected)),
        BundleError::CrcMismatch { at } | BundleError::Endpoint { at } => place(*at, None, None),
        BundleError::Scheme { at, scheme } => place(*at, some(scheme), some(&"1 (dtn) or 2 (ipn)")),
        BundleError::TooManyBlocks { max } => Facts { allowed: some(max), ..Facts::default() },
        BundleError::BlockNumber { number } => {
            Facts { block: Some(*number), found: some(number), ..Facts::default() }
        }
        BundleError::RepeatedKind { kind } => Facts { found: some(&kind.0), ..Facts::default() },
        BundleError::BlockData { number, .. } => Facts { block: Some(*number), ..Facts::default() },
        BundleError::FragmentRange { offset, length, total } => {
            let end = u128::from(*offset) + u128::from(*length);
            Facts { block: Some(0), found: some(&end), allowed: some(total), ..Facts::default() }
        }
        BundleError::UnprotectedPrimary => {
            let allowed = some(&"a CRC or a block integrity block over block 0");
            Facts { block: Some(0), allowed, ..Facts::default() }
        }
        BundleError::NoAge => {
            let allowed = some(&"a creation time or a bundle age block");
            Facts { block: Some(0), found: some(&0), allowed, ..Facts::default() }
        }
        BundleError::RecordType { found } => Facts { block: Some(1), found: some(found), ..Facts::default() },
        BundleError::Flags { flags } => {
            Facts { block: Some(0), found: Some(format!("{flags:#x}")), ..Facts::default() }
        }
        BundleError::NoPayload => Facts::default(),
    }
}

fn cbor_facts(error: &CborError) -> Facts {
    const MAJOR: [&str; 8] = [
        "unsigned integer",
        "negative integer",
        "byte string",
        "text",
        "array",
        "map",
        "tag",
        "simple value or float",
    ];
    let major = |number: u8| MAJOR.get(usize::from(number)).map(ToString::to_string);
    let some = |text: &dyn ToString| Some(text.to_string());
    match *error {
        CborError::Truncated { at, wanted, left } => place(at, some(&wanted), some(&left)),
        CborError::Type { at, expected, found } => place(at, major(found), major(expected)),
        CborError::Items { at, expected, found } => place(at, some(&found), some(&expected)),
        CborError::Trailing { at, count } => place(at, some(&count), some(&0)),
        CborError::NotDeterministic { at } | CborError::Reserved { at } | CborError::Utf8 { at } => {
            place(at, None, None)
        }
    }
}

/// The number of the block that holds offset `at`.
fn block_at(anatomy: &Anatomy, at: usize) -> Option<u64> {
    let holds = |start: usize, bytes: usize| (start..start + bytes).contains(&at);
    if anatomy.primary.as_ref().is_some_and(|primary| holds(primary.at, primary.bytes)) {
        return Some(0);
    }
    anatomy.blocks.iter().find(|block| holds(block.at, block.bytes))?.number
}

/// Where the block is that an error without a place is about: of two, the latter.
fn place_of(anatomy: &Anatomy, error: &BundleError) -> Option<usize> {
    let mut blocks = anatomy.blocks.iter().rev();
    match error {
        BundleError::BlockNumber { number } | BundleError::BlockData { number, .. } => {
            blocks.find(|block| block.number == Some(*number)).map(|block| block.at)
        }
        BundleError::RepeatedKind { kind } => {
            blocks.find(|block| block.kind == Some(kind.0)).map(|block| block.at)
        }
        BundleError::Version { .. }
        | BundleError::FragmentRange { .. }
        | BundleError::UnprotectedPrimary
        | BundleError::NoAge
        | BundleError::Flags { .. } => anatomy.primary.as_ref().map(|primary| primary.at),
        _ => None,
    }
}
