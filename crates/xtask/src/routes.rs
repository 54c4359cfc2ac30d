//! The gateway's routes: the table `infra/gateway/routes.txt`.

use std::fs;

use anyhow::{Context as _, Result};

use crate::root;

const FILE: &str = "infra/gateway/routes.txt";
/// The path of the pages, below which is everything that no other route has.
pub const PAGES: &str = "/";

/// A path prefix, in which `*` is any one segment, and the service that has everything below it.
pub struct Route {
    pub path: String,
    pub service: String,
}

pub fn read() -> Result<Vec<Route>> {
    let text = fs::read_to_string(root::workspace().join(FILE)).context(FILE)?;
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| parse(line).with_context(|| format!("{FILE}: {line}"))).collect()
}

fn parse(line: &str) -> Option<Route> {
    let (path, service) = line.split_once(char::is_whitespace)?;
    let (path, service) = (path.to_owned(), service.trim().to_owned());
    Some(Route { path, service })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services;

    #[test]
    fn every_route_is_to_a_service_and_one_has_the_pages() {
        let (routes, services) = (read().unwrap(), services::names().unwrap());
        for Route { path, service } in &routes {
            assert!(services.contains(service), "{path} {service}");
            assert!(path.starts_with("/api/") || path == PAGES, "{path}");
        }
        assert_eq!(routes.iter().filter(|route| route.path == PAGES).count(), 1);
    }
}
