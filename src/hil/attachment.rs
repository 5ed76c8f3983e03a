//! What is attached to what: `rover-1='python3 rover.py'`.

use crate::{
    scenario::Scenario,
    sim::{Interface, Part},
    units::AssetIndex,
};
use std::{fmt, str::FromStr};

/// A program that is the application of a simulated asset, as it is typed: `ASSET=COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The asset's name.
    pub asset: String,
    /// What the shell is given.
    pub command: String,
}

/// Why an attachment is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// It is not of the form.
    #[error("`{found}`: an attachment is ASSET=COMMAND, such as 'rover-1=python3 rover.py'")]
    Form {
        /// What was typed.
        found: String,
    },
    /// The scenario has no such asset.
    #[error("no asset `{found}` with a radio in the scenario")]
    Asset {
        /// What was typed.
        found: String,
    },
}

impl FromStr for Attachment {
    type Err = AttachmentError;

    fn from_str(text: &str) -> Result<Self, AttachmentError> {
        let parts = text.split_once('=').map(|(asset, command)| (asset.trim(), command.trim()));
        match parts {
            Some((asset, command)) if !asset.is_empty() && !command.is_empty() => {
                Ok(Self { asset: asset.to_owned(), command: command.to_owned() })
            }
            _ => Err(AttachmentError::Form { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asset, command } = self;
        write!(f, "{asset}={command}")
    }
}

impl Attachment {
    /// The interface that it means in a scenario. An application has no radio of its own: the first stands there.
    ///
    /// # Errors
    /// [`AttachmentError::Asset`].
    pub fn resolve(&self, scenario: &Scenario) -> Result<Interface, AttachmentError> {
        let place = scenario.assets.iter().position(|asset| asset.name == self.asset);
        let place = place.filter(|place| !scenario.assets[*place].radios.is_empty());
        let asset = place.map(|place| AssetIndex(place as u32));
        let asset = asset.ok_or_else(|| AttachmentError::Asset { found: self.asset.clone() })?;
        Ok(Interface { asset, radio: 0, peer: None, part: Part::Application })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_survives_its_text_and_others_are_refused() {
        for text in ["rover-1=python3 rover.py 2", "a=env X=1 program"] {
            assert_eq!(text.parse::<Attachment>().map(|found| found.to_string()).as_deref(), Ok(text));
        }
        for wrong in ["", "rover", "=python3 x", "rover= "] {
            assert!(wrong.parse::<Attachment>().is_err(), "{wrong}");
        }
    }
}
