//! Users' content is shown as text everywhere.

use serde_json::json;
use testkit::eventually;
use uuid::Uuid;

use crate::shared;

const SCRIPT: &str = "<script>alert(1)</script>";

#[tokio::test]
async fn a_script_as_title_venue_description_or_name_is_text_everywhere() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    for person in [&seller, &buyer] {
        let email = format!("mallory-{}@example.com", Uuid::now_v7());
        let body = json!({ "email": email, "password": "correct horse", "name": SCRIPT });
        person.client.post("/api/users/signup", body).await.expect(201);
    }
    let mark = format!("m{}", Uuid::now_v7().simple());
    let body = json!({
        "title": format!("{SCRIPT}\"'>{mark}"), "price": "10", "venue": SCRIPT,
        "description": format!("{SCRIPT}</textarea>"), "date": "2099-01-31T19:30:00Z",
    });
    let ticket = seller.client.post("/api/tickets", body).await.expect(201);
    let ticket = format!("/tickets/{}", ticket["id"].as_str().unwrap());

    let order = buyer.buys(&ticket).await.path().to_owned();
    let edit = format!("{ticket}/edit");
    let like = format!("/tickets/new?like={}", ticket.trim_start_matches("/tickets/"));
    let search = format!("/?q={mark}");
    let reserved = eventually("the ticket to be reserved", || async {
        Some(seller.opens(&ticket).await).filter(|page| page.has("ticket-reserved"))
    });
    let mut pages = vec![reserved.await, buyer.opens("/").await];
    for address in [&*ticket, &order, "/orders", &search] {
        pages.push(buyer.opens(address).await);
    }
    for address in [&*ticket, &order, "/sales", &like, &search, "/account"] {
        pages.push(seller.opens(address).await);
    }
    buyer.pays(&order, "tok_visa").await.expect(200);
    let paid = eventually("the order to be paid", || async {
        Some(buyer.opens(&order).await).filter(|page| page.has("receipt"))
    });
    pages.push(paid.await);
    pages.push(seller.opens(&order).await);
    pages.push(seller.opens(&format!("{order}/refund")).await);
    let spare = seller.lists(SCRIPT, "5").await;
    pages.push(seller.opens(&format!("{spare}/delete")).await);
    pages.push(seller.opens(&format!("{spare}/edit")).await);
    pages.push(seller.opens(&edit).await);

    for page in &pages {
        page.expect(200);
        assert!(!page.answer.text.contains(SCRIPT), "{}", page.address);
        for script in page.texts("script") {
            assert!(!script.contains("alert(1)") || script.starts_with("{\""), "{}", page.address);
        }
    }
    let shown = pages.iter().filter(|page| page.answer.text.contains("alert(1)")).count();
    assert!(shown >= pages.len() - 1, "it is shown, as text: {shown} of {}", pages.len());
}

#[tokio::test]
async fn what_is_searched_for_is_shown_as_text() {
    let stack = shared::default().await;
    let page =
        stack.browser().opens("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%22%3E").await;
    assert!(!page.answer.text.contains(SCRIPT), "{}", page.answer.text);
    // No address makes a page show a notice.
    for address in ["/?notice=%3Cscript%3E", "/?notice=already-paid", "/?notice=signed-out"] {
        let page = stack.browser().opens(address).await;
        assert!(page.texts(".notice").is_empty(), "{address}");
    }
}

/// Hebrew, so that its direction shows, and without a blank.
const MARK: &str = "שלום";

#[tokio::test]
async fn users_content_is_isolated_from_the_text_around_it() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up(MARK).await;
    buyer.signs_up("Bert").await;
    let body = json!({
        "title": format!("{MARK} 1"), "price": "10", "venue": MARK, "description": MARK,
    });
    let ticket = seller.client.post("/api/tickets", body).await.expect(201);
    let id = ticket["id"].as_str().unwrap();
    let ticket = format!("/tickets/{id}");
    let mut pages = Vec::new();
    for page in ["edit", "delete"] {
        pages.push(seller.opens(&format!("{ticket}/{page}")).await);
    }
    let order = buyer.buys(&ticket).await;
    let address = order.path().to_owned();
    pages.push(order);
    for page in [&*ticket, "/orders", "/"] {
        pages.push(buyer.opens(page).await);
    }
    buyer.pays(&address, "tok_visa").await.expect(200);
    for browser in [&buyer, &seller] {
        let paid = eventually("the contact to be shown", || async {
            Some(browser.opens(&address).await).filter(|page| page.has("contact"))
        });
        pages.push(paid.await);
    }
    for page in [&*ticket, "/sales", "/account", &format!("{address}/refund")] {
        pages.push(seller.opens(page).await);
    }
    let mut found = 0;
    for page in &pages {
        let html = scraper::Html::parse_document(&page.expect(200).answer.text);
        for node in html.tree.nodes() {
            if !node.value().as_text().is_some_and(|text| text.contains(MARK)) {
                continue;
            }
            let elements = || node.ancestors().filter_map(|parent| parent.value().as_element());
            // The title of a document has no markup, and the structured data is for programs.
            if elements().any(|element| matches!(element.name(), "title" | "script")) {
                continue;
            }
            found += 1;
            let isolates = |element: &scraper::node::Element| {
                element.name() == "bdi" || element.attr("dir") == Some("auto")
            };
            assert!(elements().any(isolates), "{}: {:?}", page.address, node.value());
        }
    }
    assert!(found > 20, "{found} places");
}

#[tokio::test]
async fn a_link_to_a_mail_has_one_recipient() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    let email = format!("q?bcc=x&subject=hi-{}@example.com", Uuid::now_v7().simple());
    let body = json!({ "email": email, "password": "correct horse" });
    seller.client.post("/api/users/signup", body).await.expect(201);
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Mail", "10").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    buyer.pays(&order, "tok_visa").await.expect(200);
    let paid = eventually("the contact to be shown", || async {
        Some(buyer.opens(&order).await).filter(|page| page.has("contact"))
    });
    let link = paid.await.attributes("[data-test='contact'] a", "href").remove(0);
    assert!(link.starts_with("mailto:q%3Fbcc%3Dx%26subject%3Dhi-"), "{link}");
    assert!(!link.contains('?'), "{link}");
}
