//! Tokens that were verified before.

use std::time::Duration;

use common::scopes::Scope;
use testkit::{Forgery, Infra, Keys, claims};

#[tokio::test]
async fn a_known_token_names_the_same_user_until_it_expires_and_a_forged_one_never() {
    let infra = Infra::start().await;
    let verifier = infra.verifier();
    let users = [infra.user(), infra.user()];
    for _ in 0..2 {
        for user in &users {
            assert_eq!(verifier.verify(&user.token).map(|known| known.id), Some(user.id));
        }
        for forgery in Forgery::ALL {
            let forged = infra.forged(&users[0], forgery);
            assert_eq!(verifier.verify(&forged.token), None, "{forgery:?}");
        }
    }
    infra.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    assert_eq!(verifier.verify(&users[0].token), None, "it has expired");
}

/// A service of the version before issues tokens that don't name their key, while a rollout is in progress.
#[tokio::test]
async fn a_token_that_names_no_key_is_tried_with_all_of_them() {
    let infra = Infra::start().await;
    let user = infra.user();
    let claims = claims(user.id, user.session, &infra.clock, &[]);
    let token = Keys::ours().sign_without_key_id(&claims);
    assert_eq!(infra.verifier().verify(&token).map(|known| known.id), Some(user.id));
}

#[tokio::test]
async fn an_access_token_is_no_session_and_a_session_token_gives_no_access() {
    let infra = Infra::start().await;
    let (verifier, user) = (infra.verifier(), infra.user());
    let access = infra.access_token(&user, &[Scope::OrdersRead]);
    for _ in 0..2 {
        let known = verifier.verify_access(&access).unwrap();
        assert_eq!(known.id, user.id);
        let scopes: Vec<Scope> = known.scopes.unwrap().iter().collect();
        assert_eq!(scopes, [Scope::OrdersRead]);
        assert_eq!(verifier.verify(&access), None);
        assert_eq!(verifier.verify_access(&user.token), None);
    }
    infra.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
    assert_eq!(verifier.verify_access(&access), None, "it has expired");
}
