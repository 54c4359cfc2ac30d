//! A collector of spans: OTLP over HTTP, as services send them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{Span as ProtoSpan, Status};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// Keeps what it receives. It ends when this is dropped.
pub struct Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub url: String,
    received: Received,
    task: AbortHandle,
}

type Received = Arc<Mutex<Vec<ReceivedSpan>>>;

/// A span, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSpan {
    pub service: String,
    /// In hexadecimal, as all ids.
    pub trace: String,
    pub id: String,
    /// None: it begins its trace.
    pub parent: Option<String>,
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// In nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub is_error: bool,
    pub attributes: BTreeMap<String, String>,
    /// The ids of spans.
    pub links: Vec<String>,
    /// What was logged in it: the fields of each.
    pub events: Vec<BTreeMap<String, String>>,
}

impl Collector {
    pub async fn start() -> Collector {
        let received = Received::default();
        let routes = Router::new()
            .route("/v1/traces", post(receive))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&received));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let serving = async move {
            axum::serve(listener, routes).await.expect("it serves until the test ends");
        };
        let task = tokio::spawn(serving).abort_handle();
        Collector { url: format!("http://{address}"), received, task }
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of a trace so far, in the order in which they began.
    pub fn trace(&self, trace: &str) -> Vec<ReceivedSpan> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans.sort_by_key(|span| span.start);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(received): State<Received>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.map(|resource| resource.attributes);
        let resource = fields(&resource.unwrap_or_default());
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let sent = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(sent.map(|span| read(&service, &span)));
    }
    received.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
    StatusCode::OK
}

fn read(service: &str, span: &ProtoSpan) -> ReceivedSpan {
    let status = span.status.as_ref().map(Status::code);
    ReceivedSpan {
        service: service.to_owned(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: Some(hex(&span.parent_span_id)).filter(|id| !id.is_empty()),
        name: span.name.clone(),
        kind: match span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
            SpanKind::Internal | SpanKind::Unspecified => "internal",
        },
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        is_error: status == Some(SpanStatus::Error),
        attributes: fields(&span.attributes),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        events: span.events.iter().map(|event| fields(&event.attributes)).collect(),
    }
}

fn fields(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|field| (field.key.clone(), text(field.value.as_ref()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
