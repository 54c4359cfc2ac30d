//! One call of the API: what its route says about it, and what follows from that.

use std::collections::BTreeMap;

use common::ids::{OrderId, PaymentId, SessionId, TicketId, UserId};
use common::problem::{self, Problem};
use common::scopes::Scope;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::components::{Components, Direction, without_null};
use super::problems;

/// Any JSON object.
#[derive(ToSchema)]
#[schema(value_type = BTreeMap<String, Value>, example = json!({}))]
pub struct AnyObject(());

/// An object without members.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct EmptyObject {}

/// Adds a type's schema.
type Add = fn(&mut Components, Direction) -> Value;

/// One call. Without another word, anyone may make it.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    id: &'static str,
    summary: &'static str,
    text: &'static str,
    credential: Credential,
    parameters: Vec<Value>,
    has_query: bool,
    body: Option<Body>,
    responses: Vec<Response>,
    refusals: Vec<&'static Problem>,
}

#[derive(Debug)]
struct Body {
    add: Add,
    is_required: bool,
    /// In another form than our JSON.
    is_foreign: bool,
    max_chars: &'static [(&'static str, usize)],
}

#[derive(Debug)]
struct Response {
    status: StatusCode,
    text: &'static str,
    media_type: &'static str,
    body: Option<Add>,
    headers: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    None,
    /// A user's session or their program's token, if there is one.
    OptionalUser,
    User,
    /// One of its own.
    Scheme(&'static str),
}

impl Call {
    pub fn get(id: &'static str, path: &str, summary: &'static str) -> Call {
        Call::new(Method::GET, id, path, summary)
    }

    pub fn post(id: &'static str, path: &str, summary: &'static str) -> Call {
        Call::new(Method::POST, id, path, summary)
    }

    pub fn put(id: &'static str, path: &str, summary: &'static str) -> Call {
        Call::new(Method::PUT, id, path, summary)
    }

    pub fn patch(id: &'static str, path: &str, summary: &'static str) -> Call {
        Call::new(Method::PATCH, id, path, summary)
    }

    pub fn delete(id: &'static str, path: &str, summary: &'static str) -> Call {
        Call::new(Method::DELETE, id, path, summary)
    }

    fn new(method: Method, id: &'static str, path: &str, summary: &'static str) -> Call {
        Call {
            method,
            path: path.to_owned(),
            id,
            summary,
            text: "",
            credential: Credential::None,
            parameters: Vec::new(),
            has_query: false,
            body: None,
            responses: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Of a service's own document.
    pub(super) fn to_document(path: &str) -> Call {
        let call = Call::get("document", path, "Show this document");
        call.returns::<AnyObject>(StatusCode::OK, "An OpenAPI document.")
    }

    /// What there is to know beyond the summary.
    pub fn text(self, text: &'static str) -> Call {
        Call { text, ..self }
    }

    /// For users who are signed in, and, where there is a scope for it, their programs.
    pub fn signed_in(self) -> Call {
        Call { credential: Credential::User, ..self }
    }

    /// For anyone; the response depends on who it is.
    pub fn for_viewers(self) -> Call {
        Call { credential: Credential::OptionalUser, ..self }
    }

    /// With a credential of its own, one of the security schemes.
    pub fn with(self, scheme: &'static str) -> Call {
        Call { credential: Credential::Scheme(scheme), ..self }
    }

    /// The parameters of the query.
    pub fn query<P: IntoParams>(mut self) -> Call {
        self.has_query = true;
        let parameters = P::into_params(|| Some(ParameterIn::Query));
        self.parameters.extend(parameters.into_iter().map(|parameter| {
            let mut parameter = json!(parameter);
            // A query has no null.
            without_null(&mut parameter["schema"]);
            parameter
        }));
        self
    }

    /// A list in pages: `limit` and `cursor`.
    pub fn paged(self) -> Call {
        Call { has_query: true, ..self }.parameter("limit").parameter("cursor")
    }

    /// `Idempotency-Key`.
    pub fn idempotent(self) -> Call {
        self.parameter("Idempotency-Key").refused(&[
            &problem::MALFORMED,
            &problem::TOO_LARGE,
            &problem::REQUEST_IN_PROGRESS,
            &problem::IDEMPOTENCY_KEY_REUSED,
        ])
    }

    /// `If-Match`.
    pub fn if_match(self) -> Call {
        let refusals = [&problem::MALFORMED, &problem::PRECONDITION_FAILED];
        self.parameter("If-Match").refused(&refusals)
    }

    /// `If-None-Match`, and 304.
    pub fn if_none_match(self) -> Call {
        self.parameter("If-None-Match").responds(
            StatusCode::NOT_MODIFIED,
            "What you have is current.",
            None,
        )
    }

    /// The response may be a second old, unless `Cache-Control` says otherwise.
    pub fn shared(self) -> Call {
        self.parameter("Cache-Control")
    }

    fn parameter(mut self, name: &str) -> Call {
        self.parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        self
    }

    /// The body.
    pub fn body<T: ToSchema>(self) -> Call {
        let body = Body {
            add: Components::add::<T>,
            is_required: true,
            is_foreign: false,
            max_chars: &[],
        };
        Call { body: Some(body), ..self }
    }

    /// The body of a call that needs none.
    pub fn optional_body<T: ToSchema>(self) -> Call {
        let body = Body {
            add: Components::add::<T>,
            is_required: false,
            is_foreign: false,
            max_chars: &[],
        };
        Call { body: Some(body), ..self }
    }

    /// How long the texts of the body before may be.
    pub fn max_chars(mut self, members: &'static [(&'static str, usize)]) -> Call {
        if let Some(body) = &mut self.body {
            body.max_chars = members;
        }
        self
    }

    /// A body that is defined elsewhere.
    pub fn foreign_body(self) -> Call {
        let add = Components::add::<AnyObject>;
        Call {
            body: Some(Body { add, is_required: true, is_foreign: true, max_chars: &[] }),
            ..self
        }
    }

    /// 200.
    pub fn ok<T: ToSchema>(self, text: &'static str) -> Call {
        self.returns::<T>(StatusCode::OK, text)
    }

    /// 200, with the version in `ETag`.
    pub fn ok_versioned<T: ToSchema>(self, text: &'static str) -> Call {
        self.returns::<T>(StatusCode::OK, text).with_headers(&["ETag"])
    }

    /// 201, with `Location` and `ETag`.
    pub fn created<T: ToSchema>(self, text: &'static str) -> Call {
        self.returns::<T>(StatusCode::CREATED, text).with_headers(&["Location", "ETag"])
    }

    /// 202, with `Location`.
    pub fn accepted<T: ToSchema>(self, text: &'static str) -> Call {
        self.returns::<T>(StatusCode::ACCEPTED, text).with_headers(&["Location"])
    }

    /// 200, without a body.
    pub fn empty(self, text: &'static str) -> Call {
        self.responds(StatusCode::OK, text, None)
    }

    /// 204.
    pub fn no_content(self, text: &'static str) -> Call {
        self.responds(StatusCode::NO_CONTENT, text, None)
    }

    /// Any status, with a body.
    pub fn returns<T: ToSchema>(self, status: StatusCode, text: &'static str) -> Call {
        self.responds(status, text, Some(Components::add::<T>))
    }

    fn responds(mut self, status: StatusCode, text: &'static str, body: Option<Add>) -> Call {
        let (media_type, headers) = ("application/json", Vec::new());
        self.responses.push(Response { status, text, media_type, body, headers });
        self
    }

    /// The response before has these headers.
    pub fn with_headers(mut self, names: &[&'static str]) -> Call {
        if let Some(response) = self.responses.last_mut() {
            response.headers.extend(names);
        }
        self
    }

    /// The response before is JSON of this kind.
    pub fn of_type(mut self, media_type: &'static str) -> Call {
        if let Some(response) = self.responses.last_mut() {
            response.media_type = media_type;
        }
        self
    }

    /// The problems of its own.
    pub fn refused(mut self, problems: &[&'static Problem]) -> Call {
        self.refusals.extend(problems);
        self
    }

    pub(super) fn method(&self) -> String {
        self.method.as_str().to_ascii_lowercase()
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The names between braces.
    fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    fn scope(&self) -> Option<Scope> {
        Scope::of_request(self.method.is_safe(), &self.path)
    }

    /// Its own problems, and those that follow from what it is.
    fn problems(&self) -> Vec<&'static Problem> {
        let mut all = self.refusals.clone();
        if let Some(Body { is_foreign: false, .. }) = &self.body {
            all.extend([&problem::MALFORMED, &problem::INVALID]);
            all.extend([&problem::TOO_LARGE, &problem::UNSUPPORTED_MEDIA_TYPE]);
        }
        if self.has_query {
            all.push(&problem::INVALID);
        }
        match self.credential {
            Credential::None | Credential::Scheme("stripeSignature") => {}
            Credential::Scheme(_) => all.push(&problem::NOT_SIGNED_IN),
            Credential::OptionalUser | Credential::User => {
                all.extend([&problem::NOT_SIGNED_IN, &problem::INSUFFICIENT_SCOPE]);
            }
        }
        if self.segments().next().is_some() {
            all.push(&problem::NOT_FOUND);
        }
        if !self.method.is_safe() {
            all.extend([&problem::CROSS_SITE, &problem::CONFLICT]);
        }
        all.extend([&problem::TOO_MANY_REQUESTS, &problem::INTERNAL, &problem::UNAVAILABLE]);
        all
    }

    fn security(&self) -> Value {
        let mut any = Vec::new();
        match self.credential {
            Credential::None => {}
            Credential::Scheme(scheme) => any.push(json!({ scheme: [] })),
            Credential::OptionalUser | Credential::User => {
                if self.credential == Credential::OptionalUser {
                    any.push(json!({}));
                }
                any.push(json!({ "session": [] }));
                any.extend(self.scope().map(|scope| json!({ "accessToken": [scope.as_str()] })));
            }
        }
        json!(any)
    }

    /// The operation, whose schemas and responses are added to the components.
    pub(super) fn render(self, tag: &str, components: &mut Components) -> Value {
        let parameter = |name| path_parameter(name, &self.path);
        let mut parameters: Vec<Value> = self.segments().map(parameter).collect();
        parameters.extend(self.parameters.iter().cloned());
        let mut operation = json!({
            "tags": [tag],
            "operationId": format!("{tag}.{}", self.id),
            "summary": self.summary,
            "parameters": parameters,
            "security": self.security(),
        });
        if !self.text.is_empty() {
            operation["description"] = json!(self.text);
        }
        if let Some(Body { add, is_required, max_chars, .. }) = &self.body {
            let schema = add(components, Direction::Request);
            components.limit(&schema, max_chars);
            operation["requestBody"] = json!({
                "required": is_required,
                "content": { "application/json": { "schema": schema } },
            });
        }
        let mut responses = BTreeMap::new();
        for response in &self.responses {
            responses.insert(response.status.as_u16().to_string(), response.render(components));
        }
        for (status, of_status) in problems::by_status(&self.problems()) {
            responses
                .insert(status.as_u16().to_string(), problems::response(&of_status, components));
        }
        operation["responses"] = json!(responses);
        operation
    }
}

impl Response {
    fn render(&self, components: &mut Components) -> Value {
        let mut response = json!({
            "description": self.text,
            "headers": problems::headers(&self.headers),
        });
        if let Some(add) = self.body {
            let schema = add(components, Direction::Response);
            response["content"] = json!({ self.media_type: { "schema": schema } });
        }
        response
    }
}

fn path_parameter(name: &str, path: &str) -> Value {
    let example = match name {
        "group" => json!(crate::auth::ADMIN),
        "user" => example::<UserId>(),
        _ if path.starts_with("/api/tickets") => example::<TicketId>(),
        _ if path.starts_with("/api/orders") => example::<OrderId>(),
        _ if path.starts_with("/api/payments") => example::<PaymentId>(),
        _ if path.contains("/sessions/") || path.contains("/tokens/") => example::<SessionId>(),
        _ => example::<UserId>(),
    };
    json!({
        "name": name, "in": "path", "required": true,
        "schema": { "type": "string", "examples": [example] },
    })
}

/// The one that stands in the type's schema.
fn example<T: ToSchema>() -> Value {
    json!(T::schema())["example"].clone()
}
