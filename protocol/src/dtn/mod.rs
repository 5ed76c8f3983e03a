//! Store and forward: the bounded [`store`], the [`contact_plan`] and the [`routing`] over it.

pub mod contact_plan;
pub mod routing;
pub mod store;
