//! Tokens that were verified before.

use std::time::Duration;

use testkit::{Forgery, Infra};

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
