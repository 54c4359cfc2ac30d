//! auth through its HTTP API, on a real MongoDB and a real NATS.

#![expect(clippy::unwrap_used, reason = "a test fails where an expectation is violated")]

mod admin;
mod currentuser;
mod keys;
mod limits;
mod links;
mod load;
mod moderation;
mod openapi;
mod profile;
mod queries;
mod refresh;
mod sessions;
mod settings;
mod signin;
mod signout;
mod signup;
mod tokens;

use auth::app::Auth;
use auth::state::Settings;
use clap::Parser;
use serde_json::{Value, json};
use service::Microservice as _;
use testkit::{Infra, Response, RunningProgram, TestService};

const PASSWORD: &str = "correct horse";

/// The service and its servers. The service is dropped first when a test ends.
struct World {
    service: TestService,
    infra: Infra,
}

impl World {
    async fn start() -> Self {
        Self::on(Infra::start().await).await
    }

    async fn at(public_url: &str) -> Self {
        let mut infra = Infra::start().await;
        infra.public_url = public_url.to_owned();
        Self::on(infra).await
    }

    async fn on(infra: Infra) -> Self {
        World { service: replica(&infra).await, infra }
    }

    async fn sign_up(&self, email: &str) -> Response {
        let response = self.service.client().post("/api/users/signup", credentials(email)).await;
        response.expect(201);
        response
    }

    /// The current user, by this session token.
    async fn current_user(&self, token: &str) -> Value {
        let client = self.service.client().cookie("session", token);
        let body = client.get("/api/users/currentuser").await.expect(200);
        body["currentUser"].clone()
    }

    async fn refresh(&self, token: &str) -> Response {
        refresh(&self.service, token).await
    }
}

/// One more replica of the service, on the same database and bus.
async fn replica(infra: &Infra) -> TestService {
    let settings = settings(infra).await;
    let service = Auth::build(settings, infra.clock.clone()).await.expect("auth starts");
    TestService::serve_at(service, &infra.public_url).await
}

async fn settings(infra: &Infra) -> Settings {
    Settings::parse_from(args(infra).await)
}

async fn args(infra: &Infra) -> Vec<String> {
    let mut args = infra.args("auth");
    args.extend(["--jwt-private-key".to_owned(), infra.private_key_file().display().to_string()]);
    args.extend(["--redis-url".to_owned(), infra.redis_url().await]);
    args.extend(["--link-keys".to_owned(), infra.link_key_file().display().to_string()]);
    args
}

/// The service in a process of its own.
async fn program(infra: &Infra) -> RunningProgram {
    infra.program("auth").with("REDIS_URL", infra.redis_url().await).serve(infra).await
}

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

async fn refresh(service: &TestService, token: &str) -> Response {
    service.client().cookie("refresh", token).post("/api/users/refresh", json!({})).await
}

/// The value of a cookie, which the response must set.
#[track_caller]
fn cookie(response: &Response, name: &str) -> String {
    let value = response.cookie(name);
    value.unwrap_or_else(|| panic!("no cookie {name}: {:?}", response.headers)).to_owned()
}

/// The response must delete both cookies.
#[track_caller]
fn assert_cleared(response: &Response) {
    for name in ["session", "refresh"] {
        let cookie = response.set_cookie(name).unwrap_or_default();
        assert!(cookie.starts_with(&format!("{name}=;")), "{name}: {cookie}");
        assert!(cookie.contains("Max-Age=0"), "{cookie}");
        assert!(cookie.contains("Path=/"), "{cookie}");
    }
}
