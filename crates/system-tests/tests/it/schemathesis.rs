//! Generated requests: whatever a program sends, the response is one that the documents describe, and never our fault.

use std::process::Command;

use common::scopes::Scope;
use serde_json::{Value, json};
use system_tests::Stack;
use testkit::{Client, environment, eventually};

/// How many requests are generated for each call, of which there are more than fifty.
const CASES_PER_CALL: &str = "50";
/// How many that makes at least: a call without parameters has one.
const MIN_CASES: u64 = 2_000;
/// The same requests each time.
const SEED: &str = "20261129";
/// What the first responses have contained isn't sent to other calls at once: an id that is younger than ten seconds and unknown is
/// answered with 503, because the event may be late.
const CONFIGURATION: &str = "\
[phases.examples.extra-data-sources]
responses = false
[phases.coverage.extra-data-sources]
responses = false
";
/// What has to hold of each response.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

async fn sign_up(stack: &Stack, email: &str) -> Client {
    let session = stack.visitor();
    let credentials = json!({ "email": email, "password": "correct horse" });
    session.post("/api/users/signup", credentials).await.expect(201);
    session
}

/// The program, with every scope, of a user who has bought something. By then each service has received events: until it has, it
/// can't say that there is no such order, and responds 503.
async fn program(stack: &Stack) -> String {
    let seller = sign_up(stack, "seller@example.com").await;
    let session = sign_up(stack, "generated@example.com").await;
    let listing = json!({ "title": "Tosca", "price": "20.50" });
    let ticket = seller.post("/api/tickets", listing).await.expect(201)["id"].clone();
    let order = session.post("/api/orders", json!({ "ticketId": ticket })).await.expect(201);
    let pay = json!({ "orderId": order["id"], "token": "tok_visa" });
    session.post("/api/payments", pay).await.expect(201);
    let mails = format!("/api/orders/{}/mails", order["id"].as_str().unwrap());
    eventually("the mails to be known", async || {
        (session.get(&mails).await.status == 200).then_some(())
    })
    .await;
    let scopes = Scope::ALL.map(Scope::as_str);
    let new = json!({ "name": "A program", "scopes": scopes });
    let token = session.post("/api/users/tokens", new).await.expect(201);
    let program = Client::new(&stack.url()).bearer(token["token"].as_str().unwrap());
    let access = program.post("/api/users/tokens/access", json!({})).await.expect(200);
    access["accessToken"].as_str().unwrap().to_owned()
}

/// Sends generated requests to the calls of a document, and returns whether all responses were as it says, the tool's report, and
/// its output.
fn run(stack: &Stack, access: &str, document: &Value, calls: &[&str]) -> (bool, Value, String) {
    let path = |name: &str| stack.root().join(name);
    let (file, report) = (path("document.json"), path("generated-requests.json"));
    std::fs::write(&file, document.to_string()).unwrap();
    let configuration = path("schemathesis.toml");
    std::fs::write(&configuration, CONFIGURATION).unwrap();
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", environment::required(environment::SCHEMATHESIS));
    command.current_dir(stack.root()).args(["-m", "schemathesis.cli", "--no-color"]);
    command.arg("--config-file").arg(&configuration).arg("run");
    command.arg(file).args(["--url", &stack.url()]);
    command.args(["--header", &format!("Authorization: Bearer {access}")]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", CASES_PER_CALL]);
    command.args(["--checks", CHECKS, "--continue-on-failure", "--seed", SEED]);
    command.args(["--generation-database", "none", "--workers", "2", "--warnings", "off"]);
    command.args(calls.iter().flat_map(|call| ["--include-operation-id", call]));
    command.args(["--report", "json", "--report-json-path"]).arg(&report);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let report = std::fs::read(report).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.success(), serde_json::from_slice(&report).unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_requests_get_documented_responses() {
    // Of its own: some requests exhaust rate limits.
    let start = || Stack::start("generated-requests", &[]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let access = program(&stack).await;
    let mut document = stack.visitor().get("/docs/openapi.json").await.expect(200);
    let run = |document: &Value, calls: &[&str]| {
        tokio::task::block_in_place(|| run(&stack, &access, document, calls))
    };
    let (is_as_documented, report, text) = run(&document, &[]);
    assert!(is_as_documented, "{text}");
    let cases = report["test_cases"]["generated"].as_u64().unwrap();
    assert!(report["complete"] == true && cases >= MIN_CASES, "{cases} requests: {text}");

    // The control: what isn't documented is found.
    let responses = &mut document["paths"]["/api/tickets/{id}"]["get"]["responses"];
    responses.as_object_mut().unwrap().remove("404").unwrap();
    let (is_as_documented, _, text) = run(&document, &["tickets.show"]);
    assert!(!is_as_documented && text.contains("Undocumented status code"), "{text}");
}
