//! `user.updated`: they are reached in another way from now on.

use bus::Failure;
use common::events::UserUpdated;

use crate::domain::Person;
use crate::state::App;

pub async fn listen(app: App, UserUpdated(user): UserUpdated) -> Result<(), Failure> {
    app.store.apply_person(&Person::of(&user)).await?;
    Ok(())
}
