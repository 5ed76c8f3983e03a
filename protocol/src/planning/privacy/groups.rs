//! Which assets' whole shares were summed together: [`Groups`], kept by members and coordinator alike.
//!
//! What an asset is first counted with in a generation is its whole share. When nothing else moves, each window therefore shows the sum of its newcomers'
//! shares, and whoever chooses the newcomers of many windows solves for a single share: from {A, B, C}, {A, D, E} and {B, C, D, E} follows A. So within a
//! horizon of an epoch:
//!
//! 1. newcomers come in cohorts, or not;
//! 2. assets that are counted for the first time in the horizon form a *block*;
//! 3. in later generations newcomers are whole blocks, which tells nothing new; but for one set in the horizon, by which all
//!    blocks together change by `changes` assets or more.
//!
//! Then no combination of sums, with any factors, leaves fewer assets than the lesser of `cohort` and `changes`: blocks are disjoint; and with
//! the one set in it, each block leaves at least the lesser of what the set takes of it and what it leaves of it.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    error::PrivacyError,
    occasion::{Occasion, STAGE_BITS},
    terms::Terms,
};
use crate::cbor::{self, ARRAY, Reader};

/// Places in the roster.
type Places = BTreeSet<usize>;

/// The sums of whole shares in a horizon of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    horizon: u64,
    generation: u64,
    /// Who is counted in the generation.
    counted: Places,
    blocks: Vec<Places>,
    /// The one set that is not made of blocks.
    changed: Option<Places>,
}

impl Groups {
    /// Whether the asset is counted in the generation of `occasion`.
    pub(super) fn counts(&self, occasion: &Occasion, place: usize) -> bool {
        occasion.generation == self.generation && self.counted.contains(&place)
    }

    /// Whether these assets may be counted from nothing in one sum.
    ///
    /// # Errors
    /// [`PrivacyError::Generation`], [`PrivacyError::Cohort`] or [`PrivacyError::Changes`].
    pub(super) fn permit(
        &self,
        terms: &Terms,
        occasion: &Occasion,
        newcomers: &Places,
    ) -> Result<(), PrivacyError> {
        let (found, last) = (occasion.generation, self.generation);
        // A horizon begins with a generation, and never comes back.
        let goes_on = found == last && occasion.horizon == self.horizon;
        if !goes_on && (found <= last || occasion.horizon < self.horizon) {
            return Err(PrivacyError::Generation { found, last });
        }
        let (found, cohort) = (newcomers.len(), terms.parts().cohort);
        if found > 0 && found < cohort {
            return Err(PrivacyError::Cohort { found, cohort });
        }
        if self.begins(occasion) || self.is_new(newcomers) || self.is_known(newcomers) {
            return Ok(());
        }
        let (found, least) = (self.apart(newcomers), terms.parts().changes);
        match least <= 1 || self.changed.is_none() && found >= least {
            true => Ok(()),
            false => Err(PrivacyError::Changes { found, least }),
        }
    }

    /// Takes a set that was permitted: its newcomers, and who else is in it.
    pub(super) fn take(&mut self, occasion: &Occasion, newcomers: Places, settled: Places) {
        if self.begins(occasion) {
            (self.blocks, self.changed) = (Vec::new(), None);
        }
        if occasion.generation > self.generation {
            self.counted.clear();
        }
        (self.horizon, self.generation) = (occasion.horizon, occasion.generation);
        self.counted.extend(settled);
        self.counted.extend(&newcomers);
        if newcomers.is_empty() || self.is_known(&newcomers) {
            return;
        }
        match self.is_new(&newcomers) {
            true => self.blocks.push(newcomers),
            false => self.changed = Some(newcomers),
        }
    }

    /// Whether the occasion is of a later horizon. Stages of one horizon are no horizons of their own: a coordinator begins as many of them as it likes.
    fn begins(&self, occasion: &Occasion) -> bool {
        occasion.horizon >> STAGE_BITS > self.horizon >> STAGE_BITS
    }

    /// Whether none of them was summed in the horizon before.
    fn is_new(&self, newcomers: &Places) -> bool {
        self.blocks.iter().chain(&self.changed).all(|known| known.is_disjoint(newcomers))
    }

    /// Whether their sum follows from earlier ones.
    fn is_known(&self, newcomers: &Places) -> bool {
        self.changed.as_ref() == Some(newcomers) || self.apart(newcomers) == 0
    }

    /// The fewest assets that are left when blocks are taken off the sum.
    fn apart(&self, newcomers: &Places) -> usize {
        let mut fresh = newcomers.len();
        let mut apart = 0;
        for block in &self.blocks {
            let inside = block.intersection(newcomers).count();
            fresh -= inside;
            apart += inside.min(block.len() - inside);
        }
        fresh + apart
    }

    /// `horizon, generation, counted, [* block], changed`, each set a list of places.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        cbor::put_uint(out, self.horizon);
        cbor::put_uint(out, self.generation);
        write_places(out, &self.counted);
        cbor::put_head(out, ARRAY, self.blocks.len() as u64);
        self.blocks.iter().for_each(|block| write_places(out, block));
        write_places(out, self.changed.as_ref().unwrap_or(&Places::new()));
    }

    /// Reads what was written, for a roster of so many.
    pub(super) fn read(reader: &mut Reader<'_>, assets: usize) -> Result<Self, PrivacyError> {
        let (horizon, generation) = (reader.uint()?, reader.uint()?);
        let counted = read_places(reader, assets)?;
        let blocks = length(reader, assets)?;
        let blocks = (0..blocks).map(|_| read_places(reader, assets)).collect::<Result<_, _>>()?;
        let changed = Some(read_places(reader, assets)?).filter(|places| !places.is_empty());
        Ok(Self { horizon, generation, counted, blocks, changed })
    }
}

fn write_places(out: &mut Vec<u8>, places: &Places) {
    cbor::put_head(out, ARRAY, places.len() as u64);
    places.iter().for_each(|place| cbor::put_uint(out, *place as u64));
}

fn read_places(reader: &mut Reader<'_>, assets: usize) -> Result<Places, PrivacyError> {
    let found = length(reader, assets)?;
    (0..found).map(|_| Ok(usize::try_from(reader.uint()?).unwrap_or(usize::MAX))).collect()
}

fn length(reader: &mut Reader<'_>, most: usize) -> Result<u64, PrivacyError> {
    let found = reader.array()?;
    if found > most as u64 {
        return Err(PrivacyError::Entries { found: found as usize, expected: most });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::privacy::{TermsParts, fleet_tests::parts};
    use alloc::vec;

    fn terms(cohort: usize, changes: usize) -> Terms {
        let enrolled = (0..16_u8).map(|i| {
            let secret = crate::planning::privacy::AssetSecret::from_seed([i + 1; 32]);
            let node = crate::id::NodeId(100 + u64::from(i));
            crate::planning::privacy::Enrolled { node, key: secret.public_key() }
        });
        let roster = enrolled.collect();
        Terms::new(TermsParts { cohort, changes, roster, ..parts() }).expect("valid")
    }

    fn set(places: &[usize]) -> Places {
        places.iter().copied().collect()
    }

    fn occasion(horizon: u64, generation: u64) -> Occasion {
        Occasion { horizon, generation, question: None }
    }

    fn try_all(terms: &Terms, sums: &[(u64, u64, &[usize])]) -> Vec<Result<(), &'static str>> {
        let mut groups = Groups::default();
        let one = |(horizon, generation, places): &(u64, u64, &[usize])| {
            let (occasion, places) = (occasion(*horizon << STAGE_BITS, *generation), set(places));
            groups.permit(terms, &occasion, &places).map_err(|error| error.reason())?;
            groups.take(&occasion, places, Places::new());
            let mut bytes = Vec::new();
            groups.write(&mut bytes);
            assert_eq!(Groups::read(&mut Reader::new(&bytes), 16).as_ref(), Ok(&groups));
            assert!(Groups::read(&mut Reader::new(&bytes[..bytes.len() - 1]), 16).is_err());
            Ok(())
        };
        sums.iter().map(one).collect()
    }

    #[test]
    fn three_sums_that_solve_for_one_share_are_not_all_opened() {
        let terms = terms(3, 3);
        let found = try_all(&terms, &[(0, 1, &[0, 1, 2]), (0, 2, &[0, 3, 4]), (0, 3, &[1, 2, 3, 4])]);
        assert_eq!(found, [Ok(()), Ok(()), Err("changes")]);
        // Nor one that takes a whole block away, and one asset of another: P₁ + P₂ − T = C.
        let found = try_all(&terms, &[(0, 1, &[0, 1, 2]), (0, 1, &[3, 4, 5]), (0, 2, &[0, 1])]);
        assert_eq!(found, [Ok(()), Ok(()), Err("cohort")]);
        let blocks: [(u64, u64, &[usize]); 3] =
            [(0, 1, &[0, 1, 2, 3]), (0, 1, &[4, 5, 6]), (0, 2, &[0, 1, 2])];
        assert_eq!(try_all(&terms, &blocks), [Ok(()), Ok(()), Err("changes")]);
    }

    #[test]
    fn what_was_summed_together_may_be_summed_together_again() {
        let all: Vec<usize> = (0..9).collect();
        let found = try_all(
            &terms(3, 3),
            &[(0, 1, &[0, 1, 2]), (0, 1, &all[3..]), (0, 2, &all), (0, 3, &all[3..]), (0, 3, &[0, 1, 2])],
        );
        assert_eq!(found, vec![Ok(()); 5]);
        // A horizon that is over, or a generation, does not come back; a later horizon begins from nothing.
        let found = try_all(
            &terms(3, 3),
            &[(1, 2, &all), (1, 1, &all), (0, 3, &all), (2, 2, &all), (2, 3, &all[..3]), (2, 4, &all[..3])],
        );
        let old = Err("generation");
        assert_eq!(found, [Ok(()), old, old, old, Ok(()), Ok(())]);
    }

    #[test]
    fn stages_of_a_horizon_are_no_horizons_of_their_own() {
        let (terms, mut groups) = (terms(3, 3), Groups::default());
        let mut sum = |stage, generation, places: &[usize]| {
            let (occasion, places) = (occasion(stage, generation), set(places));
            groups.permit(&terms, &occasion, &places).map_err(|error| error.reason())?;
            groups.take(&occasion, places, Places::new());
            Ok(())
        };
        let all: Vec<usize> = (0..9).collect();
        assert_eq!(sum(256, 1, &all[..4]), Ok(()));
        assert_eq!(sum(256, 1, &all[4..]), Ok(()));
        // What is asked next is asked of the same, together or by the same parts: without one of them it would be told apart.
        assert_eq!(sum(257, 2, &all[..8]), Err("changes"));
        assert_eq!(sum(257, 2, &all), Ok(()));
        assert_eq!(sum(258, 3, &all[1..4]), Err("changes"));
        assert_eq!(sum(258, 3, &all[4..]), Ok(()));
        assert_eq!(sum(512, 4, &all[..8]), Ok(()), "a later horizon begins with whoever is there");
    }

    #[test]
    fn one_set_in_a_horizon_may_change_by_as_many_as_the_terms_say() {
        let all: Vec<usize> = (0..9).collect();
        let found = try_all(
            &terms(3, 3),
            &[(0, 1, &all), (0, 2, &all[..7]), (0, 2, &all[..6]), (0, 3, &all[..6]), (0, 4, &all[3..])],
        );
        assert_eq!(found, [Ok(()), Err("changes"), Ok(()), Ok(()), Err("changes")]);
        // A mission that says that one may be told apart gets what it asks for.
        let found = try_all(&terms(2, 1), &[(0, 1, &all), (0, 2, &all[..8]), (0, 3, &all[..7])]);
        assert_eq!(found, [Ok(()), Ok(()), Ok(())]);
    }
}
