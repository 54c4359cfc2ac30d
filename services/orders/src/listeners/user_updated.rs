//! `user.updated`: a user's contact details have changed, or they were banned.

use bus::Failure;
use common::events::UserUpdated;

use crate::bans;
use crate::domain::UserReplica;
use crate::state::App;

pub async fn handle(app: App, UserUpdated(user): UserUpdated) -> Result<(), Failure> {
    app.store.apply_user(&UserReplica::of(&user)).await?;
    bans::enforce(&app, user.id).await
}
