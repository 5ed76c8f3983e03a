//! [`Sink`]: where trace records go, so that nothing has to be kept in memory.

use super::{AssetLog, Record, SentBundle};

/// Takes a run's records in their order: (time, asset, order at the asset).
///
/// A sink that can fail (a file) keeps its first error and tells it when it is finished.
pub trait Sink {
    /// Takes the next record.
    fn record(&mut self, record: &Record);

    /// Takes the next bundle that was sent, when the run captures them: in the same order, after the records of the same stretch.
    fn bundle(&mut self, _bundle: &SentBundle) {}

    /// Takes the log of an asset, after the last record, when assets keep one.
    fn log(&mut self, _log: &AssetLog) {}
}

impl Sink for Vec<Record> {
    fn record(&mut self, record: &Record) {
        self.push(record.clone());
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn record(&mut self, record: &Record) {
        (**self).record(record);
    }

    fn bundle(&mut self, bundle: &SentBundle) {
        (**self).bundle(bundle);
    }

    fn log(&mut self, log: &AssetLog) {
        (**self).log(log);
    }
}

/// Several sinks that each get every record, in the order in which they were added.
#[derive(Default)]
pub struct Tee<'a> {
    sinks: Vec<&'a mut dyn Sink>,
}

impl<'a> Tee<'a> {
    /// No sinks yet: records vanish.
    #[must_use]
    pub const fn new() -> Self {
        Self { sinks: Vec::new() }
    }

    /// This, and `sink` too.
    #[must_use]
    pub fn with(mut self, sink: &'a mut dyn Sink) -> Self {
        self.sinks.push(sink);
        self
    }
}

impl Sink for Tee<'_> {
    fn record(&mut self, record: &Record) {
        for sink in &mut self.sinks {
            sink.record(record);
        }
    }

    fn bundle(&mut self, bundle: &SentBundle) {
        for sink in &mut self.sinks {
            sink.bundle(bundle);
        }
    }

    fn log(&mut self, log: &AssetLog) {
        for sink in &mut self.sinks {
            sink.log(log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::RecordKind,
        units::{AssetIndex, SimTime},
    };

    #[test]
    fn every_sink_of_a_tee_gets_every_record() {
        let kind = RecordKind::SyncWrite { sequence: 1 };
        let record = Record { time: SimTime(1), asset: AssetIndex(0), kind };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        Tee::new().with(&mut first).with(&mut second).record(&record);
        assert_eq!((first, second), (vec![record.clone()], vec![record]));
    }
}
