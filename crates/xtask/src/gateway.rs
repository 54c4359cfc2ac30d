//! nginx as the gateway: its configuration, from `infra/gateway/nginx.conf` and `routes.txt`.

use std::{fmt::Write as _, fs, path::Path};

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

/// Writes the configuration, and returns how to start nginx with it.
pub fn spec(program: &Path, root: &Root, port: u16, services: &[Service]) -> Result<Spec> {
    let run = root.run();
    // nginx creates the folders for its temporary files, but not their parent.
    fs::create_dir_all(run.join(NAME))?;
    let configuration = run.join("nginx.conf");
    let text = render(root.dir(), port, services)?;
    fs::write(&configuration, text)
        .with_context(|| format!("writing {}", configuration.display()))?;
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

fn render(root: &Path, port: u16, services: &[Service]) -> Result<String> {
    let folder = root::workspace().join("infra/gateway");
    let routes = routes::read()?;
    let pages = routes.iter().find(|route| route.path == routes::PAGES).context("no pages")?;
    root::render(
        &folder.join("nginx.conf"),
        &[
            ("root", &root.to_string_lossy()),
            ("port", &port.to_string()),
            ("upstreams", &upstreams(services)?),
            ("locations", &locations(&routes)?),
            ("pages", &pages.service),
            ("errors", &errors(&folder.join("page.html"))?),
        ],
    )
}

fn upstreams(services: &[Service]) -> Result<String> {
    let mut text = String::new();
    for service in services {
        writeln!(text, "    upstream {} {{", service.name)?;
        for replica in &service.replicas {
            // A restarted replica gets requests immediately: a refused connection is cheap on loopback.
            writeln!(text, "        server 127.0.0.1:{} max_fails=0;", replica.http)?;
        }
        // Less than a service's own limit for idle connections during its graceful shutdown.
        writeln!(text, "        keepalive 64;\n        keepalive_timeout 1s;\n    }}")?;
    }
    Ok(text)
}

/// Each path of the API and everything below it; the pages have a location of their own.
fn locations(routes: &[Route]) -> Result<String> {
    let mut text = String::new();
    for Route { path, service } in routes.iter().filter(|route| route.path != routes::PAGES) {
        // Of regular expressions nginx takes the first that matches, as the table says.
        let path = path.replace('*', "[^/]+");
        writeln!(text, "        location ~ ^{path}(/|$) {{ proxy_pass http://{service}; }}")?;
    }
    Ok(text)
}

/// For a string in single quotes.
fn escaped(text: &str) -> String {
    text.replace('\'', "\\'")
}

/// Two locations for each problem: its document, and its page.
fn errors(page: &Path) -> Result<String> {
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
        let page = escaped(&root::render(page, &[("heading", heading), ("text", sentence)])?);
        let headers = ["Cache-Control no-store", "X-Request-Id $gateway_request_id", "Vary Accept"];
        let headers = headers.into_iter().chain(header).fold(String::new(), |all, header| {
            all + &format!("            add_header {header} always;\n")
        });
        write!(
            text,
            "        location = /.gateway/{slug} {{
            internal;
            if ($is_page) {{ rewrite ^ /.gateway/page/{slug} last; }}
            default_type application/problem+json;
{headers}            return {status} '{document}';
        }}
        location = /.gateway/page/{slug} {{
            internal;
            default_type \"text/html; charset=utf-8\";
            add_header Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'\" always;
{headers}            return {status} '{page}';
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
    use crate::services::Replica;

    fn service(name: &str, ports: &[u16]) -> Service {
        let replica = |port: &u16| Replica { name: name.to_owned(), http: *port, admin: port + 1 };
        Service { name: name.to_owned(), replicas: ports.iter().map(replica).collect() }
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        let text = render(Path::new("/tmp/a root"), 8080, &[service("orders", &[20_001, 20_003])])
            .unwrap();
        assert!(!text.contains("{{") && !text.contains("}}"), "{text}");
        assert!(text.contains("listen 127.0.0.1:8080;"));
        assert!(text.contains("pid \"/tmp/a root/run/"));
        assert!(text.contains(
            "server 127.0.0.1:20001 max_fails=0;\n        server 127.0.0.1:20003 max_fails=0;"
        ));
    }

    #[test]
    fn every_error_page_has_its_problem() {
        let text = render(Path::new("/tmp"), 8080, &[]).unwrap();
        let at =
            |location: &str| text.find(location).unwrap_or_else(|| panic!("{location}: {text}"));
        let general = at("location ~ ^/api/orders(/|$) { proxy_pass http://orders; }");
        let special =
            "location ~ ^/api/orders/[^/]+/mails(/|$) { proxy_pass http://confirmation; }";
        assert!(at(special) < general, "the first that matches counts");
        let pages = text.lines().filter(|line| line.trim().starts_with("error_page "));
        let named: BTreeSet<&str> =
            pages.filter_map(|line| line.rsplit_once("/.gateway/")?.1.strip_suffix(';')).collect();
        let problems = PROBLEMS.iter().map(|problem| problem.slug);
        assert_eq!(named, problems.collect());
    }
}
