//! The plan's later horizons: told by the application, and remembered for the next start.

use super::{Engine, Refusal};
use crate::folder;
use cosmosmesh_protocol::node::Input;

impl Engine {
    /// Begins the horizon that a file tells of. It is written down first: after a crash, the node begins where the others are.
    pub(super) fn replan(&mut self, text: &str) -> Result<u64, Refusal> {
        let none = || Refusal::new("not_configured", "this node takes part in no plan");
        let plan = self.horizon.as_ref().ok_or_else(none)?;
        let next = plan.next(self.parts.config.node, text);
        let next = next.map_err(|error| Refusal::new("horizon", error.to_string()))?;
        let path = self.parts.config.horizon_file();
        folder::replace(&path, text.as_bytes())
            .map_err(|error| Refusal::new("store", format!("{}: {error}", path.display())))?;
        let horizon = next.told.horizon;
        self.input(Input::PlanHorizon(next.told))
            .map_err(|error| Refusal::new("horizon", error.to_string()))?;
        self.horizon = Some(next.plan);
        tracing::info!(horizon, "a later horizon of the plan begins");
        Ok(horizon)
    }
}
