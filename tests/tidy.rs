//! Style is a test: what CONTRIBUTING.md and docs/ARCHITECTURE.md promise about the shape of the tree.
//!
//! Each rule is a function over a piece of text, and each test applies it to the tree and to a sample that breaks it.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/source.rs"]
mod source;
