//! Searches and their shareable addresses.

use serde_json::json;
use uuid::Uuid;

use crate::shared;

#[tokio::test]
async fn a_search_is_an_address_and_its_form_shows_what_was_asked() {
    let stack = shared::default().await;
    let seller = stack.person("ada").await;
    let mark = format!("w{}", Uuid::now_v7().simple());
    for (title, price, date) in [
        ("Gala", "10.00", Some("2099-05-01T20:00:00Z")),
        ("Gala", "30.00", Some("2099-05-02T20:00:00Z")),
        ("Matinee", "20.00", None),
    ] {
        let body =
            json!({ "title": format!("{title} {mark} {price}"), "price": price, "date": date });
        seller.client.post("/api/tickets", body).await.expect(201);
    }
    let visitor = stack.browser();
    let found = async |query: &str| {
        let page = visitor.opens(&format!("/?q={mark}&{query}")).await;
        page.expect(200).texts(".card .price")
    };
    assert_eq!(found("sort=price").await, ["$10.00", "$20.00", "$30.00"]);
    assert_eq!(found("sort=-price&max_price=%2420,00").await, ["$20.00", "$10.00"]);
    assert_eq!(found("from=2099-05-02&to=2099-05-02").await, ["$30.00"]);
    assert_eq!(found("min_price=31").await, Vec::<String>::new());

    let page =
        visitor.opens(&format!("/?q={mark}&sort=price&min_price=15&max_price=&from=&to=")).await;
    let form = page.form("/");
    assert_eq!(form.value("q"), Some(&*mark));
    assert_eq!((form.value("min_price"), form.value("sort")), (Some("15"), Some("price")));
    assert_eq!(page.attributes("details", "open").len(), 1);
    assert_eq!(page.attributes("meta[name='robots']", "content"), ["noindex, follow"]);

    let page = visitor.opens(&format!("/?q={mark}&min_price=lots&from=tomorrow")).await;
    page.expect(400);
    assert!(page.texts("#from-error").concat().contains("2026-01-31"), "{}", page.main());
    let page = visitor.opens(&format!("/?q={mark}&min_price=lots")).await;
    page.expect(400);
    assert_eq!(page.texts("#min_price-error").len(), 1, "{}", page.main());
    let page = visitor.opens(&format!("/?q=no{mark}")).await;
    page.expect_part("no-matches");
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_a_page_that_is_gone_leads_to_the_first() {
    let stack = shared::default().await;
    let seller = stack.person("ada").await;
    let mark = format!("w{}", Uuid::now_v7().simple());
    for number in 1..=26 {
        seller.offers(&format!("{mark} no {number:02}"), "10").await;
    }
    let visitor = stack.browser();
    let search = format!("/?q={mark}");
    let first = visitor.opens(&search).await;
    assert_eq!(first.texts(".card").len(), 24);
    let next = first.attributes(".pager a[rel='next']", "href").remove(0);
    let second = visitor.opens(&next).await;
    assert_eq!(second.texts(".card").len(), 2);
    assert!(second.attributes(".pager a[rel='next']", "href").is_empty());
    assert_eq!(second.attributes(".pager a", "href"), [&*search]);
    let gone = visitor.opens(&format!("{search}&cursor=rubbish")).await;
    assert_eq!(gone.address, search);
}

#[tokio::test]
async fn a_filter_by_day_means_the_day_that_the_cards_show() {
    let stack = shared::default().await;
    let seller = stack.person("ada").await;
    let mark = format!("w{}", Uuid::now_v7().simple());
    for (title, date, zone) in [
        ("Evening", "2099-01-30T20:00:00-05:00", "America/New_York"),
        ("Midnight", "2099-01-31T00:00:00+14:00", "Pacific/Kiritimati"),
    ] {
        let title = format!("{title} {mark}");
        let body = json!({ "title": title, "price": "1", "date": date, "timeZone": zone });
        seller.client.post("/api/tickets", body).await.expect(201);
    }
    for (day, title) in [("2099-01-30", "Evening"), ("2099-01-31", "Midnight")] {
        let page = stack.browser().opens(&format!("/?q={mark}&from={day}&to={day}")).await;
        assert_eq!(page.expect(200).texts(".card h2"), [format!("{title} {mark}")]);
    }
}
