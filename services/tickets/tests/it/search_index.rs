//! The fields that searches look at: in documents of the previous version, and what writing them costs.

use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Collection;
use serde_json::{Value, json};
use testkit::{Infra, eventually};
use tickets::domain::{Search, SearchScope, Sort, Term};
use tickets::state::App;

use crate::list::{titles, titles_now};
use crate::search_bounds::add;
use crate::world::{World, settings, text};

/// As the previous version has written it.
async fn make_previous(tickets: &Collection<Document>, which: Document) {
    let unset =
        doc! { "uuid": "", "terms": "", "indexed": "", "searchVersion": "", "searchedEdit": "" };
    let words = doc! { "words": ["of", "the", "previous", "version"] };
    tickets.update_many(which, doc! { "$unset": unset, "$set": words }).await.unwrap();
}

async fn stored(tickets: &Collection<Document>, ticket: &Value) -> Document {
    tickets.find_one(doc! { "_id": text(&ticket["id"]) }).await.unwrap().unwrap()
}

fn terms_of(document: &Document) -> Vec<&str> {
    let terms = document.get_array("terms").unwrap();
    terms.iter().filter_map(Bson::as_str).collect()
}

#[tokio::test]
async fn listings_of_the_previous_version_are_found_at_once_and_indexed_meanwhile() {
    let infra = Infra::start().await;
    let world = World::start_on(infra).await;
    let seller = world.user();
    let ticket = world.list_ticket(&seller, json!({ "title": "AC/DC", "price": 1 })).await;
    add(&world, 0, 1500, seller.id).await;
    let World { service, infra } = world;
    let tickets = infra.database("tickets").await.collection::<Document>("tickets");
    service.stop().await;
    make_previous(&tickets, doc! {}).await;

    // A process that has indexed nothing yet.
    let app = App::connect(&settings(&infra).state, infra.clock.clone()).await.unwrap();
    let search = |q: &str, scope| Search {
        scope,
        terms: Some(Term::all_of(q)),
        min_price: None,
        max_price: None,
        from: None,
        to: None,
        sort: Sort::Newest,
    };
    for scope in [SearchScope::OnSale, SearchScope::Seller(seller.id)] {
        let found =
            app.store.page(&search("acdc", scope), infra.clock.now(), None, 10).await.unwrap();
        assert_eq!(found.tickets.len(), 1);
        let found =
            app.store.page(&search("arena", scope), infra.clock.now(), None, 10).await.unwrap();
        assert_eq!(found.tickets.len(), 10);
    }
    // One that is stopped in the middle; then the service completes it.
    let stop_after = std::sync::atomic::AtomicUsize::new(2);
    let is_stopped = || stop_after.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0;
    app.store.complete_search_index(is_stopped).await.unwrap();
    let indexed = doc! { "indexed": true, "searchVersion": 1_i64 };
    assert_eq!(tickets.count_documents(indexed.clone()).await.unwrap(), 1000);
    let world = World::start_on(infra).await;
    eventually("all listings to be indexed", || async {
        let count = tickets.count_documents(indexed.clone()).await.unwrap();
        (count == 1501).then_some(())
    })
    .await;
    assert_eq!(titles(&world.service.client(), "q=acdc").await, ["AC/DC"]);
    assert_eq!(terms_of(&stored(&tickets, &ticket).await), ["acd"]);
}

#[tokio::test]
async fn what_a_replica_of_the_previous_version_lists_or_edits_is_indexed() {
    let infra = Infra::start().await;
    let world = World::start_on(infra).await;
    let tickets = world.infra.database("tickets").await.collection::<Document>("tickets");
    let app = App::connect(&settings(&world.infra).state, world.clock().clone()).await.unwrap();
    let ticket = world.list_ticket(&world.user(), json!({ "title": "Aida", "price": 1 })).await;
    let id = doc! { "_id": text(&ticket["id"]) };
    make_previous(&tickets, id.clone()).await;
    app.store.complete_search_index(|| false).await.unwrap();
    assert_eq!(terms_of(&stored(&tickets, &ticket).await), ["aid"]);

    let edit = doc! {
        "$set": { "title": "Tosca", "words": ["tosca"], "editedVersion": 2_i64 },
        "$inc": { "version": 1_i64 },
    };
    tickets.update_one(id.clone(), edit).await.unwrap();
    let client = world.service.client();
    assert_eq!(titles(&client, "q=aida").await, [""; 0], "it no longer has that title");
    app.store.repair_search_index().await.unwrap();
    assert_eq!(titles(&client, "q=tosca").await, ["Tosca"]);

    // Sold by one version and relisted by the other.
    let sold = doc! { "$set": { "listed": false } };
    tickets.update_one(id.clone(), sold).await.unwrap();
    app.store.retire(world.clock().now()).await.unwrap();
    assert_eq!(terms_of(&stored(&tickets, &ticket).await), [""; 0]);
    tickets.update_one(id, doc! { "$set": { "listed": true } }).await.unwrap();
    app.store.complete_search_index(|| false).await.unwrap();
    assert_eq!(titles(&client, "q=tosca").await, ["Tosca"]);
}

/// Documents of a later version are its own business.
#[tokio::test]
async fn the_fields_of_a_later_version_are_left_alone() {
    let infra = Infra::start().await;
    let world = World::start_on(infra).await;
    let tickets = world.infra.database("tickets").await.collection::<Document>("tickets");
    let app = App::connect(&settings(&world.infra).state, world.clock().clone()).await.unwrap();
    let ticket = world.default_ticket(&world.user()).await;
    let later = doc! { "$set": { "searchVersion": 99_i64, "terms": ["later"] } };
    tickets.update_one(doc! {}, later).await.unwrap();
    app.store.complete_search_index(|| false).await.unwrap();
    assert_eq!(terms_of(&stored(&tickets, &ticket).await), ["later"]);
}

/// How many keys of indexes the last write of a ticket has changed.
async fn keys_of_last_write(world: &World) -> (i32, i32) {
    let database = world.infra.database("tickets").await;
    let profile = database.collection::<Document>("system.profile");
    let writes = doc! {
        "op": { "$in": ["insert", "update"] },
        "ns": format!("{}.tickets", database.name()),
        // Not the relay's, which empties the outbox.
        "command.u.$pull": { "$exists": false },
        "command.u.$set.version": { "$exists": true },
    };
    let inserts = doc! { "op": "insert", "ns": format!("{}.tickets", database.name()) };
    let any = doc! { "$or": [writes, inserts] };
    let last = profile.find_one(any).sort(doc! { "$natural": -1 }).await.unwrap().unwrap();
    let count = |name: &str| last.get_i32(name).unwrap_or(0);
    (count("keysInserted"), count("keysDeleted"))
}

/// A listing is created by one write, with a key for each word and one for its prefix in each order; a reservation or a sale changes
/// none of those. They are removed later, and come back with the listing.
#[tokio::test]
async fn a_status_changes_no_keys_of_words() {
    let world = World::start().await;
    let (seller, buyer) = (world.user(), world.user());
    let database = world.infra.database("tickets").await;
    let tickets = database.collection::<Document>("tickets");
    let app = App::connect(&settings(&world.infra).state, world.clock().clone()).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let body = json!({ "title": "Motörhead — farewell tour (Metal), row 12", "price": 20, "venue": "Berlin Arena" });
    let ticket = world.list_ticket(&seller, body).await;
    let (created, _) = keys_of_last_write(&world).await;
    let prefixes = terms_of(&stored(&tickets, &ticket).await).len();
    println!("{created} keys to create a listing of {prefixes} prefixes");
    // Eight words, of a seller and of all.
    let words = stored(&tickets, &ticket).await.get_array("words").unwrap().len();
    let keys = i32::try_from(3 * prefixes + 2 * words).unwrap();
    assert!((keys..=keys + 12).contains(&created), "{created}");

    let order = world.order(&buyer, &ticket);
    world.deliver(&order.created(1)).await;
    let (inserted, deleted) = keys_of_last_write(&world).await;
    assert!(inserted <= 4 && deleted <= 4, "reserved: {inserted}, {deleted}");
    world.deliver(&order.completed(2)).await;
    let (inserted, deleted) = keys_of_last_write(&world).await;
    assert!(inserted <= 8 && deleted <= 8, "sold: {inserted}, {deleted}");
    assert_eq!(terms_of(&stored(&tickets, &ticket).await).len(), prefixes);
    assert_eq!(titles_now(&world.service.client(), "q=motorhead").await, [""; 0]);

    app.store.retire(world.clock().now()).await.unwrap();
    assert_eq!(terms_of(&stored(&tickets, &ticket).await), [""; 0]);
    world.deliver(&order.cancelled(3)).await;
    assert_eq!(titles_now(&world.service.client(), "q=motorhead").await.len(), 1);
}

#[tokio::test]
async fn past_listings_leave_the_index_and_come_back_with_a_later_date() {
    let world = World::start().await;
    let seller = world.user();
    let tickets = world.infra.database("tickets").await.collection::<Document>("tickets");
    let app = App::connect(&settings(&world.infra).state, world.clock().clone()).await.unwrap();
    let hour = Duration::from_secs(3600);
    let date = world.clock().now() + hour;
    let body = json!({ "title": "Tosca", "price": 1, "date": date });
    let ticket = world.list_ticket(&seller, body).await;
    world.clock().advance(hour * 24);
    app.store.retire(world.clock().now()).await.unwrap();
    assert!(!terms_of(&stored(&tickets, &ticket).await).is_empty());
    world.clock().advance(hour * 2);
    app.store.retire(world.clock().now()).await.unwrap();
    assert!(terms_of(&stored(&tickets, &ticket).await).is_empty());
    let client = world.client_as(&seller);
    assert_eq!(titles(&client, "q=tosca&mine=true").await, ["Tosca"]);
    let later = json!({ "title": "Tosca", "price": 1, "date": world.clock().now() + hour });
    client.put(&crate::world::path(&ticket), later).await.expect(200);
    assert_eq!(titles(&client, "q=tosca").await, ["Tosca"]);
}
