//! Servers that are set wrongly stop a service, which says which setting it is; servers that are down
//! don't.

use std::net::TcpListener;

use testkit::{Client, Infra, Nats, Program, Redis, StandaloneMongod, eventually};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A service with what it takes to serve, and the port where its operators look.
fn serving(infra: &Infra, service: &'static str) -> (Program, u16) {
    let admin = free_port();
    (infra.program(service).serving(infra, free_port(), admin), admin)
}

fn client(admin: u16) -> Client {
    Client::new(&format!("http://127.0.0.1:{admin}"))
}

async fn is_told(admin: u16, line: &str) {
    eventually(line, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", admin)).await.ok()?;
        let metrics = client(admin).get("/metrics").await.text;
        metrics.lines().any(|told| told == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_nats_that_syncs_now_and_then_stops_a_service_with_the_setting_s_name() {
    let infra = Infra::start().await;
    let hasty = Nats::start_with("sync_interval: 10s").await;
    for service in ["auth", "tickets", "orders"] {
        let (program, _) = serving(&infra, service);
        let program = program.with("NATS_URL", hasty.url());
        let ended = program.with("NATS_MONITOR_URL", hasty.monitor_url()).run(&[]).await;
        assert!(!ended.success);
        let told = "jetstream.sync_interval must be always";
        assert!(ended.stdout.contains(told), "{service}: {}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn a_redis_that_forgets_stops_expiration_with_the_setting_s_name() {
    let infra = Infra::start().await;
    for (settings, told) in [
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
        assert!(ended.stdout.contains(told), "{}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn a_mongod_that_is_no_replica_set_stops_a_service_whatever_the_address_says() {
    let infra = Infra::start().await;
    let mongod = StandaloneMongod::start().await;
    for options in
        ["", "directConnection=true", "replicaSet=rs0&directConnection=true", "replicaSet=rs0"]
    {
        let (program, _) = serving(&infra, "tickets");
        let ended = program.with("MONGO_URI", mongod.uri(options)).run(&[]).await;
        assert!(!ended.success);
        let told = "MongoDB (MONGO_URI): it is a standalone server, and must be a replica set";
        assert!(ended.stdout.contains(told), "{options}: {}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn servers_that_are_set_right_are_found_right_once_they_answer() {
    let infra = Infra::start().await;
    let url = infra.redis_url().await;
    infra.nats.kill();
    infra.redis().await.kill();
    let (program, admin) = serving(&infra, "expiration");
    let mut process = program.with("REDIS_URL", url).start();
    for server in ["nats", "redis"] {
        is_told(admin, &format!("settings_checked{{server=\"{server}\"}} 0")).await;
    }
    client(admin).get("/readyz").await.expect(200);
    infra.nats.restart().await;
    infra.redis().await.restart().await;
    for server in ["nats", "redis"] {
        is_told(admin, &format!("settings_checked{{server=\"{server}\"}} 1")).await;
    }
    assert!(process.try_wait().unwrap().is_none(), "it serves on");
    process.kill().await.unwrap();
}

#[tokio::test]
async fn a_nats_nobody_says_how_to_ask_is_told_of_and_stops_nothing() {
    let infra = Infra::start().await;
    let hasty = Nats::start_with("sync_interval: 10s").await;
    let (program, admin) = serving(&infra, "tickets");
    let mut process = program.with("NATS_URL", hasty.url()).without("NATS_MONITOR_URL").start();
    let monitor = Client::new(&hasty.monitor_url());
    eventually("the service to make its stream", || async {
        monitor.get("/jsz?streams=true").await.text.contains("\"TICKETS\"").then_some(())
    })
    .await;
    is_told(admin, "settings_checked{server=\"nats\"} 0").await;
    client(admin).get("/readyz").await.expect(200);
    assert!(process.try_wait().unwrap().is_none());
    process.kill().await.unwrap();
}
