//! How often the log line of a request allocates memory, with its span: a count that no machine changes.

use telemetry::spans;
use tracing::{field, info, info_span};

const REQUESTS: u64 = 20;
/// What one may cost. More is a decision.
const ONE: u64 = 40;

fn request(number: u64) {
    let id = "01968d38-4f80-7c3a-9d2e-4b1d00003333";
    let span = info_span!(
        "request",
        request_id = id,
        client_net = %"192.0.2.0/24",
        method = %"GET",
        path = "/api/tickets",
        trace_id = field::Empty,
    );
    let asked = spans::HttpRequest { method: "GET", route: "/api/tickets", path: "/api/tickets" };
    let span = spans::http_server(span, &asked, None);
    span.in_scope(|| info!(status = 200, milliseconds = number as f64, "request completed"));
}

#[test]
fn a_request_is_logged_with_few_allocations() {
    telemetry::init("test", "info").unwrap();
    // The first one fills the caches.
    request(0);
    let counted = allocation_counter::measure(|| (0..REQUESTS).for_each(request));
    let each = counted.count_total / REQUESTS;
    eprintln!("{each} allocations");
    assert!(each <= ONE, "{each}");
}
