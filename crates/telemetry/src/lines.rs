//! Log lines as JSON, where spans are exported too. As `tracing_subscriber` writes them without, in which the line's span is
//! the innermost one: here that is the innermost which is about the whole request or event, as only a collector is interested
//! in those within it.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::spans;

/// Writes `{"timestamp":…,"level":…,…,"target":…,"span":{…,"name":…}}`.
pub(crate) struct Lines;

/// How fields are written.
pub(crate) fn fields() -> JsonFields {
    JsonFields::new()
}

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        let metadata = event.metadata();
        write!(line, "\",\"level\":\"{}\"{}", metadata.level(), further(&fields))?;
        write!(line, ",\"target\":\"{}\"", metadata.target())?;
        let is_logged = |span: &SpanRef<'_, S>| span.metadata().target() != spans::TARGET;
        if let Some(span) = context.event_scope().into_iter().flatten().find(is_logged) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.map_or("", |fields| fields.as_str());
            let fields = further(fields);
            let fields = fields.strip_prefix(',').map(|it| format!("{it},")).unwrap_or_default();
            write!(line, ",\"span\":{{{fields}\"name\":\"{}\"}}", span.name())?;
        }
        line.write_str("}\n")
    }
}

/// The fields of an object, to be added to others.
fn further(object: &str) -> String {
    let inner = object.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or_default();
    if inner.is_empty() { String::new() } else { format!(",{inner}") }
}
