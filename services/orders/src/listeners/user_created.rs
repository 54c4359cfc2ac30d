//! `user.created`: someone who may buy or sell, and how to reach them.

use common::bus::Failure;
use common::events::UserCreated;

use crate::app::App;
use crate::domain::Person;

pub async fn listen(app: App, UserCreated(user): UserCreated) -> Result<(), Failure> {
    app.store.apply_person(&Person::of(&user)).await?;
    Ok(())
}
