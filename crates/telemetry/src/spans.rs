//! Every span that is exported, with the names of OpenTelemetry's semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/>), which are nowhere else.
//!
//! What a span says has no personal data and no secret in it: of a URL neither the query nor the fragment, of a command to
//! MongoDB neither the filter nor the values, of a mail neither the address nor the text. Ids are fine: who they are about
//! takes a database.
//!
//! Where no collector is configured, these spans don't exist: what stands for them is the span of the log lines, or none.

use opentelemetry::trace::{Status, TraceContextExt};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::context::{self, continue_trace, parse, record_trace_id, set_parent, span_context};
use crate::switch::is_exporting;

/// Of each span that is exported, and of no other. Log lines aren't about them.
pub(crate) const TARGET: &str = "spans";

// The resource.
pub(crate) const SERVICE_NAME: &str = "service.name";
pub(crate) const SERVICE_NAMESPACE: &str = "service.namespace";
pub(crate) const SERVICE_VERSION: &str = "service.version";

const ERROR_TYPE: &str = "error.type";
const HTTP_STATUS: &str = "http.response.status_code";
const DB_STATUS: &str = "db.response.status_code";

macro_rules! span {
    (parent: $parent:expr, $name:literal, $($fields:tt)*) => {
        tracing::info_span!(target: TARGET, parent: $parent, $name, $($fields)*)
    };
    ($name:literal, $($fields:tt)*) => {
        tracing::info_span!(target: TARGET, $name, $($fields)*)
    };
}

/// A request that is served: its work runs in this span. `log` is the span of its log lines, and gets the trace's id.
/// <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
pub fn http_server(log: Span, request: &HttpRequest<'_>, traceparent: Option<&str>) -> Span {
    let HttpRequest { method, route, path } = *request;
    if !is_exporting() {
        continue_trace(&log, traceparent);
        return log;
    }
    let method = if method == "other" { "_OTHER" } else { method };
    let span = span!(
        parent: &log,
        "http server",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        url.path = path,
        url.scheme = "http",
    );
    set_parent(&span, traceparent);
    record_trace_id(&log, &span);
    span
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// One that HTTP defines, or `other`.
    pub method: &'a str,
    /// Its pattern.
    pub route: &'a str,
    /// Without the query.
    pub path: &'a str,
}

/// How a request was responded to. That the client is at fault is no error of this service.
pub fn http_served(span: &Span, status: u16) {
    if !is_exporting() {
        return;
    }
    span.set_attribute(HTTP_STATUS, i64::from(status));
    if status >= 500 {
        fail(span, &status.to_string());
    }
}

/// A request to another service, or to a provider. Of its path, what varies is left out.
pub fn http_client(method: &str, server: &str, port: Option<u16>, path: &str) -> Span {
    if !is_exporting() {
        return Span::none();
    }
    let template = template(path);
    span!(
        "http client",
        otel.name = format!("{method} {template}"),
        otel.kind = "client",
        http.request.method = method,
        server.address = server,
        server.port = port.map(i64::from),
        url.template = template,
    )
}

/// A path without its ids: what has a digit in it, but for the version of an API.
fn template(path: &str) -> String {
    let is_id = |part: &str| part.len() > 3 && part.bytes().any(|byte| byte.is_ascii_digit());
    let parts = path.split('/').map(|part| if is_id(part) { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// The response to it. A refusal (4xx) is an answer; what follows from it is the caller's to say.
pub fn http_responded(span: &Span, status: u16) {
    http_served(span, status);
}

/// What failed in this span, of few kinds.
pub fn fail(span: &Span, kind: &str) {
    if is_exporting() && !span.is_none() {
        span.set_attribute(ERROR_TYPE, kind.to_owned());
        span.set_status(Status::error(kind.to_owned()));
    }
}

/// The header by which what this span stands for is continued elsewhere. None: without a collector.
pub fn traceparent_of(span: &Span) -> Option<String> {
    if span.is_none() { None } else { context::traceparent_of(span) }
}

/// A command to MongoDB, of a trace. None outside of one: what polls isn't traced.
/// <https://opentelemetry.io/docs/specs/semconv/database/mongodb/>
pub fn mongodb(command: &str, database: &str, collection: Option<&str>) -> Option<Span> {
    if !is_exporting() || span_context(&Span::current()).is_none() {
        return None;
    }
    let name = match collection {
        Some(collection) => format!("{command} {collection}"),
        None => command.to_owned(),
    };
    Some(span!(
        "mongodb",
        otel.name = name,
        otel.kind = "client",
        db.system.name = "mongodb",
        db.namespace = database,
        db.collection.name = collection,
        db.operation.name = command,
    ))
}

/// A command has failed.
pub fn mongodb_failed(span: &Span, code: Option<i32>) {
    if let Some(code) = code {
        span.set_attribute(DB_STATUS, code.to_string());
    }
    fail(span, &code.map_or_else(|| "connection".to_owned(), |code| code.to_string()));
}

/// A write that waits for the command by which it is sent, perhaps together with others.
pub fn commit() -> Span {
    if !is_exporting() || span_context(&Span::current()).is_none() {
        return Span::none();
    }
    span!("group commit", otel.kind = "internal")
}

/// These are sent by one command, which is within the first one.
pub fn together(spans: &[Span]) {
    let Some((first, others)) = spans.split_first().filter(|_| is_exporting()) else { return };
    for other in others {
        link(first, other);
        link(other, first);
    }
}

fn link(from: &Span, to: &Span) {
    if let Some(context) = span_context(to).filter(|_| !from.is_none()) {
        from.add_link(context);
    }
}

/// An event that is published, in the trace in which it occurred.
/// <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>
pub fn publish(subject: &str, id: &str, traceparent: Option<&str>) -> Span {
    if !is_exporting() {
        return Span::none();
    }
    let span = span!(
        parent: None,
        "publish",
        otel.name = format!("publish {subject}"),
        otel.kind = "producer",
        messaging.system = "nats",
        messaging.destination.name = subject,
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.message.id = id,
    );
    set_parent(&span, traceparent);
    span
}

/// An event as it is handled.
#[derive(Clone, Copy, Debug)]
pub struct Handling<'a> {
    /// What it was published as.
    pub subject: &'a str,
    /// Its id.
    pub id: Option<&'a str>,
    /// The durable consumer.
    pub consumer: &'a str,
    /// The span that published it.
    pub traceparent: Option<&'a str>,
}

/// An event that is handled: its listener runs in this span. `log` is the span of its log lines, and gets the trace's id.
pub fn handle(log: Span, handling: &Handling<'_>) -> Span {
    if !is_exporting() {
        continue_trace(&log, handling.traceparent);
        return log;
    }
    let span = process(&log, handling);
    record_trace_id(&log, &span);
    span
}

fn process(log: &Span, handling: &Handling<'_>) -> Span {
    let Handling { subject, id, consumer, traceparent } = *handling;
    let span = span!(
        parent: log,
        "process",
        otel.name = format!("process {subject}"),
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.destination.name = subject,
        messaging.consumer.group.name = consumer,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.message.id = id,
    );
    set_parent(&span, traceparent);
    span
}

/// Several events that are handled together: what that does is in a span that is linked to each of them. If all are of one
/// trace, it is part of it; otherwise it begins one of its own.
pub struct Batch {
    span: Span,
    _each: Vec<Span>,
}

impl Batch {
    /// `log` is the span of its log lines.
    pub fn begin(log: Span, all: &[Handling<'_>]) -> Self {
        if !is_exporting() {
            return Batch { span: log, _each: Vec::new() };
        }
        let span = span!(
            parent: &log,
            "process batch",
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.consumer.group.name = all.first().map(|handling| handling.consumer),
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.batch.message_count = all.len(),
        );
        let trace = |handling: &Handling<'_>| {
            let context = parse(handling.traceparent?)?;
            Some(context.span().span_context().trace_id())
        };
        let mut traces = all.iter().map(trace);
        let first = traces.next().flatten();
        if first.is_some() && traces.all(|other| other == first) {
            set_parent(&span, all[0].traceparent);
        }
        let each: Vec<Span> = all.iter().map(|handling| process(&log, handling)).collect();
        for one in &each {
            link(one, &span);
            link(&span, one);
        }
        record_trace_id(&log, &span);
        Batch { span, _each: each }
    }

    /// What the listener runs in.
    pub fn span(&self) -> &Span {
        &self.span
    }
}

/// Work that was due, in the trace that has made it due if that is known.
pub fn work(name: &'static str, traceparent: Option<&str>) -> Span {
    if !is_exporting() {
        return Span::none();
    }
    let span = span!(parent: None, "work", otel.name = name, otel.kind = "internal");
    set_parent(&span, traceparent);
    span
}

/// A mail that is handed to its server.
pub fn mail(kind: &str, server: &str, port: u16) -> Span {
    if !is_exporting() {
        return Span::none();
    }
    span!(
        "mail",
        otel.name = "send mail",
        otel.kind = "client",
        network.protocol.name = "smtp",
        server.address = server,
        server.port = i64::from(port),
        ticketing.mail.kind = kind,
    )
}
