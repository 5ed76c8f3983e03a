use super::*;
use crate::{
    bpsec::{ContextId, Item},
    bundle::{CrcKind, CreationTimestamp, Primary},
    id::NodeId,
    time::DtnTime,
};
use alloc::vec;

const AGE: u64 = 2;

/// A bundle with an age block (2) and, from 3 on, security blocks on these targets.
fn bundle(blocks: &[(BlockKind, BlockFlags, &[u64])]) -> Bundle {
    let primary = Primary::new(
        NodeId(1).endpoint(1),
        NodeId(2).endpoint(1),
        CreationTimestamp { time: DtnTime(1), sequence: 0 },
        1000,
    );
    let mut bundle = Bundle::new(primary, vec![7; 20]);
    bundle.set_age_ms(5);
    for (kind, flags, targets) in blocks {
        let mut security = SecurityBlock::new(ContextId::COSE, NodeId(1).endpoint(0), vec![Item::uint(5, 0)]);
        targets.iter().for_each(|target| security.push_operation(*target, vec![Item::bytes(18, &[])]));
        bundle.push_block(*kind, *flags, security.encode());
    }
    bundle
}

const BIB: BlockKind = BlockKind::BLOCK_INTEGRITY;
const BCB: BlockKind = BlockKind::BLOCK_CONFIDENTIALITY;
const NONE: BlockFlags = BlockFlags(0);
const REPLICATE: BlockFlags = BlockFlags::REPLICATE;

#[test]
fn targets_and_flags_are_those_of_the_standard() {
    let judge = |blocks: &[(BlockKind, BlockFlags, &[u64])]| check(&bundle(blocks));
    assert_eq!(judge(&[(BIB, NONE, &[0, 1, AGE])]), Ok(()));
    assert_eq!(judge(&[(BIB, NONE, &[0]), (BIB, NONE, &[1])]), Ok(()));
    assert_eq!(judge(&[(BCB, NONE, &[AGE]), (BCB, REPLICATE, &[1])]), Ok(()));
    // An integrity block on itself, on another one, and on a confidentiality block.
    assert_eq!(judge(&[(BIB, NONE, &[3])]), Err(BpsecError::ForbiddenTarget { block: 3, target: 3 }));
    assert_eq!(
        judge(&[(BIB, NONE, &[1]), (BIB, NONE, &[3])]),
        Err(BpsecError::ForbiddenTarget { block: 4, target: 3 })
    );
    assert_eq!(
        judge(&[(BCB, REPLICATE, &[1]), (BIB, NONE, &[3])]),
        Err(BpsecError::ForbiddenTarget { block: 4, target: 3 })
    );
    // A confidentiality block on the primary block, and on another one.
    assert_eq!(judge(&[(BCB, NONE, &[0])]), Err(BpsecError::ForbiddenTarget { block: 3, target: 0 }));
    assert_eq!(
        judge(&[(BCB, REPLICATE, &[1]), (BCB, NONE, &[3])]),
        Err(BpsecError::ForbiddenTarget { block: 4, target: 3 })
    );
    assert_eq!(judge(&[(BCB, NONE, &[1])]), Err(BpsecError::NotReplicated { block: 3 }));
    let discardable = BlockFlags::DISCARD_IF_UNPROCESSED;
    assert_eq!(judge(&[(BCB, discardable, &[AGE])]), Err(BpsecError::Discardable { block: 3 }));
    assert_eq!(judge(&[(BIB, NONE, &[9])]), Err(BpsecError::NoSuchBlock { target: 9 }));
    assert_eq!(judge(&[(BCB, NONE, &[9])]), Err(BpsecError::NoSuchBlock { target: 9 }));
}

#[test]
fn a_target_of_a_fragment_may_be_in_another_fragment() {
    let whole = bundle(&[(BIB, NONE, &[1]), (BCB, REPLICATE, &[3, 1]), (BIB, REPLICATE, &[AGE, 9])]);
    assert_eq!(check(&whole), Err(BpsecError::NoSuchBlock { target: 9 }));
    let parts = whole.fragment(8).unwrap();
    assert_eq!(parts[1].numbers(), [AGE, 4, 5]);
    parts.iter().for_each(|part| assert_eq!(check(part), Ok(())));
    // What is there is judged as ever.
    let forbidden = bundle(&[(BCB, REPLICATE, &[1]), (BIB, REPLICATE, &[3])]).fragment(8).unwrap();
    assert_eq!(check(&forbidden[1]), Err(BpsecError::ForbiddenTarget { block: 4, target: 3 }));
}

#[test]
fn a_service_is_applied_to_a_target_once() {
    let twice = bundle(&[(BIB, NONE, &[1, 2]), (BIB, NONE, &[2])]);
    assert_eq!(check(&twice), Err(BpsecError::RepeatedOperation { target: 2 }));
    let twice = bundle(&[(BCB, REPLICATE, &[1]), (BCB, REPLICATE, &[1])]);
    assert_eq!(check(&twice), Err(BpsecError::RepeatedOperation { target: 1 }));
}

#[test]
fn integrity_of_an_encrypted_block_is_encrypted_too() {
    let clear = bundle(&[(BIB, NONE, &[1]), (BCB, REPLICATE, &[1])]);
    assert_eq!(check(&clear), Err(BpsecError::ClearIntegrity { block: 3, target: 1 }));
    // With the integrity block among the targets, its data is ciphertext and not read.
    let mut encrypted = bundle(&[(BIB, NONE, &[1]), (BCB, REPLICATE, &[1, 3])]);
    encrypted.numbered_mut(3).unwrap().data = vec![0xff];
    assert_eq!(check(&encrypted), Ok(()));
    assert!(is_secured(&encrypted));
    assert!(!is_secured(&bundle(&[])));
}

#[test]
fn a_malformed_security_block_is_found_by_the_check() {
    let mut malformed = bundle(&[(BIB, NONE, &[1])]);
    malformed.numbered_mut(3).unwrap().data.push(0);
    assert_eq!(check(&malformed).map_err(|error| error.reason()), Err("trailing_bytes"));
    assert_eq!(malformed.numbered(3).unwrap().crc, CrcKind::Castagnoli);
}
