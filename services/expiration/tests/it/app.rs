//! What operators see of the service.

use expiration::app::Expiration;
use service::Microservice as _;
use testkit::Infra;

use crate::world::{RESERVATION, World, connect, replica};

#[tokio::test]
async fn it_reports_liveness_readiness_and_metrics() {
    telemetry::metrics();
    let world = World::start().await;
    world.created().await;
    world.infra.clock.advance(RESERVATION);
    world.wait_for_expiries(1).await;

    let admin = world.service.admin_port();
    admin.get("/healthz").await.expect(200);
    admin.get("/readyz").await.expect(200);
    let metrics = admin.get("/metrics").await.text;
    for name in [
        "redis_connected",
        "expiration_fired_total",
        "expiration_delay_seconds",
        "consumer_connected",
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
}

#[tokio::test]
async fn it_has_no_http_api() {
    let world = World::start().await;
    world.service.client().get("/api/expiration").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_malformed_redis_url_stops_the_start_and_is_named() {
    let infra = Infra::start().await;
    let settings = infra.args("expiration").into_iter();
    let settings = settings.chain(["--redis-url".to_owned(), "http://redis".to_owned()]);
    let settings = <expiration::state::Settings as clap::Parser>::parse_from(settings);
    let error = Expiration::build(settings, infra.clock.clone()).await.err().unwrap();
    assert!(format!("{error:#}").contains("REDIS_URL"), "{error:#}");
}

#[tokio::test]
async fn it_is_ready_while_redis_is_down() {
    let infra = Infra::start().await;
    let url = infra.redis_url().await;
    infra.redis().await.kill();
    let (_, service) = replica(&infra, &url).await;
    service.admin_port().get("/readyz").await.expect(200);
}

/// Ended schedules are never deleted: the sweep and the rebuild must not read them.
#[tokio::test]
async fn scheduled_expiries_are_found_by_an_index() {
    let infra = Infra::start().await;
    drop(connect(&infra, "redis://127.0.0.1:1").await);
    let database = infra.database("expiration").await;
    let overdue =
        bson::doc! { "state": "scheduled", "expiresAt": { "$lt": bson::DateTime::now() } };
    for filter in [overdue, bson::doc! { "state": "scheduled" }] {
        let find = bson::doc! { "find": "schedules", "filter": filter, "sort": { "expiresAt": 1 } };
        let explained = database.run_command(bson::doc! { "explain": find }).await.unwrap();
        let plan = explained.get_document("queryPlanner").unwrap();
        let winner = plan.get_document("winningPlan").unwrap().to_string();
        assert!(winner.contains("IXSCAN") && !winner.contains("\"SORT\""), "{winner}");
    }
}
