//! What is bound to what: `rover-1/uhf=udp:127.0.0.1:9001`.

use crate::{
    link::LinkConvergence,
    scenario::Scenario,
    sim::{Interface, Part},
    units::AssetIndex,
};
use std::{fmt, str::FromStr};

/// A binding as it is typed: `ASSET/RADIO[>PEER]=TRANSPORT:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The asset's name.
    pub asset: String,
    /// The link class of its radio.
    pub class: String,
    /// The peer at the other end, if it is one alone.
    pub peer: Option<String>,
    /// How the real side is reached, such as `udp`.
    pub transport: String,
    /// Where, as the transport has it.
    pub address: String,
    /// Whether the way to the peer is real, and not the asset's node.
    pub way: bool,
}

/// What a real interface carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Frames of the link, as its convergence layer makes them.
    Frames,
    /// Whole bundles, cut into frames of the link's MTU at the door.
    Bundles,
    /// Packets of an emulated mesh radio, behind a mark.
    Mesh,
    /// Requests of an application, and what it is told.
    Application,
}

impl Framing {
    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Bundles => "bundles",
            Self::Mesh => "mesh",
            Self::Application => "application",
        }
    }

    /// The framing of that word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Frames, Self::Bundles, Self::Mesh, Self::Application]
            .into_iter()
            .find(|framing| framing.word() == word)
    }

    /// What a transport carries.
    #[must_use]
    pub fn of_transport(transport: &str) -> Self {
        match transport {
            "udpcl" => Self::Bundles,
            "meshtastic-radio" => Self::Mesh,
            _ => Self::Frames,
        }
    }
}

/// Why a binding is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// It is not of the form.
    #[error("`{found}`: a binding is ASSET/RADIO=TRANSPORT:ADDRESS, such as rover-1/uhf=udp:127.0.0.1:9001")]
    Form {
        /// What was typed.
        found: String,
    },
    /// The scenario has no such asset.
    #[error("no asset `{found}`; the scenario has {known}")]
    Asset {
        /// What was typed.
        found: String,
        /// What there is.
        known: String,
    },
    /// The asset has no radio of that class.
    #[error("`{asset}` has no radio of class `{found}`; it has {known}")]
    Radio {
        /// The asset.
        asset: String,
        /// What was typed.
        found: String,
        /// What there is.
        known: String,
    },
    /// The peer is the asset itself, or has no radio of the class.
    #[error("`{asset}` has no peer `{found}` on `{class}`: that is an asset of its own with such a radio")]
    Peer {
        /// The asset.
        asset: String,
        /// What was typed.
        found: String,
        /// The class.
        class: String,
    },
    /// Whole bundles cannot cross the link.
    #[error("`{class}` speaks LTP: bind its frames (udp), not bundles (udpcl)")]
    Ltp {
        /// The class.
        class: String,
    },
}

impl FromStr for Binding {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        let form = || BindingError::Form { found: text.to_owned() };
        let (radio, real) = text.split_once('=').ok_or_else(form)?;
        let (asset, class) = radio.split_once('/').ok_or_else(form)?;
        let (class, peer) = match class.split_once('>') {
            Some((class, peer)) => (class, Some(peer)),
            None => (class, None),
        };
        let (transport, address) = real.split_once(':').ok_or_else(form)?;
        if [asset, class, transport, address].into_iter().chain(peer).any(str::is_empty) {
            return Err(form());
        }
        let peer = peer.map(str::to_owned);
        let [asset, class, transport, address] = [asset, class, transport, address].map(str::to_owned);
        Ok(Self { asset, class, peer, transport, address, way: false })
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asset, class, peer, transport, address, .. } = self;
        let (arrow, peer) = peer.as_ref().map_or(("", ""), |peer| (">", peer.as_str()));
        write!(f, "{asset}/{class}{arrow}{peer}={transport}:{address}")
    }
}

/// The interface that a binding means in a scenario.
///
/// # Errors
/// [`BindingError`].
pub fn resolve(binding: &Binding, scenario: &Scenario) -> Result<Interface, BindingError> {
    let index = |name: &str| {
        let place = scenario.assets.iter().position(|asset| asset.name == name);
        place.map(|place| AssetIndex(place as u32)).ok_or_else(|| BindingError::Asset {
            found: name.to_owned(),
            known: list(scenario.assets.iter().map(|asset| asset.name.as_str())),
        })
    };
    let asset = index(&binding.asset)?;
    let radios = &scenario.asset(asset).radios;
    let class_of = |radio: usize| &scenario.classes[radios[radio].class];
    let radio = (0..radios.len()).find(|radio| class_of(*radio).name == binding.class);
    let radio = radio.ok_or_else(|| BindingError::Radio {
        asset: binding.asset.clone(),
        found: binding.class.clone(),
        known: list((0..radios.len()).map(|radio| class_of(radio).name.as_str())),
    })?;
    let framing = Framing::of_transport(&binding.transport);
    if framing == Framing::Bundles && class_of(radio).convergence != LinkConvergence::SmallFrame {
        return Err(BindingError::Ltp { class: binding.class.clone() });
    }
    let peer = binding.peer.as_deref().map(index).transpose()?;
    let class = radios[radio].class;
    if let Some(found) = peer
        && (found == asset || !scenario.asset(found).radios.iter().any(|radio| radio.class == class))
    {
        let (asset, class) = (binding.asset.clone(), binding.class.clone());
        return Err(BindingError::Peer { asset, found: scenario.asset(found).name.clone(), class });
    }
    let part = if binding.way { Part::Way } else { Part::Node };
    Ok(Interface { asset, radio: radio as u32, peer, part })
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.take(20).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_survives_its_text_and_others_are_refused() {
        for text in
            ["rover-1/uhf=udp:127.0.0.1:9001", "a/b>c=udpcl:[::1]:1@[::1]:2", "x/y=kiss:127.0.0.1:8001"]
        {
            assert_eq!(text.parse::<Binding>().map(|binding| binding.to_string()).as_deref(), Ok(text));
        }
        for wrong in
            ["", "rover", "rover/uhf", "rover/uhf=udp", "rover=udp:1", "/uhf=udp:1", "a/b>=udp:1", "a/b=:1"]
        {
            assert!(wrong.parse::<Binding>().is_err(), "{wrong}");
        }
    }
}
