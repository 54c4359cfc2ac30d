//! nginx as the gateway: its configuration, out of `infra/gateway/nginx.conf`.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    probe::Probe,
    process::Spec,
    root::{self, Root},
    services::Service,
};

const NAME: &str = "nginx";

/// An error of the gateway's own. Its type and title are the services' (`common::error`) where they have such an error too.
struct Problem {
    address: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
    header: Option<&'static str>,
}

const PROBLEMS: [Problem; 8] = [
    Problem {
        address: "malformed",
        status: 400,
        title: "The request is malformed",
        detail: "This is not a request that HTTP/1.1 allows.",
        header: None,
    },
    Problem {
        address: "not-found",
        status: 404,
        title: "There is no such thing",
        detail: "There is nothing at this address.",
        header: None,
    },
    Problem {
        address: "method-not-allowed",
        status: 405,
        title: "This can't be done here",
        detail: "This method is not allowed here.",
        header: Some("Allow \"GET, HEAD, POST, PUT, PATCH, DELETE\""),
    },
    Problem {
        address: "too-large",
        status: 413,
        title: "The body is too large",
        detail: "A body may have up to 1 MiB.",
        header: None,
    },
    Problem {
        address: "address-too-long",
        status: 414,
        title: "The address is too long",
        detail: "The first line of a request may have up to 8 KiB.",
        header: None,
    },
    Problem {
        address: "headers-too-large",
        status: 431,
        title: "The headers are too large",
        detail: "A header may have up to 8 KiB, all of them together 32 KiB.",
        header: None,
    },
    Problem {
        address: "internal",
        status: 500,
        title: "Something went wrong on our side",
        detail: "The gateway could not handle the request.",
        header: None,
    },
    Problem {
        address: "unavailable",
        status: 503,
        title: "Not available just now",
        detail: "The service behind this address did not answer. Try again in a moment.",
        header: Some("Retry-After 1"),
    },
];

/// Writes the configuration, and says how to start nginx with it.
pub fn spec(program: &Path, root: &Root, port: u16, services: &[Service]) -> Result<Spec> {
    let run = root.run();
    // nginx makes the folders for its temporary files itself, but not the one that they stand in.
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
    root::render(
        &root::workspace().join("infra/gateway/nginx.conf"),
        &[
            ("root", &root.to_string_lossy()),
            ("port", &port.to_string()),
            ("upstreams", &upstreams(services)?),
            ("errors", &errors()?),
        ],
    )
}

fn upstreams(services: &[Service]) -> Result<String> {
    let mut text = String::new();
    for service in services {
        writeln!(text, "    upstream {} {{", service.name)?;
        for replica in &service.replicas {
            // One that was restarted a moment ago is asked again at once: a refused connection costs nothing here.
            writeln!(text, "        server 127.0.0.1:{} max_fails=0;", replica.http)?;
        }
        // Sooner than a service that stops closes a connection that nobody uses (`common::connections`).
        writeln!(text, "        keepalive 64;\n        keepalive_timeout 1s;\n    }}")?;
    }
    Ok(text)
}

fn errors() -> Result<String> {
    let mut text = String::new();
    for Problem { address, status, title, detail, header } in PROBLEMS {
        let body = json!({
            "type": format!("/problems/{address}"),
            "status": status,
            "title": title,
            "detail": detail,
            "errors": [{ "message": detail }],
        });
        let body = body.to_string().replace('\'', "\\'");
        writeln!(text, "        location = /.gateway/{address} {{")?;
        writeln!(text, "            internal;")?;
        writeln!(text, "            default_type application/problem+json;")?;
        for header in
            ["Cache-Control no-store", "X-Request-Id $gateway_request_id"].into_iter().chain(header)
        {
            writeln!(text, "            add_header {header} always;")?;
        }
        writeln!(text, "            return {status} '{body}';\n        }}")?;
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
        let pages = text.lines().filter(|line| line.trim().starts_with("error_page "));
        let named: BTreeSet<&str> =
            pages.filter_map(|line| line.rsplit_once("/.gateway/")?.1.strip_suffix(';')).collect();
        let problems = PROBLEMS.iter().map(|problem| problem.address);
        // The one that is no problem document: a person without a page.
        assert_eq!(named, problems.chain(["no-pages"]).collect());
    }
}
