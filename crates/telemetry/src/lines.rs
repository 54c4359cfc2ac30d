//! Log lines as JSON, as `tracing_subscriber` writes them, but for two things: nothing is parsed in order to be written again, and
//! the line's span is the innermost that is about the whole request or event, as only a collector is interested in those within
//! it.

use std::fmt;

use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::spans;

/// Writes `{"timestamp":…,"level":…,…,"target":…,"span":{…,"name":…}}`.
pub(crate) struct Lines;

/// How fields are written: as an object, which later ones are added to.
#[derive(Default)]
pub(crate) struct Fields(JsonFields);

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    /// Each is recorded once.
    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut added = String::new();
        self.0.format_fields(Writer::new(&mut added), fields)?;
        let comma = if members(current).is_empty() { "" } else { "," };
        let known = current.fields.strip_suffix('}').unwrap_or("{").len();
        current.fields.truncate(known);
        write!(current.as_writer(), "{comma}{}}}", members(&added))
    }
}

impl<S> FormatEvent<S, Fields> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        let metadata = event.metadata();
        write!(line, "\",\"level\":\"{}\",", metadata.level())?;
        write_members(&mut line, &fields)?;
        write!(line, "\"target\":\"{}\"", metadata.target())?;
        let is_logged = |span: &SpanRef<'_, S>| span.metadata().target() != spans::TARGET;
        if let Some(span) = context.event_scope().into_iter().flatten().find(is_logged) {
            line.write_str(",\"span\":{")?;
            if let Some(fields) = span.extensions().get::<FormattedFields<Fields>>() {
                write_members(&mut line, fields)?;
            }
            write!(line, "\"name\":\"{}\"}}", span.name())?;
        }
        line.write_str("}\n")
    }
}

/// With a comma after each.
fn write_members(line: &mut Writer<'_>, object: &str) -> fmt::Result {
    match members(object) {
        "" => Ok(()),
        members => write!(line, "{members},"),
    }
}

/// What is between the braces of an object.
fn members(object: &str) -> &str {
    object.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or_default()
}
