//! [`Agreement`]: why replicas of a run read an item alike, or differently, told from the audit trail in its folder.
//!
//! A replica's reading follows from the writes that it has seen and from nothing else: a write replaces what its writer had seen, and of
//! concurrent writes the greatest rank (role, clock, actor) stands. This works it out again from the tables, write by write, and
//! compares the outcome with what each replica said to hold at the end of the run.

use super::{ReportError, read_facts, trail::MAX_ROWS};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

/// Names a write: its writer's place among the assets, and its number.
type Dot = (usize, u64);

/// Why an agreement cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// The folder is no run folder, or a table in it cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The run shares no state.
    #[error("{}: the run shares no state", path.display())]
    NoState {
        /// The folder.
        path: PathBuf,
    },
    /// Nobody wrote the item.
    #[error("nobody wrote {found:?}; {} were written: {}", known.len(), some(known))]
    Item {
        /// What was asked for.
        found: String,
        /// The items that were written.
        known: Vec<String>,
    },
    /// No replica of that name.
    #[error("{found:?} holds no replica; these do: {}", some(known))]
    Replica {
        /// What was asked for.
        found: String,
        /// Who holds one.
        known: Vec<String>,
    },
}

/// The first of them.
fn some(known: &[String]) -> String {
    let more = if known.len() > 12 { ", …" } else { "" };
    format!("{}{more}", known.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// What became of a write at a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It has not come.
    NotSeen,
    /// It is what the replica reads.
    Stands,
    /// Its writer wrote the item again.
    Overwritten {
        /// By this write.
        by: String,
    },
    /// The writer of another had seen it.
    Replaced {
        /// By this write.
        by: String,
    },
    /// A concurrent write is of a greater rank.
    Outranked {
        /// By this write.
        by: String,
        /// What decides: `role`, `clock` or `actor`.
        in_what: &'static str,
    },
    /// It was replaced, everyone had seen that, and its writer dropped it.
    Dropped {
        /// By this write.
        by: String,
    },
}

/// A write, and when it was where.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WriteFacts {
    /// Its name: writer and number.
    pub write: String,
    /// When it was made, seconds.
    pub time_s: f64,
    /// Its role, from 0 for an observer to 3 for an admin.
    pub role: u32,
    /// Its clock, milliseconds since 2000.
    pub clock_ms: u64,
    /// The clock's counter.
    pub clock_counter: u32,
    /// The value; `None`: the item was removed.
    pub value: Option<String>,
    /// The writes that it saw and replaces.
    pub replaces: Vec<String>,
    /// By replica: when it was visible there, and what became of it.
    pub at: Vec<(Option<f64>, Fate)>,
}

/// What a replica reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// The replica.
    pub replica: String,
    /// The write that stands, as the trail says.
    pub stands: Option<String>,
    /// What it reads: no value where the item was removed or never came.
    pub value: Option<String>,
    /// The write that the replica itself named at the end of the run.
    pub held: Option<String>,
}

/// Why replicas read an item as they do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The item.
    pub item: String,
    /// Whether all read the same write.
    pub agree: bool,
    /// Why, in words.
    pub because: String,
    /// Whether what the replicas said to hold is what follows from the trail.
    pub proven: bool,
    /// The replicas, in the order of their names in the run.
    pub replicas: Vec<Reading>,
    /// The writes to the item, by time.
    pub writes: Vec<WriteFacts>,
}

#[derive(Deserialize)]
struct WriteRow {
    time_s: f64,
    asset: String,
    sequence: u64,
    item: String,
    role: u32,
    clock_ms: u64,
    clock_counter: u32,
    removed: bool,
    value: String,
    replaces: String,
}

#[derive(Deserialize)]
struct SyncRow {
    time_s: f64,
    event: String,
    asset: String,
    actor: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct DropRow {
    asset: String,
    sequence: u64,
    spans: String,
}

#[derive(Deserialize)]
struct HeldRow {
    asset: String,
    item: String,
    actor: String,
    sequence: u64,
}

struct Made {
    row: WriteRow,
    replaces: Vec<Dot>,
}

/// The trail of one item.
struct Trail {
    names: Vec<String>,
    writes: BTreeMap<Dot, Made>,
    /// Drops, by the write that makes them.
    drops: BTreeMap<Dot, Vec<(u64, u64)>>,
    /// When a replica saw a write or a drop.
    seen: BTreeMap<(usize, Dot), f64>,
    replicas: BTreeSet<usize>,
    held: BTreeMap<usize, Dot>,
    /// Whether no table is at its limit.
    is_complete: bool,
}

impl Agreement {
    /// Explains `item` (a register, or a map, a slash and a key) in a run folder, at the `named` replicas or at all.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn of(folder: &Path, item: &str, named: &[String]) -> Result<Self, AgreementError> {
        let trail = Trail::read(folder, item)?;
        let mut replicas = Vec::new();
        for name in named {
            let place = trail.names.iter().position(|known| known == name);
            let place = place.filter(|place| trail.replicas.contains(place)).ok_or_else(|| {
                let known = trail.replicas.iter().map(|place| trail.names[*place].clone()).collect();
                AgreementError::Replica { found: name.clone(), known }
            })?;
            replicas.push(place);
        }
        if replicas.is_empty() {
            replicas.extend(&trail.replicas);
        }
        replicas.sort_unstable();
        replicas.dedup();
        Ok(trail.explain(item, &replicas))
    }
}

impl Trail {
    fn read(folder: &Path, item: &str) -> Result<Self, AgreementError> {
        let facts = read_facts(folder)?;
        let names: Vec<String> = facts.assets.into_iter().map(|asset| asset.name).collect();
        let places: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let place = |name: &str| places.get(name).copied();
        let (mut writes, mut items) = (BTreeMap::new(), BTreeSet::new());
        let written = rows(folder, "writes.csv", |row: WriteRow| {
            if row.item != item {
                items.insert(row.item);
                return;
            }
            let dot = |text: &str| {
                text.rsplit_once(':').and_then(|(name, at)| Some((place(name)?, at.parse().ok()?)))
            };
            let replaces = row.replaces.split(' ').filter_map(dot).collect();
            if let Some(writer) = place(&row.asset) {
                // A write that a crash undid before anybody saw it leaves its number to the next one.
                writes.insert((writer, row.sequence), Made { row, replaces });
            }
        })?;
        let mut drops = BTreeMap::new();
        let dropped = rows(folder, "drops.csv", |row: DropRow| {
            let span = |text: &str| {
                text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)))
            };
            if let Some(writer) = place(&row.asset) {
                drops.insert((writer, row.sequence), row.spans.split(' ').filter_map(span).collect());
            }
        })?;
        let (mut seen, mut replicas) = (BTreeMap::new(), BTreeSet::new());
        rows(folder, "sync.csv", |row: SyncRow| {
            let (Some(replica), Some(writer)) = (place(&row.asset), place(&row.actor)) else { return };
            replicas.insert(replica);
            let dot = (writer, row.sequence);
            if (row.event == "write" || row.event == "visible")
                && (writes.contains_key(&dot) || drops.contains_key(&dot))
            {
                seen.entry((replica, dot)).or_insert(row.time_s);
            }
        })?;
        let mut held = BTreeMap::new();
        let told = rows(folder, "held.csv", |row: HeldRow| {
            let (Some(replica), Some(writer)) = (place(&row.asset), place(&row.actor)) else { return };
            replicas.insert(replica);
            if row.item == item {
                held.insert(replica, (writer, row.sequence));
            }
        })?;
        if replicas.is_empty() {
            return Err(AgreementError::NoState { path: folder.into() });
        }
        if writes.is_empty() {
            return Err(AgreementError::Item { found: item.into(), known: items.into_iter().collect() });
        }
        let is_complete = [written, dropped, told].iter().all(|rows| *rows < MAX_ROWS);
        Ok(Self { names, writes, drops, seen, replicas, held, is_complete })
    }

    fn name(&self, (writer, number): Dot) -> String {
        format!("{}:{number}", self.names[writer])
    }

    fn explain(&self, item: &str, replicas: &[usize]) -> Agreement {
        let fates: Vec<BTreeMap<Dot, Fate>> = replicas.iter().map(|replica| self.fates(*replica)).collect();
        let stands: Vec<Option<Dot>> = fates
            .iter()
            .map(|fates| fates.iter().find(|(_, fate)| **fate == Fate::Stands).map(|(dot, _)| *dot))
            .collect();
        let value = |dot: &Option<Dot>| {
            let row = &self.writes[&(*dot)?].row;
            (!row.removed).then(|| row.value.clone())
        };
        let readings: Vec<Reading> = replicas
            .iter()
            .zip(&stands)
            .map(|(replica, stands)| Reading {
                replica: self.names[*replica].clone(),
                stands: stands.map(|dot| self.name(dot)),
                value: value(stands),
                held: self.held.get(replica).map(|dot| self.name(*dot)),
            })
            .collect();
        let mut writes: Vec<(Dot, &Made)> = self.writes.iter().map(|(dot, made)| (*dot, made)).collect();
        writes.sort_by(|(_, one), (_, other)| one.row.time_s.total_cmp(&other.row.time_s));
        let facts = |(dot, made): &(Dot, &Made)| WriteFacts {
            write: self.name(*dot),
            time_s: made.row.time_s,
            role: made.row.role,
            clock_ms: made.row.clock_ms,
            clock_counter: made.row.clock_counter,
            value: (!made.row.removed).then(|| made.row.value.clone()),
            replaces: made.replaces.iter().map(|dot| self.name(*dot)).collect(),
            at: replicas
                .iter()
                .zip(&fates)
                .map(|(replica, fates)| (self.seen.get(&(*replica, *dot)).copied(), fates[dot].clone()))
                .collect(),
        };
        // Once all that is left of an item is a removal that everyone has seen, it is dropped too: then nothing is read, and nothing is held.
        let holds = |(replica, stands): (&usize, &Option<Dot>)| self.held.get(replica).copied() == *stands;
        Agreement {
            item: item.into(),
            agree: stands.windows(2).all(|pair| pair[0] == pair[1]),
            because: self.because(replicas, &stands),
            proven: self.is_complete && replicas.iter().zip(&stands).all(holds),
            replicas: readings,
            writes: writes.iter().map(facts).collect(),
        }
    }

    /// What became of each write at a replica.
    fn fates(&self, replica: usize) -> BTreeMap<Dot, Fate> {
        let covered = |dot: &Dot| self.seen.contains_key(&(replica, *dot));
        let last = |writer: usize, life: u64| {
            let lives = (writer, life << 48)..=(writer, life << 48 | ((1 << 48) - 1));
            self.writes.range(lives).rev().map(|(dot, _)| *dot).find(covered)
        };
        let dropped = |(writer, number): Dot| {
            let drops = self.drops.iter().filter(|(by, _)| by.0 == writer && covered(by));
            let holds =
                |spans: &[(u64, u64)]| spans.iter().any(|(first, last)| (*first..=*last).contains(&number));
            drops.filter(|(_, spans)| holds(spans)).map(|(by, _)| *by).next()
        };
        let mut fates: BTreeMap<Dot, Fate> = BTreeMap::new();
        let mut cells: Vec<Dot> = Vec::new();
        for &dot in self.writes.keys() {
            let latest = last(dot.0, dot.1 >> 48);
            let fate = match (latest, dropped(dot)) {
                _ if !covered(&dot) => Fate::NotSeen,
                (Some(latest), _) if latest != dot => Fate::Overwritten { by: self.name(latest) },
                (_, Some(by)) => Fate::Dropped { by: self.name(by) },
                _ => {
                    cells.push(dot);
                    Fate::Stands
                }
            };
            fates.insert(dot, fate);
        }
        let replaced = |dot: Dot| {
            let saw = |by: &&Dot| {
                self.writes[by].replaces.iter().any(|seen| same_life(*seen, dot) && seen.1 >= dot.1)
            };
            cells.iter().find(|by| **by != dot && saw(by)).copied()
        };
        let standing: Vec<Dot> = cells.iter().copied().filter(|dot| replaced(*dot).is_none()).collect();
        let winner = standing.iter().copied().max_by_key(|dot| self.rank(*dot));
        for dot in cells.iter().copied().filter(|dot| Some(*dot) != winner) {
            let fate = match (replaced(dot), winner) {
                (Some(by), _) => Fate::Replaced { by: self.name(by) },
                (None, Some(by)) => Fate::Outranked { by: self.name(by), in_what: self.decides(dot, by) },
                (None, None) => continue,
            };
            fates.insert(dot, fate);
        }
        fates
    }

    fn rank(&self, dot: Dot) -> (u32, u64, u32, Dot) {
        let row = &self.writes[&dot].row;
        (row.role, row.clock_ms, row.clock_counter, dot)
    }

    fn decides(&self, lesser: Dot, greater: Dot) -> &'static str {
        let (lesser, greater) = (self.rank(lesser), self.rank(greater));
        if lesser.0 != greater.0 {
            "role"
        } else if (lesser.1, lesser.2) != (greater.1, greater.2) {
            "clock"
        } else {
            "actor"
        }
    }

    fn because(&self, replicas: &[usize], stands: &[Option<Dot>]) -> String {
        let covered = |replica: usize| -> BTreeSet<Dot> {
            self.writes.keys().copied().filter(|dot| self.seen.contains_key(&(replica, *dot))).collect()
        };
        let all: BTreeSet<Dot> = replicas.iter().flat_map(|replica| covered(*replica)).collect();
        let lacks: Vec<String> = replicas
            .iter()
            .filter_map(|replica| {
                let lacking: Vec<String> =
                    all.difference(&covered(*replica)).map(|dot| self.name(*dot)).collect();
                (!lacking.is_empty()).then(|| format!("{} lacks {}", self.names[*replica], some(&lacking)))
            })
            .collect();
        let agree = stands.windows(2).all(|pair| pair[0] == pair[1]);
        match (agree, lacks.is_empty()) {
            (true, true) => match all.len() {
                1 => "all have seen the one write".into(),
                count => {
                    format!("all have seen the same {count} writes, whose ranks decide, whatever came first")
                }
            },
            (true, false) => format!("{}, none of which changes what stands", lacks.join("; ")),
            (false, false) => lacks.join("; "),
            (false, true) => {
                "all have seen the same writes, and some have dropped what others have not yet".into()
            }
        }
    }
}

/// Whether two writes are of one writer in one life.
const fn same_life(one: Dot, other: Dot) -> bool {
    one.0 == other.0 && one.1 >> 48 == other.1 >> 48
}

/// Reads a table, and says how many rows it has.
fn rows<T: DeserializeOwned>(folder: &Path, name: &str, mut take: impl FnMut(T)) -> Result<u64, ReportError> {
    let path = folder.join(name);
    let file = File::open(&path).map_err(|source| ReportError::Io { path: path.clone(), source })?;
    let mut reader = csv::Reader::from_reader(std::io::BufReader::new(file));
    let mut count = 0;
    for row in reader.deserialize() {
        take(row.map_err(|source| ReportError::Table { path: path.clone(), source })?);
        count += 1;
    }
    Ok(count)
}
