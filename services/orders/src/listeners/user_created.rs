//! `user.created`: the contact details of a new user.

use bus::Failure;
use common::events::UserCreated;

use crate::domain::UserReplica;
use crate::state::App;

pub async fn handle(app: App, UserCreated(user): UserCreated) -> Result<(), Failure> {
    app.store.apply_user(&UserReplica::of(&user)).await?;
    Ok(())
}
