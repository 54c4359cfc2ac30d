//! The client's IP address, as far as it can be trusted.
//!
//! Each proxy appends the address of its peer to `X-Forwarded-For` (or replaces the header by it). So the last entry
//! comes from the proxy next to us, and the one before it from the proxy before that; whatever precedes the entries of our
//! own proxies is the client's claim.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, as the middleware has determined it: an extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    /// Which client it is: one with IPv6 has a whole network of addresses (RFC 6177), and may use another one for each request.
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.into(),
                None => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            },
        }
    }
}

/// What a log line says of a client's address: enough to recognise where a flood comes from, but not who it is.
pub(crate) fn anonymised(address: IpAddr) -> IpAddr {
    match ClientIp(address).network() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() >> 8 << 8).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Outside of the middleware, all requests come from the same client.
        let unspecified = ClientIp(Ipv4Addr::UNSPECIFIED.into());
        Ok(parts.extensions.get::<ClientIp>().copied().unwrap_or(unspecified))
    }
}

/// The client's address, where so many proxies in front of us are trusted; `peer` is the other end of the connection.
///
/// A request with fewer entries than proxies has taken a shorter path inside the cluster: web forwards the one address
/// that it has found. An entry that isn't an address didn't come from a proxy of ours, and `peer` counts.
pub(crate) fn address(headers: &HeaderMap, peer: IpAddr, trusted_proxies: usize) -> IpAddr {
    let values = headers.get_all(FORWARDED_FOR).into_iter();
    let entries: Vec<&str> = values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let trusted = &entries[entries.len().saturating_sub(trusted_proxies)..];
    trusted.first().and_then(|entry| parse(entry)).unwrap_or(peer)
}

/// Replaces the header by the trusted address, so that whatever reads, logs or forwards it has the same.
pub(crate) fn rewrite_forwarded_for(headers: &mut HeaderMap, address: IpAddr) {
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
    fn as_many_entries_are_trusted_from_the_last_as_there_are_proxies() {
        for (entries, trusted_proxies, client) in [
            // The gateway alone: the client's claim precedes its entry.
            (&["203.0.113.7"][..], 1, "203.0.113.7"),
            (&["6.6.6.6, 203.0.113.7"], 1, "203.0.113.7"),
            (&["6.6.6.6", "203.0.113.7"], 1, "203.0.113.7"),
            // A load balancer in front of the gateway.
            (&["203.0.113.7, 10.1.1.1"], 2, "203.0.113.7"),
            (&["6.6.6.6,203.0.113.7 , 10.1.1.1"], 2, "203.0.113.7"),
            // web, which forwards one address.
            (&["203.0.113.7"], 2, "203.0.113.7"),
            // No proxy is trusted, or there is no header.
            (&["6.6.6.6"], 0, "10.0.0.9"),
            (&[], 1, "10.0.0.9"),
            // Not an address.
            (&["unknown"], 1, "10.0.0.9"),
            (&["6.6.6.6, "], 1, "10.0.0.9"),
            // With a port, and IPv6.
            (&["203.0.113.7:4711"], 1, "203.0.113.7"),
            (&["2001:db8::7"], 1, "2001:db8::7"),
            (&["[2001:db8::7]:4711"], 1, "2001:db8::7"),
            (&["[2001:db8::7]"], 1, "2001:db8::7"),
        ] {
            assert_eq!(found(entries, trusted_proxies), client, "{entries:?}, {trusted_proxies}");
        }
    }
}
