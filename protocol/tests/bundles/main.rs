//! Bundles of other people's DTNs at a node: the plain bundle service, and what RFC 9171 §5 and §6 ask of a node.

mod bench;
mod blocks;
mod compression;
mod custody;
mod edge_cases;
mod fragments;
mod power_loss;
mod reports;
mod secured;
mod service;
