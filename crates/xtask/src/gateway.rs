//! nginx as the gateway: `infra/gateway/nginx.conf`, and what it includes, from `routes.txt`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    probe::Probe,
    process::Spec,
    root::{self, Root},
    routes::{self, Route},
    services::Service,
};

const NAME: &str = "nginx";

/// The file, and the four that it includes.
const CONFIGURATION: &str = "nginx.conf";
const LOCATIONS: &str = "locations.conf";
const ERRORS: &str = "errors.conf";
const HERE: &str = "here.conf";
const LISTEN: &str = "listen.conf";

/// A problem document of the gateway itself, with the type and title of the services' problem of the same kind.
struct Problem {
    slug: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
    header: Option<&'static str>,
    /// What a browser shows instead: a headline and a sentence or two.
    page: (&'static str, &'static str),
}

const PROBLEMS: [Problem; 8] = [
    Problem {
        slug: "malformed",
        status: 400,
        title: "The request is malformed",
        detail: "The request is not valid HTTP/1.1.",
        header: None,
        page: (
            "We couldn’t process your request",
            "Your browser sent something that we couldn’t read. Please go back and try again.",
        ),
    },
    Problem {
        slug: "not-found",
        status: 404,
        title: "Not found",
        detail: "No service has this path.",
        header: None,
        page: (
            "Page not found",
            "It may have moved or been removed, or there’s a typo in the address.",
        ),
    },
    Problem {
        slug: "method-not-allowed",
        status: 405,
        title: "Method not allowed",
        detail: "The method is not allowed.",
        header: Some("Allow \"GET, HEAD, POST, PUT, PATCH, DELETE\""),
        page: (
            "This action isn’t available",
            "The page exists, but it doesn’t support this action.",
        ),
    },
    Problem {
        slug: "too-large",
        status: 413,
        title: "The request body is too large",
        detail: "Request body too large (limit 1 MiB).",
        header: None,
        page: ("That’s too long", "Go back and shorten your text, then submit the form again."),
    },
    Problem {
        slug: "address-too-long",
        status: 414,
        title: "The address is too long",
        detail: "The request line may have up to 8 KiB.",
        header: None,
        page: ("That address is too long", "Shorten it, or start from the home page."),
    },
    Problem {
        slug: "headers-too-large",
        status: 431,
        title: "The headers are too large",
        detail: "A header may have up to 8 KiB, all of them together 32 KiB.",
        header: None,
        page: (
            "Your browser sent too many cookies",
            "Delete this site’s cookies in your browser’s settings and reload this page. You will need to sign in again.",
        ),
    },
    Problem {
        slug: "internal",
        status: 500,
        title: "Internal server error",
        detail: "The gateway failed to handle the request.",
        header: None,
        page: (
            "Something went wrong",
            "Please reload this page in a moment. If it keeps happening, contact support.",
        ),
    },
    Problem {
        slug: "unavailable",
        status: 503,
        title: "Temporarily unavailable",
        detail: "The service did not respond. Try again in a moment.",
        header: Some("Retry-After 1"),
        page: (
            "We’ll be right back",
            "Ticketing is temporarily unavailable. Please reload this page in a moment. Reserved tickets stay reserved, and you won’t be charged twice.",
        ),
    },
];

/// Writes the configuration beside each other, and returns how to start nginx with it.
pub fn spec(program: &Path, root: &Root, port: u16, services: &[Service]) -> Result<Spec> {
    let run = root.run();
    // nginx creates the folders for its temporary files, but not their parent.
    fs::create_dir_all(run.join(NAME))?;
    let folder = run.join("gateway");
    fs::create_dir_all(&folder)?;
    let log = root.log().join("nginx.log");
    let servers = services.iter().map(|service| (service.name.clone(), local_servers(service)));
    let files = [
        (CONFIGURATION, fs::read_to_string(source().join(CONFIGURATION))?),
        (LOCATIONS, locations(&routes::read()?)?),
        (ERRORS, errors()?),
        (HERE, here(&log.to_string_lossy(), "", servers)?),
        (LISTEN, format!("listen 127.0.0.1:{port};\n")),
    ];
    for (name, text) in files {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    let configuration = folder.join(CONFIGURATION);
    let args =
        ["-p".into(), run.into(), "-e".into(), "stderr".into(), "-c".into(), configuration.into()];
    Ok(Spec {
        name: NAME.to_owned(),
        program: program.to_owned(),
        args: args.into(),
        env: Vec::new(),
        without: Vec::new(),
        ports: vec![port],
        probe: Probe::Accepts(port),
    })
}

/// The folder with nginx.conf, and with the generated files that compose.yaml uses.
fn source() -> PathBuf {
    root::workspace().join("infra/gateway")
}

/// The access log, and an upstream for each service with these `server` lines.
fn here(
    access_log: &str,
    settings: &str,
    services: impl Iterator<Item = (String, String)>,
) -> Result<String> {
    let mut text = format!("access_log \"{access_log}\" without_query;\n{settings}");
    for (name, servers) in services {
        // Idle connections end before a service's own limit for them during its graceful shutdown.
        writeln!(
            text,
            "\nupstream {name} {{\n{servers}    keepalive 64;\n    keepalive_timeout 1s;\n}}"
        )?;
    }
    Ok(text)
}

fn local_servers(service: &Service) -> String {
    // A restarted replica gets requests immediately: a refused connection is cheap on loopback.
    let server = |port: u16| format!("    server 127.0.0.1:{port} max_fails=0;\n");
    service.replicas.iter().map(|replica| server(replica.http)).collect()
}

/// Each path of the API and everything below it; the pages have a location in nginx.conf.
fn locations(routes: &[Route]) -> Result<String> {
    let mut text = String::new();
    for Route { path, service } in routes.iter().filter(|route| route.path != routes::PAGES) {
        // Of regular expressions nginx takes the first that matches, as the table says.
        let path = path.replace('*', "[^/]+");
        writeln!(text, "location ~ ^{path}(/|$) {{ proxy_pass http://{service}; }}")?;
    }
    Ok(text)
}

/// For a string in single quotes.
fn escaped(text: &str) -> String {
    text.replace('\'', "\\'")
}

/// Two locations for each problem: its document, and its page.
fn errors() -> Result<String> {
    let page = source().join("page.html");
    let mut text = String::new();
    for Problem { slug, status, title, detail, header, page: (heading, sentence) } in PROBLEMS {
        let document = json!({
            "type": format!("/problems/{slug}"),
            "status": status,
            "title": title,
            "detail": detail,
            "errors": [{ "message": detail }],
        });
        let document = escaped(&document.to_string());
        let page = escaped(&root::render(&page, &[("heading", heading), ("text", sentence)])?);
        let headers = ["Cache-Control no-store", "X-Request-Id $gateway_request_id", "Vary Accept"];
        let headers = headers
            .into_iter()
            .chain(header)
            .fold(String::new(), |all, header| all + &format!("    add_header {header} always;\n"));
        write!(
            text,
            "location = /.gateway/{slug} {{
    internal;
    if ($is_page) {{ rewrite ^ /.gateway/page/{slug} last; }}
    default_type application/problem+json;
{headers}    return {status} '{document}';
}}
location = /.gateway/page/{slug} {{
    internal;
    default_type \"text/html; charset=utf-8\";
    add_header Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'\" always;
{headers}    return {status} '{page}';
}}
"
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::services::{self, Replica};

    const GENERATED: &str = "\
# Generated from routes.txt and crates/xtask/src/gateway.rs, for compose.yaml; `cargo xtask up` generates its own. After a change:
#   UPDATE=1 cargo test -p xtask gateway
";

    /// In compose.yaml a container's name resolves to its address, which changes when it is recreated.
    fn of_compose() -> String {
        let settings = "resolver 127.0.0.11 valid=2s;\n";
        let server = |name: String| {
            let servers =
                format!("    zone {name} 64k;\n    server {name}:3000 resolve max_fails=0;\n");
            (name, servers)
        };
        let services = services::names().unwrap().into_iter();
        let routed: BTreeSet<_> =
            routes::read().unwrap().into_iter().map(|route| route.service).collect();
        let servers = services.filter(|name| routed.contains(name)).map(server);
        here("/dev/stdout", settings, servers).unwrap()
    }

    #[test]
    fn the_committed_files_are_those_that_up_generates() {
        let update = std::env::var_os("UPDATE").is_some();
        for (name, text) in [
            (LOCATIONS, locations(&routes::read().unwrap()).unwrap()),
            (ERRORS, errors().unwrap()),
            ("compose/here.conf", of_compose()),
        ] {
            let (file, expected) = (source().join(name), format!("{GENERATED}{text}"));
            if update {
                fs::write(&file, &expected).unwrap();
            }
            let committed = fs::read_to_string(&file).unwrap_or_default();
            assert!(
                committed == expected,
                "{name} is outdated; its header says how to regenerate it"
            );
        }
    }

    #[test]
    fn every_replica_has_its_server() {
        let replica = |http| Replica { name: "orders".to_owned(), http, admin: http + 1 };
        let service =
            Service { name: "orders".to_owned(), replicas: vec![replica(20_001), replica(20_003)] };
        let servers = [(service.name.clone(), local_servers(&service))].into_iter();
        let text = here("/tmp/a root/log", "", servers).unwrap();
        assert!(text.contains("access_log \"/tmp/a root/log\" without_query;"), "{text}");
        assert!(text.contains(
            "server 127.0.0.1:20001 max_fails=0;\n    server 127.0.0.1:20003 max_fails=0;"
        ));
    }

    #[test]
    fn every_error_page_has_its_problem() {
        let text = fs::read_to_string(source().join(CONFIGURATION)).unwrap();
        let pages = text.lines().filter(|line| line.trim().starts_with("error_page "));
        let named: BTreeSet<&str> =
            pages.filter_map(|line| line.rsplit_once("/.gateway/")?.1.strip_suffix(';')).collect();
        let problems = PROBLEMS.iter().map(|problem| problem.slug);
        assert_eq!(named, problems.collect());
    }
}
