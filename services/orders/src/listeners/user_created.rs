//! `user.created`: someone who may buy or sell, and how to reach them.

use bus::Failure;
use common::events::UserCreated;

use crate::domain::Person;
use crate::state::App;

pub async fn listen(app: App, UserCreated(user): UserCreated) -> Result<(), Failure> {
    app.store.apply_person(&Person::of(&user)).await?;
    Ok(())
}
