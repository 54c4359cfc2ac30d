//! Programs with tokens, at the door of every service: who may do what, with which scope; and whose token is refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::Clock;
use common::ids::{SessionId, UserId};
use common::scopes::Scope;
use serde_json::{Value, json};
use system_tests::{Stack, workspace};
use testkit::{Client, Forgery, Keys, Method, Response, access_claims, claims, eventually};
use uuid::Uuid;

use crate::pages::problems::administrator;
use crate::shared;

/// A request that changes nothing that another one depends on, whoever sends it: what it asks for is checked after who asks.
struct Try {
    method: Method,
    route: &'static str,
    path: String,
    body: Value,
    /// With which scope a program may send it for somebody who may; none if no program may.
    scope: Option<Scope>,
}

/// Routes that anyone may call, or with a credential of their own.
const WITHOUT_SESSION: [&str; 17] = [
    "/api/auth/openapi.json",
    "/api/confirmation/openapi.json",
    "/api/orders/openapi.json",
    "/api/payments/openapi.json",
    "/api/payments/webhook",
    "/api/tickets/openapi.json",
    "/api/users/.well-known/jwks.json",
    "/api/users/currentUser",
    "/api/users/disown",
    "/api/users/recovery",
    "/api/users/recovery/confirm",
    "/api/users/refresh",
    "/api/users/signin",
    "/api/users/signout",
    "/api/users/signup",
    "/api/users/tokens/access",
    "/api/users/verification/confirm",
];

struct Sale {
    ticket: String,
    order: String,
    payment: String,
    somebody: String,
}

fn tries(Sale { ticket, order, payment, somebody }: &Sale) -> Vec<Try> {
    use Scope::*;
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let reserve = json!({ "ticketId": ticket, "price": "0.01" });
    let pay = json!({ "orderId": order, "token": "tok_visa" });
    let of_payments = format!("/api/payments?orderId={order}");
    let none = || json!({});
    #[rustfmt::skip]
    let table = vec![
        (&get, "/api/tickets", "/api/tickets".to_owned(), Value::Null, Some(TicketsRead)),
        (&get, "/api/tickets", "/api/tickets?mine=true".to_owned(), Value::Null, Some(TicketsRead)),
        (&post, "/api/tickets", "/api/tickets".to_owned(), none(), Some(TicketsWrite)),
        (&get, "/api/tickets/{id}", format!("/api/tickets/{ticket}"), Value::Null, Some(TicketsRead)),
        (&put, "/api/tickets/{id}", format!("/api/tickets/{ticket}"), none(), Some(TicketsWrite)),
        (&delete, "/api/tickets/{id}", format!("/api/tickets/{ticket}"), Value::Null, Some(TicketsWrite)),
        (&post, "/api/tickets/{id}/checkin", format!("/api/tickets/{ticket}/checkin"), none(), Some(CheckIn)),
        (&get, "/api/tickets/{id}/door", format!("/api/tickets/{ticket}/door"), Value::Null, Some(CheckIn)),
        (&post, "/api/tickets/{id}/door/invitation", format!("/api/tickets/{ticket}/door/invitation"), none(), Some(TicketsWrite)),
        (&post, "/api/tickets/{id}/door/staff", format!("/api/tickets/{ticket}/door/staff"), none(), Some(TicketsWrite)),
        (&delete, "/api/tickets/{id}/door/staff/{user}", format!("/api/tickets/{ticket}/door/staff/{somebody}"), Value::Null, Some(TicketsWrite)),
        (&get, "/api/orders", "/api/orders".to_owned(), Value::Null, Some(OrdersRead)),
        (&post, "/api/orders", "/api/orders".to_owned(), reserve, Some(OrdersWrite)),
        (&get, "/api/orders/problems", "/api/orders/problems".to_owned(), Value::Null, Some(OrdersRead)),
        (&get, "/api/orders/{id}", format!("/api/orders/{order}"), Value::Null, Some(OrdersRead)),
        (&delete, "/api/orders/{id}", format!("/api/orders/{order}"), Value::Null, Some(OrdersWrite)),
        (&put, "/api/orders/{id}/handover", format!("/api/orders/{order}/handover"), none(), Some(OrdersWrite)),
        (&get, "/api/orders/{id}/history", format!("/api/orders/{order}/history"), Value::Null, Some(OrdersRead)),
        (&get, "/api/orders/{id}/checkins", format!("/api/orders/{order}/checkins"), Value::Null, Some(OrdersRead)),
        (&get, "/api/orders/{id}/admissions", format!("/api/orders/{order}/admissions"), Value::Null, Some(OrdersRead)),
        (&get, "/api/orders/{id}/mails", format!("/api/orders/{order}/mails"), Value::Null, Some(OrdersRead)),
        (&post, "/api/orders/{id}/resend-confirmation", format!("/api/orders/{order}/resend-confirmation"), Value::Null, Some(OrdersWrite)),
        (&get, "/api/payments", of_payments, Value::Null, Some(PaymentsRead)),
        (&post, "/api/payments", "/api/payments".to_owned(), pay, Some(PaymentsWrite)),
        (&get, "/api/payments/{id}", format!("/api/payments/{payment}"), Value::Null, Some(PaymentsRead)),
        (&get, "/api/payments/{id}/history", format!("/api/payments/{payment}/history"), Value::Null, Some(PaymentsRead)),
        (&post, "/api/payments/{id}/refresh", format!("/api/payments/{payment}/refresh"), Value::Null, Some(PaymentsWrite)),
        (&post, "/api/payments/{id}/refund", format!("/api/payments/{payment}/refund"), json!({ "relist": 5 }), Some(PaymentsWrite)),
        (&get, "/api/users", "/api/users?email=kim@example.org".to_owned(), Value::Null, None),
        (&get, "/api/users/{id}", format!("/api/users/{somebody}"), Value::Null, None),
        (&put, "/api/users/{id}/ban", format!("/api/users/{somebody}/ban"), none(), None),
        (&delete, "/api/users/{id}/ban", format!("/api/users/{somebody}/ban"), Value::Null, None),
        (&delete, "/api/users/{id}/groups/{group}", format!("/api/users/{somebody}/groups/editors"), Value::Null, None),
        (&get, "/api/users/audit", "/api/users/audit".to_owned(), Value::Null, None),
        (&Method::PATCH, "/api/users/me", "/api/users/me".to_owned(), none(), None),
        (&post, "/api/users/verification", "/api/users/verification".to_owned(), Value::Null, None),
        (&get, "/api/users/sessions", "/api/users/sessions".to_owned(), Value::Null, None),
        (&delete, "/api/users/sessions/{id}", format!("/api/users/sessions/{somebody}"), Value::Null, None),
        (&get, "/api/users/tokens", "/api/users/tokens".to_owned(), Value::Null, None),
        (&post, "/api/users/tokens", "/api/users/tokens".to_owned(), none(), None),
        (&delete, "/api/users/tokens/{id}", format!("/api/users/tokens/{somebody}"), Value::Null, None),
    ];
    let tries = table.into_iter().map(|(method, route, path, body, scope)| {
        let method = method.clone();
        Try { method, route, path, body, scope }
    });
    tries.collect()
}

impl Try {
    async fn by(&self, client: &Client) -> Response {
        let mut request = client.request(self.method.clone(), &self.path);
        if self.method == Method::DELETE {
            // Nobody's version.
            request = request.header("if-match", "\"999999\"");
        }
        if self.body != Value::Null {
            request = request.json(self.body.clone());
        }
        request.send().await
    }
}

struct Person {
    session: Client,
    id: String,
}

impl Person {
    async fn sign_up(stack: &Stack) -> Person {
        let session = stack.visitor();
        let email = format!("kim-{}@example.com", Uuid::now_v7());
        let credentials = json!({ "email": email, "password": "correct horse" });
        let user = session.post("/api/users/signup", credentials).await.expect(201);
        Person { session, id: user["id"].as_str().unwrap().to_owned() }
    }

    /// A program with an access token for these scopes.
    async fn program(&self, stack: &Stack, scopes: &[Scope]) -> Client {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let new = json!({ "name": "A program", "scopes": scopes });
        let token = self.session.post("/api/users/tokens", new).await.expect(201);
        let program = Client::new(&stack.url());
        let exchanged = program.bearer(token["token"].as_str().unwrap());
        let access = exchanged.post("/api/users/tokens/access", json!({})).await.expect(200);
        program.bearer(access["accessToken"].as_str().unwrap())
    }
}

async fn sale(seller: &Person, buyer: &Person, other: &Person) -> Sale {
    let listing = json!({
        "title": "Tosca", "price": "20.50", "quantity": 5, "delivery": "checked_in_here",
        "date": "2030-05-01T19:00:00Z",
    });
    let ticket = seller.session.post("/api/tickets", listing).await.expect(201)["id"].clone();
    let reserve = json!({ "ticketId": ticket });
    let order = buyer.session.post("/api/orders", reserve).await.expect(201)["id"].clone();
    let pay = json!({ "orderId": order, "token": "tok_visa" });
    let payment = buyer.session.post("/api/payments", pay).await.expect(201)["id"].clone();
    let text = |id: &Value| id.as_str().unwrap().to_owned();
    let sale = Sale {
        ticket: text(&ticket),
        order: text(&order),
        payment: text(&payment),
        somebody: other.id.clone(),
    };
    for path in ["mails", "admissions"].map(|it| format!("/api/orders/{}/{it}", sale.order)) {
        eventually("the sale to be known", async || {
            (buyer.session.get(&path).await.status == 200).then_some(())
        })
        .await;
    }
    sale
}

/// Each person, each scope, each route.
#[tokio::test]
async fn a_program_may_do_what_its_user_may_and_its_scope_allows() {
    let stack = shared::default().await;
    let [seller, buyer, other] =
        [Person::sign_up(stack).await, Person::sign_up(stack).await, Person::sign_up(stack).await];
    let root = Person { session: administrator(stack).await.client, id: String::new() };
    let sale = sale(&seller, &buyer, &other).await;
    let tries = tries(&sale);
    let is_allowed = |response: &Response| {
        assert_ne!(response.status, 401, "{response:?}");
        response.status != 403
    };

    let mut wrong = Vec::new();
    for (name, person) in
        [("seller", &seller), ("buyer", &buyer), ("other", &other), ("admin", &root)]
    {
        let mut programs = Vec::new();
        for scope in Scope::ALL {
            programs.push((scope, person.program(stack, &[scope]).await));
        }
        for one in &tries {
            // No program is an administrator: it may do what anyone may.
            let themselves = if name == "admin" { &other.session } else { &person.session };
            let may = is_allowed(&one.by(themselves).await);
            for (scope, program) in &programs {
                let response = one.by(program).await;
                let case = format!("{} {} by {name}, {scope}", one.method, one.path);
                let is_in_scope = one.scope == Some(*scope);
                let is_out_of_scope = response.body["type"] == "/problems/insufficient-scope";
                if is_out_of_scope == is_in_scope {
                    wrong.push(format!("{case}: {}", response.text));
                } else if is_in_scope && is_allowed(&response) != may {
                    wrong.push(format!("{case}: {}, themselves: {may}", response.text));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_route_is_left_out() {
    let sale = Sale {
        ticket: String::new(),
        order: String::new(),
        payment: String::new(),
        somebody: String::new(),
    };
    let tried = tries(&sale);
    let tried: BTreeSet<&str> = tried.iter().map(|one| one.route).chain(WITHOUT_SESSION).collect();
    // It is the user themselves who has it.
    let known = tried.union(&BTreeSet::from(["/api/users/currentuser"])).copied().collect();
    let mut routes = BTreeSet::new();
    let mut sources = Vec::new();
    for service in workspace::services().into_iter().filter(|service| service != "web") {
        let app = workspace::root().join("services").join(service).join("src/app.rs");
        sources.push(std::fs::read_to_string(app).unwrap());
    }
    for source in &sources {
        let paths = source.split('"').skip(1).step_by(2).filter(|text| text.starts_with("/api/"));
        routes.extend(paths);
    }
    assert_eq!(routes, known);
}

/// Of every service, something private.
fn private(sale: &Sale) -> [String; 5] {
    [
        "/api/users/tokens".to_owned(),
        "/api/tickets?mine=true".to_owned(),
        format!("/api/orders/{}", sale.order),
        format!("/api/payments/{}", sale.payment),
        format!("/api/orders/{}/mails", sale.order),
    ]
}

#[tokio::test]
async fn a_forged_token_is_refused_by_every_service() {
    let stack = shared::default().await;
    let [seller, buyer, other] =
        [Person::sign_up(stack).await, Person::sign_up(stack).await, Person::sign_up(stack).await];
    let sale = sale(&seller, &buyer, &other).await;
    let key = std::fs::read_to_string(stack.root().join("keys/private.pem")).unwrap();
    let (keys, clock) = (Keys::of_private(&key), Clock::system());
    let (user, session): (UserId, _) = (buyer.id.parse().unwrap(), SessionId::new(clock.now()));
    let of_session = || claims(user, session, &clock, &[]);
    let of_program = || access_claims(user, session, &clock, &Scope::ALL);
    let client = Client::new(&stack.url());
    let with_cookie = |token: &str| client.cookie("session", token);
    let with_header = |token: &str| client.bearer(token);
    // The control: what is forged below would be accepted.
    for (number, path) in private(&sale).iter().enumerate() {
        with_cookie(&keys.sign(&of_session())).get(path).await.expect(200);
        let program = with_header(&keys.sign(&of_program())).get(path).await;
        if number == 0 {
            program.problem(403, "insufficient-scope");
        } else {
            program.expect(200);
        }
        client.get(path).await.problem(401, "not-signed-in");
    }
    for forgery in Forgery::ALL {
        for path in private(&sale) {
            for refused in [
                with_cookie(&keys.forge(of_session(), forgery)),
                with_header(&keys.forge(of_program(), forgery)),
                // Of the other kind, as it is.
                with_header(&keys.sign(&of_session())),
                with_cookie(&keys.sign(&of_program())),
            ] {
                refused.get(&path).await.problem(401, "not-signed-in");
            }
        }
    }
    // Also where nobody needs to be signed in: a program has to learn that its token is of no use.
    let forged = keys.forge(of_program(), Forgery::Expired);
    with_header(&forged).get("/api/tickets").await.problem(401, "not-signed-in");
}

/// Another site's page can't set the header.
#[tokio::test]
async fn the_rules_for_pages_of_other_sites_are_for_cookies_only() {
    let stack = shared::default().await;
    let seller = Person::sign_up(stack).await;
    let listing = json!({ "title": "Tosca", "price": "20.50" });
    let program = seller.program(stack, &[Scope::TicketsWrite]).await;
    for headers in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let (name, value) = headers;
        let (page, program) = (seller.session.header(name, value), program.header(name, value));
        page.post("/api/tickets", listing.clone()).await.problem(403, "cross-site");
        program.post("/api/tickets", listing.clone()).await.expect(201);
    }
}

#[tokio::test]
async fn the_example_for_programs_works() {
    let stack = shared::default().await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## Programs").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```bash\n").skip(1).map(|block| block.split("```").next().unwrap());
    let script: String = blocks.collect();
    let url = stack.url();
    let run = move || {
        Command::new("bash").args(["-euo", "pipefail", "-c", &script]).env("BASE", url).output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains(r#""orders":[]"#) && stdout.contains("insufficient-scope"), "{stdout}");
}
