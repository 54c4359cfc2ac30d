//! The memory that metrics take. One test, as it measures the whole process.

#![expect(clippy::unwrap_used, reason = "a failing step fails the test")]

use std::time::Duration;

/// Longer than the period of the recorder's upkeep.
const PAUSE: Duration = Duration::from_millis(2500);
const SAMPLES: u32 = 200_000;
const ROUNDS: u32 = 4;

/// The process's resident memory in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn record() {
    let histogram = metrics::histogram!("memory_seconds", "route" => "/");
    for sample in 0..SAMPLES {
        histogram.record(f64::from(sample) / 1000.0);
    }
    // Nobody scrapes.
    std::thread::sleep(PAUSE);
}

#[test]
fn histograms_do_not_keep_their_samples_without_a_scraper() {
    let metrics = telemetry::metrics();
    record();
    let before = resident();
    for _ in 0..ROUNDS {
        record();
    }
    let grown = resident().saturating_sub(before);
    // A sample that is kept takes at least eight bytes.
    assert!(grown < u64::from(ROUNDS * SAMPLES * 8) / 2, "{grown} bytes more");
    let count = format!("memory_seconds_count{{route=\"/\"}} {}", (ROUNDS + 1) * SAMPLES);
    assert!(metrics.render().contains(&count), "no sample is lost");
}
