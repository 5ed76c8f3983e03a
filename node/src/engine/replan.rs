//! The plan's later horizons: told by the application, and remembered for the next start.

use super::{Engine, Refusal};
use crate::{config::NextHorizon, folder};
use cosmosmesh_protocol::node::Input;
use std::{fs, io, path::Path, sync::Arc};

impl Engine {
    /// Begins a horizon. It is written down first: after a crash, the node begins where the others are. What its file left out is written with it, as
    /// it is now. One that the node refuses is not kept.
    pub(super) fn replan(&mut self, next: NextHorizon) -> Result<u64, Refusal> {
        let current = self.parts.shared.horizon().map(|plan| plan.config.horizon);
        if current != Some(next.follows) {
            return Err(Refusal::new(
                "horizon",
                "another horizon has begun meanwhile: it is to follow on that",
            ));
        }
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
        self.parts.shared.begin_horizon(Arc::new(next.plan));
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
