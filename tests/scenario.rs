//! Scenario files through the public door: what is shipped loads, and every kind of mistake is told with its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cosmosmesh::scenario::{ContactSource, Diagnostic, MAX_FILE_BYTES, Mistake, Scenario};
use proptest::prelude::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn scenario_files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder(name))
        .expect("the folder exists")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .collect();
    files.sort();
    files
}

fn mistakes(text: &str) -> Vec<Diagnostic> {
    Scenario::parse("test.ron", text).expect_err("it has mistakes").list().to_vec()
}

/// `// expect: LINE:COLUMN MISTAKE FIELD | FRAGMENT`, one per mistake, in the order of the text.
struct Expectation {
    place: String,
    mistake: String,
    field: String,
    fragment: String,
}

fn expectations(text: &str) -> Vec<Expectation> {
    text.lines()
        .filter_map(|line| line.strip_prefix("// expect: "))
        .map(|line| {
            let (head, fragment) = line.split_once(" | ").expect("a fragment");
            let words: Vec<&str> = head.split(' ').collect();
            Expectation {
                place: words[0].to_owned(),
                mistake: words[1].to_owned(),
                field: words[2].replace('-', if words[2] == "-" { "" } else { "-" }),
                fragment: fragment.to_owned(),
            }
        })
        .collect()
}

#[test]
fn every_mistake_is_told_with_its_place_field_and_repair() {
    let files = scenario_files("tests/data/scenarios");
    assert!(files.len() > 70, "{}", files.len());
    let mut wrong = String::new();
    for file in files {
        let expected = expectations(&fs::read_to_string(&file).expect("readable"));
        assert!(!expected.is_empty(), "{} expects nothing", file.display());
        let found = match Scenario::load(&file) {
            Ok(_) => Vec::new(),
            Err(diagnostics) => diagnostics.list().to_vec(),
        };
        let same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, expected)| {
                let mistake = serde_json::to_value(found.mistake).expect("a name");
                format!("{}:{}", found.line, found.column) == expected.place
                    && mistake == expected.mistake.as_str()
                    && found.field == expected.field
                    && found.to_string().contains(&expected.fragment)
            });
        if !same {
            wrong.push_str(&format!("{}\n", file.display()));
            for found in found {
                wrong.push_str(&format!("    {:?} {found}\n", found.mistake));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_base_of_the_mistakes_has_none() {
    for file in scenario_files("tests/data/scenarios/valid") {
        if let Err(diagnostics) = Scenario::load(&file) {
            panic!("{diagnostics}");
        }
    }
}

#[test]
fn every_shipped_scenario_loads() {
    let files = scenario_files("scenarios");
    assert!(files.len() >= 5);
    for file in files {
        match Scenario::load(&file) {
            Ok(scenario) => {
                assert_eq!(Some(scenario.name.as_str()), file.file_stem().and_then(|s| s.to_str()))
            }
            Err(diagnostics) => panic!("{diagnostics}"),
        }
    }
}

#[test]
fn assets_are_in_order_of_their_node_numbers() {
    let scenario = Scenario::load(&folder("scenarios/mars_relay.ron")).expect("it loads");
    assert!(scenario.assets.is_sorted_by(|a, b| a.node < b.node));
    let habitat = scenario.asset_named("habitat").expect("it is there");
    assert_eq!(scenario.asset(habitat).name, "habitat");
}

#[test]
fn a_class_without_crosslinks_keeps_satellites_apart_and_nobody_else() {
    let scenario = Scenario::load(&folder("scenarios/mars_relay.ron")).expect("it loads");
    let asset = |name| scenario.asset_named(name).expect("it is there");
    let class =
        |name: &str| scenario.classes.iter().position(|class| class.name == name).expect("it is there");
    for (name, from, to, may) in [
        ("x-band", "mro", "maven", false),
        ("x-band", "mro", "goldstone", true),
        ("proximity-uhf", "tgo", "mex", false),
        ("proximity-uhf", "habitat", "tgo", true),
        ("surface-link", "habitat", "drone", true),
    ] {
        assert_eq!(scenario.may_talk(class(name), asset(from), asset(to)), may, "{name} {from} {to}");
    }
}

#[test]
fn seven_sols_are_exact() {
    let scenario = Scenario::load(&folder("scenarios/mars_relay.ron")).expect("it loads");
    assert_eq!(scenario.duration.as_nanos(), 7 * 88_775_244_000_000);
}

#[test]
fn the_hash_changes_with_an_included_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, part) = (folder.path().join("root.ron"), folder.path().join("part.ron"));
    let text = "(version: 1, name: \"x\", epoch: \"2026-11-01T00:00:00Z\", duration: \"1 s\", includes: [\"part.ron\"])";
    fs::write(&root, text).expect("written");
    let asset = |node| {
        let site = "Site(body: Moon, latitude_deg: 0, longitude_deg: 0)";
        format!("(version: 1, assets: [(name: \"a\", kind: Rover, node: {node}, motion: {site})])")
    };
    fs::write(&part, asset(1)).expect("written");
    let first = Scenario::load(&root).expect("it loads").hash;
    assert_eq!(Scenario::load(&root).expect("it loads").hash, first);
    fs::write(&part, asset(2)).expect("written");
    assert_ne!(Scenario::load(&root).expect("it loads").hash, first);
}

#[test]
fn a_mistake_in_a_part_names_the_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.ron");
    fs::write(&root, "(version: 1, name: \"x\", epoch: \"2026-11-01T00:00:00Z\", duration: \"1 s\", includes: [\"p.ron\"])")
        .expect("written");
    fs::write(folder.path().join("p.ron"), "(version: 1,\n assets: [(nam: 1)])").expect("written");
    let list = Scenario::load(&root).expect_err("it has mistakes").list().to_vec();
    assert!(list.iter().all(|mistake| mistake.file == "p.ron" && mistake.line == 2), "{list:?}");
}

#[test]
fn includes_in_a_circle_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.ron");
    fs::write(&root, "(version: 1, name: \"x\", epoch: \"2026-11-01T00:00:00Z\", duration: \"1 s\", includes: [\"a.ron\"])")
        .expect("written");
    fs::write(folder.path().join("a.ron"), "(version: 1, includes: [\"b.ron\"])").expect("written");
    fs::write(folder.path().join("b.ron"), "(version: 1, includes: [\"a.ron\"])").expect("written");
    let list = Scenario::load(&root).expect_err("it has mistakes").list().to_vec();
    assert_eq!((list[0].mistake, list[0].file.as_str()), (Mistake::Include, "b.ron"));
}

#[test]
fn a_chain_of_includes_has_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.ron");
    fs::write(&root, "(version: 1, name: \"x\", epoch: \"2026-11-01T00:00:00Z\", duration: \"1 s\", includes: [\"0.ron\"])")
        .expect("written");
    for at in 0..20 {
        let text = format!("(version: 1, includes: [\"{}.ron\"])", at + 1);
        fs::write(folder.path().join(format!("{at}.ron")), text).expect("written");
    }
    let list = Scenario::load(&root).expect_err("it has mistakes").list().to_vec();
    assert_eq!(list[0].mistake, Mistake::Include);
    assert!(list[0].allowed.contains("at most 8"), "{list:?}");
}

#[test]
fn a_million_brackets_are_refused() {
    for bracket in ["(", "[", "{", "Some(", "(a:", "/*"] {
        let list = mistakes(&bracket.repeat(1_000_000));
        assert_eq!(list.len(), 1);
        assert!(matches!(list[0].mistake, Mistake::TooDeep | Mistake::Syntax), "{bracket}: {list:?}");
    }
    assert_eq!(mistakes(&"[".repeat(1_000_000))[0].mistake, Mistake::TooDeep);
}

#[test]
fn empty_truncated_foreign_and_huge_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |bytes: &[u8]| {
        let file = folder.path().join("x.ron");
        fs::write(&file, bytes).expect("written");
        Scenario::load(&file).expect_err("it is refused").list()[0].clone()
    };
    assert_eq!(refused(b"").mistake, Mistake::Syntax);
    assert_eq!(refused(b" \n\n").mistake, Mistake::Syntax);
    assert_eq!(refused(b"// only words\n").mistake, Mistake::Syntax);
    let foreign = refused(b"(version: 1,\n name: \"\xff\")");
    assert_eq!((foreign.mistake, foreign.line, foreign.column), (Mistake::NotUtf8, 2, 9));
    assert_eq!(refused(&vec![b' '; MAX_FILE_BYTES as usize + 1]).mistake, Mistake::TooLarge);
    let whole = fs::read(self::folder("scenarios/smoke.ron")).expect("readable");
    for length in (0..whole.len() - 3).step_by(7) {
        refused(&whole[..length]);
    }
    assert_eq!(Scenario::load(folder.path()).expect_err("a folder").list()[0].mistake, Mistake::Unreadable);
    let missing = Scenario::load(&folder.path().join("none.ron")).expect_err("missing");
    assert_eq!(missing.list()[0].mistake, Mistake::Unreadable);
}

#[test]
fn the_excerpt_shows_the_line_and_the_repair() {
    let text = "(version: 1,\n nmae: \"x\",\n epoch: \"2026-11-01T00:00:00Z\", duration: \"1 s\")";
    let rendered = Scenario::parse("x.ron", text).expect_err("it has mistakes").render();
    for part in ["x.ron:2:2", " nmae: \"x\",", "^^^^ found `nmae`", "did you mean `name`?"] {
        assert!(rendered.contains(part), "{part} is not in\n{rendered}");
    }
}

#[test]
fn the_same_text_gives_the_same_mistakes() {
    let text = "(version: 1, nmae: 1, epoch: 2, duration: \"1 parsec\", assets: [(), (kind: X)])";
    assert_eq!(mistakes(text), mistakes(text));
}

/// A shipped scenario with a few bytes changed: nearly right texts reach further than random ones.
fn damaged() -> impl Strategy<Value = String> {
    let texts: Vec<String> =
        scenario_files("scenarios").iter().map(|file| fs::read_to_string(file).expect("readable")).collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, ".{0,4}"), 1..6);
    (prop::sample::select(texts), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, removed, inserted) in edits {
            let start = at.index(chars.len());
            let end = (start + removed).min(chars.len());
            chars.splice(start..end, inserted.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        if let Err(diagnostics) = Scenario::parse("x.ron", &text) {
            prop_assert!(!diagnostics.render().is_empty());
        }
    }

    #[test]
    fn no_brackets_and_marks_make_it_panic(text in "[\\(\\)\\[\\]\\{\\}:,\"'a-c0-9\\.\\-\\\\/\\*# \n]{0,120}") {
        if let Err(diagnostics) = Scenario::parse("x.ron", &text) {
            prop_assert!(!diagnostics.render().is_empty());
        }
    }

    #[test]
    fn no_bytes_make_loading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.ron");
        fs::write(&file, bytes).expect("written");
        if let Err(diagnostics) = Scenario::load(&file) {
            prop_assert!(!diagnostics.render().is_empty());
        }
    }

    #[test]
    fn no_damage_makes_it_panic(text in damaged()) {
        if let Err(diagnostics) = Scenario::parse("x.ron", &text) {
            prop_assert!(!diagnostics.render().is_empty());
        }
    }
}

#[test]
fn an_imported_plan_keeps_its_contacts_between_the_assets() {
    let scenario = Scenario::load(&folder("tests/data/scenarios/valid/imported.ron")).expect("it loads");
    let ContactSource::Imported { plan, .. } = &scenario.contacts else { panic!("imported") };
    assert_eq!(plan.contacts().len(), 2);
    // ION's rates are bytes per second.
    assert_eq!(plan.contacts()[0].rate.0, 64_000.0);
}

#[test]
fn what_is_shipped_is_ron_to_the_ron_crate_too() {
    for file in scenario_files("scenarios").iter().chain(&scenario_files("scenarios/parts")) {
        let text = fs::read_to_string(file).expect("readable");
        if let Err(error) = ron::from_str::<ron::Value>(&text) {
            panic!("{}: {error}", file.display());
        }
    }
}
