//! The services: every folder in `services/`, and the environment variables of each.

use std::{ffi::OsString, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{
    environment::Environment,
    mongo, nats,
    ports::Ports,
    probe::Probe,
    process::Spec,
    root::{self, Root},
    routes,
};

/// The folder of the local Stripe's crate, and its binary.
pub const STRIPE_DOUBLE: &str = "stripe-double";

/// The folder of the local mailbox's crate, and its binary.
pub const MAIL_DOUBLE: &str = "mail-double";

/// The service that has no database and calls the API of the others.
pub const WEB: &str = "web";

/// A service with one or more replicas.
pub struct Service {
    /// Its folder, its package, its binary, and its database.
    pub name: String,
    pub replicas: Vec<Replica>,
}

pub struct Replica {
    pub name: String,
    pub http: u16,
    pub admin: u16,
}

/// What the services' environment variables are made of: the addresses of the servers, and the users' passwords.
pub struct LaunchContext<'a> {
    pub root: &'a Root,
    pub binaries: &'a Path,
    pub environment: &'a Environment,
    pub mongod: u16,
    pub nats: u16,
    pub nats_monitor: u16,
    pub passwords: &'a nats::Passwords,
    pub redis: u16,
    /// The local Stripe, unless the user has set a key of their own.
    pub stripe: Option<u16>,
    /// The SMTP port of the local mailbox, unless the user has set a mail server of their own.
    pub smtp: Option<u16>,
    pub gateway: u16,
}

pub fn names() -> Result<Vec<String>> {
    names_in(&root::workspace().join("services"))
}

/// The services in a folder, such as that of an earlier version.
pub fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let services = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<String> =
        services.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    ensure!(!names.is_empty(), "{} has no services", folder.display());
    Ok(names)
}

/// Gives each replica its ports.
pub fn with_ports(names: Vec<String>, replicas: u16, ports: &mut Ports) -> Result<Vec<Service>> {
    let mut services = Vec::new();
    for service in names {
        let mut all = Vec::new();
        for number in 1..=replicas {
            let name = if replicas == 1 { service.clone() } else { format!("{service}-{number}") };
            let (http, admin) = ports.service(&name)?;
            all.push(Replica { name, http, admin });
        }
        services.push(Service { name: service, replicas: all });
    }
    Ok(services)
}

/// Has auth generate the key pair that signs sessions, unless it exists.
pub async fn generate_keys(binaries: &Path, root: &Root) -> Result<()> {
    let mut command = Command::new(binaries.join("auth"));
    command.arg("generate-keys").arg("--out").arg(root.keys());
    let output = command.output().await.context("running `auth generate-keys`")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`auth generate-keys` failed ({}): {}",
        output.status,
        stderr.trim()
    );
    let private = root.keys().join("private.pem");
    ensure!(private.is_file(), "`auth generate-keys` created no {}", private.display());
    Ok(())
}

/// The secret with which the local Stripe signs its webhooks.
const LOCAL_WEBHOOK_SECRET: &str = "whsec_local";

/// `gateway` is the port at which it reaches payments' endpoint for webhooks.
pub fn stripe_double(binaries: &Path, root: &Root, port: u16, gateway: u16) -> Result<Spec> {
    let webhooks = format!("http://127.0.0.1:{gateway}/api/payments/webhook");
    let env = [
        ("WEBHOOK_URL", webhooks.into()),
        ("WEBHOOK_SECRET", LOCAL_WEBHOOK_SECRET.into()),
        ("HOST", "127.0.0.1".into()),
        ("PORT", port.to_string().into()),
        ("DATA_DIR", root.data_of("stripe")?.into()),
    ];
    Ok(Spec {
        name: "stripe".to_owned(),
        program: binaries.join(STRIPE_DOUBLE),
        args: Vec::new(),
        env: named(env),
        without: secrets_but(&[]),
        ports: vec![port],
        probe: Probe::Accepts(port),
    })
}

/// The local mailbox: `port` is its page's.
pub fn mail_double(binaries: &Path, root: &Root, port: u16, smtp: u16) -> Result<Spec> {
    let env = [
        ("HOST", "127.0.0.1".into()),
        ("PORT", port.to_string().into()),
        ("SMTP_PORT", smtp.to_string().into()),
        ("DATA_DIR", root.data_of("mail")?.into()),
    ];
    Ok(Spec {
        name: "mail".to_owned(),
        program: binaries.join(MAIL_DOUBLE),
        args: Vec::new(),
        env: named(env),
        without: secrets_but(&[]),
        ports: vec![port, smtp],
        probe: Probe::Accepts(smtp),
    })
}

fn named(env: impl IntoIterator<Item = (&'static str, OsString)>) -> Vec<(String, OsString)> {
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The secrets in the user's environment that a service must not inherit.
fn secrets_but(known: &[&str]) -> Vec<&'static str> {
    let secrets = [
        "STRIPE_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "JWT_PRIVATE_KEY",
        "ADMISSION_KEYS",
        "LINK_KEYS",
        "SMTP_URL",
        "SENDGRID_API_KEY",
    ];
    secrets.into_iter().filter(|name| !known.contains(name)).collect()
}

impl LaunchContext<'_> {
    /// How to start a replica. `all` are the services with their ports: web calls the others, those that have a route.
    pub fn spec(&self, service: &str, replica: &Replica, all: &[Service]) -> Result<Spec> {
        let local =
            |scheme: &str, port: u16| OsString::from(format!("{scheme}://127.0.0.1:{port}"));
        let key = |name: &str| self.root.keys().join(name).into_os_string();
        let mut urls = Vec::new();
        let mut env = vec![
            ("HOST", "127.0.0.1".into()),
            ("PORT", replica.http.to_string().into()),
            ("ADMIN_PORT", replica.admin.to_string().into()),
            ("NATS_URL", self.passwords.url(service, self.nats)),
            ("NATS_MONITOR_URL", local("http", self.nats_monitor)),
            ("JWT_PUBLIC_KEYS", key("public.pem")),
        ];
        if !self.environment.has_public_url {
            env.push(("PUBLIC_URL", format!("http://localhost:{}", self.gateway).into()));
        }
        if service == WEB {
            let routes = routes::read()?;
            let has_route = |name: &str| routes.iter().any(|route| route.service == name);
            for called in all.iter().filter(|it| it.name != WEB && has_route(&it.name)) {
                // With several replicas the gateway balances the load, as a Service does in a cluster.
                let port = match called.replicas.as_slice() {
                    [] => continue,
                    [only] => only.http,
                    [_, _, ..] => self.gateway,
                };
                urls.push((url_variable(&called.name), local("http", port)));
            }
            // The browser gets Stripe's script from the local Stripe.
            if let Some(port) = self.stripe {
                env.push(("STRIPE_PUBLIC_URL", local("http", port)));
            }
        } else {
            env.push(("MONGO_URI", mongo::uri(self.mongod, service).into()));
            if ["auth", "expiration"].contains(&service) {
                env.push(("REDIS_URL", local("redis", self.redis)));
            }
        }
        let without = match service {
            "auth" => {
                env.push(("JWT_PRIVATE_KEY", key("private.pem")));
                // Everyone here has the same address.
                if !self.environment.has_sign_up_limit {
                    env.push(("SIGN_UPS_PER_HOUR", "1000000".into()));
                }
                env.push(("LINK_KEYS", key("links.key")));
                secrets_but(&["JWT_PRIVATE_KEY", "LINK_KEYS"])
            }
            "tickets" => {
                env.push(("ADMISSION_KEYS", key("admissions.pem")));
                secrets_but(&["ADMISSION_KEYS"])
            }
            "payments" => {
                if let Some(port) = self.stripe {
                    env.push(("STRIPE_URL", local("http", port)));
                    env.push(("STRIPE_KEY", "sk_test_local".into()));
                    env.push(("STRIPE_WEBHOOK_SECRET", LOCAL_WEBHOOK_SECRET.into()));
                }
                secrets_but(&["STRIPE_KEY", "STRIPE_WEBHOOK_SECRET"])
            }
            "confirmation" => {
                if let Some(port) = self.smtp {
                    let url = format!("smtp://127.0.0.1:{port}?tls=never");
                    env.push(("SMTP_URL", url.into()));
                }
                env.push(("ADMISSION_KEYS", key("admissions.pem")));
                env.push(("LINK_KEYS", key("links.key")));
                secrets_but(&["ADMISSION_KEYS", "LINK_KEYS", "SMTP_URL", "SENDGRID_API_KEY"])
            }
            _ => secrets_but(&[]),
        };
        Ok(Spec {
            name: replica.name.clone(),
            program: self.binaries.join(service),
            args: Vec::new(),
            env: named(env).into_iter().chain(urls).collect(),
            without,
            ports: vec![replica.http, replica.admin],
            probe: Probe::Http(replica.admin, "/readyz"),
        })
    }
}

/// web's setting with a service's address: `ORDERS_URL`.
fn url_variable(service: &str) -> String {
    format!("{}_URL", service.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn spec_of(service: &str, stripe: Option<u16>) -> Spec {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(Some(folder.path()), "").unwrap();
        let environment = Environment {
            path: OsString::new(),
            cargo: OsString::new(),
            has_stripe_key: stripe.is_none(),
            has_mail_server: stripe.is_none(),
            stripe_test_key: None,
            has_public_url: false,
            has_sign_up_limit: false,
            target: PathBuf::new(),
        };
        let context = LaunchContext {
            root: &root,
            binaries: Path::new("/bin"),
            environment: &environment,
            mongod: 1,
            nats: 2,
            nats_monitor: 7,
            passwords: &nats::Passwords::default(),
            redis: 3,
            stripe,
            smtp: stripe.map(|port| port + 1),
            gateway: 8080,
        };
        let replica = |http| Replica { name: service.to_owned(), http, admin: 5 };
        let all = ["auth", "expiration", "orders", WEB].into_iter().zip(10..);
        let all = all
            .map(|(name, port)| Service { name: name.to_owned(), replicas: vec![replica(port)] });
        context.spec(service, &replica(4), &all.collect::<Vec<_>>()).unwrap()
    }

    fn variable(spec: &Spec, name: &str) -> Option<String> {
        let value = spec.env.iter().find(|(key, _)| key == name)?;
        value.1.to_str().map(str::to_owned)
    }

    #[test]
    fn each_service_has_a_database_of_its_own() {
        let uri = "mongodb://127.0.0.1:1/orders?replicaSet=rs0&directConnection=true";
        assert_eq!(variable(&spec_of("orders", None), "MONGO_URI").as_deref(), Some(uri));
    }

    #[test]
    fn web_calls_the_services_and_has_no_database() {
        let web = spec_of(WEB, None);
        assert_eq!(variable(&web, "ORDERS_URL").as_deref(), Some("http://127.0.0.1:12"));
        assert!(variable(&web, "MONGO_URI").is_none() && variable(&web, "NATS_URL").is_some());
        assert!(variable(&web, "STRIPE_PUBLIC_URL").is_none());
        let local = variable(&spec_of(WEB, Some(6)), "STRIPE_PUBLIC_URL");
        assert_eq!(local.as_deref(), Some("http://127.0.0.1:6"));
        assert!(variable(&web, "EXPIRATION_URL").is_none() && variable(&web, "WEB_URL").is_none());
        assert!(variable(&spec_of("orders", None), "AUTH_URL").is_none());
    }

    #[test]
    fn only_auth_gets_the_private_key() {
        assert!(
            variable(&spec_of("auth", None), "JWT_PRIVATE_KEY")
                .unwrap()
                .ends_with("/keys/private.pem")
        );
        let orders = spec_of("orders", None);
        assert!(
            variable(&orders, "JWT_PRIVATE_KEY").is_none()
                && orders.without.contains(&"JWT_PRIVATE_KEY")
        );
        assert!(variable(&orders, "JWT_PUBLIC_KEYS").unwrap().ends_with("/keys/public.pem"));
    }

    #[test]
    fn only_tickets_and_confirmation_get_the_key_of_admissions() {
        for service in ["auth", "tickets", "orders", "payments", "confirmation", WEB] {
            let has = variable(&spec_of(service, Some(6)), "ADMISSION_KEYS").is_some();
            assert_eq!(has, ["tickets", "confirmation"].contains(&service), "{service}");
            assert!(has || spec_of(service, Some(6)).without.contains(&"ADMISSION_KEYS"));
        }
    }

    #[test]
    fn only_auth_and_confirmation_get_the_key_of_links() {
        for service in ["auth", "tickets", "orders", "payments", "confirmation", WEB] {
            let has = variable(&spec_of(service, Some(6)), "LINK_KEYS").is_some();
            assert_eq!(has, ["auth", "confirmation"].contains(&service), "{service}");
            assert!(has || spec_of(service, Some(6)).without.contains(&"LINK_KEYS"));
        }
    }

    #[test]
    fn only_payments_gets_the_stripe_key() {
        let local = spec_of("payments", Some(6));
        assert_eq!(variable(&local, "STRIPE_URL").as_deref(), Some("http://127.0.0.1:6"));
        assert_eq!(variable(&local, "STRIPE_KEY").as_deref(), Some("sk_test_local"));
        let secret = variable(&local, "STRIPE_WEBHOOK_SECRET");
        assert_eq!(secret.as_deref(), Some(LOCAL_WEBHOOK_SECRET));
        let own = spec_of("payments", None);
        assert!(variable(&own, "STRIPE_KEY").is_none() && !own.without.contains(&"STRIPE_KEY"));
        let orders = spec_of("orders", Some(6));
        assert!(
            variable(&orders, "STRIPE_KEY").is_none() && orders.without.contains(&"STRIPE_KEY")
        );
    }

    #[test]
    fn only_confirmation_gets_the_mail_server() {
        let url = variable(&spec_of("confirmation", Some(6)), "SMTP_URL");
        assert_eq!(url.as_deref(), Some("smtp://127.0.0.1:7?tls=never"));
        let own = spec_of("confirmation", None);
        assert!(variable(&own, "SMTP_URL").is_none() && !own.without.contains(&"SENDGRID_API_KEY"));
        let orders = spec_of("orders", Some(6));
        assert!(variable(&orders, "SMTP_URL").is_none() && orders.without.contains(&"SMTP_URL"));
    }
}
