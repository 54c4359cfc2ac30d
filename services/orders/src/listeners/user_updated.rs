//! `user.updated`: a user's contact details have changed.

use bus::Failure;
use common::events::UserUpdated;

use crate::domain::UserReplica;
use crate::state::App;

pub async fn handle(app: App, UserUpdated(user): UserUpdated) -> Result<(), Failure> {
    app.store.apply_user(&UserReplica::of(&user)).await?;
    Ok(())
}
