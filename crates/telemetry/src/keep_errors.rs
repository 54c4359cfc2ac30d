//! Errors are always sent: what the sampler leaves out is recorded nevertheless, and kept until the last span of its trace that
//! is open in this process has ended. If one of them is an error by then, all of them are sent.
//!
//! The decision is each process's own: of a trace that was not chosen, those services send their parts in which the error was
//! one, which an error that travels back to the caller is in each. It costs what recording costs, not what sending does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Link, Span as _, SpanContext, SpanKind, Status, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

/// How many traces are kept at once, and how many spans of each. Of what exceeds that, only spans that are errors are sent.
const MAX_TRACES: usize = 1024;
const MAX_SPANS: usize = 256;
/// A trace with a span that never ends makes room after this time.
const LONGEST: Duration = Duration::from_secs(60);

/// A sampler that records what another one leaves out.
#[derive(Clone, Debug)]
pub(crate) struct RecordAll(pub Sampler);

impl ShouldSample for RecordAll {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace, name, kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// Passes on what was sampled, and of the rest what is to be kept because of an error.
#[derive(Debug)]
pub(crate) struct KeepErrors<P> {
    next: P,
    traces: Mutex<HashMap<TraceId, Kept>>,
}

/// The spans of a trace that have ended.
#[derive(Debug)]
struct Kept {
    since: Instant,
    open: usize,
    ended: Vec<SpanData>,
}

impl<P> KeepErrors<P> {
    pub(crate) fn new(next: P) -> Self {
        KeepErrors { next, traces: Mutex::default() }
    }

    fn traces(&self) -> MutexGuard<'_, HashMap<TraceId, Kept>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, trace: TraceId) {
        let mut traces = self.traces();
        if traces.len() >= MAX_TRACES && !traces.contains_key(&trace) {
            traces.retain(|_, kept| kept.since.elapsed() < LONGEST);
            if traces.len() >= MAX_TRACES {
                return;
            }
        }
        let kept = traces.entry(trace);
        kept.or_insert_with(|| Kept { since: Instant::now(), open: 0, ended: Vec::new() }).open +=
            1;
    }

    /// What is to be sent now that this span has ended.
    fn end(&self, span: SpanData) -> Vec<SpanData> {
        let trace = span.span_context.trace_id();
        let mut traces = self.traces();
        let Some(kept) = traces.get_mut(&trace) else {
            return if is_error(&span) { vec![span] } else { Vec::new() };
        };
        if kept.ended.len() < MAX_SPANS || is_error(&span) {
            kept.ended.push(span);
        }
        kept.open = kept.open.saturating_sub(1);
        if kept.open > 0 {
            return Vec::new();
        }
        let ended = traces.remove(&trace).map(|kept| kept.ended).unwrap_or_default();
        if ended.iter().any(is_error) { ended } else { Vec::new() }
    }
}

fn is_error(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

/// Marked as chosen: what is not, isn't exported.
fn chosen(span: SpanData) -> SpanData {
    let context = &span.span_context;
    let chosen = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags().with_sampled(true),
        context.is_remote(),
        context.trace_state().clone(),
    );
    SpanData { span_context: chosen, ..span }
}

impl<P: SpanProcessor> SpanProcessor for KeepErrors<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if span.span_context().is_sampled() {
            self.next.on_start(span, context);
        } else {
            self.begin(span.span_context().trace_id());
        }
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.next.on_end(span);
            return;
        }
        for span in self.end(span) {
            self.next.on_end(chosen(span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}
