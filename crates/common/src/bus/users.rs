//! NATS' users: a service connects as one of its own name, which may say and hear what the catalogue of events
//! gives it to say and hear, and nothing else. `infra/k8s/data/nats/users.conf` is written by [`configuration`], and
//! used by a cluster and by `cargo xtask up` alike.

use std::collections::BTreeSet;
use std::fmt::Write;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{advisories, dead};
use crate::events::{CATALOGUE, Stream};

/// The one user that may do everything: for people, and for whoever checks what the services do.
pub const OPERATOR: &str = "operator";

/// A service's user, and the subjects that it may use.
#[derive(Clone, Debug)]
pub struct User {
    pub name: &'static str,
    pub publish: Vec<String>,
    pub subscribe: Vec<String>,
}

/// The users of all services, out of the catalogue.
pub fn users() -> Vec<User> {
    let of_stream = |stream: Stream| {
        let listeners = stream.listeners().iter().chain(stream.watchers()).copied();
        listeners.chain([stream.publisher()])
    };
    let names: BTreeSet<&'static str> = Stream::ALL.into_iter().flat_map(of_stream).collect();
    names.into_iter().map(User::of).collect()
}

/// Where a service hears what is answered to it.
pub(super) fn inbox_of(service: &str) -> String {
    format!("_INBOX_{service}")
}

impl User {
    fn of(name: &'static str) -> Self {
        let owned = |stream: &Stream| stream.publisher() == name;
        let heard = |stream: &Stream| stream.listeners().contains(&name);
        let watched = |stream: &Stream| stream.watchers().contains(&name);
        let streams = |which: &dyn Fn(&Stream) -> bool| {
            Stream::ALL.into_iter().filter(which).map(Stream::name).collect::<Vec<_>>()
        };
        let mut publish = Vec::new();

        let own = CATALOGUE.iter().filter(|(_, stream)| owned(stream));
        publish.extend(own.map(|(subject, _)| (*subject).to_owned()));
        for stream in streams(&owned) {
            publish.extend(keeping(stream));
        }
        for stream in streams(&heard) {
            publish.push(api(&format!("CONSUMER.CREATE.{stream}.{name}")));
            publish.extend(hearing(stream, name));
            // What JetStream gives up is told by its number alone.
            publish.push(api(&format!("STREAM.MSG.GET.{stream}")));
        }
        for stream in streams(&watched) {
            publish.push(api(&format!("CONSUMER.CREATE.{stream}")));
        }
        if !streams(&owned).is_empty() {
            let dead = ["STREAM.INFO", "STREAM.MSG.GET"];
            publish.extend(dead.map(|call| api(&format!("{call}.{}", dead::STREAM))));
        }
        if !streams(&heard).is_empty() {
            publish.extend(burying(name));
        }

        // Some are wanted for two reasons.
        let mut seen = BTreeSet::new();
        publish.retain(|subject| seen.insert(subject.clone()));
        User { name, publish, subscribe: vec![format!("{}.>", inbox_of(name))] }
    }
}

fn api(call: &str) -> String {
    format!("$JS.API.{call}")
}

/// Seeing to it that a stream is there as it is declared.
fn keeping(stream: &str) -> impl Iterator<Item = String> {
    ["CREATE", "UPDATE", "INFO"]
        .into_iter()
        .map(move |call| api(&format!("STREAM.{call}.{stream}")))
}

/// Pulling and acknowledging.
fn hearing(stream: &str, name: &str) -> [String; 2] {
    [api(&format!("CONSUMER.MSG.NEXT.{stream}.{name}")), format!("$JS.ACK.{stream}.{name}.>")]
}

/// Keeping what can't be handled, also what JetStream gives up, and handling it again.
fn burying(name: &str) -> Vec<String> {
    let (dead, advisories) = (dead::STREAM, advisories::STREAM);
    let mut subjects = vec![dead::subjects_of(name), api(&format!("STREAM.MSG.DELETE.{dead}"))];
    subjects.extend(keeping(dead).chain(keeping(advisories)));
    let about = advisories::about_consumers_of(name);
    subjects.push(api(&format!("CONSUMER.CREATE.{advisories}.{name}.{about}")));
    subjects.extend(hearing(advisories, name));
    subjects
}

/// All users, as nats-server reads them. The passwords come from its environment.
pub fn configuration() -> String {
    let mut text = HEAD.to_owned();
    for User { name, publish, subscribe } in users() {
        // Writing into a String can't fail.
        let _ = write!(text, "{}", user(name, Some((publish, subscribe))));
    }
    text + &user(OPERATOR, None) + "    ]\n}\n"
}

const HEAD: &str = "\
# Who may say and hear what on the bus: a user for each service, and one for operators.
# Written by crates/common/src/bus/users.rs, out of the catalogue of events. After a change there:
#   UPDATE=1 cargo xtask test -- --test it the_users_of_nats

authorization {
    users: [
";

fn user(name: &str, may: Option<(Vec<String>, Vec<String>)>) -> String {
    let password = password_variable(name);
    let mut text =
        format!("        {{\n            user: {name}\n            password: ${password}\n");
    if let Some((publish, subscribe)) = may {
        text += "            permissions: {\n";
        for (what, subjects) in [("publish", publish), ("subscribe", subscribe)] {
            let _ = writeln!(text, "                {what}: [");
            for subject in subjects {
                let _ = writeln!(text, "                    \"{subject}\"");
            }
            text += "                ]\n";
        }
        text += "            }\n";
    }
    text + "        }\n"
}

/// The variable of nats-server's environment that holds a user's password.
fn password_variable(user: &str) -> String {
    format!("{}_NATS_PASSWORD", user.to_uppercase())
}

/// The address in `NATS_URL`, and the user and password that it names, which the client would ignore there.
pub(super) fn split(nats_url: &str) -> (String, Option<(String, String)>) {
    let Ok(mut url) = Url::parse(nats_url) else { return (nats_url.to_owned(), None) };
    let Some(password) = url.password().map(decoded) else { return (nats_url.to_owned(), None) };
    let user = decoded(url.username());
    // It fails for an address without a host, which the client will complain of.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    (url.into(), Some((user, password)))
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        users().into_iter().find(|user| user.name == name).expect("a user")
    }

    #[test]
    fn who_looks_on_may_do_nothing_else() {
        let web = user("web");
        let streams = ["TICKETS", "ORDERS", "PAYMENTS"];
        assert_eq!(web.publish, streams.map(|stream| format!("$JS.API.CONSUMER.CREATE.{stream}")));
        assert_eq!(web.subscribe, ["_INBOX_web.>"]);
    }

    #[test]
    fn nobody_may_publish_another_s_event() {
        for (subject, stream) in CATALOGUE {
            for User { name, publish, .. } in users() {
                let may = publish.iter().any(|allowed| allowed == subject);
                assert_eq!(may, name == stream.publisher(), "{name}: {subject}");
            }
        }
    }

    #[test]
    fn the_user_stands_in_the_url_as_a_database_s_does() {
        let plain = "nats://127.0.0.1:4222";
        assert_eq!(split(plain), (plain.to_owned(), None));
        assert_eq!(split("127.0.0.1:4222"), ("127.0.0.1:4222".to_owned(), None));
        let (address, user) = split("nats://orders:p%40ss@nats:4222");
        assert_eq!(address, "nats://nats:4222");
        assert_eq!(user, Some(("orders".to_owned(), "p@ss".to_owned())));
    }
}
