//! What an asset's application does: messages and writes, each flow with its own random stream.

use crate::{
    engine::{MessageKind, RandomStreams, Rng, Stream},
    scenario::{Arrivals, AssetRole, ListedMessage, PayloadContent, Priority, RECORDS, Scenario, WriteMix},
    units::{AssetIndex, SimTime},
};
use bevy_ecs::component::Component;
use cosmosmesh_protocol::bundle::BundleFlags;

/// When things of one flow arise.
#[derive(Clone, Debug)]
struct Clock {
    arrivals: Arrivals,
    start: SimTime,
    end: SimTime,
    /// Arrivals so far.
    count: i64,
    last: SimTime,
}

impl Clock {
    const fn new(arrivals: Arrivals, start: SimTime, end: SimTime) -> Self {
        Self { arrivals, start, end, count: 0, last: start }
    }

    fn next(&mut self, rng: &mut Rng) -> Option<SimTime> {
        let time = match self.arrivals {
            Arrivals::Periodic { interval, phase, jitter } => {
                let due = self.start + phase + SimTime(interval.0 * self.count);
                due + SimTime(rng.range(jitter.0.max(0) as u64 + 1) as i64)
            }
            Arrivals::Poisson { mean } => {
                self.last + SimTime::from_secs_f64(rng.exponential(mean.as_secs_f64()))
            }
        };
        self.count += 1;
        self.last = time;
        (time < self.end).then_some(time)
    }
}

/// Messages from this asset to one other.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Addressee.
    pub destination: AssetIndex,
    /// Telemetry, command or event.
    pub kind: MessageKind,
    /// Class of service.
    pub priority: Priority,
    /// How long a message is worth delivering.
    pub lifetime: SimTime,
    /// Whether it travels from custodian to custodian.
    pub custody: bool,
    /// The status reports that its bundles ask for.
    pub reports: BundleFlags,
    content: PayloadContent,
    size_bytes: (u32, u32),
    clock: Clock,
    rng: Rng,
}

impl Flow {
    /// When the next message arises; `None` when there are no more.
    pub fn next_time(&mut self) -> Option<SimTime> {
        self.clock.next(&mut self.rng)
    }

    /// A message's payload.
    pub fn payload(&mut self) -> Vec<u8> {
        match self.content {
            PayloadContent::Random => random_bytes(&mut self.rng, self.size_bytes),
            PayloadContent::Readings => readings(&mut self.rng, self.size_bytes),
        }
    }

    /// The length of a message's payload, where that is all that counts.
    pub fn payload_bytes(&mut self) -> u32 {
        random_length(&mut self.rng, self.size_bytes)
    }
}

/// One write to shared state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Adds a member to the set.
    SetAdd(Vec<u8>),
    /// Removes a member from the set.
    SetRemove(Vec<u8>),
    /// Writes the register.
    Register(Vec<u8>),
    /// Writes a key of the map.
    MapPut(Vec<u8>, Vec<u8>),
    /// Counts up or down.
    Count(i64),
    /// Writes a key of the map of a contract's name: a record whose fields are drawn with this seed.
    Record(&'static str, Vec<u8>, u64),
}

/// This asset's writes to shared state.
#[derive(Clone, Debug)]
pub struct WriteFlow {
    mix: WriteMix,
    value_bytes: (u32, u32),
    keys: u32,
    clock: Clock,
    rng: Rng,
}

impl WriteFlow {
    /// When the next write arises; `None` when there are no more.
    pub fn next_time(&mut self) -> Option<SimTime> {
        self.clock.next(&mut self.rng)
    }

    /// The next write.
    pub fn writing(&mut self) -> Writing {
        let WriteMix { set, register, map, counter, trade, records } = self.mix;
        let all = set + register + map + counter + trade + records.iter().sum::<f64>();
        let mut pick = self.rng.f64() * all;
        let key = format!("key-{}", self.rng.range(u64::from(self.keys.max(1)))).into_bytes();
        if pick < set {
            return if self.rng.chance(0.75) { Writing::SetAdd(key) } else { Writing::SetRemove(key) };
        }
        pick -= set;
        if pick < register {
            return Writing::Register(random_bytes(&mut self.rng, self.value_bytes));
        }
        pick -= register;
        if pick < map {
            return Writing::MapPut(key, random_bytes(&mut self.rng, self.value_bytes));
        }
        pick -= map;
        for (contract, weight) in std::iter::once(("trade", trade)).chain(RECORDS.into_iter().zip(records)) {
            if pick < weight {
                return Writing::Record(contract, key, self.rng.range(u64::MAX));
            }
            pick -= weight;
        }
        Writing::Count(self.rng.range(9) as i64 - 4)
    }
}

/// Messages of a list that this asset sends.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    messages: Vec<ListedMessage>,
    next: usize,
}

impl Listed {
    /// When the next one arises.
    #[must_use]
    pub fn next_time(&self) -> Option<SimTime> {
        self.messages.get(self.next).map(|message| message.time)
    }
}

impl Iterator for Listed {
    type Item = ListedMessage;

    fn next(&mut self) -> Option<ListedMessage> {
        let message = self.messages.get(self.next).copied();
        self.next += 1;
        message
    }
}

/// Everything that an asset's application does.
#[derive(Component, Clone, Debug, Default)]
pub struct Workload {
    /// One for each (flow of the scenario, addressee), in order.
    pub flows: Vec<Flow>,
    /// Messages of the scenario's list.
    pub listed: Listed,
    /// Writes to shared state, if this asset is a member.
    pub writes: Option<WriteFlow>,
}

impl Workload {
    /// What `asset` does in `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario, asset: AssetIndex, streams: &RandomStreams) -> Self {
        let mut flows = Vec::new();
        for (index, traffic) in scenario.traffic.iter().enumerate() {
            if !traffic.from.contains(&asset) {
                continue;
            }
            for &destination in traffic.to.iter().filter(|to| **to != asset) {
                // One stream for each pair of each flow: adding a flow or an addressee shifts no other.
                let entity = (index as u64) << 48 | u64::from(asset.0) << 24 | u64::from(destination.0);
                flows.push(Flow {
                    destination,
                    kind: traffic.kind,
                    priority: traffic.priority,
                    lifetime: traffic.lifetime,
                    custody: traffic.custody,
                    reports: traffic.reports,
                    content: traffic.content,
                    size_bytes: traffic.size_bytes,
                    clock: Clock::new(traffic.arrivals, traffic.start, traffic.end),
                    rng: streams.stream(Stream::Workload, entity),
                });
            }
        }
        let writes = scenario.shared_state.as_ref().filter(|shared| shared.members.contains(&asset));
        let writes = writes.filter(|_| scenario.asset(asset).role > AssetRole::Observer);
        let writes = writes.map(|shared| WriteFlow {
            mix: shared.mix,
            value_bytes: shared.value_bytes,
            keys: shared.keys,
            clock: Clock::new(shared.writes, shared.start, shared.end),
            rng: streams.stream(Stream::Workload, u64::MAX << 48 | u64::from(asset.0)),
        });
        let own = scenario.messages.iter().flat_map(|messages| &messages.list);
        let listed =
            Listed { messages: own.filter(|message| message.from == asset).copied().collect(), next: 0 };
        Self { flows, listed, writes }
    }
}

fn random_length(rng: &mut Rng, (least, most): (u32, u32)) -> u32 {
    least + rng.range(u64::from(most - least) + 1) as u32
}

/// A text of a reading every second, of a temperature that wanders by up to a tenth of a degree; cut to its length.
fn readings(rng: &mut Rng, sizes: (u32, u32)) -> Vec<u8> {
    let length = random_length(rng, sizes) as usize;
    let mut text = String::with_capacity(length + READING_BYTES);
    let mut second = rng.range(86_400);
    let mut tenths = 200 + rng.range(100) as i64;
    while text.len() < length {
        text.push_str(&format!("t={second:05} s, temperature={}.{} K\n", tenths / 10, tenths % 10));
        second = (second + 1) % 86_400;
        tenths = (tenths + rng.range(3) as i64 - 1).clamp(0, 9999);
    }
    text.truncate(length);
    text.into_bytes()
}

/// At most what one reading takes.
const READING_BYTES: usize = 40;

fn random_bytes(rng: &mut Rng, sizes: (u32, u32)) -> Vec<u8> {
    let mut bytes = vec![0; random_length(rng, sizes) as usize];
    rng.fill(&mut bytes);
    bytes
}
