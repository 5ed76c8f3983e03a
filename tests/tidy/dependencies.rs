//! What is built upon: every dependency is used, is written down with its reason, and may be used.

use super::source::{files, name_of, sources, workspace};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    sync::OnceLock,
};

/// What Cargo knows of this workspace and of all it is built from on this kind of machine.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let host = output(Command::new("rustc").arg("-vV"));
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let text = output(Command::new(cargo).current_dir(workspace()).args([
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            host,
        ]));
        serde_json::from_str(&text).expect("cargo writes JSON")
    })
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("cargo and rustc can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().expect("a list")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The workspace's own packages.
fn members() -> impl Iterator<Item = &'static Value> {
    let members = list(metadata(), "workspace_members");
    list(metadata(), "packages").iter().filter(move |package| members.contains(&package["id"]))
}

/// Names of all packages that a member depends on directly, without the members themselves.
fn direct_dependencies() -> BTreeSet<&'static str> {
    let dependencies = members().flat_map(|member| list(member, "dependencies"));
    dependencies.filter(|dependency| dependency["path"].is_null()).map(|entry| text(entry, "name")).collect()
}

/// Licences by package; a package that is there in several versions counts once.
fn licences() -> BTreeMap<&'static str, &'static str> {
    let packages = list(metadata(), "packages").iter();
    packages.map(|package| (text(package, "name"), text(package, "license"))).collect()
}

/// Rows of the tables in `docs/dependencies.md`: package and licence.
fn documented(text: &str) -> BTreeMap<&str, &str> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        Some((cells.first()?.trim_matches('`'), *cells.last()?))
    })
    .collect()
}

/// Whether the licence expression `text` is satisfied by the licences in `allowed`. SPDX 2.3, annex D, and the old `/`.
fn permits(text: &str, allowed: &[&str]) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let verdict = either(&words, &mut at, allowed);
    verdict && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut verdict = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        verdict |= both(words, at, allowed);
    }
    verdict
}

fn both(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut verdict = single(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        verdict &= single(words, at, allowed);
    }
    verdict
}

fn single(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let verdict = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return verdict && closed;
    }
    if words.get(*at) == Some(&"WITH") {
        // An exception only permits more.
        *at += 2;
    }
    allowed.contains(&word)
}

/// The list that `deny.toml` allows.
fn allowed(deny: &str) -> Vec<&str> {
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']'));
    let (list, _) = list.expect("deny.toml has a list of licences");
    list.lines().filter_map(|line| line.split('"').nth(1)).collect()
}

#[test]
fn every_licence_is_allowed() {
    let deny = fs::read_to_string(workspace().join("deny.toml")).expect("deny.toml");
    let allowed = allowed(&deny);
    let found: Vec<String> = licences()
        .iter()
        .filter(|(_, licence)| !permits(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect();
    assert!(found.is_empty(), "not allowed by deny.toml:\n{}", found.join("\n"));
    let needed = |one: &&str| {
        let others: Vec<&str> = allowed.iter().filter(|other| other != &one).copied().collect();
        licences().values().any(|licence| !permits(licence, &others))
    };
    let idle: Vec<&&str> = allowed.iter().filter(|one| !needed(one)).collect();
    assert!(idle.is_empty(), "allowed, and nothing needs it: {idle:?}");
}

#[test]
fn a_licence_that_is_not_allowed_is_found() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
    for good in ["MIT", "GPL-3.0 OR MIT", "Unlicense/MIT", "(MIT OR GPL-3.0) AND Unicode-3.0"] {
        assert!(permits(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0", "", "(MIT OR Apache-2.0) AND BSL-1.0", "(MIT", "MIT MIT"] {
        assert!(!permits(bad, &allowed), "{bad}");
    }
    assert!(permits("Apache-2.0 WITH LLVM-exception", &allowed));
}

#[test]
fn every_dependency_has_its_line_and_its_licence_in_the_document() {
    let text = fs::read_to_string(workspace().join("docs/dependencies.md")).expect("docs/dependencies.md");
    let documented = documented(&text);
    let names: BTreeSet<&str> = documented.keys().copied().collect();
    let direct = direct_dependencies();
    let missing: Vec<_> = direct.difference(&names).collect();
    let stale: Vec<_> = names.difference(&direct).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:?}; no longer there: {stale:?}");
    let licences = licences();
    for (name, licence) in documented {
        assert_eq!(licences[name], licence, "{name}");
    }
}

#[test]
fn a_row_of_the_document_is_read() {
    let text = "| Crate | Why | Licence |\n|---|---|---|\n| `libm` | numbers | MIT |\n| `a-b` | x | MIT/Apache-2.0 |";
    assert_eq!(documented(text), BTreeMap::from([("libm", "MIT"), ("a-b", "MIT/Apache-2.0")]));
}

#[test]
fn every_dependency_is_used() {
    let sources = sources();
    let mut idle = Vec::new();
    for member in members() {
        let folder = text(member, "manifest_path").trim_end_matches("Cargo.toml").to_owned();
        let others: Vec<&str> = members().map(|other| text(other, "manifest_path")).collect();
        let is_own = |path: &str| {
            let full = workspace().join(path);
            let full = full.to_string_lossy();
            let nested = others.iter().map(|other| other.trim_end_matches("Cargo.toml"));
            full.starts_with(&folder)
                && !nested.filter(|o| o.len() > folder.len()).any(|o| full.starts_with(o))
        };
        let own: Vec<_> = sources.iter().filter(|source| is_own(&source.path)).collect();
        for dependency in list(member, "dependencies") {
            let name = dependency["rename"].as_str().unwrap_or(text(dependency, "name")).replace('-', "_");
            if !own.iter().any(|source| names(&source.code, &name)) {
                idle.push(format!("{}: {name}", text(member, "name")));
            }
        }
    }
    assert!(idle.is_empty(), "no code names these dependencies: {idle:?}");
    assert!(names("use ron::de;", "ron") && !names("use iron::de; let ron = 1;", "ron"));
}

/// Whether `code` has a path that begins with the crate `name`.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].trim_start();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && (after.starts_with("::") || code[..at].ends_with("use "))
    })
}

#[test]
fn every_test_that_a_table_names_exists() {
    let code: String = sources().into_iter().map(|source| source.code).collect();
    // A test's name is a claim; folders, types and reasons stand beside it.
    let is_claim = |name: &&str| {
        name.matches('_').count() > 1 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for document in ["docs/CONFORMANCE.md", "docs/PRIVACY.md", "docs/SECURITY.md", "docs/GOVERNANCE.md"] {
        let text = fs::read_to_string(workspace().join(document)).expect(document);
        let rows = text.lines().filter(|line| line.starts_with('|'));
        let cells = rows.filter_map(|line| line.split('|').nth_back(1));
        let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let named: Vec<&str> = quoted.filter(is_claim).collect();
        assert!(named.len() > 5, "the tables of {document} are read");
        let missing: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{document}: no such test: {missing:?}");
    }
}

#[test]
fn every_file_that_the_documents_link_to_exists() {
    let mut broken = Vec::new();
    for path in files().iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(path).expect("UTF-8");
        for target in links(&text) {
            if !path.parent().expect("a file is in a folder").join(target).exists() {
                broken.push(format!("{}: {target}", name_of(path)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(links("[a](b.md#c) [d](https://e.f) [g](#h)"), ["b.md"]);
}

/// Files that a document links to.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', ' ']));
    files.filter_map(|target| target.split('#').next()).collect()
}
