//! [`Session`]: from bindings to what the kernel needs, live and again from the header of a log.

use super::{
    binding::{Binding, BindingError, Framing, resolve},
    door::Door,
    journal::{Header, LoggedInterface, SourceFile},
    mailbox::Mailbox,
    wire::{UdpWire, Wire, WireError},
};
use crate::{
    scenario::Scenario,
    sim::{Interface, Part, Reality},
    units::{AssetIndex, SimTime},
};
use std::{path::Path, sync::Arc};

/// What is real in a session, and what it carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// For the kernel.
    pub reality: Reality,
    /// What each interface carries.
    pub framings: Vec<Framing>,
    /// The bindings as typed.
    pub bindings: Vec<String>,
}

/// Why a session cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A binding that is not one.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// Its real side cannot be opened.
    #[error("{binding}: {source}")]
    Wire {
        /// The binding.
        binding: String,
        /// Why.
        source: WireError,
    },
    /// A log that names an asset or a framing which is not there.
    #[error("the log's interface {number} does not fit its scenario")]
    Header {
        /// The interface.
        number: usize,
    },
    /// A file of the log that lies outside of the scenario's folder.
    #[error("the log's file `{name}` is not within a folder")]
    File {
        /// Its name.
        name: String,
    },
}

impl Session {
    /// Of bindings as typed.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn new(bindings: &[Binding], scenario: &Scenario) -> Result<Self, BindingError> {
        let interfaces = bindings.iter().map(|binding| resolve(binding, scenario)).collect::<Result<_, _>>()?;
        let framings = bindings.iter().map(|binding| Framing::of_transport(&binding.transport)).collect();
        let bindings = bindings.iter().map(ToString::to_string).collect();
        let reality = Reality { interfaces, ..Reality::default() };
        Ok(Self { reality, framings, bindings })
    }

    /// Of a log's header.
    ///
    /// # Errors
    /// [`SessionError::Header`] when it does not fit the scenario.
    pub fn of_header(header: &Header, scenario: &Scenario) -> Result<Self, SessionError> {
        let assets = scenario.assets.len() as u32;
        let (mut interfaces, mut framings) = (Vec::new(), Vec::new());
        for (number, one) in header.interfaces.iter().enumerate() {
            let framing = Framing::of(&one.framing);
            let there = one.asset < assets && one.peer.is_none_or(|peer| peer < assets);
            let radio = |asset: AssetIndex| (one.radio as usize) < scenario.asset(asset).radios.len();
            let (Some(framing), true) = (framing, there && radio(AssetIndex(one.asset))) else {
                return Err(SessionError::Header { number });
            };
            framings.push(framing);
            interfaces.push(Interface {
                asset: AssetIndex(one.asset),
                radio: one.radio,
                peer: one.peer.map(AssetIndex),
                part: one.mark.map_or(Part::Node, Part::Service),
            });
        }
        let bindings = header.interfaces.iter().map(|one| one.binding.clone()).collect();
        let (links_alone, civil_offset_ms) = (header.links_alone, header.civil_offset_ms);
        Ok(Self { reality: Reality { interfaces, links_alone, civil_offset_ms }, framings, bindings })
    }

    /// Between log and kernel.
    #[must_use]
    pub fn door(&self, scenario: &Scenario) -> Door {
        Door::new(scenario, &self.reality.interfaces, &self.framings)
    }

    /// The header of its log.
    #[must_use]
    pub fn header(
        &self,
        scenario: &Scenario,
        files: Vec<(String, String)>,
        seed: u64,
        until: Option<SimTime>,
        (clock, policy): (String, String),
    ) -> Header {
        let interface = |((one, framing), binding): ((&Interface, &Framing), &String)| LoggedInterface {
            binding: binding.clone(),
            asset: one.asset.0,
            radio: one.radio,
            peer: one.peer.map(|peer| peer.0),
            mark: match one.part {
                Part::Node => None,
                Part::Service(mark) => Some(mark),
            },
            framing: framing.word().to_owned(),
        };
        let interfaces = self.reality.interfaces.iter().zip(&self.framings).zip(&self.bindings);
        Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files: files.into_iter().map(|(name, text)| SourceFile { name, text }).collect(),
            scenario_hash: scenario.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            seed,
            until_ns: until.map(|until| until.0),
            civil_offset_ms: self.reality.civil_offset_ms,
            links_alone: self.reality.links_alone,
            interfaces: interfaces.map(interface).collect(),
            clock,
            policy,
            began_unix_ns: super::clock::unix_ns(),
        }
    }
}

impl Header {
    /// Writes the scenario's files into a folder, and gives the path of the scenario.
    ///
    /// # Errors
    /// [`SessionError::File`] for a name that leads out of the folder, and what the operating system refuses, as the outer error.
    pub fn unpack(&self, folder: &Path) -> std::io::Result<Result<std::path::PathBuf, SessionError>> {
        for file in &self.files {
            let relative = Path::new(&file.name);
            let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside || file.name.is_empty() {
                return Ok(Err(SessionError::File { name: file.name.clone() }));
            }
            let path = folder.join(relative);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, &file.text)?;
        }
        let main = self.files.first().ok_or(SessionError::Header { number: 0 });
        Ok(main.map(|main| folder.join(&main.name)))
    }
}

/// Opens the real sides of bindings.
///
/// # Errors
/// [`SessionError::Wire`].
pub fn open(bindings: &[Binding], mailbox: &Arc<Mailbox>) -> Result<Vec<(String, Box<dyn Wire>)>, SessionError> {
    let one = |(number, binding): (usize, &Binding)| {
        let wire = wire(binding, number as u32, mailbox);
        let text = binding.to_string();
        match wire {
            Ok(wire) => Ok((text, wire)),
            Err(source) => Err(SessionError::Wire { binding: text, source }),
        }
    };
    bindings.iter().enumerate().map(one).collect()
}

fn wire(binding: &Binding, number: u32, mailbox: &Arc<Mailbox>) -> Result<Box<dyn Wire>, WireError> {
    match binding.transport.as_str() {
        "udp" | "udpcl" => Ok(Box::new(UdpWire::open(&binding.address, number, mailbox.clone())?)),
        found => Err(WireError::Transport { found: found.to_owned(), known: "udp, udpcl" }),
    }
}
