//! Spans to a collector: OTLP over HTTP, in batches, from a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    self, BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData,
    SpanExporter,
};
use tracing::{Level, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::keep_errors::{KeepErrors, RecordAll};
use crate::settings::{Sampler, TracingSettings};
use crate::spans;

/// How long spans are gathered. What is waiting when the process is killed is lost.
const GATHERING: Duration = Duration::from_secs(1);
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends spans until it is shut down.
#[derive(Clone, Debug)]
pub struct Exporter(Option<SdkTracerProvider>);

impl Exporter {
    pub(crate) fn none() -> Self {
        Exporter(None)
    }

    /// None: no collector is configured.
    pub(crate) fn start(
        service: &'static str,
        settings: &TracingSettings,
    ) -> anyhow::Result<Option<Self>> {
        let Some(collector) = &settings.otel_exporter_otlp_endpoint else { return Ok(None) };
        let endpoint = format!("{}/v1/traces", collector.as_str().trim_end_matches('/'));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client()?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let batches = BatchSpanProcessor::builder(Reported::new(exporter));
        let batches = batches.with_batch_config(
            BatchConfigBuilder::default().with_scheduled_delay(GATHERING).build(),
        );
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(service, settings))
            .with_sampler(RecordAll(sampler(settings)))
            .with_span_processor(KeepErrors::new(batches.build()))
            .build();
        Ok(Some(Exporter(Some(provider))))
    }

    pub(crate) fn tracer(&self, service: &'static str) -> SdkTracer {
        match &self.0 {
            Some(provider) => provider.tracer(service),
            None => SdkTracerProvider::builder().build().tracer(service),
        }
    }

    /// Sends what is waiting, and returns once that has happened: not within a runtime. It takes no longer than the collector may.
    pub fn shut_down(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(TIMEOUT)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The client that blocks, which is made on a thread without a runtime: it has one of its own.
fn client() -> anyhow::Result<reqwest::blocking::Client> {
    let build = || reqwest::blocking::Client::builder().no_proxy().timeout(TIMEOUT).build();
    let built = std::thread::spawn(build).join();
    Ok(built.map_err(|_| anyhow!("the HTTP client for spans panicked"))??)
}

fn resource(service: &'static str, settings: &TracingSettings) -> Resource {
    let configured = settings.attributes().into_iter();
    Resource::builder_empty()
        .with_attributes(configured.map(|(key, value)| KeyValue::new(key, value)))
        .with_attributes([
            KeyValue::new(spans::SERVICE_NAME, service),
            KeyValue::new(spans::SERVICE_NAMESPACE, "ticketing"),
            KeyValue::new(spans::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

fn sampler(settings: &TracingSettings) -> trace::Sampler {
    use trace::Sampler::{AlwaysOff, AlwaysOn, ParentBased, TraceIdRatioBased};
    let ratio = settings.otel_traces_sampler_arg;
    match settings.otel_traces_sampler {
        Sampler::AlwaysOn => AlwaysOn,
        Sampler::AlwaysOff => AlwaysOff,
        Sampler::TraceIdRatio => TraceIdRatioBased(ratio),
        Sampler::ParentBasedAlwaysOn => ParentBased(Box::new(AlwaysOn)),
        Sampler::ParentBasedAlwaysOff => ParentBased(Box::new(AlwaysOff)),
        Sampler::ParentBasedTraceIdRatio => ParentBased(Box::new(TraceIdRatioBased(ratio))),
    }
}

pub(crate) fn layer<S>(tracer: SdkTracer) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
}

/// The spans of `spans.rs`, and of what is logged within them the warnings and errors. An error makes its span one.
pub(crate) fn filter() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata: &Metadata<'_>| match metadata.is_span() {
        true => metadata.target() == spans::TARGET,
        false => {
            *metadata.level() <= Level::WARN && !metadata.target().starts_with("opentelemetry")
        }
    })
}

/// Logs when a collector begins to fail and when it has recovered: not each batch.
#[derive(Debug)]
struct Reported<E> {
    exporter: E,
    is_failing: AtomicBool,
}

impl<E> Reported<E> {
    fn new(exporter: E) -> Self {
        Reported { exporter, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Reported<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_failing => {
                tracing::warn!(%error, "the collector doesn't accept spans, they are dropped");
            }
            Ok(()) if was_failing => tracing::info!("the collector accepts spans again"),
            Ok(()) | Err(_) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
