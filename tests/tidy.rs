//! Style is a test: what DESIGN.md and CONTRIBUTING.md promise about the shape of the tree.
