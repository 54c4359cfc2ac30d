//! Where the browser gets Stripe's script from, and what a page that embeds it may load.

use url::Url;

/// The address of Stripe.js: Stripe's own, or that of the local Stripe.
pub fn script(local: Option<&str>) -> String {
    format!("{}/v3/", local.unwrap_or("https://js.stripe.com"))
}

/// The Content-Security-Policy of a page that embeds Stripe.js.
/// <https://docs.stripe.com/security/guide#content-security-policy>
pub fn policy(local: Option<&str>) -> String {
    let (scripts, images, connections, frames) = match local {
        Some(origin) => (origin, origin, origin, origin),
        None => (
            "https://js.stripe.com https://*.js.stripe.com",
            "https://*.stripe.com",
            "https://api.stripe.com",
            "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
        ),
    };
    format!(
        "default-src 'none'; script-src 'self' {scripts}; style-src 'self'; img-src 'self' {images}; \
         connect-src 'self' {connections}; frame-src {frames}; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The Permissions-Policy of such a page.
pub fn permissions(local: Option<&str>) -> String {
    let origin = local.unwrap_or("https://js.stripe.com");
    format!("camera=(), geolocation=(), microphone=(), payment=(self \"{origin}\")")
}

/// As a policy spells it.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_stripe_s_script_from_stripe_or_from_the_local_one() {
        assert_eq!(script(None), "https://js.stripe.com/v3/");
        assert!(policy(None).contains("frame-src https://js.stripe.com"));
        let local = origin(&"http://127.0.0.1:7000/".parse().unwrap());
        assert_eq!(script(Some(&local)), "http://127.0.0.1:7000/v3/");
        let policy = policy(Some(&local));
        assert!(policy.contains("script-src 'self' http://127.0.0.1:7000;"), "{policy}");
        assert!(!policy.contains("stripe.com"), "{policy}");
    }
}
