//! What an operator sees of events that wait in an outbox.

use std::time::Duration;

use bson::doc;
use testkit::{Client, Infra, eventually};

use system_tests::free_port;

#[tokio::test]
async fn every_replica_reports_how_many_documents_wait_and_for_how_long() {
    let infra = Infra::start().await;
    infra.nats.kill();
    let tickets = infra.database("tickets").await.collection("tickets");
    let published = infra.clock.now() - Duration::from_secs(60);
    let documents = (0..3).map(|number| {
        let event = |version| {
            doc! {
                "id": format!("ticket.updated:{number}:{version}"), "subject": "ticket.updated",
                "time": published, "data": "{}",
            }
        };
        // Two events of one document count as one.
        let (id, outbox) = (number.to_string(), [event(1), event(2)].to_vec());
        doc! { "_id": id, "version": 2_i64, "outboxPending": true, "outbox": outbox }
    });
    tickets.insert_many(documents).await.unwrap();

    let replicas: Vec<_> = (0..2).map(|_| free_port()).collect();
    let programs = replicas
        .iter()
        .map(|admin| infra.program("tickets").serving(&infra, free_port(), *admin).start());
    let _programs: Vec<_> = programs.collect();
    for admin in &replicas {
        is(*admin, "outbox_pending", |count| count == 3.0).await;
        is(*admin, "outbox_oldest_seconds", |age| (60.0..3600.0).contains(&age)).await;
    }
    tickets.delete_many(doc! {}).await.unwrap();
    for admin in &replicas {
        is(*admin, "outbox_pending", |count| count == 0.0).await;
        is(*admin, "outbox_oldest_seconds", |age| age == 0.0).await;
    }
}

async fn is(admin: u16, metric: &str, expected: impl Fn(f64) -> bool) {
    let client = Client::new(&format!("http://127.0.0.1:{admin}"));
    let series = format!("{metric}{{collection=\"tickets\"}} ");
    eventually(metric, || async {
        let metrics = client.request(testkit::Method::GET, "/metrics").try_send().await.ok()?.text;
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series))?.parse().ok()?;
        expected(value).then_some(())
    })
    .await;
}
