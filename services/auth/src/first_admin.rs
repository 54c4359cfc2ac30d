//! `ADMIN_EMAIL`: the account of this address becomes an administrator's at the start of the service. It must exist: if signing up
//! with the address were enough, the first to do so would be an administrator.

use httpkit::auth::ADMIN;
use store::Result;

use crate::domain::User;
use crate::state::{AdminEmail, App};

pub async fn appoint(app: &App, email: &AdminEmail) -> Result<()> {
    let AdminEmail { typed, address } = email;
    let Some(user) = app.store.user_by_email(&address.stored_spellings(typed)).await? else {
        tracing::warn!("ADMIN_EMAIL: no account has this address; sign up, and restart auth");
        return Ok(());
    };
    let now = app.clock.now();
    let appoint = |user: &User| Ok::<_, store::Error>(user.add_to_group(ADMIN, None, now));
    app.store.change_user(user.id, appoint).await?;
    Ok(())
}
