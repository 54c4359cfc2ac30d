//! `auth rotate-keys`: replaces the pair of keys in three steps, between which services are restarted, so that nobody is signed out
//! and no request fails. Each step may be repeated, and refuses to be the wrong one.
//!
//! | step | `private.pem` | `public.pem` | then restart |
//! |---|---|---|---|
//! | | the old one | the old one | |
//! | `prepare` | the old one (the new one is `next.pem`) | both | every service |
//! | `switch` | the new one | both | auth |
//! | `finish`, when no token of the old one is valid any more | the new one | the new one | every service |

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use httpkit::ed25519::PublicKey;

use crate::key_files::{Existing, PUBLIC, create_private, public_half, read, write};

/// Replaces the pair of keys that signs sessions, in three steps: prepare, and restart every service; switch, and restart auth; half
/// an hour later finish, and restart every service. Nobody is signed out.
#[derive(Parser)]
#[command(name = "auth rotate-keys")]
pub struct RotateKeys {
    step: Step,

    /// The folder with private.pem and public.pem
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// A new key is trusted, and signs nothing yet
    Prepare,
    /// The new key signs
    Switch,
    /// The old key is trusted no more
    Finish,
}

pub fn run(command: RotateKeys) -> anyhow::Result<()> {
    let then = rotate(&command.keys, command.step)?;
    println!("{then}");
    Ok(())
}

/// Does the step, and says what is to be done then.
pub fn rotate(keys: &Path, step: Step) -> anyhow::Result<&'static str> {
    let [private, public, next] = ["private.pem", "public.pem", "next.pem"].map(|it| keys.join(it));
    let is_prepared = next.try_exists()?;
    let trusted = read(&public)?;
    match step {
        Step::Prepare => {
            // One at a time: two old keys would be trusted, of which `finish` means both.
            anyhow::ensure!(
                is_prepared || count(&trusted) == 1,
                "the rotation before isn't finished: run `auth rotate-keys finish` first"
            );
            create_private(&next)?;
            let new = public_half(&next)?;
            if !trusts(&trusted, &new)? {
                let both = format!("{}\n{new}", trusted.trim_end());
                write(&public, both.as_bytes(), PUBLIC, Existing::IsReplaced)?;
            }
            Ok("Restart every service, and then: auth rotate-keys switch")
        }
        Step::Switch if is_prepared => {
            anyhow::ensure!(
                trusts(&trusted, &public_half(&next)?)?,
                "public.pem doesn't have the new key: run `auth rotate-keys prepare` again"
            );
            fs::rename(&next, &private)?;
            Ok(SWITCHED)
        }
        Step::Switch => {
            anyhow::ensure!(
                count(&trusted) > 1,
                "there is no new key: run `auth rotate-keys prepare` first"
            );
            Ok(SWITCHED)
        }
        Step::Finish => {
            anyhow::ensure!(
                !is_prepared,
                "the new key doesn't sign yet: run `auth rotate-keys switch` first"
            );
            let only = public_half(&private)?;
            write(&public, only.as_bytes(), PUBLIC, Existing::IsReplaced)?;
            Ok("Restart every service.")
        }
    }
}

const SWITCHED: &str = "Restart auth, and half an hour later: auth rotate-keys finish";

fn count(trusted: &str) -> usize {
    trusted.matches("-----BEGIN PUBLIC KEY-----").count()
}

/// Whether one of the public keys is this one.
fn trusts(trusted: &str, key: &str) -> anyhow::Result<bool> {
    const END: &str = "-----END PUBLIC KEY-----";
    let key = PublicKey::from_pem(key)?.kid;
    let blocks = trusted.split_inclusive(END).filter(|block| block.contains(END));
    for block in blocks {
        if PublicKey::from_pem(block)?.kid == key {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::generate;

    #[test]
    fn each_step_may_be_repeated_and_none_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path();
        generate(keys).unwrap();
        let file = |name: &str| read(&keys.join(name)).unwrap();
        let (private, public) = (file("private.pem"), file("public.pem"));
        let refused = |step| rotate(keys, step).unwrap_err().to_string();

        assert!(refused(Step::Switch).contains("prepare"));
        rotate(keys, Step::Finish).unwrap();
        assert_eq!((file("private.pem"), file("public.pem")), (private.clone(), public.clone()));

        for _ in 0..2 {
            rotate(keys, Step::Prepare).unwrap();
            assert_eq!(file("private.pem"), private);
            assert_eq!(count(&file("public.pem")), 2);
            assert!(trusts(&file("public.pem"), &public).unwrap());
        }
        assert!(refused(Step::Finish).contains("switch"));
        let next = file("next.pem");
        for _ in 0..2 {
            rotate(keys, Step::Switch).unwrap();
            assert_eq!(file("private.pem"), next);
            assert_eq!(count(&file("public.pem")), 2);
        }
        assert!(refused(Step::Prepare).contains("finish"));
        for _ in 0..2 {
            rotate(keys, Step::Finish).unwrap();
            assert_eq!(file("public.pem"), public_half(&keys.join("private.pem")).unwrap());
            assert!(!trusts(&file("public.pem"), &public).unwrap());
        }
        rotate(keys, Step::Prepare).unwrap();
    }

    /// A crash after the new private key was written, and before the public ones were.
    #[test]
    fn an_interrupted_step_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path();
        generate(keys).unwrap();
        create_private(&keys.join("next.pem")).unwrap();
        assert!(rotate(keys, Step::Switch).unwrap_err().to_string().contains("prepare"));
        rotate(keys, Step::Prepare).unwrap();
        assert_eq!(count(&read(&keys.join("public.pem")).unwrap()), 2);
        rotate(keys, Step::Switch).unwrap();
    }
}
