//! Plans as CSV, JSON and a table.

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use super::{Label, label};
use crate::{
    contact::{Contact, ContactPlan},
    units::{BitsPerSecond, SimTime},
};

/// One row; the names of the columns are a promise to scripts.
#[derive(Serialize)]
struct Row<'a> {
    from: &'a str,
    to: &'a str,
    start_utc: String,
    end_utc: String,
    start_s: f64,
    end_s: f64,
    max_elevation_deg: Option<f64>,
    /// At the start of the window.
    owlt_s: f64,
    /// `None`: no limit (an imported plan).
    rate_bps: Option<f64>,
}

impl<'a> Row<'a> {
    fn new(contact: &Contact, labels: &'a [Label], utc: &dyn Fn(SimTime) -> String) -> Self {
        Self {
            from: &label(labels, contact.from).name,
            to: &label(labels, contact.to).name,
            start_utc: utc(contact.start),
            end_utc: utc(contact.end),
            start_s: contact.start.as_secs_f64(),
            end_s: contact.end.as_secs_f64(),
            max_elevation_deg: contact.max_elevation_deg,
            owlt_s: contact.owlt_at(contact.start).as_secs_f64(),
            rate_bps: Some(contact.rate.0).filter(|rate| rate.is_finite()),
        }
    }

    fn fields(&self) -> [String; 9] {
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
        [
            self.from.to_owned(),
            self.to.to_owned(),
            self.start_utc.clone(),
            self.end_utc.clone(),
            format!("{:.9}", self.start_s),
            format!("{:.9}", self.end_s),
            optional(self.max_elevation_deg),
            format!("{:.9}", self.owlt_s),
            self.rate_bps.map_or(String::new(), |rate| rate.to_string()),
        ]
    }
}

/// CSV with a header row (RFC 4180, lines ended by LF): `from,to,start_utc,end_utc,start_s,end_s,max_elevation_deg,owlt_s,
/// rate_bps`. Fields that do not apply are empty. `utc` gives the civil time of a moment.
///
/// # Panics
/// When an asset of the plan has no label.
#[must_use]
pub fn csv(plan: &ContactPlan, labels: &[Label], utc: &dyn Fn(SimTime) -> String) -> String {
    let header =
        ["from", "to", "start_utc", "end_utc", "start_s", "end_s", "max_elevation_deg", "owlt_s", "rate_bps"];
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let rows = plan.contacts().iter().map(|contact| Row::new(contact, labels, utc));
    let written = writer
        .write_record(header)
        .and_then(|()| rows.into_iter().try_for_each(|row| writer.write_record(row.fields())));
    written.expect("writing to memory does not fail");
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("fields are text")
}

/// A JSON list of objects with the columns of [`csv()`]; what does not apply is null.
///
/// # Panics
/// When an asset of the plan has no label.
#[must_use]
pub fn json(plan: &ContactPlan, labels: &[Label], utc: &dyn Fn(SimTime) -> String) -> String {
    let rows: Vec<Row<'_>> = plan.contacts().iter().map(|contact| Row::new(contact, labels, utc)).collect();
    let mut text = serde_json::to_string_pretty(&rows).expect("numbers and text are always JSON");
    text.push('\n');
    text
}

/// A table for people, with a last line that counts the contacts.
///
/// # Panics
/// When an asset of the plan has no label.
#[must_use]
pub fn table(plan: &ContactPlan, labels: &[Label], utc: &dyn Fn(SimTime) -> String) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "from",
        "to",
        "start (UTC)",
        "end (UTC)",
        "length",
        "max. elev.",
        "light time",
        "rate",
    ]);
    for contact in plan.contacts() {
        let row = Row::new(contact, labels, utc);
        table.add_row([
            row.from.to_owned(),
            row.to.to_owned(),
            row.start_utc.clone(),
            row.end_utc.clone(),
            clock(contact.end - contact.start),
            row.max_elevation_deg.map_or("–".to_owned(), |elevation| format!("{elevation:.1}°")),
            light(row.owlt_s),
            rate(contact.rate),
        ]);
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{} contacts\n", plan.contacts().len())
}

/// h:mm:ss.s
fn clock(span: SimTime) -> String {
    let tenths = span.as_nanos() / 100_000_000;
    let (seconds, minutes) = (tenths / 10, tenths / 600);
    format!("{}:{:02}:{:02}.{}", minutes / 60, minutes % 60, seconds % 60, tenths % 10)
}

fn light(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.3} s") }
}

fn rate(rate: BitsPerSecond) -> String {
    match rate.0 {
        infinite if infinite.is_infinite() => "no limit".to_owned(),
        mega if mega >= 1e6 => format!("{:.3} Mbit/s", mega / 1e6),
        kilo if kilo >= 1e3 => format!("{:.3} kbit/s", kilo / 1e3),
        bits => format!("{bits:.1} bit/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contact::RangeSample, units::AssetIndex};

    fn plan() -> (ContactPlan, Vec<Label>) {
        let contact = Contact {
            from: AssetIndex(0),
            to: AssetIndex(1),
            from_radio: 0,
            to_radio: 0,
            start: SimTime(1_500_000_000),
            end: SimTime(3_601_750_000_000),
            rate: BitsPerSecond(2.5e6),
            bit_error_rate: 0.0,
            max_elevation_deg: Some(45.25),
            range: vec![RangeSample { time: SimTime::ZERO, range_m: 299_792.458, range_rate_mps: 0.0 }],
        };
        let label = |name: &str, node| Label { name: name.to_owned(), node };
        (ContactPlan::new(vec![contact]), vec![label("a, b", 1), label("c", 2)])
    }

    #[test]
    fn csv_has_the_promised_columns() {
        let (plan, labels) = plan();
        let text = csv(&plan, &labels, &|time| format!("T{}", time.0));
        let expected = "from,to,start_utc,end_utc,start_s,end_s,max_elevation_deg,owlt_s,rate_bps\n\
                        \"a, b\",c,T1500000000,T3601750000000,1.500000000,3601.750000000,45.2500,0.001000000,2500000\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_and_table_hold_the_contact() {
        let (plan, labels) = plan();
        let rows: serde_json::Value =
            serde_json::from_str(&json(&plan, &labels, &|_| "now".to_owned())).expect("JSON");
        assert_eq!(rows[0]["max_elevation_deg"], 45.25);
        let text = table(&plan, &labels, &|_| "now".to_owned());
        for cell in ["a, b", "1:00:00.2", "45.2°", "1.000 ms", "2.500 Mbit/s", "1 contacts"] {
            assert!(text.contains(cell), "{cell} in\n{text}");
        }
    }
}
