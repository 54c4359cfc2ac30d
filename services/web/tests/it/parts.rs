//! The parts of pages that visitors share. A stand-in for tickets counts what web asks it for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Path, Request, State};
use axum::routing::get;
use axum::{Json, Router};
use common::events::{Stream, Ticket, TicketCreated, TicketUpdated};
use common::ids::UserId;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::fixtures::{self, TicketChanges as _};
use testkit::{Client, Infra, Method, TestService, eventually};
use tokio::net::TcpListener;

use crate::world::in_front_of;

/// Of more at once, web refuses some.
const VISITORS: usize = 150;

/// What tickets would answer.
#[derive(Clone)]
struct Tickets {
    requests: Arc<AtomicUsize>,
    /// Of those, with a session.
    personal: Arc<AtomicUsize>,
    price: Arc<AtomicUsize>,
    seller: UserId,
}

impl Tickets {
    fn shown(&self, id: &str) -> Value {
        let price = format!("{}.00", self.price.load(Ordering::SeqCst));
        json!({
            "id": id, "title": "Lakmé", "timeZone": "UTC", "price": price, "currency": "usd", "quantity": 1, "available": 1,
            "userId": self.seller, "status": "available", "version": 1, "createdAt": "2026-01-31T12:00:00.000Z",
        })
    }

    fn count(&self, request: &Request) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if request.headers().contains_key("cookie") {
            self.personal.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted(&self) -> (usize, usize) {
        (self.requests.swap(0, Ordering::SeqCst), self.personal.swap(0, Ordering::SeqCst))
    }
}

struct World {
    infra: Infra,
    web: TestService,
    tickets: Tickets,
    ticket: Ticket,
}

impl World {
    async fn start() -> World {
        let infra = Infra::start().await;
        let ticket = fixtures::ticket(infra.clock.now());
        let tickets = Tickets {
            requests: Arc::default(),
            personal: Arc::default(),
            price: Arc::new(AtomicUsize::new(10)),
            seller: ticket.user_id,
        };
        let id = ticket.id;
        let routes = Router::new()
            .route(
                "/api/tickets",
                get(async move |State(tickets): State<Tickets>, request: Request| {
                    tickets.count(&request);
                    Json(json!({ "tickets": [tickets.shown(&id.to_string())], "next": null }))
                }),
            )
            .route(
                "/api/tickets/{id}",
                get(
                    async |State(tickets): State<Tickets>,
                           Path(id): Path<String>,
                           request: Request| {
                        tickets.count(&request);
                        Json(tickets.shown(&id))
                    },
                ),
            )
            .with_state(tickets.clone());
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        tokio::spawn(axum::serve(socket, routes).into_future());
        let web = in_front_of(&infra, &url).await;
        eventually("the hub to subscribe to the bus", || async {
            (infra.bus().consumers(Stream::Tickets).await > 0).then_some(())
        })
        .await;
        World { infra, web, tickets, ticket }
    }

    fn pages(&self) -> [String; 2] {
        ["/".to_owned(), format!("/tickets/{}", self.ticket.id)]
    }

    fn set_price(&self, price: usize) {
        self.tickets.price.store(price, Ordering::SeqCst);
    }

    /// The events of the listing, from this point on; none that came before it.
    async fn events_since(&self, token: &str) -> testkit::EventStream {
        let address = format!("/live?since={token}&topic=ticket:{}", self.ticket.id);
        self.web.client().request(Method::GET, &address).open().await.unwrap()
    }
}

async fn page(client: &Client, address: &str) -> String {
    let response = client.get(address).await;
    assert_eq!(response.status, 200, "{address}: {}", response.text);
    response.text
}

fn resume_token(page: &str) -> &str {
    let (_, rest) = page.split_once(r#"<meta name="live" content=""#).unwrap();
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn many_visitors_cost_tickets_a_few_requests_and_none_of_them_is_personal() {
    let world = World::start().await;
    for address in world.pages() {
        let visitors = (0..VISITORS).map(async |number| {
            let user = world.infra.user();
            let is_signed_in = number % 2 == 0;
            let client = if is_signed_in { world.web.client_as(&user) } else { world.web.client() };
            let page = page(&client, &address).await;
            assert!(page.contains("Lakmé"));
            assert_eq!(page.contains("nav-account"), is_signed_in);
        });
        join_all(visitors).await;
        let (requests, personal) = world.tickets.counted();
        // On a slow machine, some seconds may pass.
        assert!((1..VISITORS / 10).contains(&requests), "{address}: {requests}");
        assert_eq!(personal, 0, "{address}");
    }
}

#[tokio::test]
async fn who_has_just_done_something_or_reloads_sees_what_is_there_now() {
    let world = World::start().await;
    let anyone = world.web.client();
    for (number, address) in (11..).step_by(10).zip(world.pages()) {
        let shows = async |client: &Client, price: usize| {
            page(client, &address).await.contains(&format!("${price}.00"))
        };
        let notice = anyone.cookie("flash", "edited");
        for (price, client) in (number..).zip([anyone.header("cache-control", "max-age=0"), notice])
        {
            page(&anyone, &address).await;
            world.set_price(price);
            assert!(shows(&client, price).await, "{address}");
            // So do others from then on.
            assert!(shows(&anyone, price).await, "{address}");
        }
    }
}

#[tokio::test]
async fn an_event_of_a_listing_forgets_its_page_and_a_new_one_the_lists() {
    let world = World::start().await;
    let anyone = world.web.client();
    let [list, listing] = world.pages();
    let mut stream = world.events_since("").await;
    stream.event("changed").await;
    for (price, address) in [(20, &listing), (30, &list)] {
        page(&anyone, address).await;
        world.set_price(price);
        let ticket = world.ticket.clone().with_version(i64::try_from(price).unwrap());
        match price {
            20 => world.infra.bus().publish(&TicketUpdated(ticket)).await,
            _ => world.infra.bus().publish(&TicketCreated(ticket)).await,
        };
        stream.event("changed").await;
        assert!(page(&anyone, address).await.contains(&format!("${price}.00")), "{address}");
    }
}

/// A list isn't read again because one of its listings has changed; but who gets it from then on is notified.
#[tokio::test]
async fn what_has_changed_since_a_part_was_read_reaches_the_streams_of_its_pages() {
    let world = World::start().await;
    let anyone = world.web.client();
    let mut stream = world.events_since("").await;
    stream.event("changed").await;
    let mut version = 1;
    loop {
        let before = page(&anyone, "/").await;
        world.tickets.counted();
        version += 1;
        let changed = world.ticket.clone().with_version(version);
        world.infra.bus().publish(&TicketUpdated(changed)).await;
        while stream.event("changed").await["version"] != version {}
        let after = page(&anyone, "/").await;
        if world.tickets.counted().0 > 0 {
            // More than a second has passed.
            continue;
        }
        assert_eq!(resume_token(&after), resume_token(&before));
        let mut its_stream = world.events_since(resume_token(&after)).await;
        assert_eq!(its_stream.event("changed").await["version"], version);
        return;
    }
}
