use auth::app::Auth;
use httpkit::auth::Verifier;
use service::Microservice as _;

use super::*;

#[tokio::test]
async fn a_private_key_without_a_trusted_public_half_stops_the_start() {
    let infra = Infra::start().await;
    let folder = tempfile::tempdir().unwrap();
    auth::keys::generate(folder.path()).unwrap();
    let mut settings = settings(&infra).await;
    settings.jwt_private_key = folder.path().join("private.pem");
    let error = Auth::build(settings, infra.clock.clone()).await.err().unwrap().to_string();
    assert!(error.starts_with("JWT_PRIVATE_KEY: its public half is not among"), "{error}");
}

#[tokio::test]
async fn a_missing_or_invalid_key_stops_the_start_and_is_named() {
    let infra = Infra::start().await;
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    let public = infra.public_key_file();
    for key in [folder.path().join("none.pem"), garbage, public] {
        let mut settings = settings(&infra).await;
        settings.jwt_private_key = key.clone();
        let error = Auth::build(settings, infra.clock.clone()).await.err().unwrap();
        let error = format!("{error:#}");
        assert!(error.starts_with("JWT_PRIVATE_KEY: "), "{error}");
        assert!(error.contains(&key.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn it_starts_with_generated_keys() {
    let infra = Infra::start().await;
    let folder = tempfile::tempdir().unwrap();
    auth::keys::generate(folder.path()).unwrap();
    let mut settings = settings(&infra).await;
    settings.jwt_private_key = folder.path().join("private.pem");
    // A rotation: both the old and the new public key are trusted.
    let old = std::fs::read_to_string(infra.public_key_file()).unwrap();
    let new = std::fs::read_to_string(folder.path().join("public.pem")).unwrap();
    let both = folder.path().join("both.pem");
    std::fs::write(&both, format!("{old}{new}")).unwrap();
    settings.server.jwt_public_keys = both.clone();

    let url = infra.public_url.parse().unwrap();
    let verifier = Verifier::from_file(&both, &url, infra.clock.clone()).unwrap();
    let service = Auth::build(settings, infra.clock.clone()).await.unwrap();
    let auth = World { service: TestService::serve(service).await, infra };
    let token = cookie(&auth.sign_up("kim@example.org").await, "session");
    assert!(verifier.verify(&token).is_some());
    assert!(verifier.verify(&auth.infra.user().token).is_some());
}

#[test]
fn a_missing_setting_is_named() {
    let error = Settings::try_parse_from(["auth"]).err().unwrap().to_string();
    for name in [
        "--public-url",
        "--jwt-public-keys",
        "--mongo-uri",
        "--nats-url",
        "--jwt-private-key",
        "--redis-url",
        "--link-keys",
    ] {
        assert!(error.contains(name), "{name}: {error}");
    }
}
