//! `report.html`: one file, nothing fetched.

use super::{
    RunFacts,
    attacks::attacks,
    plot::Plot,
    summary::{attention, headlines, planned, privacy_spent},
    words,
};
use crate::metrics::MetricsSet;
use std::fmt::Write as _;

const STYLE: &str = "
:root { color-scheme: light; --ink: #1d2329; --quiet: #5c666f; --line: #dfe3e7; --card: #f6f8f9; --bad: #a4260a; --good: #00664a; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', sans-serif; color: var(--ink); background: #fff; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; }
p { margin: .25rem 0; } .quiet { color: var(--quiet); }
.verdict { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .75rem; margin-top: 1.25rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.card b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card span { color: var(--quiet); font-size: .875rem; }
figure { margin: 1.25rem 0; border: 1px solid var(--line); border-radius: .5rem; padding: .5rem; overflow-x: auto; }
figcaption { padding: .25rem .75rem .5rem; color: var(--quiet); font-size: .9rem; }
.attention { margin: 1rem 0 0; padding: .6rem 1rem .6rem 2rem; background: #fff6e5; border: 1px solid #f0d9a8; border-radius: .5rem; }
.about { columns: 2 26rem; column-gap: 2.5rem; font-size: .9rem; } .about p, .about li { margin: 0 0 .4rem; break-inside: avoid; }
.about li { margin-left: 1.1rem; }
figure svg { display: block; width: 100%; min-width: 42rem; height: auto; }
.tables { columns: 2 26rem; column-gap: 2.5rem; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; margin-bottom: 1.25rem; break-inside: avoid; }
caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
th, td { text-align: left; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; font-weight: 400; }
td:last-child { text-align: right; padding-right: 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
code, pre { font: .8125rem/1.5 ui-monospace, 'SFMono-Regular', Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; overflow-x: auto; }
summary { cursor: pointer; color: var(--quiet); }
@media print {
  @page { margin: 14mm; }
  body { font-size: 11px; } main { max-width: none; padding: 0; }
  figure, .card, tr { break-inside: avoid; } figure { overflow: visible; } figure svg { min-width: 0; }
  h2 { break-after: avoid; } details { display: none; }
}
";

/// The page.
pub(super) fn page(facts: &RunFacts, metrics: &MetricsSet, plots: &[Plot], scenario: &str) -> String {
    let mut html = String::new();
    head(&mut html, facts);
    cards(&mut html, metrics);
    about(&mut html, scenario);
    sentences(&mut html, "The plan", &planned(metrics));
    pictures(&mut html, plots);
    // What of the plan's answers anybody could see, and what was spent.
    sentences(&mut html, "Privacy spent", &privacy_spent(metrics));
    attacked(&mut html, metrics);
    tables(&mut html, metrics);
    identity(&mut html, facts);
    push(
        &mut html,
        "<h2>Scenario</h2>\n<details><summary>The scenario's text, without its includes</summary>",
    );
    push(&mut html, &format!("<pre>{}</pre>\n</details>\n</main>\n</body>\n</html>", escape(scenario)));
    html
}

fn push(html: &mut String, line: &str) {
    html.push_str(line);
    html.push('\n');
}

fn head(html: &mut String, facts: &RunFacts) {
    let name = escape(&facts.scenario);
    push(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    push(html, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    push(html, &format!("<title>{name} – CosmosMesh run</title>\n<style>{STYLE}</style>\n</head>"));
    push(html, &format!("<body>\n<main>\n<h1>{name}</h1>"));
    let assets = facts.assets.len();
    let (duration, epoch) = (words::duration(facts.duration_s), escape(&facts.epoch_utc));
    push(
        html,
        &format!("<p class=\"quiet\">{assets} assets, {duration} from {epoch}, seed {}</p>", facts.seed),
    );
    if let Some(caveat) = &facts.caveat {
        push(html, &format!("<p class=\"verdict\">A study: {}.</p>", escape(caveat)));
    }
    if facts.oracles.total == 0 {
        push(html, "<p class=\"verdict good\">✓ Every oracle holds.</p>");
        return;
    }
    push(
        html,
        &format!("<p class=\"verdict bad\">✗ Oracles found {} violations.</p>\n<ul>", facts.oracles.total),
    );
    for violation in &facts.oracles.violations {
        push(html, &format!("<li>{}</li>", escape(violation)));
    }
    push(html, "</ul>");
}

fn cards(html: &mut String, metrics: &MetricsSet) {
    push(html, "<div class=\"cards\">");
    for (name, label, value) in headlines(metrics) {
        let (value, label) = (escape(&value), escape(label));
        push(html, &format!("<div class=\"card\" title=\"{name}\"><b>{value}</b><span>{label}</span></div>"));
    }
    push(html, "</div>");
    let sentences = attention(metrics);
    if !sentences.is_empty() {
        push(html, "<ul class=\"attention\">");
        sentences.iter().for_each(|text| push(html, &format!("<li>{}</li>", escape(text))));
        push(html, "</ul>");
    }
}

/// The scenario's opening comment: its author's words on what it shows and what to look at.
fn about(html: &mut String, scenario: &str) {
    let comment: Vec<&str> =
        scenario.lines().map_while(|line| line.trim_start().strip_prefix("//")).map(str::trim).collect();
    if comment.is_empty() {
        return;
    }
    push(html, "<h2>What it shows</h2>\n<div class=\"about\">");
    let mut open = None;
    for line in comment {
        let (tag, text) = match line.strip_prefix("- ") {
            Some(point) => ("li", point),
            None => ("p", line),
        };
        // A line goes on with the paragraph before it, unless it starts a point, or a new thought after a full stop.
        let starts = open.is_none_or(|(_, ended)| tag == "li" || (ended && begins_a_thought(text)));
        if (text.is_empty() || starts)
            && let Some((tag, _)) = open.take()
        {
            push(html, &format!("</{tag}>"));
        }
        if text.is_empty() {
            continue;
        }
        match open {
            Some(_) => html.push(' '),
            None => html.push_str(&format!("<{tag}>")),
        }
        html.push_str(&escape(text));
        let tag = open.map_or(tag, |(tag, _)| tag);
        open = Some((tag, text.ends_with(['.', ':', ';'])));
    }
    if let Some((tag, _)) = open {
        push(html, &format!("</{tag}>"));
    }
    push(html, "</div>");
}

/// The headings that scenario comments use.
fn begins_a_thought(text: &str) -> bool {
    ["In the report", "Chosen", "Real figures", "Sources"].iter().any(|start| text.starts_with(start))
}

fn pictures(html: &mut String, plots: &[Plot]) {
    push(html, "<h2>Pictures</h2>");
    for plot in plots {
        let label = escape(&plot.caption);
        let svg = plot.svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
        let reading = escape(plot.reading);
        push(html, &format!("<figure id=\"{}\">{svg}<figcaption>{reading}</figcaption></figure>", plot.name));
    }
    let missing: Vec<&str> = ABSENT
        .into_iter()
        .filter(|(name, _)| plots.iter().all(|plot| plot.name != *name))
        .map(|(_, why)| why)
        .collect();
    if !missing.is_empty() {
        push(html, &format!("<p class=\"quiet\">Not drawn: {}.</p>", missing.join("; ")));
    }
}

/// A part of the page that is told in words: none where there is nothing to tell.
fn sentences(html: &mut String, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    push(html, &format!("<h2>{title}</h2>\n<ul>"));
    sentences.iter().for_each(|text| push(html, &format!("<li>{}</li>", escape(text))));
    push(html, "</ul>");
}

/// What adversaries did, and what it met: only where there are any.
fn attacked(html: &mut String, metrics: &MetricsSet) {
    let rows = attacks(metrics);
    if rows.is_empty() {
        return;
    }
    push(html, "<h2>Attacks</h2>\n<table><tr><th>Attack</th><th>Answers</th><th>Made</th></tr>");
    for row in rows {
        let (attack, told) = (escape(&row.attack.replace('_', " ")), escape(&row.told()));
        push(html, &format!("<tr><td>{attack}</td><td>{told}</td><td>{}</td></tr>", row.made));
    }
    push(html, "</table>");
}

/// Pictures that a run may lack, and why.
const ABSENT: [(&str, &str); 6] = [
    ("convergence", "convergence of the plan (no planning round took place)"),
    ("latency", "delivery latency (no application message arrived)"),
    ("contacts", "contact timeline (no contact opened)"),
    ("links", "traffic by link (nothing was sent)"),
    ("staleness", "state staleness (no shared state)"),
    ("energy", "batteries (no asset has one, or none was ever less than full)"),
];

/// All metrics, a table per part of the stack.
fn tables(html: &mut String, metrics: &MetricsSet) {
    push(html, "<h2>All metrics</h2>\n<div class=\"tables\">");
    let mut group = None;
    for (name, metric) in metrics.iter() {
        let part = name.split('.').next();
        if part != group {
            if group.is_some() {
                push(html, "</table>");
            }
            push(html, &format!("<table><caption>{}</caption>", escape(part.unwrap_or_default())));
            group = part;
        }
        let note =
            metric.note.as_deref().map(|note| format!("<br><span class=\"quiet\">{}</span>", escape(note)));
        let value = escape(&words::metric(name, metric));
        let exact = metric.value.map_or("null".into(), |value| format!("{value} {}", metric.unit));
        push(
            html,
            &format!(
                "<tr><td><code>{}</code>{}</td><td title=\"{}\">{value}</td></tr>",
                escape(name),
                note.unwrap_or_default(),
                escape(&exact)
            ),
        );
    }
    if group.is_some() {
        push(html, "</table>");
    }
    push(html, "</div>");
}

fn identity(html: &mut String, facts: &RunFacts) {
    push(html, "<h2>Identity of the run</h2>\n<table>");
    for (name, value) in [
        ("fingerprint", facts.fingerprint.as_str()),
        ("scenario hash", &facts.scenario_hash),
        ("seed", &facts.seed.to_string()),
        ("version", &facts.version),
    ] {
        push(html, &format!("<tr><th>{name}</th><td><code>{}</code></td></tr>", escape(value)));
    }
    push(
        html,
        "</table>\n<p class=\"quiet\">The same scenario, seed and version give the same fingerprint on every machine.</p>",
    );
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Control characters other than white space have no place in HTML, escaped or not.
            letter if letter.is_control() && !matches!(letter, '\n' | '\t' | '\r') => {
                let _ = write!(escaped, "\\u{{{:x}}}", letter as u32);
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}
