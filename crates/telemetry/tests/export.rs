//! What reaches a collector. One test, as the export is the process's.

use telemetry::spans::{self, Batch, Handling, HttpRequest};
use telemetry::{Sampler, TracingSettings};
use testkit::{Collector, ReceivedSpan};
use tracing::{Instrument, field};

const CHOSEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_CHOSEN: &str = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A request of which a command and a published event are part.
async fn serve(traceparent: Option<&str>, status: u16) -> Option<String> {
    let log = tracing::info_span!("request", trace_id = field::Empty);
    let request = HttpRequest { method: "GET", route: "/things/{id}", path: "/things/7" };
    let span = spans::http_server(log, &request, traceparent);
    async {
        drop(spans::mongodb("find", "things", Some("things")));
        let published = spans::publish("thing.created", "thing.created:7:1", own().as_deref());
        spans::http_served(&tracing::Span::current(), status);
        spans::traceparent_of(&published)
    }
    .instrument(span)
    .await
}

fn own() -> Option<String> {
    telemetry::traceparent()
}

fn handling(traceparent: Option<&str>) -> Handling<'_> {
    Handling { subject: "thing.created", id: None, consumer: "others", traceparent }
}

fn named<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn chosen_traces_and_errors_reach_the_collector() {
    let collector = Collector::start().await;
    let settings = TracingSettings {
        otel_exporter_otlp_endpoint: Some(collector.url.parse().unwrap()),
        otel_traces_sampler: Sampler::ParentBasedTraceIdRatio,
        otel_traces_sampler_arg: 0.0,
        otel_resource_attributes: "deployment.environment.name=test".to_owned(),
    };
    let exporter = telemetry::init_with("things", "off", &settings).unwrap();
    assert!(telemetry::is_exporting());

    // Neither chosen nor an error; nor is a refusal.
    serve(None, 200).await;
    serve(Some(NOT_CHOSEN), 404).await;
    // Not chosen, but an error.
    serve(None, 500).await;
    // Chosen by who has begun it.
    let published = serve(Some(CHOSEN), 200).await;
    let log = tracing::info_span!("event", trace_id = field::Empty);
    drop(spans::handle(log, &handling(published.as_deref())));
    // Together with an event of another trace: a trace of its own, which isn't chosen, with the error of one more.
    let log = tracing::info_span!("events", trace_id = field::Empty);
    let batch = Batch::begin(log, &[handling(published.as_deref()), handling(Some(NOT_CHOSEN))]);
    spans::fail(batch.span(), "transient");
    drop(batch);

    tokio::task::spawn_blocking(|| exporter.shut_down()).await.unwrap();
    let spans = collector.spans();

    let chosen = collector.trace("0af7651916cd43dd8448eb211c80319c");
    let server = named(&chosen, "GET /things/{id}");
    assert_eq!(server.parent.as_deref(), Some("b7ad6b7169203331"));
    assert_eq!((server.service.as_str(), server.kind), ("things", "server"));
    assert_eq!(server.attributes["http.response.status_code"], "200");
    assert_eq!(server.attributes["http.route"], "/things/{id}");
    let command = named(&chosen, "find things");
    assert_eq!(command.parent.as_ref(), Some(&server.id));
    let published = named(&chosen, "publish thing.created");
    assert_eq!((published.parent.as_ref(), published.kind), (Some(&server.id), "producer"));
    let handled: Vec<_> =
        chosen.iter().filter(|span| span.name == "process thing.created").collect();
    assert_eq!(handled.len(), 2, "alone, and in a batch");
    assert!(handled.iter().all(|span| span.parent.as_ref() == Some(&published.id)));

    let failed =
        spans.iter().find(|span| span.attributes.get("error.type").is_some_and(|it| it == "500"));
    let failed = failed.unwrap();
    assert!(failed.is_error);
    let of_failed = collector.trace(&failed.trace);
    assert_eq!(of_failed.len(), 3, "the whole request: {of_failed:#?}");

    let batch = named(&spans, "process batch");
    assert_eq!((batch.is_error, batch.parent.as_ref(), batch.links.len()), (true, None, 2));
    assert!(handled.iter().any(|span| span.links == [batch.id.clone()]));
    assert_eq!(spans.len(), 4 + 1 + 3 + 1, "nothing else: {spans:#?}");
}
