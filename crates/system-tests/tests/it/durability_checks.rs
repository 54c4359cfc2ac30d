//! A misconfigured server prevents a service from starting, with the setting's name; an unreachable server doesn't.

use system_tests::{free_port, workspace};
use testkit::{Client, Infra, Nats, Program, Redis, StandaloneMongod, eventually};

/// A service with the settings that it needs to serve, and its admin port.
fn serving(infra: &Infra, service: &str) -> (Program, u16) {
    let admin = free_port();
    (infra.program(service).serving(infra, free_port(), admin), admin)
}

fn client(admin: u16) -> Client {
    Client::new(&format!("http://127.0.0.1:{admin}"))
}

async fn wait_for_metric(admin: u16, line: &str) {
    eventually(line, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", admin)).await.ok()?;
        let metrics = client(admin).get("/metrics").await.text;
        metrics.lines().any(|metric| metric == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_nats_with_a_sync_interval_prevents_the_start_of_a_service() {
    let infra = Infra::start().await;
    let nats = Nats::start_with("sync_interval: 10s").await;
    for service in workspace::services_with_database() {
        let (program, _) = serving(&infra, &service);
        let program = program
            .with("NATS_URL", nats.url())
            .with("REDIS_URL", infra.redis_url().await)
            .with("STRIPE_URL", "http://127.0.0.1:9")
            .with("STRIPE_KEY", "sk_test_local");
        let ended = program.with("NATS_MONITOR_URL", nats.monitor_url()).run(&[]).await;
        assert!(!ended.success);
        let expected = "jetstream.sync_interval must be always";
        assert!(ended.stdout.contains(expected), "{service}: {}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn a_redis_that_is_not_durable_prevents_the_start_of_expiration() {
    let infra = Infra::start().await;
    for (settings, expected) in [
        (
            &["--appendonly", "no", "--maxmemory-policy", "noeviction"],
            "appendonly is no, and must be yes",
        ),
        (
            &["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"],
            "maxmemory-policy is allkeys-lru",
        ),
    ] {
        let redis = Redis::start_with(settings).await;
        let (program, _) = serving(&infra, "expiration");
        let ended = program.with("REDIS_URL", redis.url()).run(&[]).await;
        assert!(!ended.success);
        assert!(ended.stdout.contains(expected), "{}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn a_standalone_mongod_prevents_the_start_of_a_service_with_any_connection_string() {
    let infra = Infra::start().await;
    let mongod = StandaloneMongod::start().await;
    for options in
        ["", "directConnection=true", "replicaSet=rs0&directConnection=true", "replicaSet=rs0"]
    {
        let (program, _) = serving(&infra, "tickets");
        let ended = program.with("MONGO_URI", mongod.uri(options)).run(&[]).await;
        assert!(!ended.success);
        let expected = "MongoDB (MONGO_URI): it is a standalone server, and must be a replica set";
        assert!(ended.stdout.contains(expected), "{options}: {}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn durability_is_verified_once_unreachable_servers_are_back() {
    let infra = Infra::start().await;
    let url = infra.redis_url().await;
    infra.nats.kill();
    infra.redis().await.kill();
    let (program, admin) = serving(&infra, "expiration");
    let mut process = program.with("REDIS_URL", url).start();
    for server in ["nats", "redis"] {
        wait_for_metric(admin, &format!("settings_checked{{server=\"{server}\"}} 0")).await;
    }
    client(admin).get("/readyz").await.expect(200);
    infra.nats.restart().await;
    infra.redis().await.restart().await;
    for server in ["nats", "redis"] {
        wait_for_metric(admin, &format!("settings_checked{{server=\"{server}\"}} 1")).await;
    }
    assert!(process.try_wait().unwrap().is_none(), "it continues to serve");
    process.kill().await.unwrap();
}

#[tokio::test]
async fn a_nats_without_a_monitoring_url_is_reported_as_unverified() {
    let infra = Infra::start().await;
    let nats = Nats::start_with("sync_interval: 10s").await;
    let (program, admin) = serving(&infra, "tickets");
    let mut process = program.with("NATS_URL", nats.url()).without("NATS_MONITOR_URL").start();
    let monitor = Client::new(&nats.monitor_url());
    eventually("the service to create its stream", || async {
        monitor.get("/jsz?streams=true").await.text.contains("\"TICKETS\"").then_some(())
    })
    .await;
    wait_for_metric(admin, "settings_checked{server=\"nats\"} 0").await;
    // It may wait for a moment for what was revoked, of which this server knows nothing.
    eventually("the service to be ready", || async {
        (client(admin).get("/readyz").await.status == 200).then_some(())
    })
    .await;
    assert!(process.try_wait().unwrap().is_none());
    process.kill().await.unwrap();
}
