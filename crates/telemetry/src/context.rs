//! The W3C trace context: <https://www.w3.org/TR/trace-context/>.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name of the header that carries the trace, over HTTP and over the bus
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub const TRACEPARENT: &str = "traceparent";

/// The current span as a `traceparent`; none outside of a trace.
pub fn traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// A span as a `traceparent`; none outside of a trace.
pub(crate) fn traceparent_of(span: &Span) -> Option<String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    headers.remove(TRACEPARENT)
}

/// The id of the trace that a `traceparent` names: its second part.
pub fn trace_id_of(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1)
}

/// The span that a `traceparent` names; none if it is malformed.
pub(crate) fn parse(traceparent: &str) -> Option<Context> {
    let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&headers);
    context.span().span_context().is_valid().then_some(context)
}

/// What other spans are linked to; none outside of a trace.
pub(crate) fn span_context(span: &Span) -> Option<SpanContext> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

/// Makes `span` the child of the span that a `traceparent` names, and records the trace's id in the span's field
/// `trace_id`, so that each log line has it.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) {
    set_parent(span, traceparent);
    record_trace_id(span, span);
}

pub(crate) fn set_parent(span: &Span, traceparent: Option<&str>) {
    if let Some(context) = traceparent.and_then(parse) {
        // It fails only when tracing is off (in tests), where there is nothing to connect.
        drop(span.set_parent(context));
    }
}

/// Records the id of `traced`'s trace in the field `trace_id` of `span`.
pub(crate) fn record_trace_id(span: &Span, traced: &Span) {
    let context = traced.context();
    let trace_id = context.span().span_context().trace_id();
    if trace_id != TraceId::INVALID {
        span.record("trace_id", tracing::field::display(trace_id));
    }
}
