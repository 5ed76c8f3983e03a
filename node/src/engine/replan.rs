//! The plan's later horizons: told by the application, and remembered for the next start.

use super::{Engine, Refusal};
use crate::folder;
use cosmosmesh_protocol::node::Input;
use std::{fs, io, path::Path};

impl Engine {
    /// Begins the horizon that a file tells of. It is written down first: after a crash, the node begins where the others are. What it leaves out is
    /// written with it, as it is now. One that the node refuses is not kept.
    pub(super) fn replan(&mut self, text: &str) -> Result<u64, Refusal> {
        let none = || Refusal::new("not_configured", "this node takes part in no plan");
        let plan = self.horizon.as_ref().ok_or_else(none)?;
        let next = plan.next(self.parts.config.node, text);
        let next = next.map_err(|error| Refusal::new("horizon", error.to_string()))?;
        let path = self.parts.config.horizon_file();
        let failed = |error: io::Error| Refusal::new("store", format!("{}: {error}", path.display()));
        let before = read(&path).map_err(failed)?;
        folder::replace(&path, next.whole.as_bytes()).map_err(failed)?;
        let horizon = next.told.horizon;
        if let Err(error) = self.input(Input::PlanHorizon(next.told)) {
            let refused = error.to_string();
            return Err(match put_back(&path, before) {
                Ok(()) => Refusal::new("horizon", refused),
                Err(error) => {
                    let problem = format!("{refused}; and {} cannot be put back: {error}", path.display());
                    Refusal::new("store", problem)
                }
            });
        }
        self.horizon = Some(next.plan);
        tracing::info!(horizon, "a later horizon of the plan begins");
        Ok(horizon)
    }
}

/// What is in a file; nothing where there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Has a file as it was.
fn put_back(path: &Path, before: Option<Vec<u8>>) -> io::Result<()> {
    match before {
        Some(bytes) => folder::replace(path, &bytes),
        None => fs::remove_file(path).and_then(|()| folder::sync(path)),
    }
}
