//! From which address a visitor comes, as far as it can be believed.
//!
//! Each proxy adds to `X-Forwarded-For` who has called it (or replaces what stands there by it). So the last entry is the word of
//! the proxy next to us, the one before it that of the proxy before that one; whatever comes before the entries of our own
//! proxies is what the client claims of itself.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The visitor's address, where so many proxies in front of us are believed; `peer` is who has called us.
///
/// Who calls with fewer entries than there are proxies has come by a shorter way of ours: web hands on the one
/// address that it has found. An entry that is no address is no word of a proxy of ours, and the caller itself counts.
pub(crate) fn address(headers: &HeaderMap, peer: IpAddr, trusted_proxies: usize) -> IpAddr {
    let values = headers.get_all(FORWARDED_FOR).into_iter();
    let entries: Vec<&str> = values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let believed = &entries[entries.len().saturating_sub(trusted_proxies)..];
    believed.first().and_then(|entry| parse(entry)).unwrap_or(peer)
}

/// Makes of the header what is believed of it, and nothing else: so whoever reads it, logs it or hands it on has the same.
pub(crate) fn tell(headers: &mut HeaderMap, address: IpAddr) {
    if let Ok(value) = HeaderValue::from_str(&address.to_string()) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// Some proxies add the port, and brackets around the colons of IPv6.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = || entry.trim_start_matches('[').trim_end_matches(']').parse().ok();
    entry.parse::<SocketAddr>().map(|socket| socket.ip()).ok().or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(entries: &[&str], trusted_proxies: usize) -> String {
        let mut headers = HeaderMap::new();
        for entry in entries {
            headers.append(FORWARDED_FOR, entry.parse().unwrap());
        }
        address(&headers, "10.0.0.9".parse().unwrap(), trusted_proxies).to_string()
    }

    #[test]
    fn so_many_entries_are_believed_from_the_last_as_there_are_proxies() {
        for (entries, trusted_proxies, visitor) in [
            // The gateway alone: what the client claims comes before its word.
            (&["203.0.113.7"][..], 1, "203.0.113.7"),
            (&["6.6.6.6, 203.0.113.7"], 1, "203.0.113.7"),
            (&["6.6.6.6", "203.0.113.7"], 1, "203.0.113.7"),
            // A load balancer in front of the gateway.
            (&["203.0.113.7, 10.1.1.1"], 2, "203.0.113.7"),
            (&["6.6.6.6,203.0.113.7 , 10.1.1.1"], 2, "203.0.113.7"),
            // web, which hands on one address.
            (&["203.0.113.7"], 2, "203.0.113.7"),
            // Nobody is believed, or nothing was said.
            (&["6.6.6.6"], 0, "10.0.0.9"),
            (&[], 1, "10.0.0.9"),
            // No address at all.
            (&["unknown"], 1, "10.0.0.9"),
            (&["6.6.6.6, "], 1, "10.0.0.9"),
            // With a port, and IPv6.
            (&["203.0.113.7:4711"], 1, "203.0.113.7"),
            (&["2001:db8::7"], 1, "2001:db8::7"),
            (&["[2001:db8::7]:4711"], 1, "2001:db8::7"),
            (&["[2001:db8::7]"], 1, "2001:db8::7"),
        ] {
            assert_eq!(found(entries, trusted_proxies), visitor, "{entries:?}, {trusted_proxies}");
        }
    }
}
