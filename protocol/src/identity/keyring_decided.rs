//! What the fleet itself decides about keys: see `governance`.

use super::{AuthorityKey, Keyring, PublicKey};
use crate::{
    id::NodeId,
    identity::{
        revocation::{Cause, Revoked},
        thumbprint::KeyId,
    },
    time::DtnTime,
};
use alloc::vec::Vec;

impl Keyring {
    /// What the authority's list or the fleet's own decision says about a key.
    #[must_use]
    pub fn revoked(&self, node: NodeId, key: KeyId) -> Option<Revoked> {
        self.blocked.get(&(node, key)).copied().or_else(|| self.list.get(node, key))
    }

    /// The fleet has blocked a key: nothing that it signs counts any more.
    pub fn block(&mut self, node: NodeId, key: KeyId, since: DtnTime) {
        self.blocked.insert((node, key), Revoked { since, cause: Cause::Blocked });
    }

    /// The authority's key in force.
    #[must_use]
    pub const fn authority(&self) -> &PublicKey {
        &self.authority
    }

    /// The fleet has decided that another key is the authority's, since the earlier one was lost (`Superseded`), or somebody else may have it. What
    /// a lost one signed for times up to `since` is taken as what any retired key signed; what one signed that others may have counts as far as it is
    /// installed here, and so do the keys from which it followed; the times of its lists tell nothing that is later than `since`.
    pub fn adopt_authority(&mut self, key: PublicKey, since: DtnTime, cause: Cause) {
        let (generation, stolen) = (self.generation, cause != Cause::Superseded);
        self.generation += 1;
        self.formers.iter_mut().for_each(|former| former.stolen |= stolen);
        if stolen {
            self.heard = self.heard.min(since);
        }
        if key == self.authority {
            return;
        }
        let key = core::mem::replace(&mut self.authority, key);
        self.formers.push(AuthorityKey { key, until: since, generation, stolen, theft: stolen });
        self.root = self.authority.clone();
        self.authority_chain.clear();
    }

    /// The authority's keys that no succession leads from, for a snapshot: those before the root.
    pub(super) fn before_root(&self) -> &[AuthorityKey] {
        let count = self.formers.len() - self.authority_chain.len();
        &self.formers[..count]
    }

    /// Takes the root and those before it back from a snapshot.
    pub(super) fn restore_root(&mut self, root: PublicKey, before: Vec<AuthorityKey>) {
        self.authority = root.clone();
        self.root = root;
        self.formers = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{
        Certificate, Clock, KeyPair, MAX_REVOKED, RevocationList, Role, Scope, Succession, TimeRule,
        TrustError,
    };
    use alloc::collections::BTreeMap;

    fn keys(number: u8) -> KeyPair {
        KeyPair::from_seed([number; 32])
    }

    fn certificate(key: u8, begins: u64, authority: u8) -> Vec<u8> {
        let certificate = Certificate {
            subject: NodeId(5),
            key: keys(key).public().clone(),
            role: Role::Operator,
            scope: Scope::everything(),
            not_before: DtnTime(begins * 1000),
            expires: DtnTime(9_000_000),
        };
        certificate.issue(&keys(authority))
    }

    #[test]
    fn the_authority_that_a_fleet_decides_upon_issues_from_then_on_and_survives_a_restart() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        let link = Succession::sign(NodeId(0), 1, DtnTime(50_000), &keys(200), &keys(201));
        ring.succeed(&link, Clock::Unknown).unwrap();
        ring.install(&certificate(5, 100, 201), Clock::Unknown).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Superseded);
        let late = ring.install(&certificate(5, 300, 201), Clock::Unknown);
        assert!(matches!(late, Err(TrustError::Certificate(_))), "signed for a time after it was replaced");
        assert!(ring.install(&certificate(5, 150, 201), Clock::Unknown).is_ok(), "signed before");
        assert!(ring.install(&certificate(5, 300, 210), Clock::Unknown).is_ok());
        let next = Succession::sign(NodeId(0), 1, DtnTime(400_000), &keys(210), &keys(211));
        ring.succeed(&next, Clock::Unknown).unwrap();
        let restored =
            Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap();
        assert_eq!(restored, ring);
        assert_eq!(restored.authority(), keys(211).public());
    }

    #[test]
    fn a_key_that_a_fleet_blocks_speaks_no_more_and_one_that_follows_does() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.install(&certificate(5, 100, 200), Clock::Unknown).unwrap();
        ring.block(NodeId(5), KeyId::of(keys(5).public()), DtnTime(200_000));
        assert!(matches!(ring.speaker(NodeId(5), Clock::Unknown), Err(TrustError::Revoked { .. })));
        let restored =
            Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap();
        assert_eq!(restored, ring);
        ring.install(&certificate(6, 300, 200), Clock::Unknown).unwrap();
        assert!(ring.speaker(NodeId(5), Clock::Unknown).is_ok());
    }

    fn list(version: u64, authority: u8, blocked: &[u8]) -> Vec<u8> {
        let revoked = Revoked { since: DtnTime(1000), cause: Cause::Blocked };
        let entry = |key: &u8| ((NodeId(5), KeyId::of(keys(*key).public())), revoked);
        RevocationList { version, issued: DtnTime(150_000), keys: blocked.iter().map(entry).collect() }
            .issue(&keys(authority))
    }

    #[test]
    fn whoever_has_stolen_the_authoritys_key_changes_nothing_after_the_fleet_has_replaced_it() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.install(&certificate(5, 100, 200), Clock::Unknown).unwrap();
        ring.revoke(&list((1 << 48) - 1, 200, &[66]), Clock::Unknown).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        assert!(ring.speaker(NodeId(5), Clock::Unknown).is_ok(), "what is installed holds");
        for back_dated in [certificate(6, 150, 200), certificate(5, 150, 200)] {
            assert!(ring.install(&back_dated, Clock::Unknown).is_err());
        }
        assert_eq!(ring.revoke(&list(9, 200, &[5]), Clock::Unknown).unwrap_err().reason(), "other_authority");
        // The next authority's first list counts, whatever version the thief has used up.
        assert_eq!(ring.next_version(), Some(1));
        assert!(ring.revoke(&list(1, 210, &[67]), Clock::Unknown).is_ok());
        assert_eq!(
            (ring.next_version(), ring.revoked(NodeId(5), KeyId::of(keys(66).public()))),
            (Some(2), None)
        );
        assert!(ring.is_of_earlier_authority(NodeId(5)), "to be signed anew");
        let restored =
            Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap();
        assert_eq!(restored, ring);
        ring.install(&certificate(5, 300, 210), Clock::Unknown).unwrap();
        assert!(!ring.is_of_earlier_authority(NodeId(5)));
    }

    #[test]
    fn the_next_authority_goes_on_from_what_was_heard_of_before_the_theft_and_not_from_the_thiefs_list() {
        let at = |ms| Clock::Between { earliest: DtnTime(ms), latest: DtnTime(ms) };
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&list(1, 200, &[66]), at(160_000)).unwrap();
        // The thief writes a time before the theft; when its list came here, it does not write.
        ring.revoke(&list(2, 200, &[5, 66]), at(250_000)).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        let restored =
            Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap();
        assert_eq!(restored, ring);
        assert!(restored.list_is_of_stolen_key());
        let next = restored.list_to_continue();
        let revoked: Vec<KeyId> = next.keys.into_keys().map(|(_, key)| key).collect();
        assert_eq!(revoked, [KeyId::of(keys(66).public())], "what honest hands took back");
        ring.revoke(&list(1, 210, &[66]), at(300_000)).unwrap();
        assert!(!ring.list_is_of_stolen_key());
        assert_eq!(ring.list_to_continue().keys.len(), 1);
    }

    const fn at(ms: u64) -> Clock {
        Clock::Between { earliest: DtnTime(ms), latest: DtnTime(ms) }
    }

    /// What the authority's next list begins from, by the keys' numbers.
    fn continued(ring: &Keyring) -> BTreeMap<u8, Revoked> {
        let number = |key: KeyId| (0..=255).find(|number| KeyId::of(keys(*number).public()) == key);
        let list = ring.list_to_continue().keys.into_iter();
        list.map(|((_, key), revoked)| (number(key).expect("a key of these tests"), revoked)).collect()
    }

    fn again(ring: &Keyring) -> Keyring {
        Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap()
    }

    #[test]
    fn a_thiefs_list_that_leaves_out_or_rewords_what_was_taken_back_changes_nothing_of_it() {
        let stolen = Revoked { since: DtnTime(900), cause: Cause::Compromised };
        let replaced = Revoked { since: DtnTime(800), cause: Cause::Superseded };
        let signed_by = |authority, version, entries: &[(u8, Revoked)]| {
            let entry =
                |(key, revoked): &(u8, Revoked)| ((NodeId(5), KeyId::of(keys(*key).public())), *revoked);
            let (authority, keys) = (keys(authority), entries.iter().map(entry).collect());
            RevocationList { version, issued: DtnTime(150_000), keys }.issue(&authority)
        };
        let signed = |version, entries: &[(u8, Revoked)]| signed_by(200, version, entries);
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&signed(1, &[(66, stolen), (67, replaced)]), at(160_000)).unwrap();
        // The thief lets one go and takes it back again; of another he says that it was only followed, of a third that it was stolen.
        let later = Revoked { since: DtnTime(230_000), cause: Cause::Blocked };
        ring.revoke(&signed(2, &[]), at(240_000)).unwrap();
        ring = again(&ring);
        ring.revoke(&signed(3, &[(5, later), (66, replaced), (67, later)]), at(250_000)).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        let honest = [(66, stolen), (67, replaced)].into_iter().collect();
        assert_eq!(continued(&ring), honest);
        assert_eq!(continued(&again(&ring)), honest);
        assert_eq!(again(&ring), ring);
        // Nor when the next authority, which has carried on what was honest, is stolen too.
        ring.revoke(&signed_by(210, 1, &[(66, stolen), (67, replaced)]), at(270_000)).unwrap();
        ring.adopt_authority(keys(220).public().clone(), DtnTime(300_000), Cause::Compromised);
        assert_eq!(continued(&again(&ring)), honest);
    }

    #[test]
    fn what_a_thief_piles_up_drives_out_nothing_that_was_taken_back_before() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&list(1, 200, &[66]), at(160_000)).unwrap();
        for version in 2..8 {
            let revoked = Revoked { since: DtnTime(1000), cause: Cause::Blocked };
            let made_up = |number: u64| ((NodeId(9), KeyId((version << 32 | number).to_be_bytes())), revoked);
            let list = RevocationList {
                version,
                issued: DtnTime(150_000),
                keys: (0..MAX_REVOKED as u64).map(made_up).collect(),
            };
            ring.revoke(&list.issue(&keys(200)), at(250_000)).unwrap();
        }
        assert!(ring.snapshot().len() < 200_000, "{} bytes", ring.snapshot().len());
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        assert_eq!(continued(&again(&ring)).into_keys().collect::<Vec<_>>(), [66]);
    }

    #[test]
    fn without_a_clock_a_list_is_heard_of_after_all_that_was_known_before_it() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&list(1, 200, &[66]), at(160_000)).unwrap();
        let mut sign_of_life = RevocationList::open(&list(2, 200, &[66]), keys(200).public()).unwrap();
        sign_of_life.issued = DtnTime(230_000);
        ring.revoke(&sign_of_life.issue(&keys(200)), at(230_000)).unwrap();
        // Back without a clock, it takes what the thief has dated back.
        let mut ring = again(&ring);
        ring.revoke(&list(3, 200, &[5, 66]), Clock::Unknown).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        assert_eq!(continued(&ring).into_keys().collect::<Vec<_>>(), [66]);
    }

    #[test]
    fn of_two_thefts_that_counts_which_the_list_in_force_could_be_of() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&list(1, 200, &[66]), at(160_000)).unwrap();
        // The first thief's, heard of before the fleet decides; the next authority is stolen too before it has issued a list.
        ring.revoke(&list(2, 200, &[5, 66]), at(250_000)).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        ring.adopt_authority(keys(220).public().clone(), DtnTime(300_000), Cause::Compromised);
        assert_eq!(continued(&again(&ring)).into_keys().collect::<Vec<_>>(), [66]);
        // Of one that was lost and not stolen, what came after it was lost counts until the theft of the next.
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Superseded);
        ring.revoke(&list(1, 200, &[66]), at(210_000)).unwrap();
        ring.adopt_authority(keys(220).public().clone(), DtnTime(300_000), Cause::Compromised);
        assert_eq!(continued(&again(&ring)).into_keys().collect::<Vec<_>>(), [66]);
    }

    #[test]
    fn what_the_next_authority_has_not_carried_on_a_second_theft_does_not_bring_back() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&list(1, 200, &[66]), at(160_000)).unwrap();
        ring.revoke(&list(2, 200, &[5, 66]), at(250_000)).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        ring.revoke(&list(1, 210, &[66, 67]), at(260_000)).unwrap();
        ring.revoke(&list(2, 210, &[]), at(400_000)).unwrap();
        ring.adopt_authority(keys(220).public().clone(), DtnTime(300_000), Cause::Compromised);
        assert_eq!(continued(&again(&ring)).into_keys().collect::<Vec<_>>(), [66, 67]);
    }

    #[test]
    fn the_time_that_a_thief_wrote_ends_no_certificate_of_the_next_authority() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.install(&certificate(5, 100, 200), Clock::Unknown).unwrap();
        let far = RevocationList { version: 7, issued: DtnTime(u64::MAX), keys: BTreeMap::new() };
        ring.revoke(&far.issue(&keys(200)), Clock::Unknown).unwrap();
        assert!(ring.speaker(NodeId(5), Clock::Unknown).is_err(), "while the thief's key is in force");
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Compromised);
        assert_eq!(ring.heard(), DtnTime(200_000));
        assert!(ring.speaker(NodeId(5), Clock::Unknown).is_ok());
        let restored =
            Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap();
        assert_eq!(restored, ring);
        assert!(ring.install(&certificate(5, 300, 210), Clock::Unknown).is_ok());
        assert!(ring.revoke(&list(1, 210, &[]), Clock::Unknown).is_ok());
        assert!(ring.speaker(NodeId(5), Clock::Unknown).is_ok());
    }

    #[test]
    fn old_lists_of_an_authority_that_a_fleet_comes_back_to_count_as_of_then() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        let at = |version, issued: u64, blocked: &[u8], authority| {
            let mut list = RevocationList::open(&list(version, authority, blocked), keys(authority).public())
                .expect("made above");
            list.issued = DtnTime(issued);
            list.issue(&keys(authority))
        };
        let kept = at(5, 150_000, &[], 200);
        ring.revoke(&kept, Clock::Unknown).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(200_000), Cause::Superseded);
        ring.revoke(&at(1, 250_000, &[66], 210), Clock::Unknown).unwrap();
        ring.adopt_authority(keys(200).public().clone(), DtnTime(300_000), Cause::Superseded);
        // Whoever has kept it lets nobody back in with it.
        for old in [kept, at(9, 190_000, &[], 200), at(9, 190_000, &[66], 200)] {
            assert!(ring.revoke(&old, Clock::Unknown).is_err());
        }
        assert!(ring.revoked(NodeId(5), KeyId::of(keys(66).public())).is_some());
        assert_eq!(ring.next_version(), Some(1));
        assert_eq!(ring.next_issued(DtnTime(100_000)), DtnTime(250_000));
        let again = |ring: &Keyring| {
            Keyring::restore(keys(200).public().clone(), TimeRule::default(), 8, &ring.snapshot()).unwrap()
        };
        assert_eq!(again(&ring), ring);
        ring.revoke(&at(1, 310_000, &[66, 67], 200), Clock::Unknown).expect("its first since");
        let mut restored = again(&ring);
        assert_eq!(restored, ring, "also which key signed the list");
        assert_eq!((restored.list_number() >> 48, restored.next_version()), (2, Some(2)));
        assert!(restored.revoke(&at(2, 260_000, &[66, 67], 210), Clock::Unknown).is_err(), "of one before");
        restored.revoke(&at(2, 320_000, &[66], 200), Clock::Unknown).expect("its next");
    }

    #[test]
    fn a_replica_that_slept_through_a_whole_authority_takes_its_last_list_within_grace() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.revoke(&list(5, 200, &[66]), Clock::Unknown).unwrap();
        ring.adopt_authority(keys(210).public().clone(), DtnTime(140_000), Cause::Superseded);
        ring.adopt_authority(keys(220).public().clone(), DtnTime(160_000), Cause::Superseded);
        ring.revoke(&list(30, 210, &[66, 67]), Clock::Unknown).expect("its versions are its own");
        assert_eq!((ring.list_number() >> 48, ring.next_version()), (1, Some(1)));
    }

    #[test]
    fn a_retired_key_uses_up_no_version_where_no_list_has_come() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        let link = Succession::sign(NodeId(0), 1, DtnTime(200_000), &keys(200), &keys(201));
        ring.succeed(&link, Clock::Unknown).unwrap();
        for version in [(1 << 48) - 1, 17] {
            let refused = ring.revoke(&list(version, 200, &[66]), Clock::Unknown).unwrap_err();
            assert_eq!(refused.reason(), "revocations_version");
        }
        assert!(!ring.list_is_of_former_key());
        ring.revoke(&list(16, 200, &[66]), Clock::Unknown).unwrap();
        assert!(ring.list_is_of_former_key(), "to be signed anew");
        ring.revoke(&list(17, 201, &[66]), Clock::Unknown).unwrap();
        assert!(!ring.list_is_of_former_key());
    }

    #[test]
    fn a_retired_key_adds_nothing_to_what_is_known_whatever_times_it_writes() {
        let mut ring = Keyring::new(keys(200).public().clone(), TimeRule::default(), 8);
        ring.install(&certificate(5, 100, 200), Clock::Unknown).unwrap();
        ring.revoke(&list(1, 200, &[66]), Clock::Unknown).unwrap();
        let link = Succession::sign(NodeId(0), 1, DtnTime(200_000), &keys(200), &keys(201));
        ring.succeed(&link, Clock::Unknown).unwrap();
        let mut other = Certificate::open(&certificate(5, 150, 200), keys(200).public()).unwrap();
        other.role = Role::Admin;
        assert!(ring.install(&other.issue(&keys(200)), Clock::Unknown).is_err(), "another role");
        assert!(ring.install(&certificate(6, 150, 200), Clock::Unknown).is_err(), "another key");
        assert!(ring.install(&certificate(5, 150, 200), Clock::Unknown).is_ok(), "the same for longer");
        assert!(ring.revoke(&list(2, 200, &[]), Clock::Unknown).is_err(), "nobody is let back in");
        assert!(ring.revoke(&list(1 << 40, 200, &[66]), Clock::Unknown).is_err(), "no version is used up");
        assert!(ring.revoke(&list(2, 200, &[66]), Clock::Unknown).is_ok());
        assert!(ring.revoke(&list(3, 201, &[66]), Clock::Unknown).is_ok());
        assert!(ring.revoke(&list(4, 200, &[66]), Clock::Unknown).is_err(), "a later key has signed one");
    }
}
