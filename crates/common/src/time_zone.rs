//! Time zones by their IANA names. A zone has one canonical name: *Asia/Calcutta*, which browsers still report, is stored
//! and shown as *Asia/Kolkata*.

use icu_time::zone::iana::IanaParserExtended;

/// The name for times without a zone of their own; the database calls it *Etc/UTC* as well.
const UTC: &str = "UTC";
/// How the name of every zone begins that the database has got in the last thirty years.
const AREAS: [&str; 11] = [
    "Africa/",
    "America/",
    "Antarctica/",
    "Arctic/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Etc/",
    "Europe/",
    "Indian/",
    "Pacific/",
];

/// The canonical name of a zone that this process can calculate with; none if it isn't a zone.
pub fn canonical_name(name: &str) -> Option<String> {
    let known = jiff::tz::TimeZone::get(name).ok()?.iana_name()?.to_owned();
    let canonical = IanaParserExtended::new().parse(&known).canonical.to_owned();
    if canonical == "Etc/UTC" {
        return Some(UTC.to_owned());
    }
    // Names that are newer than one of the two databases stay as they are. But the folder of the system's database has files
    // that are no zones, such as *localtime*, and folders of copies, such as *right/*, which counts leap seconds.
    let is_usable = canonical != "Etc/Unknown" && jiff::tz::TimeZone::get(&canonical).is_ok();
    let is_newer = || AREAS.iter().any(|area| known.starts_with(area));
    if is_usable { Some(canonical) } else { Some(known.clone()).filter(|_| is_newer()) }
}

/// The name of an IANA time zone in its canonical spelling.
pub fn parse(name: &str) -> Result<String, String> {
    canonical_name(name)
        .ok_or_else(|| "expected an IANA time zone such as Europe/Berlin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_one_canonical_name() {
        for (name, canonical) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("Asia/Calcutta", "Asia/Kolkata"),
            ("Europe/Kiev", "Europe/Kyiv"),
            ("US/Eastern", "America/New_York"),
            ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
            ("Asia/Saigon", "Asia/Ho_Chi_Minh"),
            ("Europe/Oslo", "Europe/Oslo"),
            ("Europe/Prague", "Europe/Prague"),
            ("UTC", "UTC"),
            ("Etc/UTC", "UTC"),
            ("Zulu", "UTC"),
        ] {
            assert_eq!(canonical_name(name).as_deref(), Some(canonical), "{name}");
        }
        let in_the_folder =
            ["localtime", "posixrules", "Factory", "right/Europe/Berlin", "posix/UTC"];
        for unknown in ["", "Mars/Olympus", "Berlin", "+01:00"].into_iter().chain(in_the_folder) {
            assert_eq!(canonical_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_canonical_name_is_its_own_and_keeps_the_same_time() {
        for name in jiff::tz::db().available() {
            // Not all that is in the system's folder is a zone.
            let Some(canonical) = canonical_name(name.as_str()) else { continue };
            assert_eq!(canonical_name(&canonical).as_ref(), Some(&canonical), "{name}");
            let offset = |name: &str| {
                let zone = jiff::tz::TimeZone::get(name).unwrap();
                let time = |millis| jiff::Timestamp::from_millisecond(millis).unwrap();
                [1_780_000_000_000, 1_795_000_000_000].map(|at| zone.to_offset(time(at)))
            };
            assert_eq!(offset(name.as_str()), offset(&canonical), "{name} is {canonical}");
        }
    }
}
