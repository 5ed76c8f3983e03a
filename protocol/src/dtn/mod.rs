//! Store and forward: the bounded [`store`], the [`contact_plan`], the [`routing`] over it, and the [`strategy`] of who gets copies.

pub mod contact_plan;
pub mod routing;
pub mod store;
pub mod strategy;
