//! A trace, as a collector has received it from all services; and its picture.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use testkit::{Collector, ReceivedSpan, retry_every};

/// How often it is looked at, and for how long: spans are sent once a second.
const INTERVAL: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(30);

/// What paying is made of, by service and name: each list in this order. From the click to the card, to the mail, and to those who
/// have to know.
pub const PURCHASE: [&[(&str, &str)]; 4] = [
    &[
        PAYING,
        ("web", "POST /api/payments"),
        ("payments", "POST /api/payments"),
        ("payments", "find payments"),
        ("payments", "group commit"),
        ("payments", "update payments"),
        ("payments", "POST /v1/payment_intents/{intent}/confirm"),
        ("payments", "publish payment.created"),
        ("orders", "process payment.created"),
        ("orders", "update orders"),
        ("orders", "publish order.completed"),
        ("payments", "process order.completed"),
        ("payments", "POST /v1/payment_intents/{intent}/capture"),
        ("payments", "publish payment.captured"),
        ("orders", "process payment.captured"),
    ],
    &[
        PAYING,
        ("orders", "publish order.completed"),
        ("confirmation", "process order.completed"),
        ("confirmation", "insert mails"),
        ("confirmation", "work on mail"),
        ("confirmation", "send mail"),
        ("confirmation", "update mails"),
    ],
    &[
        PAYING,
        ("orders", "publish order.completed"),
        ("tickets", "process order.completed"),
        ("tickets", "update tickets"),
        ("tickets", "publish ticket.updated"),
    ],
    &[PAYING, ("orders", "publish order.completed"), ("expiration", "process order.completed")],
];

/// What the click begins.
const PAYING: (&str, &str) = ("web", "POST /orders/{id}/pay");

/// The spans of a trace, in the order in which they began.
#[derive(Clone, Debug)]
pub struct Trace(Vec<ReceivedSpan>);

impl Trace {
    /// Waits for the trace of a purchase, until it has all of [`PURCHASE`], and no span's parent is missing.
    pub async fn of_purchase(collector: &Collector) -> Trace {
        let of_purchase = || {
            let spans = collector.spans();
            let begins = |span: &&ReceivedSpan| {
                span.parent.is_none() && (span.service.as_str(), span.name.as_str()) == PAYING
            };
            let root = spans.iter().find(begins)?;
            Some(Trace::of(collector, &root.trace))
        };
        let is_complete = |trace: &Trace| {
            let is_whole = |hops: &&[(&str, &str)]| trace.missing(hops).is_empty();
            trace.orphans().is_empty() && PURCHASE.iter().all(is_whole)
        };
        retry_every(INTERVAL, TIMEOUT, async || {
            let trace = of_purchase().context("nobody has paid")?;
            let missing = PURCHASE.map(|hops| trace.missing(hops));
            let (orphans, outline) = (trace.orphans(), trace.outline());
            ensure!(is_complete(&trace), "{missing:?}, {orphans:#?}\n{outline}");
            Ok(trace)
        })
        .await
        .unwrap_or_else(|error| panic!("the trace isn't complete: {error:#}"))
    }

    /// What there is so far of the trace of this id.
    pub fn of(collector: &Collector, id: &str) -> Trace {
        Trace(collector.trace(id))
    }

    /// The trace's id.
    pub fn id(&self) -> &str {
        self.0.first().map_or("", |span| &span.trace)
    }

    pub fn spans(&self) -> &[ReceivedSpan] {
        &self.0
    }

    fn span(&self, id: &str) -> Option<&ReceivedSpan> {
        self.0.iter().find(|span| span.id == id)
    }

    /// Those whose parent isn't in the trace.
    pub fn orphans(&self) -> Vec<&ReceivedSpan> {
        let is_orphan = |span: &&ReceivedSpan| {
            span.parent.as_ref().is_some_and(|parent| self.span(parent).is_none())
        };
        self.0.iter().filter(is_orphan).collect()
    }

    /// Those that have begun before their parent.
    pub fn early(&self) -> Vec<&ReceivedSpan> {
        let is_early = |span: &&ReceivedSpan| {
            let parent = span.parent.as_ref().and_then(|parent| self.span(parent));
            parent.is_some_and(|parent| span.start < parent.start)
        };
        self.0.iter().filter(is_early).collect()
    }

    /// Of these, by service and name, what isn't there in this order, each after those before it.
    pub fn missing<'a>(&self, hops: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut rest = self.0.iter();
        let mut missing = Vec::new();
        for hop in hops {
            let before = rest.clone();
            if !rest.any(|span| (span.service.as_str(), span.name.as_str()) == *hop) {
                rest = before;
                missing.push(*hop);
            }
        }
        missing
    }

    /// One line for each, indented below its parent.
    pub fn outline(&self) -> String {
        let mut text = String::new();
        for (depth, span) in self.tree() {
            let indent = "  ".repeat(depth);
            // A write to a text doesn't fail.
            let _: Result<_, _> = writeln!(text, "{indent}{}: {}", span.service, span.name);
        }
        text
    }

    /// Each span with its depth, below its parent.
    fn tree(&self) -> Vec<(usize, &ReceivedSpan)> {
        let mut children: BTreeMap<Option<&str>, Vec<&ReceivedSpan>> = BTreeMap::new();
        for span in &self.0 {
            children.entry(span.parent.as_deref()).or_default().push(span);
        }
        let mut tree = Vec::new();
        let mut stack: Vec<(usize, &ReceivedSpan)> = Vec::new();
        let roots = children.get(&None).into_iter().flatten().rev();
        stack.extend(roots.map(|span| (0, *span)));
        while let Some((depth, span)) = stack.pop() {
            tree.push((depth, span));
            let below = children.get(&Some(span.id.as_str())).into_iter().flatten().rev();
            stack.extend(below.map(|child| (depth + 1, *child)));
        }
        tree
    }

    /// A waterfall, as SVG: a line for each span, from left to right as time passes.
    pub fn picture(&self) -> String {
        const LINE: usize = 18;
        const LABELS: f64 = 430.0;
        const BARS: f64 = 640.0;
        const COLOURS: [&str; 7] =
            ["#2563eb", "#15803d", "#d97706", "#be123c", "#7c3aed", "#0e7490", "#78716c"];
        let first = self.0.iter().map(|span| span.start).min().unwrap_or_default();
        let last = self.0.iter().map(|span| span.end).max().unwrap_or_default();
        let scale = BARS / (last - first).max(1) as f64;
        let mut services: Vec<&str> = Vec::new();
        for span in &self.0 {
            if !services.contains(&span.service.as_str()) {
                services.push(&span.service);
            }
        }
        let colour = |service: &str| {
            let index = services.iter().position(|it| *it == service).unwrap_or_default();
            COLOURS[index % COLOURS.len()]
        };
        let tree = self.tree();
        let (width, height) = (LABELS + BARS + 100.0, (tree.len() + 3) * LINE);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        for (index, service) in services.iter().enumerate() {
            let x = 10 + index * 110;
            let _: Result<_, _> = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"6\" width=\"10\" height=\"10\" fill=\"{}\"/>\
                 <text x=\"{}\" y=\"15\">{service}</text>",
                colour(service),
                x + 14,
            );
        }
        for (line, (depth, span)) in tree.iter().enumerate() {
            let y = (line + 2) * LINE;
            let x = LABELS + (span.start - first) as f64 * scale;
            let width = ((span.end.saturating_sub(span.start)) as f64 * scale).max(1.0);
            let milliseconds = (span.end.saturating_sub(span.start)) as f64 / 1e6;
            let _: Result<_, _> = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\">{}</text>\
                 <rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"11\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" fill=\"#57534e\">{milliseconds:.1} ms</text>",
                10 + depth * 10,
                y + 10,
                escaped(&span.name),
                y + 1,
                colour(&span.service),
                x + width + 4.0,
                y + 10,
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
