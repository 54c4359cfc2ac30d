//! Concurrent writes share commands, and each has the result that it would have alone.

use bson::{Document, doc};
use futures::future::join_all;
use store::{Change, Documents};
use testkit::Infra;

use crate::thing::{FAIL_POINT, Thing};

const MANY: usize = 40;

/// Things that only this test's connections write, under a name that the server can refuse.
async fn things(infra: &Infra, app: &str) -> Documents<Thing> {
    let database = store::mongo::connect(&infra.mongo_uri("expiration"), app).await.unwrap();
    Documents::open(&database, infra.clock.clone(), []).await.unwrap()
}

async fn stored(things: &Documents<Thing>, infra: &Infra) -> Vec<Thing> {
    let new: Vec<Change<Thing>> = (0..MANY).map(|_| Thing::new(infra.clock.now())).collect();
    let inserted = join_all(new.iter().map(|new| things.insert(&new.thing, &new.events))).await;
    inserted.into_iter().collect::<store::Result<()>>().unwrap();
    new.into_iter().map(|new| new.thing).collect()
}

/// Whether each change was written; all are made at once.
async fn replace(things: &Documents<Thing>, all: &[Thing]) -> Vec<bool> {
    let replaced = all.iter().map(async |thing| {
        let Change { thing: next, events } = thing.changed();
        things.replace(thing.version, &next, &events).await
    });
    join_all(replaced).await.into_iter().map(Result::unwrap).collect()
}

async fn documents(infra: &Infra) -> Vec<Document> {
    use futures::TryStreamExt as _;
    let things = infra.database("expiration").await.collection::<Document>("things");
    things.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap()
}

/// Makes the server do this to this application's next commands.
async fn fail(infra: &Infra, app: &str, mode: Document, what: Document) {
    let mut data = doc! { "failCommands": ["insert", "update"], "appName": app };
    data.extend(what);
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    let admin = infra.database("expiration").await.client().database("admin");
    admin.run_command(point).await.unwrap();
}

#[tokio::test]
async fn of_concurrent_changes_exactly_those_on_old_versions_are_refused() {
    let infra = Infra::start().await;
    let things = things(&infra, "group-results").await;
    let all = stored(&things, &infra).await;
    let (late, _) = all.split_at(MANY / 2);
    assert_eq!(replace(&things, late).await, [true; MANY / 2]);
    // Half of them have changed meanwhile, and one was never stored.
    let mut all = all;
    all.push(Thing::new(infra.clock.now()).thing);
    let written = replace(&things, &all).await;
    let (late, rest) = written.split_at(MANY / 2);
    let (timely, missing) = rest.split_at(MANY / 2);
    assert_eq!(
        (late, timely, missing),
        (&[false; MANY / 2][..], &[true; MANY / 2][..], &[false][..])
    );
    let stored = documents(&infra).await;
    assert_eq!(stored.len(), MANY, "none was inserted");
    assert!(stored.iter().all(|it| it.get_i64("version").unwrap() == 2));
    assert!(stored.iter().all(|it| it.get_array("outbox").unwrap().len() == 2));
}

#[tokio::test]
async fn of_concurrent_inserts_exactly_the_repetitions_are_refused() {
    let infra = Infra::start().await;
    let things = things(&infra, "group-inserts").await;
    let all = stored(&things, &infra).await;
    let known = all.first().unwrap();
    let new = Thing::new(infra.clock.now()).thing;
    let inserted = [known, &new, known].map(|thing| things.insert(thing, &[]));
    let refused = join_all(inserted).await.into_iter().map(|inserted| match inserted {
        Ok(()) => None,
        Err(error) => Some(error.duplicate_of().expect("a duplicate")),
    });
    assert_eq!(refused.collect::<Vec<_>>(), [Some("_id_".into()), None, Some("_id_".into())]);
    assert_eq!(documents(&infra).await.len(), MANY + 1);
}

#[tokio::test]
async fn concurrent_writes_share_commands() {
    const APP: &str = "group-size";
    let infra = Infra::start().await;
    let things = things(&infra, APP).await;
    let database = infra.database("expiration").await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    stored(&things, &infra).await;
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.collection::<Document>("system.profile");
    let commands = doc! { "appName": APP, "op": "insert" };
    let commands = profile.count_documents(commands).await.unwrap();
    assert!((1..=2).contains(&commands), "{commands} commands for {MANY} inserts");
}

/// What was done before the reply was lost isn't done twice, and isn't taken for another writer's.
#[tokio::test]
async fn a_command_that_is_sent_again_takes_effect_once() {
    const APP: &str = "group-again";
    let _failing = FAIL_POINT.lock().await;
    let infra = Infra::start().await;
    let things = things(&infra, APP).await;
    let mut all = stored(&things, &infra).await;
    let once = doc! { "times": 1 };
    for failure in [
        doc! { "closeConnection": true },
        // Executed, and not known to be durable: the server shuts down.
        doc! { "writeConcernError": { "code": 91, "errmsg": "shutting down" } },
    ] {
        fail(&infra, APP, once.clone(), failure.clone()).await;
        assert_eq!(replace(&things, &all).await, [true; MANY], "{failure}");
        all = all.iter().map(|thing| thing.changed().thing).collect();
    }
    let stored = documents(&infra).await;
    assert!(stored.iter().all(|it| it.get_i64("version").unwrap() == 3));
    assert!(stored.iter().all(|it| it.get_array("outbox").unwrap().len() == 3));
}

/// A server that refuses fails those who wait, and nobody after that.
#[tokio::test]
async fn a_refused_command_fails_its_writes_alone() {
    const APP: &str = "group-refused";
    let _failing = FAIL_POINT.lock().await;
    let infra = Infra::start().await;
    let things = things(&infra, APP).await;
    let all = stored(&things, &infra).await;
    fail(&infra, APP, doc! { "times": 1 }, doc! { "errorCode": 8000 }).await;
    let thing = all.first().unwrap();
    let Change { thing: next, events } = thing.changed();
    things.replace(thing.version, &next, &events).await.unwrap_err();
    assert_eq!(replace(&things, &all).await, [true; MANY]);
}
