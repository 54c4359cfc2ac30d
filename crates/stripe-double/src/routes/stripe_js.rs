//! The stand-in for <https://js.stripe.com>: the script that pages load, and the card form that it embeds in a frame.

use axum::{
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};

const JS: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

pub async fn script() -> Response {
    asset(JS, include_str!("../../assets/stripe.js"))
}

pub async fn payment_element() -> Response {
    asset(HTML, include_str!("../../assets/payment-element.html"))
}

pub async fn payment_element_script() -> Response {
    asset(JS, include_str!("../../assets/payment-element.js"))
}

pub async fn challenge_script() -> Response {
    asset(JS, include_str!("../../assets/challenge-done.js"))
}

pub async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../assets/pages.css"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
