//! Which folder may import which: the order is the architecture.

use super::source::{Source, sources, workspace};
use std::fs;

/// Folders of the simulator; each imports only from those before it. A folder that is not built yet keeps its place.
pub(crate) const SIMULATOR: &[&str] = &[
    "units", "astro", "engine", "link", "contact", "scenario", "world", "runtime", "sim", "oracle", "catopt",
    "metrics", "report", "sweep", "hil", "cli",
];

/// Folders of the protocol crate, likewise.
pub(crate) const PROTOCOL: &[&str] = &[
    "time",
    "id",
    "cbor",
    "identity",
    "envelope",
    "bundle",
    "bpsec",
    "convergence",
    "dtn",
    "delivery",
    "discovery",
    "sync",
    "contract",
    "planning",
    "compute",
    "log",
    "access",
    "governance",
    "node",
];

/// Where `code` names a module of the crate's root: the offset, and the module.
///
/// `depth` is how many modules the file is below the root, so that `super::super::x` counts where it leads there.
fn root_imports(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (start, keyword) in code.match_indices("crate::") {
        if !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            found.extend(heads(code, start + keyword.len()));
        }
    }
    let chain = "super::".repeat(depth);
    if depth > 0 {
        for (start, _) in code.match_indices(&chain) {
            let after = start + chain.len();
            if !code[..start].ends_with("super::") && !code[after..].starts_with("super::") {
                found.extend(heads(code, after));
            }
        }
    }
    found
}

/// The first names of the path, or of each path in braces, at `from`.
fn heads(code: &str, from: usize) -> Vec<(usize, &str)> {
    if !code[from..].starts_with('{') {
        return vec![(from, word(&code[from..]))];
    }
    let (mut depth, mut expected, mut found) = (0_usize, true, Vec::new());
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 1 => expected = true,
            _ if expected && depth == 1 && !byte.is_ascii_whitespace() => {
                found.push((offset, word(&code[offset..])));
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

fn word(code: &str) -> &str {
    &code[..code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len())]
}

/// Imports of `source`, in the crate at `root`, that do not point to an earlier folder.
fn wrong_imports(source: &Source, root: &str, layers: &[&str]) -> Vec<String> {
    let Some(own) = source.layer(root) else { return Vec::new() };
    let Some(rank) = layers.iter().position(|&layer| layer == own) else {
        return vec![format!("{}: `{own}` has no place among the layers", source.path)];
    };
    let below = source.path[root.len() + 1..].trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = below.split('/').count();
    let mut found = Vec::new();
    for (offset, name) in root_imports(&source.code, depth) {
        let imported = layers.iter().position(|&layer| layer == name);
        // Below an inline module, `super` leads less far, to names that are no layers.
        if let Some(imported) = imported.filter(|&imported| imported > rank) {
            let layer = layers[imported];
            found.push(format!("{}: `{own}` imports `{layer}`, which is built on it", source.at(offset)));
        }
    }
    found
}

#[test]
fn the_simulators_imports_point_one_way() {
    let found: Vec<String> =
        sources().iter().flat_map(|source| wrong_imports(source, "src", SIMULATOR)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_protocols_imports_point_one_way() {
    let found: Vec<String> =
        sources().iter().flat_map(|source| wrong_imports(source, "protocol/src", PROTOCOL)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_import_that_points_back_is_found() {
    let wrong = |path: &str, text: &str| wrong_imports(&Source::new(path, text), "src", SIMULATOR).len();
    assert_eq!(wrong("src/units/mod.rs", "use crate::cli::Cli;"), 1);
    assert_eq!(wrong("src/astro/a.rs", "use crate::{\n    units::SimTime,\n    sim::{Run, link},\n};"), 1);
    assert_eq!(wrong("src/astro/a.rs", "fn a() { crate::report::b() }"), 1);
    assert_eq!(wrong("src/astro/a.rs", "use super::super::world::Asset;"), 1);
    assert_eq!(wrong("src/shared/a.rs", ""), 1);
    assert_eq!(wrong("src/cli/a.rs", "use crate::{units, sim::Run}; // crate::nothing"), 0);
    assert_eq!(wrong("src/astro/a.rs", "use super::world::Asset; use other_crate::cli::Cli;"), 0);
}

#[test]
fn the_architecture_is_written_down_in_the_order_that_is_enforced() {
    let text = fs::read_to_string(workspace().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    for layers in [SIMULATOR, PROTOCOL] {
        let line = layers.join(" → ");
        assert!(text.contains(&line), "docs/ARCHITECTURE.md does not say: {line}");
    }
}
