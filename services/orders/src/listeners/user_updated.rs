//! `user.updated`: they are reached in another way from now on.

use common::bus::Failure;
use common::events::UserUpdated;

use crate::app::App;
use crate::domain::Person;

pub async fn listen(app: App, UserUpdated(user): UserUpdated) -> Result<(), Failure> {
    app.store.apply_person(&Person::of(&user)).await?;
    Ok(())
}
