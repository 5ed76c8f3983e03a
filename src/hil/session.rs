//! [`Session`]: from bindings to what the kernel needs, live and again from the header of a log.

use super::{
    attachment::{Attachment, AttachmentError},
    binding::{Binding, BindingError, Framing, resolve},
    door::Door,
    journal::{Header, LoggedInterface, SourceFile},
    mailbox::Mailbox,
    wire::{UdpWire, Wire, WireError, Wires},
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
    /// The bindings and attachments as typed.
    pub bindings: Vec<String>,
    /// The programs, whose interfaces are the last ones. Of a log, none: they have spoken.
    pub attachments: Vec<Attachment>,
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
        let resolved = bindings.iter().map(|binding| resolve(binding, scenario));
        let mut interfaces: Vec<Interface> = resolved.collect::<Result<_, _>>()?;
        let mut framings: Vec<Framing> =
            bindings.iter().map(|binding| Framing::of_transport(&binding.transport)).collect();
        let mut bindings: Vec<String> = bindings.iter().map(ToString::to_string).collect();
        for one in beside_nodes(&interfaces, &framings, scenario) {
            let asset = scenario.asset(one.asset);
            let class = &scenario.classes[asset.radios[one.radio as usize].class].name;
            bindings.push(format!("{}/{class}=mesh", asset.name));
            framings.push(Framing::Mesh);
            interfaces.push(one);
        }
        let reality = Reality { interfaces, ..Reality::default() };
        Ok(Self { reality, framings, bindings, attachments: Vec::new() })
    }

    /// Lets a program be the application of a simulated asset.
    ///
    /// # Errors
    /// [`AttachmentError`].
    pub fn attach(&mut self, attachment: &Attachment, scenario: &Scenario) -> Result<(), AttachmentError> {
        self.reality.interfaces.push(attachment.resolve(scenario)?);
        self.framings.push(Framing::Application);
        self.bindings.push(attachment.to_string());
        self.attachments.push(attachment.clone());
        Ok(())
    }

    /// Lets simulated nodes go by this machine's time of day; gives the moment that is the scenario's epoch from now on. None when the epoch is before the
    /// year 2000.
    pub fn go_by_time_of_day(&mut self, scenario: &Scenario) -> Option<std::time::Instant> {
        let ours = scenario.epoch.dtn_time_ms(SimTime::ZERO).and_then(|ms| i64::try_from(ms).ok())?;
        self.reality.civil_offset_ms = super::clock::dtn_now_ms() - ours;
        Some(super::clock::now())
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
                part: match (framing, one.way) {
                    (Framing::Application, _) => Part::Application,
                    (_, true) => Part::Way,
                    (_, false) => one.mark.map_or(Part::Node, Part::Service),
                },
            });
        }
        let bindings = header.interfaces.iter().map(|one| one.binding.clone()).collect();
        let (links_alone, civil_offset_ms) = (header.links_alone, header.civil_offset_ms);
        let reality = Reality { interfaces, links_alone, civil_offset_ms };
        Ok(Self { reality, framings, bindings, attachments: Vec::new() })
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
                Part::Node | Part::Way | Part::Application => None,
                Part::Service(mark) => Some(mark),
            },
            way: one.part == Part::Way,
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

/// Where emulated mesh radios are offered, each other asset with a radio of the class has one too, beside its node.
fn beside_nodes(interfaces: &[Interface], framings: &[Framing], scenario: &Scenario) -> Vec<Interface> {
    let class_of = |asset: AssetIndex, radio: u32| scenario.asset(asset).radios[radio as usize].class;
    let mesh = interfaces.iter().zip(framings).filter(|(_, framing)| **framing == Framing::Mesh);
    let mut classes: Vec<usize> = mesh.map(|(one, _)| class_of(one.asset, one.radio)).collect();
    classes.sort_unstable();
    classes.dedup();
    let mut beside = Vec::new();
    for asset in (0..scenario.assets.len() as u32).map(AssetIndex) {
        if interfaces.iter().any(|one| one.asset == asset) {
            continue;
        }
        let radios = 0..scenario.asset(asset).radios.len() as u32;
        if let Some(radio) = radios.into_iter().find(|radio| classes.contains(&class_of(asset, *radio))) {
            beside.push(Interface { asset, radio, peer: None, part: Part::Service(MARK) });
        }
    }
    beside
}

/// What this program is built with.
#[cfg(feature = "daemon")]
pub const TRANSPORTS: &str = "udp, udpcl, kiss, serial, meshtastic, meshtastic-radio";
/// What this program is built with.
#[cfg(not(feature = "daemon"))]
pub const TRANSPORTS: &str =
    "udp, udpcl (and with the feature `daemon` kiss, serial, meshtastic, meshtastic-radio)";

/// The first byte of packets of emulated mesh radios.
#[cfg(feature = "daemon")]
use super::radio::MARK;
/// As long as there are none, of none.
#[cfg(not(feature = "daemon"))]
const MARK: u8 = 0x4f;

/// Opens the real sides of a session's bindings, which are its first interfaces, and of its attachments, which are its last.
///
/// # Errors
/// [`SessionError::Wire`].
pub fn open(
    bindings: &[Binding],
    session: &Session,
    scenario: &Scenario,
    mailbox: &Arc<Mailbox>,
) -> Result<Wires, SessionError> {
    for (number, (one, framing)) in session.reality.interfaces.iter().zip(&session.framings).enumerate() {
        let class = scenario.asset(one.asset).radios[one.radio as usize].class;
        if *framing == Framing::Frames {
            // What is longer is not logged: the door would not let it in.
            mailbox.limit(number as u32, scenario.classes[class].mtu_bytes as usize);
        }
    }
    let mut makers = Makers::new(session, scenario, mailbox);
    let programs = session.bindings.len() - session.attachments.len();
    let one = |(number, text): (usize, &String)| {
        let attachment = number.checked_sub(programs).and_then(|place| session.attachments.get(place));
        let wire = match attachment {
            Some(attachment) => makers.program(attachment, number as u32),
            None => makers.wire(bindings.get(number), number as u32),
        };
        match wire {
            Ok(wire) => Ok((text.clone(), wire)),
            Err(source) => Err(SessionError::Wire { binding: text.clone(), source }),
        }
    };
    session.bindings.iter().enumerate().map(one).collect()
}

/// What wires are made of.
struct Makers<'a> {
    mailbox: &'a Arc<Mailbox>,
    #[cfg(feature = "daemon")]
    session: &'a Session,
    #[cfg(feature = "daemon")]
    scenario: &'a Scenario,
    #[cfg(feature = "daemon")]
    net: Option<super::radio::MeshNet>,
}

#[cfg(not(feature = "daemon"))]
impl<'a> Makers<'a> {
    const fn new(_session: &Session, _scenario: &Scenario, mailbox: &'a Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    fn program(&mut self, _: &Attachment, _: u32) -> Result<Box<dyn Wire>, WireError> {
        Err(WireError::Transport { found: "program".to_owned(), known: TRANSPORTS })
    }

    fn wire(&mut self, binding: Option<&Binding>, number: u32) -> Result<Box<dyn Wire>, WireError> {
        match binding {
            Some(binding) if matches!(binding.transport.as_str(), "udp" | "udpcl") => {
                Ok(Box::new(UdpWire::open(&binding.address, number, self.mailbox.clone())?))
            }
            other => {
                let found = other.map_or_else(|| "mesh".to_owned(), |binding| binding.transport.clone());
                Err(WireError::Transport { found, known: TRANSPORTS })
            }
        }
    }
}

#[cfg(feature = "daemon")]
impl<'a> Makers<'a> {
    const fn new(session: &'a Session, scenario: &'a Scenario, mailbox: &'a Arc<Mailbox>) -> Self {
        Self { mailbox, session, scenario, net: None }
    }

    fn program(&mut self, attachment: &Attachment, number: u32) -> Result<Box<dyn Wire>, WireError> {
        let Attachment { asset: name, command } = attachment;
        let asset = self.session.reality.interfaces[number as usize].asset;
        let node = self.scenario.asset(asset).node;
        let wire = super::program::ProgramWire::start(command, (name, node), number, self.mailbox.clone())?;
        Ok(Box::new(wire))
    }

    fn wire(&mut self, binding: Option<&Binding>, number: u32) -> Result<Box<dyn Wire>, WireError> {
        use super::radio::{KissModem, MeshModem, MeshWire, ModemWire, serve};
        let mailbox = self.mailbox.clone();
        let Some(Binding { transport, address, .. }) = binding else {
            let (net, shown) = (self.net()?, "emulated mesh radio".to_owned());
            return Ok(Box::new(MeshWire { net, interface: number, shown }));
        };
        let most = match transport.as_str() {
            "kiss" | "serial" => super::radio::MAX_INFORMATION,
            "meshtastic" => super::radio::MAX_PAYLOAD,
            _ => usize::MAX,
        };
        let one = &self.session.reality.interfaces[number as usize];
        let class = self.scenario.asset(one.asset).radios[one.radio as usize].class;
        let mtu = self.scenario.classes[class].mtu_bytes as usize;
        if mtu > most {
            return Err(WireError::Mtu { transport: transport.clone(), most, mtu });
        }
        Ok(match transport.as_str() {
            "udp" | "udpcl" => Box::new(UdpWire::open(address, number, mailbox)?),
            "kiss" | "serial" => {
                let modem = KissModem::new(address.split_once('#').map(|(_, calls)| calls))?;
                Box::new(ModemWire::open(address, modem, number, mailbox)?)
            }
            "meshtastic" => Box::new(ModemWire::open(address, MeshModem::new(), number, mailbox)?),
            "meshtastic-radio" => {
                let net = self.net()?;
                let local = serve(address, number, &net)?;
                Box::new(MeshWire {
                    net,
                    interface: number,
                    shown: format!("emulated mesh radio at {local}"),
                })
            }
            found => return Err(WireError::Transport { found: found.to_owned(), known: TRANSPORTS }),
        })
    }

    /// All emulated radios, made with the first.
    fn net(&mut self) -> Result<super::radio::MeshNet, WireError> {
        if let Some(net) = &self.net {
            return Ok(net.clone());
        }
        let mesh = self.session.reality.interfaces.iter().zip(&self.session.framings).enumerate();
        let places = mesh.filter(|(_, (_, framing))| **framing == Framing::Mesh);
        let places = places.map(|(interface, (one, _))| super::radio::Place {
            interface: interface as u32,
            asset: one.asset,
            name: self.scenario.asset(one.asset).name.clone(),
            offered: one.part == Part::Node,
        });
        let net = super::radio::MeshNet::new(places.collect(), self.mailbox.clone());
        let net = net.map_err(|source| WireError::Io { what: "emulated mesh".to_owned(), source })?;
        Ok(self.net.insert(net).clone())
    }
}
