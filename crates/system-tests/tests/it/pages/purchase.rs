//! Buying and selling by plain forms.

use nix::sys::signal::Signal;
use system_tests::{Page, PlainBrowser};
use testkit::eventually;

use crate::shared;

/// Told to browsers without a script.
const LOOKS_AGAIN: &str = r#"<noscript><meta http-equiv="refresh""#;

/// Opens a page again and again until it says this.
async fn says(browser: &PlainBrowser, address: &str, text: &str) -> Page {
    eventually(&format!("{address} to say {text:?}"), || async {
        Some(browser.opens(address).await).filter(|page| page.main().contains(text))
    })
    .await
}

#[tokio::test]
async fn a_sale_goes_from_sign_up_to_paid_without_a_script() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    let seller_s_email = seller.signs_up("Ada").await;
    let ticket = seller.lists("Tosca, row 7", "20.50").await;

    // Anyone finds it; to buy it one signs in, and comes back.
    let page = stack.browser().opens(&ticket).await;
    assert_eq!(page.text("h1"), "Tosca, row 7");
    let sign_in = page.attributes("main a.button", "href").remove(0);
    assert!(sign_in.starts_with("/auth/signin?next="), "{sign_in}");
    let page = buyer.opens(&sign_in).await;
    let sign_up = page.attributes("main a[href^='/auth/signup']", "href").remove(0);
    let form = buyer.opens(&sign_up).await.form("/auth/signup");
    let buyer_s_email = format!("bert-{}@example.com", uuid::Uuid::now_v7());
    let form = form.with("email", &buyer_s_email).with("password", "correct horse");
    let back = buyer.sends(&form).await;
    assert_eq!(back.path(), ticket, "one comes back to the ticket");

    // It is held for the buyer, and every page says so.
    let order = buyer.sends(&back.form(&ticket)).await;
    assert!(order.path().starts_with("/orders/"), "{}", order.address);
    assert!(order.main().contains("Held for you until"), "{}", order.main());
    assert!(order.texts("#hold-bar").concat().is_empty(), "on its own page it needs no bar");
    let home = buyer.opens("/").await;
    assert!(
        home.text("#hold-bar").contains("You hold Tosca, row 7 until"),
        "{}",
        home.text("#hold-bar")
    );

    // Others see until when.
    other.signs_up("Carl").await;
    let page = says(&other, &ticket, "held until").await;
    assert!(page.texts(&format!("form[action='{ticket}']")).is_empty(), "it can't be bought");
    let page = says(&seller, &ticket, "held until").await;
    assert!(!page.main().contains("Edit"), "nor changed");

    // Paid: a receipt, and a way to reach each other.
    let order = order.path().to_owned();
    buyer.pays(&order, "tok_visa").await.expect(200);
    let page = says(&buyer, &order, "It is yours").await;
    assert!(page.main().contains("Receipt") && page.main().contains("$20.50"), "{}", page.main());
    assert!(page.main().contains(&seller_s_email), "{}", page.main());
    let page = says(&seller, &order, "Sold for $20.50").await;
    assert!(page.main().contains(&buyer_s_email), "{}", page.main());
    says(&seller, "/sales", "sold, paid").await;
    says(&buyer, "/orders", "paid").await;
    says(&other, &ticket, "This one is gone").await;

    // The seller gives the money back, after a question.
    let form = seller.opens(&format!("{order}/refund")).await.form(&format!("{order}/refund"));
    seller.sends(&form).await.expect(200);
    let page = says(&buyer, &order, "The sale is undone").await;
    assert_eq!(page.text("h1"), "Refunded");
    assert!(page.main().contains("have been given back"), "{}", page.main());
    says(&seller, "/sales", "Sold before, and refunded").await;
    says(&other, &ticket, "Buy for $20.50").await;
}

#[tokio::test]
async fn a_declined_card_is_told_with_its_reason_and_another_one_may_be_tried() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Aida", "35").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    let page = buyer.pays(&order, "tok_chargeDeclinedInsufficientFunds").await;
    assert!(page.main().contains("There isn’t enough money on the card."), "{}", page.main());
    assert!(page.main().contains("You can try 2 more cards"), "{}", page.main());
    let page = buyer.pays(&order, "tok_chargeDeclined").await;
    assert!(page.main().contains("You can try one more card"), "{}", page.main());
    buyer.pays(&order, "tok_visa").await.expect(200);
    says(&buyer, &order, "It is yours").await;
}

#[tokio::test]
async fn too_many_declined_cards_end_the_order_and_say_so() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Carmen", "35").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    for _ in 0..3 {
        buyer.pays(&order, "tok_chargeDeclined").await.expect(200);
    }
    let page = says(&buyer, &order, "No card went through").await;
    assert!(page.main().contains("Nothing was charged."), "{}", page.main());
    says(&seller, &ticket, "On sale, by you").await;
}

#[tokio::test]
async fn a_hold_that_is_given_up_or_runs_out_says_so_and_leads_back() {
    let stack = shared::short_reservations().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Norma", "12").await;
    let page = buyer.buys(&ticket).await;
    let order = page.path().to_owned();
    let page = buyer.sends(&page.form(&format!("{order}/cancel"))).await;
    assert_eq!(page.text("h1"), "You gave it up");

    let page = eventually("the ticket to be free", || async {
        Some(buyer.buys(&ticket).await).filter(|page| page.path() != ticket)
    });
    let order = page.await.path().to_owned();
    let page = says(&buyer, &order, "The time ran out").await;
    assert_eq!(page.attributes("main .actions a", "href").first(), Some(&ticket));
    // A form that was left open is sent too late.
    let late = buyer.client.request(testkit::Method::POST, &format!("{order}/pay"));
    let late = late.header("content-type", "application/x-www-form-urlencoded");
    let answer = late.body("key=abcdefgh&token=tok_visa").send().await;
    assert_eq!(answer.header("location"), Some(&*order));
}

#[tokio::test]
async fn whoever_is_too_late_is_told_why_and_who_holds_it_is_led_to_their_order() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    other.signs_up("Carl").await;
    let ticket = seller.lists("Fidelio", "50").await;
    let (mine, theirs) = (buyer.opens(&ticket).await, other.opens(&ticket).await);
    let order = buyer.sends(&mine.form(&ticket)).await.path().to_owned();
    let page = other.sends(&theirs.form(&ticket)).await;
    assert!(page.text(".notice").contains("Someone was faster"), "{}", page.main());
    // Another tab of the buyer's, with a key of its own.
    let again = mine.form(&ticket).with("key", "another-form-s-key-0001");
    assert_eq!(buyer.sends(&again).await.path(), order);
    let page = says(&buyer, &ticket, "You hold it").await;
    assert_eq!(page.attributes("main .big-stub a.button", "href"), [order]);
}

#[tokio::test]
async fn a_price_that_has_changed_is_told_and_nothing_is_ordered() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Rigoletto", "50").await;
    let seen = buyer.opens(&ticket).await;
    let edit = format!("{ticket}/edit");
    let form = seller.opens(&edit).await.form(&edit).with("price", "60");
    assert!(seller.sends(&form).await.main().contains("$60.00"));
    let page = eventually("orders to know the price", || async {
        Some(buyer.sends(&seen.form(&ticket)).await).filter(|page| page.path() == ticket)
    });
    let page = page.await;
    assert!(page.text(".notice").contains("The price has changed"), "{}", page.main());
    assert!(page.main().contains("Buy for $60.00"), "{}", page.main());
}

#[tokio::test]
async fn a_ticket_is_taken_off_the_market_after_a_question_and_listed_again_like_it_was() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    let ticket = seller.lists("Salome, row 1", "77.70").await;
    let id = ticket.trim_start_matches("/tickets/");
    let like = seller.opens(&format!("/tickets/new?like={id}")).await.form("/tickets/new");
    assert_eq!(like.value("title"), Some("Salome, row 1"));
    assert_eq!(like.value("price"), Some("77.70"));
    let delete = format!("{ticket}/delete");
    let question = seller.opens(&delete).await.form(&delete);
    let page = seller.sends(&question).await;
    assert!(page.text(".notice").contains("off the market"), "{}", page.main());
    seller.opens(&ticket).await.expect(404);
    // A second click does no harm.
    assert_eq!(seller.sends(&question).await.path(), "/sales");
    let page = seller.sends(&like.with("title", "Salome, row 2")).await;
    assert_eq!(page.text("h1"), "Salome, row 2");
}

#[tokio::test]
async fn after_the_last_card_the_page_looks_again_by_itself_until_the_order_has_ended() {
    let stack = shared::exclusive_with_two_streams().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Rienzi", "20").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    for left in ["2 more", "one more"] {
        let page = buyer.pays(&order, "tok_chargeDeclined").await;
        assert!(page.main().contains(left), "{}", page.main());
    }
    // The order doesn't hear of it yet.
    stack.signal("nats", Signal::SIGSTOP);
    let page = buyer.pays(&order, "tok_chargeDeclined").await;
    assert_eq!(page.text("h1"), "That was the last try");
    assert!(page.texts("main form").is_empty(), "there is nothing left to do");
    assert!(page.answer.text.contains(LOOKS_AGAIN));
    stack.signal("nats", Signal::SIGCONT);
    let page = says(&buyer, &order, "No card went through").await;
    assert!(page.main().contains("Nothing was charged"), "{}", page.main());
    assert!(!page.answer.text.contains(LOOKS_AGAIN));
}
