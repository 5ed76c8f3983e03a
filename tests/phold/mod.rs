//! PHOLD (Fujimoto 1990), the synthetic load of event kernels, on two kernels: ours through its ECS driver, and a bare heap.
//!
//! N logical processes hold one event each, the first at Exp(1 s). Process i owns a SplitMix64 whose state starts at
//! (i + 1) · 0xD1342543DE82EF95. An event at a process draws dt, then a destination, from the process's generator, and
//! schedules (t + dt, destination): dt = trunc(−ln(((next >> 11) + 0.5) / 2^53) · 1e9) + 1 ns, destination =
//! ((next >> 32) · N) >> 32.

use std::{cmp::Reverse, collections::BinaryHeap};

use bevy_ecs::prelude::{Component, Entity, World};
use cosmosmesh::{
    engine::{Entry, Inbox, WakeQueue},
    units::{AssetIndex, SimTime},
};

/// A process's own random numbers.
pub(crate) struct Generator(u64);

impl Generator {
    fn new(process: u32) -> Self {
        Self((u64::from(process) + 1).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn delay_nanos(&mut self) -> u64 {
        let u = ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        (-libm::log(u) * 1e9) as u64 + 1
    }

    fn destination(&mut self, processes: u32) -> u32 {
        (((self.next() >> 32) * u64::from(processes)) >> 32) as u32
    }
}

/// A kernel loaded with PHOLD.
pub(crate) trait Kernel {
    /// Every process with its first event.
    fn load(processes: u32) -> Self;
    /// Handles so many events; returns the time of the last, in nanoseconds.
    fn run(&mut self, events: u64) -> u64;
}

/// What a loop over a heap of events costs: the yardstick.
pub(crate) struct BareHeap {
    generators: Vec<Generator>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Kernel for BareHeap {
    fn load(processes: u32) -> Self {
        let mut generators: Vec<_> = (0..processes).map(Generator::new).collect();
        let first = |(process, generator): (usize, &mut Generator)| {
            Reverse((generator.delay_nanos(), process as u32))
        };
        let heap = generators.iter_mut().enumerate().map(first).collect();
        Self { generators, heap }
    }

    fn run(&mut self, events: u64) -> u64 {
        let (mut last, processes) = (0, self.generators.len() as u32);
        for _ in 0..events {
            let Reverse((time, process)) = self.heap.pop().expect("PHOLD never runs dry");
            let generator = &mut self.generators[process as usize];
            let next = time + generator.delay_nanos();
            let destination = generator.destination(processes);
            self.heap.push(Reverse((next, destination)));
            last = time;
        }
        last
    }
}

/// A logical process as an entity: its generator, how many events it caused, and what awaits it.
#[derive(Component)]
pub(crate) struct Process {
    generator: Generator,
    caused: u64,
    inbox: Inbox<()>,
}

/// The kernel as the simulation drives it: components of a bevy world, touched in one exclusive loop over the wake-ups.
pub(crate) struct EcsDriver {
    world: World,
    entities: Vec<Entity>,
    queue: WakeQueue,
}

impl Kernel for EcsDriver {
    fn load(processes: u32) -> Self {
        let mut world = World::new();
        let mut queue = WakeQueue::for_fleet(processes as usize);
        let components = (0..processes).map(|process| {
            let mut generator = Generator::new(process);
            let (time, source) = (SimTime(generator.delay_nanos() as i64), AssetIndex(process));
            let mut inbox = Inbox::new();
            inbox.push(Entry { time, source, sequence: 0, event: () });
            queue.set(source, time);
            Process { generator, caused: 1, inbox }
        });
        let entities = world.spawn_batch(components.collect::<Vec<_>>()).collect();
        Self { world, entities, queue }
    }

    fn run(&mut self, events: u64) -> u64 {
        let Self { world, entities, queue } = self;
        let mut state = world.query::<&mut Process>();
        let mut processes = state.query_mut(world);
        let mut last = SimTime::ZERO;
        for _ in 0..events {
            let (now, asset) = queue.peek().expect("PHOLD never runs dry");
            let process = processes.get_mut(entities[asset.get()]).expect("every asset has its process");
            let process = process.into_inner();
            process.inbox.pop_due(now).expect("a wake-up has something that is due");
            let time = now + SimTime(process.generator.delay_nanos() as i64);
            let destination = AssetIndex(process.generator.destination(entities.len() as u32));
            let entry = Entry { time, source: asset, sequence: process.caused, event: () };
            process.caused += 1;
            queue.set(asset, process.inbox.next_time().unwrap_or(SimTime::MAX));
            let receiver =
                processes.get_mut(entities[destination.get()]).expect("every asset has its process");
            if receiver.into_inner().inbox.push(entry) {
                queue.set(destination, time);
            }
            last = now;
        }
        last.as_nanos() as u64
    }
}
