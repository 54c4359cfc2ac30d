//! A span for each command to MongoDB that is part of a trace: its name and its collection, without any values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bson::Bson;
use mongodb::error::ErrorKind;
use mongodb::event::EventHandler;
use mongodb::event::command::{CommandEvent, CommandFailedEvent, CommandStartedEvent};
use telemetry::spans;
use tracing::Span;

/// How many commands may be in progress. The driver reports the end of each, unless the caller that waits for it gives up.
const MOST: usize = 4096;

/// What the driver is to call. None: nobody would see the spans, and the driver would copy each command for them.
pub(crate) fn handler() -> Option<EventHandler<CommandEvent>> {
    telemetry::is_exporting().then(|| {
        let commands = Arc::new(Commands::default());
        EventHandler::callback(move |event| commands.handle(event))
    })
}

/// The spans of commands that are in progress, by the number of the request.
#[derive(Default)]
struct Commands(Mutex<HashMap<i32, Span>>);

impl Commands {
    fn handle(&self, event: CommandEvent) {
        let mut commands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            CommandEvent::Started(started) => {
                // In the task that sends the command, and so in its span.
                let collection = collection(&started);
                let span = spans::mongodb(&started.command_name, &started.db, collection);
                if commands.len() >= MOST {
                    commands.clear();
                }
                commands.extend(span.map(|span| (started.request_id, span)));
            }
            CommandEvent::Succeeded(succeeded) => drop(commands.remove(&succeeded.request_id)),
            CommandEvent::Failed(failed) => {
                if let Some(span) = commands.remove(&failed.request_id) {
                    spans::mongodb_failed(&span, code(&failed));
                }
            }
            // The driver may add more.
            _ => {}
        }
    }
}

/// The first value of most commands; the cursor's number is that of `getMore`.
fn collection(started: &CommandStartedEvent) -> Option<&str> {
    let named = |key: &str| started.command.get(key).and_then(Bson::as_str);
    named(&started.command_name).or_else(|| named("collection"))
}

fn code(failed: &CommandFailedEvent) -> Option<i32> {
    let ErrorKind::Command(error) = failed.failure.kind.as_ref() else { return None };
    Some(error.code)
}
