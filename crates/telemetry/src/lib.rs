//! Logs, traces and metrics: `tracing` to standard output (JSON unless it is a terminal), W3C trace context over HTTP
//! and the bus, spans to a collector (OTLP) where one is configured, Prometheus metrics.

mod context;
mod export;
mod keep_errors;
mod lines;
mod metrics;
mod settings;
pub mod spans;
mod switch;

use std::io::IsTerminal;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use context::{TRACEPARENT, continue_trace, trace_id_of, traceparent};
pub use export::Exporter;
pub use metrics::metrics;
pub use settings::{Sampler, TracingSettings};
pub use switch::is_exporting;

/// Starts logging. `filter` is `tracing_subscriber`'s directive syntax, such as `info,orders=debug`. Each request and each
/// event has a trace's id, but spans go nowhere.
pub fn init(service: &'static str, filter: &str) -> anyhow::Result<()> {
    let tracer = SdkTracerProvider::builder().build().tracer(service);
    // Of a span, only its ids are needed.
    let spans = export::layer(tracer).with_filter(filter_fn(is_span));
    tracing_subscriber::registry()
        .with(log_filter(filter)?)
        .with(lines())
        .with(spans)
        .try_init()?;
    Ok(())
}

/// Starts logging, and the export of spans if a collector is configured. What this returns is shut down at the end, so that the
/// last spans are sent.
pub fn init_with(
    service: &'static str,
    filter: &str,
    settings: &TracingSettings,
) -> anyhow::Result<Exporter> {
    let Some(exporter) = Exporter::start(service, settings)? else {
        init(service, filter)?;
        return Ok(Exporter::none());
    };
    // Each with a filter of its own: what is logged doesn't decide about what is traced.
    tracing_subscriber::registry()
        .with(lines().with_filter(log_filter(filter)?))
        .with(export::layer(exporter.tracer(service)).with_filter(export::filter()))
        .try_init()?;
    switch::begin();
    Ok(exporter)
}

fn lines<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer();
    if is_json() {
        lines.fmt_fields(lines::Fields::default()).event_format(lines::Lines).boxed()
    } else {
        lines.compact().boxed()
    }
}

fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
}

/// Stripe's client warns of every declined card, and of what is tried again: the service says itself what it has come to.
const QUIET: &str = "stripe=error";

fn log_filter(directives: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(format!("{QUIET},{directives}")).context("LOG")
}

fn is_json() -> bool {
    !std::io::stdout().is_terminal()
}

/// Logs warnings and errors of an admin command to standard error, beside what it prints.
pub fn init_for_command() {
    let lines = tracing_subscriber::fmt::layer().compact().with_writer(std::io::stderr);
    let warnings = EnvFilter::new("warn,bus::consume=error,async_nats=error");
    // It fails only where logging was set up before.
    drop(tracing_subscriber::registry().with(warnings).with(lines).try_init());
}
