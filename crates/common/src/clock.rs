//! Time: one instant type for the API, the events and the databases, and the clock it is read from.
//!
//! Nothing else reads the system's clock, so that a test can advance time by hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bson::Bson;
use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// An instant, in whole milliseconds: what BSON's date can hold.
///
/// In JSON it is RFC 3339 in UTC (`2026-01-31T12:45:00.000Z`); in MongoDB it is a BSON date, so that
/// it compares and indexes as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// As JSON has it.
impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new().schema_type(Type::String).format(Some(DATE_TIME));
        let time = time.description(Some("RFC 3339, in UTC, with milliseconds."));
        time.examples(["2030-05-01T19:00:00.000Z"]).into()
    }
}

const DATE_TIME: SchemaFormat = SchemaFormat::KnownFormat(KnownFormat::DateTime);

impl ToSchema for Time {}

impl Time {
    /// The last instant that is still written with a year of four digits.
    pub const NEVER: Time = Time(253_402_207_200_000);

    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub fn from_millis(millis: i64) -> Self {
        Time(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with an offset or `Z`. What is finer than a millisecond is cut off. An offset has less than 24
    /// hours.
    pub fn parse(text: &str) -> Option<Self> {
        let offset = Pieces::parse(text).ok()?.to_numeric_offset()?;
        if offset.seconds().unsigned_abs() >= 24 * 60 * 60 {
            return None;
        }
        let time = text.parse::<Timestamp>().ok()?.as_millisecond();
        (0..=Self::NEVER.0).contains(&time).then_some(Time(time))
    }

    /// The time left from `self` to `later`; zero when it has passed.
    pub fn until(self, later: Time) -> Duration {
        Duration::from_millis(u64::try_from(later.0 - self.0).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, duration: Duration) -> Time {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Time(self.0.saturating_add(millis))
    }
}

impl std::ops::Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, duration: Duration) -> Time {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Time(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl From<Time> for Bson {
    fn from(time: Time) -> Bson {
        Bson::DateTime(bson::DateTime::from_millis(time.0))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            bson::DateTime::from_millis(self.0).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    /// Reads either form, whichever the format hands over: inside a flattened struct serde no longer says whether
    /// the format is human-readable.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 2026-01-31T12:45:00Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text)
                    .ok_or_else(|| E::custom("expected a time such as 2026-01-31T12:45:00Z"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Time, A::Error> {
                let date = bson::DateTime::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Time(date.timestamp_millis()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Where the present is read from: the system's clock, or one that a test advances by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Clock(Source::System)
    }

    /// A clock that stands still until a test advances it.
    pub fn manual(start: Time) -> Self {
        Clock(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The present, in whole milliseconds.
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                let now = Timestamp::now();
                Time(now.as_millisecond())
            }
            Source::Manual(millis) => Time(millis.load(Ordering::SeqCst)),
        }
    }

    /// Advances a manual clock.
    ///
    /// # Panics
    ///
    /// On the system's clock: a test that tries is wrong.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System => panic!("only a manual clock can be advanced"),
            Source::Manual(millis) => {
                let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
                millis.fetch_add(by, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Holder {
        at: Time,
        maybe: Option<Time>,
    }

    #[test]
    fn a_time_is_rfc_3339_in_json_and_a_date_in_bson() {
        let holder = Holder { at: Time::from_millis(1_700_000_000_123), maybe: None };
        let json = serde_json::to_string(&holder).unwrap();
        assert_eq!(json, r#"{"at":"2023-11-14T22:13:20.123Z","maybe":null}"#);
        assert_eq!(serde_json::from_str::<Holder>(&json).unwrap(), holder);

        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Outer {
            #[serde(flatten)]
            inner: Holder,
        }
        let outer = Outer { inner: Holder { at: holder.at, maybe: Some(holder.at) } };
        let json = serde_json::to_string(&outer).unwrap();
        assert_eq!(serde_json::from_str::<Outer>(&json).unwrap(), outer);
        let raw = bson::serialize_to_vec(&outer).unwrap();
        assert_eq!(bson::deserialize_from_slice::<Outer>(&raw).unwrap(), outer, "flattened");

        let raw = bson::serialize_to_vec(&holder).unwrap();
        let document: bson::Document = bson::deserialize_from_slice(&raw).unwrap();
        assert!(document.get_datetime("at").is_ok());
        assert_eq!(bson::deserialize_from_slice::<Holder>(&raw).unwrap(), holder);
    }

    #[test]
    fn a_time_before_1970_or_after_9999_or_without_offset_is_refused() {
        for text in
            ["1969-12-31T23:59:59Z", "+010000-01-01T00:00:00Z", "2026-01-01T00:00:00", "tomorrow"]
        {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        assert!(Time::parse("2026-01-01T00:00:00+02:00").is_some());
    }

    #[test]
    fn an_offset_has_less_than_24_hours() {
        for offset in ["+25:00", "-25:59", "+24:00", "-24:00", "+25", "+2430"] {
            assert_eq!(Time::parse(&format!("2026-01-31T12:00:00{offset}")), None, "{offset}");
        }
        for offset in ["Z", "z", "+00:00", "-00:00", "+14:00", "-12:00", "+05:45", "-23:59"] {
            assert!(Time::parse(&format!("2026-01-31T12:00:00{offset}")).is_some(), "{offset}");
        }
    }
}
