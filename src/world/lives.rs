//! [`Lives`]: an asset whose disk is lost numbers its messages anew, and may be brought again what it had taken.

use crate::{
    link::{Interval, Outages},
    scenario::Fault,
    units::{AssetIndex, SimTime},
};
use std::collections::BTreeMap;

/// In which of its lives an asset is: with each outage in which it loses what it had kept, the next one begins, from 0.
///
/// An incarnation begins with every restart, a life with those only after which nothing of before is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives(BTreeMap<AssetIndex, Vec<Life>>);

/// An outage, by when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    begins: SimTime,
    number: u32,
}

impl Lives {
    /// The lives of all assets that lose their disks in these faults.
    #[must_use]
    pub fn new(faults: &[Fault]) -> Self {
        let loses = |fault: &Fault| match fault {
            Fault::AssetDown { asset, disk_lost: true, .. } => Some(*asset),
            _ => None,
        };
        let assets = faults.iter().filter_map(loses);
        Self(assets.map(|asset| (asset, of_one(asset, faults))).collect())
    }

    /// The life of an asset at `time`. While it is down, it is in that of before.
    #[must_use]
    pub fn at(&self, asset: AssetIndex, time: SimTime) -> u32 {
        let begun = self.0.get(&asset).into_iter().flatten().take_while(|life| life.begins <= time);
        begun.last().map_or(0, |life| life.number)
    }

    /// The life of an asset in its incarnation, from 1.
    #[must_use]
    pub fn of_incarnation(&self, asset: AssetIndex, incarnation: u32) -> u32 {
        let Some(lives) = self.0.get(&asset) else { return 0 };
        let restarts = (incarnation.saturating_sub(1) as usize).min(lives.len());
        lives[..restarts].last().map_or(0, |life| life.number)
    }
}

/// What begins with each restart of one asset.
fn of_one(of: AssetIndex, faults: &[Fault]) -> Vec<Life> {
    let downs = faults.iter().filter_map(|fault| match *fault {
        Fault::AssetDown { asset, start, end, disk_lost } if asset == of => {
            Some((Interval { start, end }, disk_lost))
        }
        _ => None,
    });
    let downs: Vec<(Interval, bool)> = downs.collect();
    let outages = Outages::new(downs.iter().map(|(down, _)| *down).collect());
    let mut number = 0;
    let life = |outage: &Interval| {
        let lost = downs.iter().any(|(down, lost)| *lost && outage.contains(down.start));
        number += u32::from(lost);
        Life { begins: outage.end, number }
    };
    outages.intervals().iter().map(life).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(start: i64, end: i64, disk_lost: bool) -> Fault {
        let (start, end) = (SimTime::from_secs(start), SimTime::from_secs(end));
        Fault::AssetDown { asset: AssetIndex(1), start, end, disk_lost }
    }

    #[test]
    fn a_life_begins_with_the_restart_after_a_loss_and_an_incarnation_with_each() {
        let (who, other) = (AssetIndex(1), AssetIndex(2));
        // The third outage is two faults that touch, of which one takes the disk.
        let faults = [down(10, 20, false), down(30, 40, true), down(50, 60, false), down(60, 70, true)];
        let lives = Lives::new(&faults);
        let at = |s| lives.at(who, SimTime::from_secs(s));
        assert_eq!([0, 20, 30, 39, 40, 60, 69, 70].map(at), [0, 0, 0, 0, 1, 1, 1, 2]);
        assert_eq!([1, 2, 3, 4, 5].map(|it| lives.of_incarnation(who, it)), [0, 0, 1, 2, 2]);
        assert_eq!((lives.at(other, SimTime::from_secs(80)), lives.of_incarnation(other, 9)), (0, 0));
        assert_eq!(Lives::new(&[down(10, 20, false)]), Lives::default());
    }
}
