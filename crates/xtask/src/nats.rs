//! NATS, and the users that the services connect as: the same as in a cluster, with passwords of this root's own.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

use crate::root::{self, Root};

/// Who may say and hear what; written out of the catalogue of events.
const USERS: &str = "infra/k8s/data/nats/users.conf";
/// How the variables are called that hold the passwords, behind the user's name.
const VARIABLE: &str = "_NATS_PASSWORD";

/// By user. Each is a file in `keys/nats/`.
#[derive(Default)]
pub struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// Puts the users' file beside the server's own, which includes it, and makes the passwords that aren't there yet.
    pub fn prepare(root: &Root) -> Result<Self> {
        let text = fs::read_to_string(root::workspace().join(USERS)).context(USERS)?;
        fs::write(root.run().join("users.conf"), &text)?;
        let folder = root.keys().join("nats");
        fs::create_dir_all(&folder)?;
        let mut passwords = BTreeMap::new();
        for user in users_in(&text) {
            let file = folder.join(&user);
            let password = match fs::read_to_string(&file) {
                Ok(password) => password.trim().to_owned(),
                Err(_) => make(&file).with_context(|| format!("writing {}", file.display()))?,
            };
            passwords.insert(user, password);
        }
        ensure!(!passwords.is_empty(), "{USERS} names no users");
        Ok(Self(passwords))
    }

    /// What nats-server is told, to which the users' file refers.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        let variable = |user: &str| format!("{}{VARIABLE}", user.to_uppercase());
        self.0.iter().map(|(user, password)| (variable(user), password.into())).collect()
    }

    /// Where a service connects, and as whom.
    pub fn url(&self, user: &str, port: u16) -> OsString {
        let password = self.0.get(user).map(String::as_str).unwrap_or_default();
        format!("nats://{user}:{password}@127.0.0.1:{port}").into()
    }
}

fn users_in(text: &str) -> impl Iterator<Item = String> {
    let variable = |line: &str| {
        let (_, variable) = line.split_once("password: $")?;
        Some(variable.trim().strip_suffix(VARIABLE)?.to_lowercase())
    };
    text.lines().filter_map(variable)
}

/// With a letter in front: nats-server would take what looks like a number for one.
fn make(file: &Path) -> Result<String> {
    let mut random = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let password = random.iter().fold("p".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(password.as_bytes())?;
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_a_password_that_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(Some(folder.path()), "").unwrap();
        let first = Passwords::prepare(&root).unwrap();
        let users = ["auth", "expiration", "operator", "orders", "payments", "tickets", "web"];
        assert!(first.0.keys().eq(users), "{:?}", first.0.keys());
        assert_eq!(Passwords::prepare(&root).unwrap().0, first.0);
        let variables = first.environment();
        assert!(variables.iter().any(|(name, _)| name == "ORDERS_NATS_PASSWORD"));
        let url = format!("nats://orders:{}@127.0.0.1:4", first.0["orders"]);
        assert_eq!(first.url("orders", 4), OsString::from(url));
    }
}
