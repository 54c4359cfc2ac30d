//! What the API shows of a user.

use common::ids::UserId;
use serde::Serialize;

use crate::domain::User;

/// A user, as they see themselves.
#[derive(Debug, Serialize)]
pub struct UserView {
    id: UserId,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        UserView {
            id: user.id,
            email: user.email.as_str().to_owned(),
            name: user.name,
            phone: user.phone,
        }
    }
}
