use auth::app::Auth;
use httpkit::auth::Verifier;
use service::Microservice as _;

use super::*;

#[tokio::test]
async fn a_private_key_that_nobody_trusts_stops_the_start() {
    let infra = Infra::start().await;
    let folder = tempfile::tempdir().unwrap();
    auth::keys::generate(folder.path()).unwrap();
    let mut settings = settings(&infra);
    settings.jwt_private_key = folder.path().join("private.pem");
    let error = Auth::build(settings, infra.clock.clone()).await.err().unwrap().to_string();
    assert!(error.starts_with("JWT_PRIVATE_KEY: its public half is not among"), "{error}");
}

#[tokio::test]
async fn a_key_that_is_missing_or_none_stops_the_start_with_its_name() {
    let infra = Infra::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rubbish = folder.path().join("rubbish.pem");
    std::fs::write(&rubbish, "rubbish").unwrap();
    let public = infra.public_key_file();
    for key in [folder.path().join("none.pem"), rubbish, public] {
        let mut settings = settings(&infra);
        settings.jwt_private_key = key.clone();
        let error = Auth::build(settings, infra.clock.clone()).await.err().unwrap();
        let error = format!("{error:#}");
        assert!(error.starts_with("JWT_PRIVATE_KEY: "), "{error}");
        assert!(error.contains(&key.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn the_keys_that_are_generated_are_the_keys_that_it_starts_with() {
    let infra = Infra::start().await;
    let folder = tempfile::tempdir().unwrap();
    auth::keys::generate(folder.path()).unwrap();
    let mut settings = settings(&infra);
    settings.jwt_private_key = folder.path().join("private.pem");
    // A rotation: the old public key and the new one are trusted side by side.
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
    for name in
        ["--public-url", "--jwt-public-keys", "--mongo-uri", "--nats-url", "--jwt-private-key"]
    {
        assert!(error.contains(name), "{name}: {error}");
    }
}
