//! The style sheet, scripts and images, each served at an address with a digest of its content, so that
//! browsers may cache it indefinitely.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderValue, header};
use httpkit::{Error, Result};
use sha2::{Digest, Sha256};

struct Asset {
    name: &'static str,
    address: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    const CSS: &str = "text/css; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    const SVG: &str = "image/svg+xml";
    vec![
        asset("app.css", CSS, include_bytes!("../assets/app.css")),
        asset("app.js", JS, include_bytes!("../assets/app.js")),
        asset("door.js", JS, include_bytes!("../assets/door.js")),
        asset("stripe.js", JS, include_bytes!("../assets/stripe.js")),
        asset("icons.svg", SVG, include_bytes!("../assets/icons.svg")),
        asset("favicon.svg", SVG, include_bytes!("../assets/favicon.svg")),
    ]
});

fn asset(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..9]);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    Asset { name, address: format!("/assets/{stem}.{digest}.{ending}"), media_type, bytes }
}

/// The address of an asset. The name must be one of those above.
pub fn address(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.address.as_str())
}

pub async fn serve(Path(name): Path<String>) -> Result<Response> {
    let address = format!("/assets/{name}");
    let asset = ASSETS.iter().find(|asset| asset.address == address);
    let asset = asset.ok_or_else(|| Error::not_found("file"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, asset.bytes).into_response())
}

/// For browsers that request the conventional address.
pub async fn favicon() -> Redirect {
    Redirect::permanent(address("favicon.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_has_an_address_with_its_digest() {
        for asset in ASSETS.iter() {
            let address = address(asset.name);
            assert!(address.starts_with("/assets/") && address.len() > 20, "{address}");
        }
        assert_eq!(address("nothing.css"), "");
    }
}
