//! Data contracts: what the fields of telemetry, forecasts, commands, events, trades and plan signals are, in versions.
//!
//! A [`Schema`] is written in CDDL (RFC 8610), in one canonical form of a subset of it, and named by the SHA-256 of that text
//! ([`SchemaId`]). A [`Registry`] holds the schemas that a fleet agreed upon: the built-in ones and what members published in the
//! replicated state (`sync`). Every version of a contract must be compatible with all others of the same major number, forwards and
//! backwards, since peers upgrade in any order: fields may come and go while they are optional, and nothing else changes ([`Incompatible`]).
//! A [`Record`] is read by whatever version its reader knows; fields that it does not know it carries through unchanged.

mod builtin;
mod compatible;
mod parse;
mod record;
mod registry;
mod schema;

pub use builtin::{MIN_CURVATURE, standard};
pub use compatible::Incompatible;
pub use parse::SchemaError;
pub use record::{Record, RecordError, Value};
pub use registry::{Breach, OBJECT, Refused, Registry};
pub use schema::{Field, Schema, SchemaId, Type, Version};

#[cfg(test)]
mod tests;
