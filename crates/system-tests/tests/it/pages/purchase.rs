//! Buying and selling with plain forms.

use system_tests::{Page, PlainBrowser};
use testkit::eventually;

use crate::shared;

/// Refreshes the page in browsers without scripts.
const REFRESHES: &str = r#"<noscript><meta http-equiv="refresh""#;

/// Reloads a page until it has this part.
async fn shows(browser: &PlainBrowser, address: &str, part: &str) -> Page {
    eventually(&format!("{address} to show {part}"), || async {
        Some(browser.opens(address).await).filter(|page| page.has(part))
    })
    .await
}

#[tokio::test]
async fn a_sale_goes_from_sign_up_to_paid_without_a_script() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    let seller_s_email = seller.signs_up("Ada").await;
    let ticket = seller.lists("Tosca, row 7", "20.50").await;

    // Anyone finds it; buying requires sign-in, which returns to the ticket.
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
    assert_eq!(back.path(), ticket, "sign-up returns to the ticket");

    // It is reserved for the buyer, and every page shows that.
    let order = buyer.sends(&back.form(&ticket)).await;
    assert!(order.path().starts_with("/orders/"), "{}", order.address);
    order.expect_part("order-unpaid");
    assert!(!order.has("reservation-bar"), "its own page needs no bar");
    let home = buyer.opens("/").await;
    let bar = home.part("reservation-bar");
    assert!(bar.contains("Tosca, row 7"), "{bar}");

    // Others see that it is reserved.
    other.signs_up("Carl").await;
    let page = shows(&other, &ticket, "ticket-reserved").await;
    assert!(page.texts(&format!("form[action='{ticket}']")).is_empty(), "it can't be bought");
    let page = shows(&seller, &ticket, "ticket-reserved").await;
    assert!(!page.has("edit"), "nor edited");

    // Paid: a receipt, and contact details.
    let order = order.path().to_owned();
    buyer.pays(&order, "tok_visa").await.expect(200);
    let page = shows(&buyer, &order, "order-paid").await;
    assert!(page.part("receipt").contains("$20.50"), "{}", page.main());
    assert!(page.main().contains(&seller_s_email), "{}", page.main());
    let receipt = buyer.opens(&page.attributes("[data-test='to-receipt']", "href")[0]).await;
    let number = receipt.part("receipt-number");
    assert!(receipt.main().contains(&seller_s_email) && receipt.has("paid-at"));
    assert!(receipt.part("receipt-total").contains("$20.50") && receipt.main().contains("USD"));
    let page = shows(&seller, &order, "order-paid").await;
    assert!(page.main().contains(&buyer_s_email), "{}", page.main());
    shows(&seller, "/sales", "listing-paid").await;
    shows(&buyer, "/orders", "order-paid").await;
    shows(&other, &ticket, "ticket-sold").await;

    // The seller sends the ticket, the buyer misses it, and has it in the end.
    let handover = format!("{order}/handover");
    let says = async |browser: &PlainBrowser, state: &str, message: &str| {
        let form = browser.opens(&order).await.form_with(&handover, "state", state);
        let form = if state == "problem" { form.with("message", message) } else { form };
        browser.sends(&form).await.expect(200);
    };
    says(&seller, "sent", "").await;
    buyer.opens(&order).await.expect_part("handover-sent");
    says(&buyer, "problem", "It never came.").await;
    let page = seller.opens(&order).await;
    assert!(page.part("reported-problem").contains("It never came."), "{}", page.main());
    says(&seller, "sent", "").await;
    says(&buyer, "received", "").await;
    seller.opens(&order).await.expect_part("handover-received");

    // The seller refunds the buyer, after confirmation.
    let form = seller.opens(&format!("{order}/refund")).await.form(&format!("{order}/refund"));
    assert_eq!(form.value("relist"), Some("false"), "nothing is put on sale unasked");
    seller.sends(&form.with("relist", "true")).await.expect(200);
    shows(&buyer, &order, "order-refunded").await.expect_part("money-refunded");
    let receipt = buyer.opens(&format!("{order}/receipt")).await;
    assert_eq!(receipt.expect_part("receipt-refunded").part("receipt-number"), number);
    shows(&seller, "/sales", "earlier-sale").await;
    let page = shows(&other, &ticket, "buy").await;
    assert!(page.part("buy").contains("$20.50"), "{}", page.main());
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
    page.expect_part("decline-insufficient_funds").expect_part("attempts-left-2");
    let page = buyer.pays(&order, "tok_chargeDeclined").await;
    page.expect_part("attempts-left-1");
    buyer.pays(&order, "tok_visa").await.expect(200);
    shows(&buyer, &order, "order-paid").await;
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
    shows(&buyer, &order, "order-payment-failed").await.expect_part("money-never-taken");
    shows(&seller, &ticket, "ticket-available").await;
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
    page.expect_part("order-cancelled");

    // tickets receives the cancellation a moment later.
    shows(&buyer, &ticket, "buy").await;
    let page = buyer.buys(&ticket).await;
    page.expect_part("order-unpaid");
    let order = page.path().to_owned();
    let page = shows(&buyer, &order, "order-expired").await;
    assert_eq!(page.attributes("main .actions a", "href").first(), Some(&ticket));
    // A form that was left open is submitted too late.
    let late = buyer.client.request(testkit::Method::POST, &format!("{order}/pay"));
    let late = late.header("content-type", "application/x-www-form-urlencoded");
    let answer = late.body("key=abcdefgh&token=tok_visa").send().await;
    assert_eq!(answer.header("location"), Some(&*order));
}

#[tokio::test]
async fn a_late_buyer_sees_why_and_the_holder_is_redirected_to_their_order() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    other.signs_up("Carl").await;
    let ticket = seller.lists("Fidelio", "50").await;
    let (mine, theirs) = (buyer.opens(&ticket).await, other.opens(&ticket).await);
    let order = buyer.sends(&mine.form(&ticket)).await.path().to_owned();
    let page = other.sends(&theirs.form(&ticket)).await;
    page.expect_part("notice-reserved");
    // Another tab of the buyer's, with its own key.
    let again = mine.form(&ticket).with("key", "another-form-s-key-0001");
    assert_eq!(buyer.sends(&again).await.path(), order);
    let page = shows(&buyer, &ticket, "ticket-reserved-for-me").await;
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
    let page = eventually("orders to receive the price", || async {
        Some(buyer.sends(&seen.form(&ticket)).await).filter(|page| page.path() == ticket)
    });
    let page = page.await;
    page.expect_part("notice-price-changed");
    assert!(page.part("buy").contains("$60.00"), "{}", page.main());
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
    page.expect_part("notice-deleted");
    seller.opens(&ticket).await.expect(404);
    // A second click has no effect.
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
    for left in ["attempts-left-2", "attempts-left-1"] {
        let page = buyer.pays(&order, "tok_chargeDeclined").await;
        page.expect_part(left);
    }
    // orders doesn't receive the event yet.
    let nats = stack.freeze("nats").await;
    let page = buyer.pays(&order, "tok_chargeDeclined").await;
    page.expect_part("order-no-attempts-left");
    assert!(page.texts("main form").is_empty(), "nothing can be submitted any more");
    assert!(page.answer.text.contains(REFRESHES));
    drop(nats);
    let page = shows(&buyer, &order, "order-payment-failed").await;
    page.expect_part("money-never-taken");
    assert!(!page.answer.text.contains(REFRESHES));
}
