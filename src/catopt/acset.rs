//! The diagram as an attributed C-set in the JSON of ACSets.jl: one list of rows per table, rows and references from 1.
//!
//! The schema is Catlab's `SchRelationDiagram` (undirected wiring diagrams with names) with two attributes of our own:
//! `model`, the file in a box, and `restriction`, a port's restriction map.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CatoptError, Composite, Content, Junction, OpenBox, Port};

/// The tables.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Acset {
    #[serde(rename = "Box")]
    boxes: Vec<BoxRow>,
    port: Vec<PortRow>,
    outer_port: Vec<OuterPortRow>,
    junction: Vec<JunctionRow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoxRow {
    #[serde(rename = "_id")]
    id: usize,
    name: String,
    /// File beside this one: `*.mof.json` for a problem, `*.acset.json` for a diagram; null for a redacted box.
    model: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortRow {
    #[serde(rename = "_id")]
    id: usize,
    #[serde(rename = "box")]
    of: usize,
    junction: usize,
    restriction: Option<Vec<Term>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    variable: String,
    coefficient: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OuterPortRow {
    #[serde(rename = "_id")]
    id: usize,
    outer_junction: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JunctionRow {
    #[serde(rename = "_id")]
    id: usize,
    variable: String,
}

/// The schema, as ACSets.jl writes one.
pub(super) fn schema() -> serde_json::Value {
    let named = |name: &str| serde_json::json!({ "name": name });
    let map =
        |name: &str, dom: &str, codom: &str| serde_json::json!({ "name": name, "dom": dom, "codom": codom });
    serde_json::json!({
        // The second is the version of ACSets.jl whose form it is: its own JSON schema asks for both.
        "version": { "ACSetSchema": "0.0.1", "ACSets": "0.2.29" },
        "Ob": [named("Box"), named("Port"), named("OuterPort"), named("Junction")],
        "Hom": [
            map("box", "Port", "Box"),
            map("junction", "Port", "Junction"),
            map("outer_junction", "OuterPort", "Junction"),
        ],
        "AttrType": [named("Name"), named("VarName"), named("Model"), named("Restriction")],
        "Attr": [
            map("name", "Box", "Name"),
            map("model", "Box", "Model"),
            map("variable", "Junction", "VarName"),
            map("restriction", "Port", "Restriction"),
        ],
    })
}

impl Acset {
    /// The tables of `diagram`, in its order; `file` names the file of a box.
    pub(super) fn of(diagram: &Composite, file: impl Fn(&OpenBox) -> Option<String>) -> Self {
        let boxes = diagram.boxes.iter().enumerate();
        let boxes =
            boxes.map(|(at, one)| BoxRow { id: at + 1, name: one.name.clone(), model: file(one) }).collect();
        let port = |(at, port): (usize, &Port)| PortRow {
            id: at + 1,
            of: port.of + 1,
            junction: port.junction + 1,
            restriction: restriction(diagram, port),
        };
        let outer =
            |(at, junction): (usize, &usize)| OuterPortRow { id: at + 1, outer_junction: junction + 1 };
        let junction =
            |(at, one): (usize, &Junction)| JunctionRow { id: at + 1, variable: one.variable.clone() };
        Self {
            boxes,
            port: diagram.ports.iter().enumerate().map(port).collect(),
            outer_port: diagram.outer.iter().enumerate().map(outer).collect(),
            junction: diagram.junctions.iter().enumerate().map(junction).collect(),
        }
    }

    /// The diagram that the tables at `path` state; `open` reads what a box's file holds.
    pub(super) fn diagram(
        self,
        path: &Path,
        mut open: impl FnMut(&str, &str) -> Result<Content, CatoptError>,
    ) -> Result<Composite, CatoptError> {
        self.check(path)?;
        let mut diagram = Composite::default();
        for row in self.boxes {
            let content = match &row.model {
                Some(file) => open(&row.name, file)?,
                None => Content::Redacted,
            };
            diagram.boxes.push(OpenBox { name: row.name, content });
        }
        for row in self.port {
            let of = row.of - 1;
            let place = format!("Port[{}].restriction", row.id);
            let restriction = match (&diagram.boxes[of].content, row.restriction) {
                (Content::Program(program), Some(terms)) => {
                    Some(resolve(path, &place, &program.variables, &terms)?)
                }
                (_, None) => None,
                (_, Some(_)) => {
                    let found = "a restriction map".to_owned();
                    let allowed = "null, since the box holds no problem of its own".to_owned();
                    return Err(CatoptError::Field { path: path.into(), place, found, allowed });
                }
            };
            diagram.ports.push(Port { of, junction: row.junction - 1, restriction });
        }
        diagram.outer = self.outer_port.into_iter().map(|row| row.outer_junction - 1).collect();
        diagram.junctions =
            self.junction.into_iter().map(|row| Junction { variable: row.variable }).collect();
        diagram.check()?;
        Ok(diagram)
    }

    /// Ids count from 1 and references exist.
    fn check(&self, path: &Path) -> Result<(), CatoptError> {
        let ids = |table: &str, ids: &mut dyn Iterator<Item = usize>| {
            let wrong = ids.enumerate().find(|(at, id)| *id != at + 1);
            wrong.map_or(Ok(()), |(at, id)| {
                let place = format!("{table}[{}]._id", at + 1);
                Err(field(path, place, id, format!("{}", at + 1)))
            })
        };
        ids("Box", &mut self.boxes.iter().map(|row| row.id))?;
        ids("Port", &mut self.port.iter().map(|row| row.id))?;
        ids("OuterPort", &mut self.outer_port.iter().map(|row| row.id))?;
        ids("Junction", &mut self.junction.iter().map(|row| row.id))?;
        let (boxes, junctions) = (self.boxes.len(), self.junction.len());
        for row in &self.port {
            refers(path, || format!("Port[{}].box", row.id), row.of, boxes)?;
            refers(path, || format!("Port[{}].junction", row.id), row.junction, junctions)?;
        }
        for row in &self.outer_port {
            let place = || format!("OuterPort[{}].outer_junction", row.id);
            refers(path, place, row.outer_junction, junctions)?;
        }
        Ok(())
    }
}

fn field(path: &Path, place: String, found: usize, allowed: String) -> CatoptError {
    CatoptError::Field { path: path.into(), place, found: found.to_string(), allowed }
}

fn refers(path: &Path, place: impl Fn() -> String, found: usize, count: usize) -> Result<(), CatoptError> {
    if (1..=count).contains(&found) {
        return Ok(());
    }
    Err(field(path, place(), found, format!("1 to {count}")))
}

fn restriction(diagram: &Composite, port: &Port) -> Option<Vec<Term>> {
    let Content::Program(program) = &diagram.boxes[port.of].content else { return None };
    let term = |(variable, by): &(usize, f64)| Term {
        variable: program.variables[*variable].clone(),
        coefficient: *by,
    };
    port.restriction.as_ref().map(|map| map.iter().map(term).collect())
}

fn resolve(
    path: &Path,
    place: &str,
    variables: &[String],
    terms: &[Term],
) -> Result<Vec<(usize, f64)>, CatoptError> {
    let mut map = Vec::new();
    for term in terms {
        let variable = variables.iter().position(|name| *name == term.variable);
        let variable = variable.ok_or_else(|| CatoptError::Field {
            path: path.into(),
            place: place.into(),
            found: format!("variable {:?}", term.variable),
            allowed: "a variable of the box".into(),
        })?;
        map.push((variable, term.coefficient));
    }
    map.sort_by_key(|(variable, _)| *variable);
    Ok(map)
}
