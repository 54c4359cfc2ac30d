//! Prometheus metrics.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often what histograms have recorded is added up. Until then, each sample is kept.
const UPKEEP: Duration = Duration::from_secs(1);

/// The process's metrics, in Prometheus' text format through [`PrometheusHandle::render`]. The recorder's upkeep runs
/// with it: otherwise, without a scraper, histograms would keep every sample indefinitely.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let buckets =
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &buckets)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // A recorder is installed already only if a test did that; then ours isn't used.
        drop(metrics::set_global_recorder(recorder));
        let upkeep = handle.clone();
        // A thread, as the recorder must not depend on a runtime, which in a test ends before the process does.
        let thread = std::thread::Builder::new().name("metrics-upkeep".to_owned());
        let started = thread.spawn(move || {
            loop {
                std::thread::sleep(UPKEEP);
                upkeep.run_upkeep();
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for the upkeep of metrics");
        }
        handle
    })
}
