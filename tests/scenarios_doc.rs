//! docs/SCENARIOS.md says what the code does: every field with its value, default and meaning, and examples that load.
//!
//! After a change of `src/scenario/raw/`, `COSMOSMESH_WRITE_DOCS=1 cargo test --test scenarios_doc` writes the tables again.

use std::{fmt::Write, fs, path::PathBuf};

use cosmosmesh::scenario::{Scenario, Shape, shapes};

const TABLES: &str = "## Every field\n";

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SCENARIOS.md"))
}

/// The part of the page that follows from the code.
fn tables() -> String {
    let mut text = String::from(TABLES);
    for shape in shapes() {
        match shape {
            Shape::Record { name, fields } => {
                let _ = write!(
                    text,
                    "\n### {name}\n\n| Field | Value | Default | Meaning |\n|---|---|---|---|\n"
                );
                for field in fields {
                    let default = if field.required { "required" } else { field.default };
                    let _ = writeln!(
                        text,
                        "| `{}` | {} | {default} | {} |",
                        field.name, field.what, field.meaning
                    );
                }
            }
            Shape::Choice { name, variants } => {
                let _ = write!(text, "\n### {name}\n\nOne of:\n\n");
                for (variant, record) in variants {
                    match record {
                        Some(record) => _ = writeln!(text, "- `{variant}(…)` with the fields of {record}"),
                        None => _ = writeln!(text, "- `{variant}`"),
                    }
                }
            }
        }
    }
    text
}

#[test]
fn every_field_is_documented_as_the_code_reads_it() {
    let text = fs::read_to_string(page()).expect("the page is there");
    let start = text.find(TABLES).expect("the page has the tables");
    if std::env::var_os("COSMOSMESH_WRITE_DOCS").is_some() {
        fs::write(page(), format!("{}{}", &text[..start], tables())).expect("written");
        return;
    }
    for (documented, expected) in text[start..].lines().zip(tables().lines()) {
        assert_eq!(documented, expected);
    }
    assert_eq!(text[start..].trim_end(), tables().trim_end());
}

#[test]
fn every_shape_that_a_field_names_is_documented() {
    let known: Vec<&str> = shapes()
        .iter()
        .map(|shape| match shape {
            Shape::Record { name, .. } | Shape::Choice { name, .. } => *name,
        })
        .collect();
    for shape in shapes() {
        let named: Vec<String> = match shape {
            Shape::Record { fields, .. } => fields
                .iter()
                .filter_map(|field| {
                    field.what.rsplit_once('(').map(|(_, record)| record.trim_end_matches(')').to_owned())
                })
                .filter(|record| record.chars().all(char::is_alphanumeric))
                .collect(),
            Shape::Choice { variants, .. } => {
                variants.iter().filter_map(|(_, record)| record.map(str::to_owned)).collect()
            }
        };
        for record in named {
            assert!(known.contains(&record.as_str()), "{record} is not documented");
        }
    }
}

#[test]
fn every_required_field_has_no_default_and_every_optional_one_has() {
    for shape in shapes() {
        let Shape::Record { name, fields } = shape else { continue };
        for field in fields {
            assert_eq!(field.required, field.default.is_empty(), "{name}.{}", field.name);
            assert!(field.meaning.ends_with('.'), "{name}.{}", field.name);
        }
    }
}

#[test]
fn every_example_loads() {
    let text = fs::read_to_string(page()).expect("the page is there");
    let examples: Vec<&str> =
        text.split("```ron\n").skip(1).map(|rest| rest.split("```").next().expect("an end")).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        if let Err(diagnostics) = Scenario::parse("docs/SCENARIOS.md", example) {
            panic!("{diagnostics}");
        }
    }
}
