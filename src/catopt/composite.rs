//! [`Composite`]: boxes on an undirected wiring diagram, and how diagrams are put into boxes.

use std::collections::{BTreeMap, BTreeSet};

use super::{CatoptError, QuadraticProgram};

/// A linear form of a box's variables: pairs of variable and coefficient, by ascending variable.
pub type Restriction = Vec<(usize, f64)>;

/// What is in a box.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A problem.
    Program(QuadraticProgram),
    /// A diagram of its own; its outer ports are the box's ports, in the same order.
    Nested(Composite),
    /// A problem that may not be seen.
    Redacted,
}

/// A box.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenBox {
    /// Its name, once in the diagram.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// A shared quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Junction {
    /// Its name, once in the diagram.
    pub variable: String,
}

/// Where a box touches a junction.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Index of the box.
    pub of: usize,
    /// Index of the junction.
    pub junction: usize,
    /// How the junction's quantity comes from the box's variables. `None` where the box is redacted or nested.
    pub restriction: Option<Restriction>,
}

/// Boxes, the junctions between them, and the junctions that are open to the outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Composite {
    /// The boxes.
    pub boxes: Vec<OpenBox>,
    /// The ports, those of one box in the box's own order.
    pub ports: Vec<Port>,
    /// The junctions.
    pub junctions: Vec<Junction>,
    /// By outer port: its junction.
    pub outer: Vec<usize>,
}

impl Composite {
    /// Checks names, references and the number of ports, here and in nested diagrams.
    ///
    /// # Errors
    /// The first [`CatoptError`] found.
    pub fn check(&self) -> Result<(), CatoptError> {
        once("box", self.boxes.iter().map(|one| &one.name))?;
        once("junction", self.junctions.iter().map(|one| &one.variable))?;
        for (place, port) in self.ports.iter().enumerate() {
            let place = || format!("port {place}");
            exists(place, "box", port.of, self.boxes.len())?;
            exists(place, "junction", port.junction, self.junctions.len())?;
            if let (Content::Program(program), Some(map)) = (&self.boxes[port.of].content, &port.restriction)
            {
                for (variable, _) in map {
                    exists(place, "variable", *variable, program.variables.len())?;
                }
            }
        }
        for (place, junction) in self.outer.iter().enumerate() {
            exists(|| format!("outer port {place}"), "junction", *junction, self.junctions.len())?;
        }
        for (index, one) in self.boxes.iter().enumerate() {
            if let Content::Nested(inner) = &one.content {
                let (ports, outer) = (self.ports_of(index).count(), inner.outer.len());
                if ports != outer {
                    return Err(CatoptError::Arity { name: one.name.clone(), ports, outer });
                }
                inner.check()?;
            }
        }
        Ok(())
    }

    /// The ports of box `index`, in order.
    pub fn ports_of(&self, index: usize) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter(move |port| port.of == index)
    }

    /// Names of the redacted boxes, at any depth.
    #[must_use]
    pub fn redacted(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for one in &self.boxes {
            match &one.content {
                Content::Redacted => names.push(one.name.as_str()),
                Content::Nested(inner) => names.extend(inner.redacted()),
                Content::Program(_) => {}
            }
        }
        names
    }

    /// The same problem without nesting: every diagram is put in the place of its box (operadic substitution), in canonical
    /// order. O(ports · log).
    ///
    /// Junctions that a box's ports and the diagram's outer ports identify become one; it keeps the outer name. An inner name
    /// that is taken is prefixed with the box's.
    ///
    /// # Errors
    /// What [`Composite::check`] finds.
    pub fn flatten(&self) -> Result<Self, CatoptError> {
        self.check()?;
        let mut flat = self.flattened();
        flat.put_in_order();
        Ok(flat)
    }

    /// Substitution, recursively; `self` is checked.
    fn flattened(&self) -> Self {
        let mut flat =
            Self { outer: self.outer.clone(), junctions: self.junctions.clone(), ..Self::default() };
        let mut names: BTreeSet<String> = self.boxes.iter().map(|one| one.name.clone()).collect();
        let mut variables: BTreeSet<String> = self.junctions.iter().map(|one| one.variable.clone()).collect();
        let mut same = Identified::new(self.junctions.len());
        for (index, one) in self.boxes.iter().enumerate() {
            let Content::Nested(inner) = &one.content else {
                let of = flat.boxes.len();
                flat.boxes.push(one.clone());
                flat.ports.extend(self.ports_of(index).map(|port| Port { of, ..port.clone() }));
                continue;
            };
            let inner = inner.flattened();
            let (first_box, first_junction) = (flat.boxes.len(), flat.junctions.len());
            for (port, outer) in self.ports_of(index).zip(&inner.outer) {
                same.reserve(first_junction + inner.junctions.len());
                same.join(port.junction, first_junction + outer);
            }
            same.reserve(first_junction + inner.junctions.len());
            let kept: BTreeSet<usize> = inner.outer.iter().copied().collect();
            for (place, junction) in inner.junctions.iter().enumerate() {
                let variable = if kept.contains(&place) {
                    junction.variable.clone()
                } else {
                    free(&mut variables, &one.name, &junction.variable)
                };
                flat.junctions.push(Junction { variable });
            }
            names.remove(&one.name);
            for inside in inner.boxes {
                flat.boxes.push(OpenBox { name: free(&mut names, &one.name, &inside.name), ..inside });
            }
            flat.ports.extend(inner.ports.into_iter().map(|port| Port {
                of: first_box + port.of,
                junction: first_junction + port.junction,
                restriction: port.restriction,
            }));
        }
        flat.identify(&mut same);
        flat
    }

    /// Makes one junction of those that are `same`; the first of them keeps its name.
    fn identify(&mut self, same: &mut Identified) {
        let mut place = BTreeMap::new();
        let mut kept = Vec::new();
        let of: Vec<usize> = (0..self.junctions.len())
            .map(|junction| {
                *place.entry(same.root(junction)).or_insert_with(|| {
                    kept.push(self.junctions[junction].clone());
                    kept.len() - 1
                })
            })
            .collect();
        self.junctions = kept;
        self.ports.iter_mut().for_each(|port| port.junction = of[port.junction]);
        self.outer.iter_mut().for_each(|junction| *junction = of[*junction]);
    }

    /// Boxes and junctions by name, ports by box and junction: one diagram has one form, whatever it was put together from.
    pub(super) fn put_in_order(&mut self) {
        let boxes = order(&self.boxes, |one| &one.name);
        let junctions = order(&self.junctions, |one| &one.variable);
        for port in &mut self.ports {
            (port.of, port.junction) = (boxes[port.of], junctions[port.junction]);
        }
        self.outer.iter_mut().for_each(|junction| *junction = junctions[*junction]);
        self.boxes.sort_by(|a, b| a.name.cmp(&b.name));
        self.junctions.sort_by(|a, b| a.variable.cmp(&b.variable));
        self.ports.sort_by_key(|port| (port.of, port.junction));
    }

    /// The same problem with a diagram for each group of boxes: `group` names the group of a box, or leaves it where it is.
    /// Flattened, it is this one again.
    ///
    /// # Errors
    /// What [`Composite::check`] finds, in this diagram or in the nested one (a group that is called as a box).
    pub fn nest(&self, group: impl Fn(&str) -> Option<String>) -> Result<Self, CatoptError> {
        let flat = self.flatten()?;
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, one) in flat.boxes.iter().enumerate() {
            if let Some(name) = group(&one.name) {
                groups.entry(name).or_default().push(index);
            }
        }
        let mut nested =
            Self { junctions: flat.junctions.clone(), outer: flat.outer.clone(), ..Self::default() };
        let grouped: BTreeSet<usize> = groups.values().flatten().copied().collect();
        for (index, one) in flat.boxes.iter().enumerate().filter(|(index, _)| !grouped.contains(index)) {
            let of = nested.boxes.len();
            nested.boxes.push(one.clone());
            nested.ports.extend(flat.ports_of(index).map(|port| Port { of, ..port.clone() }));
        }
        for (name, members) in groups {
            let inner = flat.take_out(&members);
            let of = nested.boxes.len();
            let touched = inner.junctions.iter().map(|junction| {
                flat.junctions.binary_search_by(|one| one.variable.cmp(&junction.variable)).unwrap_or(0)
            });
            nested.ports.extend(touched.map(|junction| Port { of, junction, restriction: None }));
            nested.boxes.push(OpenBox { name, content: Content::Nested(inner) });
        }
        nested.put_in_order();
        nested.check()?;
        Ok(nested)
    }

    /// The diagram of `members` alone, every junction that they touch open to the outside.
    fn take_out(&self, members: &[usize]) -> Self {
        let touched: BTreeSet<usize> =
            members.iter().flat_map(|member| self.ports_of(*member)).map(|port| port.junction).collect();
        let junctions: Vec<usize> = touched.into_iter().collect();
        let mut inner = Self { outer: (0..junctions.len()).collect(), ..Self::default() };
        for member in members {
            let of = inner.boxes.len();
            inner.boxes.push(self.boxes[*member].clone());
            inner.ports.extend(self.ports_of(*member).map(|port| Port {
                of,
                junction: junctions.binary_search(&port.junction).unwrap_or(0),
                restriction: port.restriction.clone(),
            }));
        }
        inner.junctions = junctions.into_iter().map(|junction| self.junctions[junction].clone()).collect();
        inner
    }
}

/// Which junctions are one: a forest whose roots are the smallest of their trees.
struct Identified {
    parent: Vec<usize>,
}

impl Identified {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    fn reserve(&mut self, count: usize) {
        self.parent.extend(self.parent.len()..count);
    }

    fn root(&mut self, mut one: usize) -> usize {
        while self.parent[one] != one {
            self.parent[one] = self.parent[self.parent[one]];
            one = self.parent[one];
        }
        one
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// By index: the place that the item has when they are sorted by name.
fn order<T>(items: &[T], name: impl Fn(&T) -> &String) -> Vec<usize> {
    let mut by_name: Vec<usize> = (0..items.len()).collect();
    by_name.sort_by(|a, b| name(&items[*a]).cmp(name(&items[*b])));
    let mut place = vec![0; items.len()];
    by_name.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    place
}

/// `name`, or `name` behind `outer` as often as needed to be free; it is taken then.
fn free(taken: &mut BTreeSet<String>, outer: &str, name: &str) -> String {
    let mut name = name.to_owned();
    while !taken.insert(name.clone()) {
        name = format!("{outer}/{name}");
    }
    name
}

fn once<'n>(what: &'static str, names: impl Iterator<Item = &'n String>) -> Result<(), CatoptError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(CatoptError::Twice { what, name: name.clone() });
        }
    }
    Ok(())
}

fn exists(
    place: impl Fn() -> String,
    what: &'static str,
    found: usize,
    count: usize,
) -> Result<(), CatoptError> {
    if found < count { Ok(()) } else { Err(CatoptError::Missing { place: place(), what, found, count }) }
}
