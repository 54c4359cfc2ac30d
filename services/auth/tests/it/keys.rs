use std::process::{Command, Output};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::*;

fn generate_keys(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
    command.arg("generate-keys").args(args).env_clear().output().expect("auth runs")
}

#[test]
fn keys_are_generated_without_any_other_setting() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("keys");
    for _ in 0..2 {
        let output = generate_keys(&["--out", &out.display().to_string()]);
        assert!(output.status.success(), "{output:?}");
    }
    assert!(out.join("private.pem").exists() && out.join("public.pem").exists());
}

#[test]
fn a_folder_that_can_not_be_created_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = generate_keys(&["--out", &file.join("keys").display().to_string()]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("file/keys"), "{stderr}");

    assert!(!generate_keys(&[]).status.success());
}

#[tokio::test]
async fn the_public_keys_are_published_and_tokens_name_theirs() {
    let auth = World::start().await;
    let token = cookie(&auth.sign_up("kim@example.org").await, "session");
    let response = auth.service.client().get("/api/users/.well-known/jwks.json").await;
    let set = response.expect(200);
    assert_eq!(response.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(response.header("cache-control"), Some("public, max-age=300"));
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    for (member, value) in [("kty", "OKP"), ("crv", "Ed25519"), ("alg", "EdDSA"), ("use", "sig")] {
        assert_eq!(keys[0][member], value, "{member}");
    }
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["kid"], keys[0]["kid"]);

    // Anyone can verify the token with it.
    let x = BASE64_URL_SAFE_NO_PAD.decode(keys[0]["x"].as_str().unwrap()).unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&x.try_into().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    key.verify_strict(message.as_bytes(), &signature).unwrap();
    let private = auth.service.client().get("/api/users/.well-known/private.json").await;
    private.problem(404, "not-found");
}
