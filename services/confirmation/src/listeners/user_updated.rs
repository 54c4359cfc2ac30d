//! `user.updated`: the address may have changed.

use bus::Failure;
use common::events::UserUpdated;

use super::follow_user;
use crate::state::App;

pub async fn handle(app: App, UserUpdated(user): UserUpdated) -> Result<(), Failure> {
    follow_user(&app, &user).await
}
