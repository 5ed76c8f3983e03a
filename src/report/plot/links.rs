//! Traffic by link: bytes on air, and the frames that were lost.

use super::{
    Plot,
    figure::{Align, Entry, Figure, INK, Layout, PALETTE, QUIET, cut, draw},
    scale::Scale,
};
use crate::report::{RunFacts, read::LinkRow, words};

/// Rows drawn at most.
const ROWS: usize = 24;
const ROW_HEIGHT: i32 = 20;

/// The busiest links, one way each, longest bar first.
pub(super) fn plot(mut links: Vec<LinkRow>, facts: &RunFacts) -> Option<Plot> {
    links.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then((a.from, a.to).cmp(&(b.from, b.to))));
    let all = links.len();
    links.truncate(ROWS);
    let most = links.first()?.bytes;
    let (unit, name) = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(unit, _)| most >= 2.0 * unit)
        .unwrap_or((1.0, "B"));
    let left_out = match all - links.len() {
        0 => String::new(),
        rest => format!(" Shown are the {ROWS} links with most bytes; {rest} more sent something."),
    };
    let legend = [
        Entry { label: "frames received".into(), color: PALETTE[0] },
        Entry { label: "frames lost".into(), color: PALETTE[1] },
    ];
    let layout = Layout {
        title: "Traffic by link",
        subtitle: &format!(
            "Bytes on air with all overhead, one way, split by the share of frames received and lost.{left_out}"
        ),
        legend: &legend,
        // Room for the words at the end of the longest bar.
        x: Scale::linear(0.0, 1.3 * most / unit, 8.0, &format!("Bytes on air ({name})")).in_units_of(unit),
        y: None,
        height: ROW_HEIGHT * links.len() as i32 + 6,
        left: 300,
    };
    let svg = draw(layout, |figure| {
        for (place, link) in links.iter().enumerate() {
            row(figure, figure.top() + 3 + ROW_HEIGHT * place as i32, link, facts);
        }
    });
    let caption = "Bytes on air and lost frames of the busiest links.".into();
    let reading = "The longest bars are the bottlenecks to look at first; a wide orange end is energy and time spent on frames that \
                   had to be sent again.";
    Some(Plot { name: "links", caption, reading, svg })
}

fn row(figure: &mut Figure<'_>, top: i32, link: &LinkRow, facts: &RunFacts) {
    let (left, middle) = (figure.sides().0, top + ROW_HEIGHT / 2);
    let name = |asset: usize| cut(&facts.assets[asset].name, 18);
    let label = format!("{} → {}", name(link.from), name(link.to));
    figure.text((left - 8, middle), &label, 12, INK, Align::Right, false);
    // A frame still on its way at the end counts as neither in the table; here it would be a hair of orange.
    let received = link.received.min(link.frames) as f64 / link.frames as f64;
    let (good, end) = (figure.column(link.bytes * received), figure.column(link.bytes).max(left + 1));
    figure.rect((left, top + 3), (good, top + ROW_HEIGHT - 3), PALETTE[0]);
    if good < end {
        figure.rect((good, top + 3), (end, top + ROW_HEIGHT - 3), PALETTE[1]);
    }
    let lost = match link.frames - link.received.min(link.frames) {
        0 => String::new(),
        _ => format!(", {} lost", words::share(1.0 - received)),
    };
    let frames = words::number(link.frames as f64);
    let text = format!("{}, {frames} frames{lost}", words::bytes(link.bytes));
    figure.text((end + 8, middle), &text, 11, QUIET, Align::Left, false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{AssetFacts, OracleFacts};

    fn facts() -> RunFacts {
        let asset = |name: &str| AssetFacts { name: name.into(), kind: "rover".into() };
        RunFacts {
            format: RunFacts::FORMAT.into(),
            scenario: "sample".into(),
            scenario_hash: String::new(),
            caveat: None,
            seed: 1,
            version: String::new(),
            fingerprint: String::new(),
            epoch_utc: "2026-11-01T00:00:00Z".into(),
            duration_s: 60.0,
            assets: vec![asset("here"), asset("there")],
            plan: None,
            oracles: OracleFacts::default(),
        }
    }

    #[test]
    fn a_link_shows_its_bytes_and_the_share_it_lost() {
        let link = LinkRow { from: 1, to: 0, bytes: 50_000.0, frames: 200, received: 190 };
        let plot = plot(vec![link], &facts()).expect("a picture");
        assert!(plot.svg.contains("there → here") && plot.svg.contains("50 kB, 200 frames, 5 % lost"));
    }

    #[test]
    fn without_traffic_there_is_no_picture() {
        assert!(plot(Vec::new(), &facts()).is_none());
    }
}
