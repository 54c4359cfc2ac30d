//! `user.created`: someone signed up, and is welcomed.

use bus::Failure;
use common::events::UserCreated;

use super::follow_user;
use crate::domain::{Mail, is_of_our_time};
use crate::state::App;

pub async fn handle(app: App, UserCreated(user): UserCreated) -> Result<(), Failure> {
    // The address first: the mail needs it, and may be sent as soon as it is written.
    follow_user(&app, &user).await?;
    if is_of_our_time(user.id.created_at(), app.began_at) {
        app.store.write(&Mail::welcome(user.id, app.clock.now())).await?;
    }
    Ok(())
}
