//! Settings of tracing, by OpenTelemetry's names
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). They come from environment
//! variables; the doc comments are what `--help` prints.

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use url::Url;

/// Where spans go, and which ones.
#[derive(Clone, Debug, Args)]
pub struct TracingSettings {
    /// The collector that spans are sent to (OTLP over HTTP), such as http://collector:4318; without it, none are sent.
    /// http only: a collector outside of the cluster is reached through one within it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = endpoint)]
    pub otel_exporter_otlp_endpoint: Option<Url>,

    /// Which traces are sent. Whatever is chosen, those parts in which an error occurs are
    #[arg(long, env = "OTEL_TRACES_SAMPLER", default_value = "parentbased_always_on")]
    pub otel_traces_sampler: Sampler,

    /// The share of traces that a sampler with traceidratio sends, from 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0, value_parser = ratio)]
    pub otel_traces_sampler_arg: f64,

    /// What else each span says about this process, such as deployment.environment.name=production,host.name=a
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", default_value = "", value_parser = attributes)]
    pub otel_resource_attributes: String,
}

/// How it is decided which traces are sent. A trace that another service has begun follows its decision, except without
/// `parentbased`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Sampler {
    AlwaysOn,
    AlwaysOff,
    #[value(name = "traceidratio")]
    TraceIdRatio,
    #[value(name = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    #[value(name = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    #[value(name = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}

impl TracingSettings {
    /// Without a collector.
    pub fn off() -> Self {
        TracingSettings {
            otel_exporter_otlp_endpoint: None,
            otel_traces_sampler: Sampler::ParentBasedAlwaysOn,
            otel_traces_sampler_arg: 1.0,
            otel_resource_attributes: String::new(),
        }
    }

    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        pairs(&self.otel_resource_attributes).flatten().collect()
    }
}

fn endpoint(value: &str) -> anyhow::Result<Url> {
    let url: Url = value.parse()?;
    ensure!(url.scheme() == "http", "it must be http://");
    ensure!(url.query().is_none() && url.fragment().is_none(), "it must end with its path");
    Ok(url)
}

fn ratio(value: &str) -> anyhow::Result<f64> {
    let ratio: f64 = value.parse()?;
    ensure!((0.0..=1.0).contains(&ratio), "it must be from 0 to 1");
    Ok(ratio)
}

fn attributes(value: &str) -> anyhow::Result<String> {
    pairs(value).collect::<Option<Vec<_>>>().context("it must be key=value,key=value")?;
    Ok(value.to_owned())
}

/// None: not a pair.
fn pairs(value: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| {
        let (key, value) = part.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
    })
}
