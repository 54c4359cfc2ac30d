//! Problems as responses (RFC 9457): from the table in `common::problem`.

use std::collections::BTreeMap;

use common::ids::OrderId;
use common::problem::{self, Problem, Violation};
use common::scopes::Scope;
use common::{Money, Place, Time};
use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::components::Components;

/// An error.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(
    dead_code,
    reason = "errors are rendered from their parts (crate::error); this is their schema"
)]
pub struct ProblemDocument {
    /// Identifies the kind; for programs.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// The kind, for people.
    #[schema(example = "The request is invalid")]
    title: String,
    /// This case, for people.
    #[schema(example = "title must not be empty")]
    detail: String,
    /// One entry for each broken rule.
    #[schema(min_items = 1)]
    errors: Vec<Violation>,
    /// Of `ticket-reserved` and `ticket-sold`: the caller's own order.
    #[schema(rename = "orderId")]
    order_id: Option<OrderId>,
    /// Of `not-enough-left`: how many are.
    available: Option<u16>,
    /// Of `too-many-reservations`: when the first of them ends.
    until: Option<Time>,
    /// Of `details-fixed`: which members.
    fields: Option<Vec<String>>,
    /// Of `price-changed`: the present one.
    price: Option<Money>,
    /// Of `card-declined`: Stripe's reason.
    #[schema(rename = "declineCode")]
    decline_code: Option<String>,
    /// Of `card-declined`: how many more cards may be tried.
    #[schema(rename = "attemptsLeft")]
    attempts_left: Option<i64>,
    /// Of `not-admitted`: `unknown_code`, `other_listing` or `not_sold`.
    reason: Option<String>,
    /// Of `already-checked-in`: when.
    at: Option<Time>,
    /// Of `already-checked-in`: where.
    gate: Option<String>,
    /// Of `already-checked-in`: which place.
    place: Option<Place>,
    /// Of `insufficient-scope`: which one it takes.
    scope: Option<Scope>,
    /// Of `too-many-requests`: in how many seconds the next request is accepted.
    #[schema(rename = "retryAfter")]
    retry_after: Option<u64>,
}

/// The problems of each status, each once, in the order of the table.
pub(super) fn by_status(
    problems: &[&'static Problem],
) -> BTreeMap<StatusCode, Vec<&'static Problem>> {
    let mut by_status: BTreeMap<StatusCode, Vec<_>> = BTreeMap::new();
    for problem in problem::ALL.iter().filter(|problem| problems.contains(problem)) {
        by_status.entry(problem.status).or_default().push(*problem);
    }
    by_status
}

/// The response with one of these problems, which have one status.
pub(super) fn response(problems: &[&'static Problem], components: &mut Components) -> Value {
    let name = problems.iter().map(|problem| problem.slug).collect::<Vec<_>>().join(".");
    let render = || {
        let mut headers = headers(&[]);
        for (problem, name) in WITH_HEADER {
            if problems.contains(problem) {
                headers[*name] = json!({ "$ref": format!("#/components/headers/{name}") });
            }
        }
        let kind = |problem: &&Problem| format!("/problems/{}", problem.slug);
        let title = |problem: &&Problem| format!("{} (`{}`).", problem.title, problem.slug);
        let example = problems.first().map(example);
        json!({
            "description": problems.iter().map(title).collect::<Vec<_>>().join(" "),
            "headers": headers,
            "content": { "application/problem+json": {
                "schema": {
                    "$ref": "#/components/schemas/Problem",
                    "properties": { "type": { "enum": problems.iter().map(kind).collect::<Vec<_>>() } },
                },
                "example": example,
            } },
        })
    };
    if let [_] = problems {
        components.responses.entry(name.clone()).or_insert_with(render);
        json!({ "$ref": format!("#/components/responses/{name}") })
    } else {
        render()
    }
}

/// Which headers problems have.
const WITH_HEADER: &[(&Problem, &str)] = &[
    (&problem::NOT_SIGNED_IN, "WWW-Authenticate"),
    (&problem::REQUEST_IN_PROGRESS, "Retry-After"),
    (&problem::TOO_MANY_REQUESTS, "Retry-After"),
    (&problem::UNAVAILABLE, "Retry-After"),
];

fn example(problem: &&'static Problem) -> Value {
    json!({
        "type": format!("/problems/{}", problem.slug),
        "status": problem.status.as_u16(),
        "title": problem.title,
        "detail": format!("{}.", problem.title),
        "errors": [{ "message": format!("{}.", problem.title) }],
    })
}

/// These headers, and that of each response.
pub(super) fn headers(names: &[&str]) -> Value {
    let names = names.iter().chain(&["X-Request-Id"]);
    let reference = |name: &&str| {
        let header = json!({ "$ref": format!("#/components/headers/{name}") });
        ((*name).to_owned(), header)
    };
    Value::Object(names.map(reference).collect::<Map<_, _>>())
}
