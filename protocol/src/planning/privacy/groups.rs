//! Which assets' whole shares were summed together: [`Groups`], kept by members and coordinator alike.
//!
//! What an asset is first counted with in a generation is its whole share. When nothing else moves, each window therefore shows the sum of its newcomers'
//! shares, and whoever chooses the newcomers of many windows solves for a single share: from {A, B, C}, {A, D, E} and {B, C, D, E} follows A. So within a
//! horizon of an epoch:
//!
//! 1. newcomers come in cohorts, or not;
//! 2. assets that are counted for the first time in the horizon form a *block*;
//! 3. in later generations newcomers are whole blocks, which tells nothing new, or these and assets that form a new block of as many as may be told apart; but for
//!    one set in the horizon, by which all blocks together change by `changes` assets or more.
//!
//! Then no combination of sums, with any factors, leaves fewer assets than the lesser of `cohort` and `changes`: blocks are disjoint; and with
//! the one set in it, each block leaves at least the lesser of what the set takes of it and what it leaves of it. What is left of the one set in its blocks
//! follows from both, so it is known too.
//!
//! With a method of rounds, who is left out of a question that the others answer stands apart from them: asked one after the other at prices that
//! come back, the others' changes cancel, and its change is left. So:
//!
//! 4. fewer than `changes` assets are left out of questions in a horizon, one or all of them as often as it comes; whoever else is
//!    counted is in every set.
//!
//! A horizon is the plan's: that its requests are fixed in stages, each of which is a horizon to the solvers, makes it no other one.

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
    /// The last question, and who has answered it.
    question: Option<[u8; 32]>,
    answered: Places,
    /// Who was left out of a question in the horizon.
    left: Places,
}

/// The class of assets that were in no sum of the horizon.
pub(super) const FRESH: usize = 0;

impl Groups {
    /// Whether the asset is counted in the generation of `occasion`.
    pub(super) fn counts(&self, occasion: &Occasion, place: usize) -> bool {
        occasion.generation == self.generation && self.counted.contains(&place)
    }

    /// Which of the sets that are summed from nothing together an asset belongs to: [`FRESH`], or a block's number from 1.
    pub(super) fn class(&self, occasion: &Occasion, place: usize) -> usize {
        let blocks = if self.is_over(occasion) { &[][..] } else { &self.blocks };
        blocks.iter().position(|block| block.contains(&place)).map_or(FRESH, |block| block + 1)
    }

    /// Those who are in blocks that are here as a whole.
    pub(super) fn whole(&self, places: &Places) -> Places {
        self.blocks.iter().filter(|block| block.is_subset(places)).flatten().copied().collect()
    }

    /// The assets of a block, by its class.
    pub(super) fn block(&self, class: usize) -> Option<&Places> {
        self.blocks.get(class.checked_sub(1)?)
    }

    /// Whether the occasion is of a later horizon of the plan. Stages of one horizon are no horizons of their own: a coordinator begins as many of them as it likes.
    fn is_over(&self, occasion: &Occasion) -> bool {
        occasion.plan_horizon() > self.horizon >> STAGE_BITS
    }

    /// Whether these assets may be counted in one sum: newcomers from nothing, and others.
    ///
    /// # Errors
    /// [`PrivacyError::Generation`], [`PrivacyError::Cohort`], [`PrivacyError::Changes`] or [`PrivacyError::LeftOut`].
    pub(super) fn permit(
        &self,
        terms: &Terms,
        occasion: &Occasion,
        newcomers: &Places,
        settled: &Places,
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
        let least = terms.parts().changes;
        let left = self.left_out(occasion, newcomers, settled);
        let told = left.union(&self.left).count();
        if least > 1 && goes_on && !left.is_empty() && told >= least {
            return Err(PrivacyError::LeftOut { found: told, most: least - 1 });
        }
        let (fresh, known) = self.split(newcomers);
        let told_apart = fresh.is_empty() || fresh.len() >= cohort.min(least);
        if self.is_over(occasion) || told_apart && self.is_known(&known) {
            return Ok(());
        }
        let found = self.apart(newcomers);
        match least <= 1 || self.changed.is_none() && found >= least {
            true => Ok(()),
            false => Err(PrivacyError::Changes { found, least }),
        }
    }

    /// Who is counted in the generation, and has not answered the question with such a set; nobody where each may be asked its own.
    fn left_out(&self, occasion: &Occasion, newcomers: &Places, settled: &Places) -> Places {
        if occasion.question.is_none() || occasion.generation != self.generation {
            return Places::new();
        }
        let same = occasion.question == self.question;
        let here = |place: &&usize| {
            newcomers.contains(place) || settled.contains(place) || same && self.answered.contains(place)
        };
        self.counted.iter().filter(|place| !here(place)).copied().collect()
    }

    /// Takes a set that was permitted: its newcomers, and who else is in it.
    pub(super) fn take(&mut self, occasion: &Occasion, newcomers: Places, settled: Places) {
        if self.is_over(occasion) {
            (self.blocks, self.changed) = (Vec::new(), None);
            self.left.clear();
        }
        let left = self.left_out(occasion, &newcomers, &settled);
        self.left.extend(left);
        if occasion.generation > self.generation || occasion.question != self.question {
            self.answered.clear();
        }
        if occasion.generation > self.generation {
            self.counted.clear();
        }
        (self.horizon, self.generation, self.question) =
            (occasion.horizon, occasion.generation, occasion.question);
        self.answered.extend(newcomers.iter().chain(&settled));
        self.counted.extend(settled);
        self.counted.extend(&newcomers);
        let (fresh, known) = self.split(&newcomers);
        if !self.is_known(&known) {
            self.changed = Some(newcomers);
        } else if !fresh.is_empty() {
            self.blocks.push(fresh);
        }
    }

    /// Those who were in no sum of the horizon, and the others.
    fn split(&self, newcomers: &Places) -> (Places, Places) {
        let was_summed =
            |place: &usize| self.blocks.iter().chain(&self.changed).any(|set| set.contains(place));
        newcomers.iter().copied().partition(|place| !was_summed(place))
    }

    /// Whether their sum follows from earlier ones: it is made of blocks; or of the one set or what that leaves of its blocks, and of blocks.
    fn is_known(&self, newcomers: &Places) -> bool {
        let Some(changed) = &self.changed else { return self.apart(newcomers) == 0 };
        let fresh = |set: &Places| -> Places {
            set.iter()
                .filter(|place| !self.blocks.iter().any(|block| block.contains(place)))
                .copied()
                .collect()
        };
        // What each block that the one set divides has to give.
        let follows = |given: &dyn Fn(&Places) -> Places| {
            self.blocks.iter().all(|block| {
                let (taken, found) = (block.intersection(changed).count(), block & newcomers);
                let whole = taken == 0 || taken == block.len();
                if whole { found.is_empty() || found == *block } else { found == given(block) }
            })
        };
        self.apart(newcomers) == 0
            || fresh(newcomers) == fresh(changed) && follows(&|block| block & changed)
            || fresh(newcomers).is_empty() && fresh(changed).is_empty() && follows(&|block| block - changed)
    }

    /// The fewest assets that are left when blocks are taken off the sum.
    pub(super) fn apart(&self, newcomers: &Places) -> usize {
        let mut fresh = newcomers.len();
        let mut apart = 0;
        for block in &self.blocks {
            let inside = block.intersection(newcomers).count();
            fresh -= inside;
            apart += inside.min(block.len() - inside);
        }
        fresh + apart
    }

    /// `horizon, generation, counted, [* block], changed, question, answered, left`, each set a list of places.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        cbor::put_uint(out, self.horizon);
        cbor::put_uint(out, self.generation);
        write_places(out, &self.counted);
        cbor::put_head(out, ARRAY, self.blocks.len() as u64);
        self.blocks.iter().for_each(|block| write_places(out, block));
        write_places(out, self.changed.as_ref().unwrap_or(&Places::new()));
        cbor::put_bytes(out, self.question.as_ref().map_or(&[][..], |question| question));
        write_places(out, &self.answered);
        write_places(out, &self.left);
    }

    /// Reads what was written, for a roster of so many.
    pub(super) fn read(reader: &mut Reader<'_>, assets: usize) -> Result<Self, PrivacyError> {
        let (horizon, generation) = (reader.uint()?, reader.uint()?);
        let counted = read_places(reader, assets)?;
        let blocks = length(reader, assets)?;
        let blocks = (0..blocks).map(|_| read_places(reader, assets)).collect::<Result<_, _>>()?;
        let changed = Some(read_places(reader, assets)?).filter(|places| !places.is_empty());
        let question = Occasion::read_question(reader)?;
        let (answered, left) = (read_places(reader, assets)?, read_places(reader, assets)?);
        Ok(Self { horizon, generation, counted, blocks, changed, question, answered, left })
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
            groups.permit(terms, &occasion, &places, &Places::new()).map_err(|error| error.reason())?;
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
            groups.permit(&terms, &occasion, &places, &Places::new()).map_err(|error| error.reason())?;
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

    #[test]
    fn blocks_and_a_cohort_of_new_ones_are_summed_together() {
        let all: Vec<usize> = (0..9).collect();
        let found = try_all(
            &terms(3, 3),
            &[(0, 1, &all[..4]), (0, 2, &all[..6]), (0, 3, &all[..7]), (0, 4, &all), (0, 5, &all[4..])],
        );
        // The third brings a cohort, 4 to 6, which is a block from then on.
        assert_eq!(found, [Ok(()), Err("changes"), Ok(()), Err("changes"), Err("changes")]);
        let found = try_all(
            &terms(3, 3),
            &[(0, 1, &all[..3]), (0, 2, &all[..6]), (0, 3, &all[3..6]), (0, 4, &all[2..6]), (0, 4, &all)],
        );
        assert_eq!(found, [Ok(()), Ok(()), Ok(()), Err("changes"), Ok(())]);
    }

    #[test]
    fn what_the_one_set_leaves_of_its_blocks_is_known() {
        let (blocks, one): ([&[usize]; 4], &[usize]) =
            ([&[0, 1, 2], &[3, 4, 5], &[6, 7, 8], &[9, 10, 11]], &[0, 3, 6]);
        let after = |places: &[usize]| {
            let mut sums: Vec<(u64, u64, &[usize])> = blocks.iter().map(|block| (0, 1, *block)).collect();
            sums.extend([(0, 2, one), (0, 3, places)]);
            try_all(&terms(3, 3), &sums).pop().expect("the last")
        };
        assert_eq!(after(&[1, 2, 4, 5, 7, 8]), Ok(()));
        assert_eq!(after(&[1, 2, 4, 5, 7, 8, 9, 10, 11]), Ok(()), "and a whole block");
        assert_eq!(after(&[0, 3, 6, 9, 10, 11]), Ok(()));
        // Neither of the two, and not all of the block.
        assert_eq!(after(&[1, 2, 4, 5, 7]), Err("changes"));
        assert_eq!(after(&[1, 2, 3, 6, 7, 8]), Err("changes"));
        assert_eq!(after(&[1, 2, 4, 5, 7, 8, 9, 10]), Err("changes"));
    }

    #[test]
    fn who_is_left_out_of_questions_in_a_horizon_is_fewer_than_changes() {
        let asked = |question: u8, settled: &[usize], groups: &mut Groups, terms: &Terms| {
            let occasion = Occasion { question: Some([question; 32]), ..occasion(0, 1) };
            let new = if question == 1 { set(settled) } else { Places::new() };
            let settled = if question == 1 { Places::new() } else { set(settled) };
            groups.permit(terms, &occasion, &new, &settled).map_err(|error| error.reason())?;
            groups.take(&occasion, new, settled);
            Ok(())
        };
        let all: Vec<usize> = (0..6).collect();
        for (changes, third) in [(3, Err("left_out")), (1, Ok(()))] {
            let (terms, mut groups) = (terms(3, changes), Groups::default());
            let mut ask = |question, places: &[usize]| asked(question, places, &mut groups, &terms);
            assert_eq!(ask(1, &all), Ok(()));
            assert_eq!(ask(2, &all[1..]), Ok(()));
            assert_eq!(ask(3, &all), Ok(()));
            assert_eq!(ask(4, &[0, 2, 3, 4, 5]), Ok(()), "the second");
            assert_eq!(ask(5, &[2, 3, 4, 5]), Ok(()), "the same two");
            assert_eq!(ask(6, &[0, 1, 3, 4, 5]), third, "another one");
            assert_eq!(ask(6, &[0, 1, 2]), third, "nor half of them");
            assert_eq!(ask(6, &all), Ok(()));
        }
    }
}
