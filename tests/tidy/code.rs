//! What code may not say.

use super::source::{Source, files, name_of, sources};
use std::fs;

/// Where a node is constructed or driven, beside the protocol crate itself.
const DRIVERS: &[&str] = &["src/runtime/", "src/hil/", "src/cli/daemon"];
const DRIVING: &[&str] = &["Node::new(", "Node::restore(", ".handle_input(", ".poll_transmit("];

/// Where a clock may be read: the edge, whose output says how long things took and not what happened.
const EDGE: &[&str] = &["src/cli/", "src/hil/", "src/report/"];
const CLOCK_AND_CHANCE: &[&str] =
    &["SystemTime::now", "Instant::now", "thread_rng", "rand::rng(", "OsRng", "from_os_rng", "getrandom"];

const UNORDERED: &[&str] = &["HashMap", "HashSet", "RandomState"];

const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"];

/// One idea per file feels right at 100 to 400 lines; above this, a file holds several and is divided.
const LONGEST_PRODUCT: usize = 700;
/// Files of tests are lists of cases, read one at a time.
const LONGEST_TEST: usize = 1000;

/// Offsets at which `code` has one of `words`, whole.
fn occurrences<'a>(code: &'a str, words: &'a [&str]) -> impl Iterator<Item = (usize, &'a str)> {
    words.iter().flat_map(move |&word| {
        code.match_indices(word).filter_map(move |(offset, _)| {
            let part = |c: char| c.is_alphanumeric() || c == '_';
            let begins = !word.starts_with(part) || !code[..offset].ends_with(part);
            let ends = !word.ends_with(part) || !code[offset + word.len()..].starts_with(part);
            (begins && ends).then_some((offset, word))
        })
    })
}

fn is_product(source: &Source) -> bool {
    source.path.starts_with("src/") || source.path.starts_with("protocol/src/")
}

fn within(source: &Source, folders: &[&str]) -> bool {
    folders.iter().any(|folder| source.path.starts_with(folder))
}

fn driven_nodes(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || within(source, DRIVERS) {
        return Vec::new();
    }
    // What owns a node may offer the same verbs.
    let by_owner = |at: usize| source.product[..at].ends_with("runtime");
    let found = occurrences(&source.product, DRIVING).filter(|&(at, _)| !by_owner(at));
    found.map(|(at, word)| format!("{}: `{word}` outside of `runtime`", source.at(at))).collect()
}

fn clocks_and_chance(source: &Source) -> Vec<String> {
    if !is_product(source) || within(source, EDGE) {
        return Vec::new();
    }
    let found = occurrences(&source.product, CLOCK_AND_CHANCE);
    found.map(|(at, word)| format!("{}: `{word}`: time and seeds are arguments", source.at(at))).collect()
}

fn unordered(source: &Source) -> Vec<String> {
    if !is_product(source) {
        return Vec::new();
    }
    let found = occurrences(&source.product, UNORDERED);
    found.map(|(at, word)| format!("{}: `{word}` has no fixed order", source.at(at))).collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let found = occurrences(&source.code, UNFINISHED);
    found.map(|(at, word)| format!("{}: `{word}`", source.at(at))).collect()
}

fn globs(source: &Source) -> Vec<String> {
    if !is_product(source) {
        return Vec::new();
    }
    let found = occurrences(&source.product, &["::*", "{*"]);
    found.map(|(at, _)| format!("{}: a glob import", source.at(at))).collect()
}

fn ignored_without_reason(source: &Source) -> Vec<String> {
    let reason = |at: usize| {
        let rest = source.text[at + "#[ignore".len()..].trim_start();
        rest.strip_prefix('=').and_then(|rest| rest.trim_start().strip_prefix('"')).unwrap_or("\"")
    };
    let found = source.code.match_indices("#[ignore").filter(|&(at, _)| reason(at).starts_with('"'));
    found.map(|(at, _)| format!("{}: an ignored test says why", source.at(at))).collect()
}

fn too_long(source: &Source) -> Option<String> {
    let product = is_product(source) && !source.product.trim().is_empty();
    let most = if product { LONGEST_PRODUCT } else { LONGEST_TEST };
    let lines = source.text.lines().count();
    (lines > most).then(|| format!("{}: {lines} lines, of at most {most}: divide it", source.path))
}

fn nameless(path: &str) -> bool {
    path.split('/').any(|part| NAMELESS.contains(&part.trim_end_matches(".rs")))
}

/// Parts of paths that only make sense on one machine; put together here so that this file does not hold them.
fn private_paths() -> Vec<String> {
    let folders = ["home", "root", "Users", "work", "workspace", "mnt", "private"];
    let mut parts: Vec<String> = folders.iter().map(|folder| format!("/{folder}/")).collect();
    parts.push(format!("..{}", "/shared"));
    parts.push(format!("C:{}", "\\"));
    parts
}

fn machine_paths(name: &str, text: &str) -> Vec<String> {
    let parts = private_paths();
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| {
            parts.iter().any(|part| {
                // In an address on the web, or below another folder, it is an ordinary name.
                line.match_indices(part.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'))
                })
            })
        })
        .map(|(index, line)| format!("{name}:{}: {}", index + 1, line.trim()))
        .collect()
}

fn nothing_found(found: impl IntoIterator<Item = String>) {
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_the_runtime_constructs_and_drives_nodes() {
    nothing_found(sources().iter().flat_map(driven_nodes));
    let bad = "fn a(node: &mut Node) { Node::new(c); node.handle_input(now, input); }";
    assert_eq!(driven_nodes(&Source::new("src/sim/a.rs", bad)).len(), 2);
    assert!(driven_nodes(&Source::new("src/runtime/a.rs", bad)).is_empty());
    assert!(
        driven_nodes(&Source::new("src/sim/a.rs", "fn a() { self.runtime.poll_transmit(now, link) }"))
            .is_empty()
    );
}

#[test]
fn no_clock_and_no_chance_below_the_edge() {
    nothing_found(sources().iter().flat_map(clocks_and_chance));
    let bad = "fn a() { std::time::Instant::now(); rand::rng(); }";
    assert_eq!(clocks_and_chance(&Source::new("protocol/src/a/b.rs", bad)).len(), 2);
    assert!(clocks_and_chance(&Source::new("src/cli/a.rs", bad)).is_empty());
}

#[test]
fn nothing_iterates_in_random_order() {
    nothing_found(sources().iter().flat_map(unordered));
    assert_eq!(unordered(&Source::new("src/a/b.rs", "use std::collections::HashMap;")).len(), 1);
}

#[test]
fn nothing_is_left_to_do() {
    nothing_found(sources().iter().flat_map(unfinished));
    assert_eq!(unfinished(&Source::new("src/a/b.rs", "fn a() { todo!() }\nfn b() { dbg!(1); }")).len(), 2);
}

#[test]
fn names_are_imported_by_name() {
    nothing_found(sources().iter().flat_map(globs));
    let bad =
        Source::new("src/a/b.rs", "use x::*;\nuse y::{*};\n#[cfg(test)]\nmod tests {\n    use super::*;\n}");
    assert_eq!(globs(&bad).len(), 2);
}

#[test]
fn an_ignored_test_says_why() {
    nothing_found(sources().iter().flat_map(ignored_without_reason));
    let bad = "#[ignore]\nfn a() {}\n#[ignore = \"\"]\nfn b() {}\n#[ignore = \"takes an hour\"]\nfn c() {}";
    assert_eq!(ignored_without_reason(&Source::new("tests/a.rs", bad)).len(), 2);
}

#[test]
fn files_are_short() {
    nothing_found(sources().iter().filter_map(too_long));
    assert!(too_long(&Source::new("src/a/b.rs", &"fn a() {}\n".repeat(LONGEST_PRODUCT + 1))).is_some());
    assert!(too_long(&Source::new("src/a/b.rs", &"fn a() {}\n".repeat(LONGEST_PRODUCT))).is_none());
    assert!(too_long(&Source::new("tests/a.rs", &"fn a() {}\n".repeat(LONGEST_TEST + 1))).is_some());
}

#[test]
fn every_file_and_folder_says_what_it_holds() {
    nothing_found(files().iter().map(|path| name_of(path)).filter(|name| nameless(name)));
    assert!(nameless("src/util/mod.rs") && nameless("src/a/helpers.rs") && !nameless("src/utility/a.rs"));
}

#[test]
fn nothing_names_a_machine_or_a_workplace() {
    let texts = files().into_iter().filter_map(|path| Some((name_of(&path), fs::read_to_string(path).ok()?)));
    nothing_found(texts.flat_map(|(name, text)| machine_paths(&name, &text)));
    for part in private_paths() {
        assert_eq!(machine_paths("a", &format!("cp {part}x .")).len(), 1, "{part}");
    }
    assert!(machine_paths("a", "https://example.org/work/x").is_empty());
}
