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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        tracing: TracingSettings,
    }

    fn with(argument: &str, value: &str) -> Result<TracingSettings, String> {
        let parsed = Program::try_parse_from(["program", &format!("--{argument}={value}")]);
        parsed.map(|program| program.tracing).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_have_the_values_of_opentelemetry() {
        let off = Program::try_parse_from(["program"]).unwrap().tracing;
        assert_eq!(off.otel_exporter_otlp_endpoint, None);
        assert_eq!(off.otel_traces_sampler, Sampler::ParentBasedAlwaysOn);
        for (name, sampler) in [
            ("always_on", Sampler::AlwaysOn),
            ("always_off", Sampler::AlwaysOff),
            ("traceidratio", Sampler::TraceIdRatio),
            ("parentbased_always_on", Sampler::ParentBasedAlwaysOn),
            ("parentbased_always_off", Sampler::ParentBasedAlwaysOff),
            ("parentbased_traceidratio", Sampler::ParentBasedTraceIdRatio),
        ] {
            assert_eq!(with("otel-traces-sampler", name).unwrap().otel_traces_sampler, sampler);
        }
        let on = with("otel-exporter-otlp-endpoint", "http://collector:4318").unwrap();
        assert_eq!(on.otel_exporter_otlp_endpoint.unwrap().as_str(), "http://collector:4318/");
        let described = with("otel-resource-attributes", "a=1, b.c = x=y,").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(described.attributes(), [pair("a", "1"), pair("b.c", "x=y")]);
    }

    #[test]
    fn an_odd_value_is_refused_with_the_name_of_the_setting() {
        for (argument, value) in [
            ("otel-exporter-otlp-endpoint", "https://collector:4318"),
            ("otel-exporter-otlp-endpoint", "collector:4318"),
            ("otel-exporter-otlp-endpoint", ""),
            ("otel-traces-sampler", "sometimes"),
            ("otel-traces-sampler-arg", "1.5"),
            ("otel-traces-sampler-arg", "NaN"),
            ("otel-resource-attributes", "production"),
        ] {
            let refused = with(argument, value).unwrap_err();
            assert!(refused.contains(argument), "{value}: {refused}");
        }
    }
}
