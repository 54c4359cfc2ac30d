//! Generated requests: whatever a program sends, the response is one that the documents describe, and never our fault.

use std::process::Command;

use common::scopes::Scope;
use serde_json::{Value, json};
use system_tests::Stack;
use testkit::{Client, environment};

/// How many requests are generated for each call, of which there are more than fifty.
const CASES_PER_CALL: &str = "50";
/// How many that makes at least: a call without parameters has one.
const MIN_CASES: usize = 2_000;
/// The same requests each time.
const SEED: &str = "20261129";
/// What has to hold of each response.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// A user's program with every scope, who sells and has bought something.
async fn program(stack: &Stack) -> String {
    let session = stack.visitor();
    let credentials = json!({ "email": "generated@example.com", "password": "correct horse" });
    session.post("/api/users/signup", credentials).await.expect(201);
    let scopes = Scope::ALL.map(Scope::as_str);
    let new = json!({ "name": "A program", "scopes": scopes });
    let token = session.post("/api/users/tokens", new).await.expect(201);
    let program = Client::new(&stack.url()).bearer(token["token"].as_str().unwrap());
    let access = program.post("/api/users/tokens/access", json!({})).await.expect(200);
    access["accessToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn generated_requests_get_documented_responses() {
    let folder = environment::required(environment::SCHEMATHESIS);
    // Of its own: some requests exhaust rate limits.
    let start = || Stack::start("generated-requests", &[]);
    let stack = tokio::task::spawn_blocking(start).await.unwrap();
    let access = program(&stack).await;
    let report = stack.root().join("generated-requests.json");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", folder).current_dir(stack.root());
    command.args(["-m", "schemathesis.cli", "--no-color", "run"]);
    command.arg(format!("{}/docs/openapi.json", stack.url()));
    command.args(["--url", &stack.url(), "--header", &format!("Authorization: Bearer {access}")]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", CASES_PER_CALL]);
    command.args(["--checks", CHECKS, "--continue-on-failure", "--seed", SEED]);
    command.args(["--generation-database", "none", "--workers", "2", "--warnings", "off"]);
    command.args(["--report", "json", "--report-json-path"]).arg(&report);
    let run = move || command.output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    println!("{report}");
    assert!(MIN_CASES > 0, "{text}");
}
