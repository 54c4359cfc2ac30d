//! The environment variables that xtask itself reads, all in this one place.

use std::{env, ffi::OsString, path::PathBuf};

use anyhow::{Context, Result};

pub struct Environment {
    /// Where installed servers are searched.
    pub path: OsString,
    /// The cargo that runs this program, so that a build uses the same toolchain.
    pub cargo: OsString,
    /// Whether the user has set a Stripe key of their own.
    pub has_stripe_key: bool,
    /// That key, if it is one of Stripe's test mode: payments' gateway tests may use it.
    pub stripe_test_key: Option<OsString>,
    /// Whether the user has set a mail server of their own.
    pub has_mail_server: bool,
    pub has_public_url: bool,
    /// Whether the user has limited how many accounts are created from one address.
    pub has_sign_up_limit: bool,
    /// Where cargo puts its results: the parent of `debug` and `release`.
    pub target: PathBuf,
}

impl Environment {
    pub fn read() -> Result<Self> {
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let this_program = env::current_exe().context("finding this program's own path")?;
        Ok(Self {
            path: env::var_os("PATH").unwrap_or_default(),
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            has_stripe_key: is_set("STRIPE_KEY"),
            stripe_test_key: env::var_os("STRIPE_KEY")
                .filter(|key| key.as_encoded_bytes().starts_with(b"sk_test_")),
            has_mail_server: is_set("SMTP_URL") || is_set("SENDGRID_API_KEY"),
            has_public_url: is_set("PUBLIC_URL"),
            has_sign_up_limit: is_set("SIGN_UPS_PER_HOUR"),
            target: this_program
                .ancestors()
                .nth(2)
                .context("this program is not in a target directory: run it as `cargo xtask`")?
                .to_owned(),
        })
    }

    pub fn binaries(&self, release: bool) -> PathBuf {
        self.target.join(if release { "release" } else { "debug" })
    }
}
