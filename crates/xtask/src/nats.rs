//! NATS, and the users as which the services connect: the same as in a cluster, with this root's own passwords.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    probe::Probe,
    process::Spec,
    root::{self, Root},
};

/// The users and their permissions, generated from the catalogue of events.
const USERS: &str = "infra/k8s/data/nats/users.conf";
/// The suffix of the variables that hold the passwords, after the user's name.
const VARIABLE: &str = "_NATS_PASSWORD";

/// By user. Each is a file in `keys/nats/`.
#[derive(Default)]
pub struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// Generates the missing passwords of the users in the server's configuration.
    pub fn prepare(root: &Root) -> Result<Self> {
        let text = fs::read_to_string(root::workspace().join(USERS)).context(USERS)?;
        let folder = root.keys().join("nats");
        fs::create_dir_all(&folder)?;
        let mut passwords = BTreeMap::new();
        for user in users_in(&text) {
            let file = folder.join(&user);
            let password = match fs::read_to_string(&file) {
                Ok(password) => password.trim().to_owned(),
                Err(_) => generate(&file).with_context(|| format!("writing {}", file.display()))?,
            };
            passwords.insert(user, password);
        }
        ensure!(!passwords.is_empty(), "{USERS} has no users");
        Ok(Self(passwords))
    }

    /// nats-server's environment variables, which the users' file refers to.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        let variable = |user: &str| format!("{}{VARIABLE}", user.to_uppercase());
        self.0.iter().map(|(user, password)| (variable(user), password.into())).collect()
    }

    /// Where a service connects, and as which user.
    pub fn url(&self, user: &str, port: u16) -> OsString {
        let password = self.0.get(user).map(String::as_str).unwrap_or_default();
        format!("nats://{user}:{password}@127.0.0.1:{port}").into()
    }
}

/// How to start it, with infra/nats.conf, on a port for clients and one for monitoring.
pub fn spec(
    program: PathBuf,
    root: &Root,
    [port, monitor]: [u16; 2],
    passwords: &Passwords,
) -> Result<Spec> {
    // A variable's value is parsed like one in the file: in quotes, it is a string whatever it contains.
    let store = format!("\"{}\"", root.data_of("nats")?.display());
    let variable = |name: &str, value: String| (name.to_owned(), OsString::from(value));
    let mut env = passwords.environment();
    env.extend([
        variable("NATS_HOST", "127.0.0.1".to_owned()),
        variable("NATS_PORT", port.to_string()),
        variable("NATS_MONITOR", format!("127.0.0.1:{monitor}")),
        variable("NATS_STORE", store),
    ]);
    Ok(Spec {
        name: "nats".to_owned(),
        program,
        args: vec!["--config".into(), root::workspace().join("infra/nats.conf").into()],
        env,
        without: Vec::new(),
        ports: vec![port, monitor],
        probe: Probe::Nats(port),
    })
}

fn users_in(text: &str) -> impl Iterator<Item = String> {
    let variable = |line: &str| {
        let (_, variable) = line.split_once("password: $")?;
        Some(variable.trim().strip_suffix(VARIABLE)?.to_lowercase())
    };
    text.lines().filter_map(variable)
}

/// It begins with a letter: nats-server would parse one that looks like a number as a number.
fn generate(file: &Path) -> Result<String> {
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
    fn every_user_has_a_password_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(Some(folder.path()), "").unwrap();
        let first = Passwords::prepare(&root).unwrap();
        let users = ["orders", "web", "operator"];
        assert!(users.iter().all(|user| first.0.contains_key(*user)), "{:?}", first.0.keys());
        assert_eq!(Passwords::prepare(&root).unwrap().0, first.0);
        let variables = first.environment();
        assert!(variables.iter().any(|(name, _)| name == "ORDERS_NATS_PASSWORD"));
        let url = format!("nats://orders:{}@127.0.0.1:4", first.0["orders"]);
        assert_eq!(first.url("orders", 4), OsString::from(url));
    }
}
