//! Listings of many, with plain forms.

use system_tests::{Page, PlainBrowser};
use testkit::eventually;

use crate::shared;

/// Reloads a page until it has this part with this text.
async fn reads(browser: &PlainBrowser, address: &str, part: &str, text: &str) -> Page {
    eventually(&format!("{part} of {address} to be {text}"), || async {
        let page = browser.opens(address).await;
        (page.has(part) && page.part(part) == text).then_some(page)
    })
    .await
}

/// Reloads a page until it has this part.
async fn shows(browser: &PlainBrowser, address: &str, part: &str) -> Page {
    eventually(&format!("{address} to show {part}"), || async {
        Some(browser.opens(address).await).filter(|page| page.has(part))
    })
    .await
}

/// Pays for an order, and waits until its page says so.
async fn pays(browser: &PlainBrowser, order: &str) -> Page {
    browser.pays(order, "tok_visa").await.expect(200);
    shows(browser, order, "order-paid").await
}

#[tokio::test]
async fn three_of_ten_are_sold_and_refunded_without_a_script() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists_many("Ten of Tosca", "20", 10, 4).await;

    let page = reads(&buyer, &ticket, "left", "10 left").await;
    assert_eq!(
        page.texts("#quantity option"),
        ["1 × $20.00", "2 × $20.00 = $40.00", "3 × $20.00 = $60.00", "4 × $20.00 = $80.00"]
    );
    let page = buyer.buys_many(&ticket, 3).await;
    page.expect_part("order-unpaid");
    assert_eq!(page.part("product"), "3 × $20.00 = $60.00");
    assert!(page.part("pay").contains("$60.00"), "{}", page.main());
    let order = page.path().to_owned();
    let home = buyer.opens("/").await;
    assert!(home.part("reservation-bar").contains("3 × Ten of Tosca"), "{}", home.main());

    // Everybody sees what is left; the seller sees more.
    reads(&other, &ticket, "left", "7 left").await;
    let page = reads(&other, "/?q=Ten+of+Tosca", "left", "7 left").await;
    assert!(page.main().contains("$20.00 each"), "{}", page.main());
    let page = reads(&seller, &ticket, "reserved", "3").await;
    assert_eq!((page.part("left"), page.part("sold")), ("7".to_owned(), "0".to_owned()));
    page.expect_part("edit");
    assert!(!page.has("remove-listing"), "{}", page.main());

    let page = pays(&buyer, &order).await;
    assert!(page.part("receipt").contains("3 × $20.00 = $60.00"), "{}", page.main());
    assert_eq!(buyer.opens("/orders").await.part("quantity"), "3 tickets");
    reads(&seller, &ticket, "sold", "3").await;
    reads(&seller, "/sales", "counts", "7 left · 0 reserved · 3 sold").await;

    // The seller finds the order among those of the listing, and refunds it. Nothing goes back on sale.
    let page = seller.opens(&format!("{ticket}/orders")).await;
    assert_eq!(page.attributes(".rows h2 a", "href"), [&*order]);
    assert!(page.main().contains("$60.00"), "{}", page.main());
    let refund = format!("{order}/refund");
    let form = seller.opens(&refund).await.form(&refund);
    seller.sends(&form).await.expect(200);
    shows(&buyer, &order, "order-refunded").await.expect_part("money-refunded");
    let page = reads(&seller, &ticket, "withdrawn", "3").await;
    assert_eq!((page.part("left"), page.part("sold")), ("7".to_owned(), "0".to_owned()));
    reads(&other, &ticket, "left", "7 left").await;
}

#[tokio::test]
async fn what_is_left_is_said_beside_the_quantity_and_chosen() {
    let stack = shared::default().await;
    let (seller, buyer, other) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    other.signs_up("Carl").await;
    let ticket = seller.lists_many("Six of Lulu", "20", 6, 5).await;
    let seen = other.opens(&ticket).await.form(&ticket);
    buyer.buys_many(&ticket, 4).await.expect_part("order-unpaid");
    let page = other.sends(&seen.with("quantity", "5")).await;
    page.expect(422).expect_part("form-errors");
    assert!(page.text("#quantity-error").contains('2'), "{}", page.main());
    assert_eq!(page.texts("#quantity option").len(), 2);
    let form = page.form(&ticket);
    assert_eq!(form.value("quantity"), Some("2"));
    other.sends(&form).await.expect_part("order-unpaid");

    // Nothing is left, for now; and a number beyond the limit was never offered.
    let (late, late_form) = (stack.browser(), seen);
    late.signs_up("Dora").await;
    let page = late.sends(&late_form.with("quantity", "1")).await;
    page.expect_part("notice-all-reserved");
    shows(&late, &ticket, "ticket-reserved").await;
    let page = late.sends(&late_form.with("quantity", "6")).await;
    page.expect(422).expect_part("form-errors");
}

#[tokio::test]
async fn a_buyer_with_too_many_reservations_is_led_to_them() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists_many("Twenty of Aida", "20", 20, 4).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        let page = buyer.buys_many(&ticket, 1).await;
        page.expect_part("order-unpaid");
        orders.push(page.path().to_owned());
    }
    let page = buyer.buys_many(&ticket, 2).await;
    page.expect(422).expect_part("form-errors");
    assert_eq!(page.attributes("[data-test='error-link']", "href"), ["/orders"]);
    assert_eq!(page.form(&ticket).value("quantity"), Some("2"), "the choice is kept");
    let first = buyer.opens(&orders[0]).await.form(&format!("{}/cancel", orders[0]));
    buyer.sends(&first).await.expect_part("order-cancelled");
    buyer.buys_many(&ticket, 2).await.expect_part("order-unpaid");
}

#[tokio::test]
async fn a_sale_is_closed_and_reopened() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists_many("Ten of Carmen", "20", 10, 4).await;
    let order = buyer.buys_many(&ticket, 1).await.path().to_owned();
    let seen = buyer.opens(&ticket).await.form(&ticket);
    let sale = format!("{ticket}/sale");
    let page = reads(&seller, &ticket, "reserved", "1").await;
    let page = seller.sends(&page.form(&sale)).await;
    page.expect_part("notice-sale-closed").expect_part("ticket-closed");
    assert!(!page.has("close-sale"), "{}", page.main());
    // Who has an open page is refused, once orders knows; who has reserved can pay.
    let page = eventually("the sale to be closed", || async {
        let page = buyer.sends(&seen).await;
        if page.path().starts_with("/orders/") {
            buyer.sends(&page.form(&format!("{}/cancel", page.path()))).await;
        }
        Some(page).filter(|page| page.has("notice-closed"))
    })
    .await;
    page.expect_part("ticket-closed");
    shows(&buyer, "/?q=Ten+of+Carmen", "no-matches").await;
    pays(&buyer, &order).await;

    let page = seller.opens(&ticket).await;
    let page = seller.sends(&page.form(&sale)).await;
    page.expect_part("notice-sale-reopened").expect_part("ticket-available");
    shows(&buyer, &ticket, "buy").await;
}

#[tokio::test]
async fn tickets_that_are_sold_together_are_bought_as_a_whole() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Two of Norma").with("price", "20").with("quantity", "2");
    let page = seller.sends(&form.ticked("sold_together", "true")).await;
    let ticket = page.expect(200).path().to_owned();
    let page = shows(&buyer, &ticket, "buy").await;
    assert_eq!(page.part("total"), "2 × $20.00 = $40.00");
    assert!(page.texts("#quantity").is_empty(), "there is nothing to choose");
    let page = buyer.sends(&page.form(&ticket)).await;
    page.expect_part("order-unpaid");
    assert_eq!(page.part("product"), "2 × $20.00 = $40.00");
    pays(&buyer, page.path()).await;
    shows(&seller, &ticket, "ticket-sold").await;
}

#[tokio::test]
async fn what_buyers_rely_on_stays_and_a_listing_only_grows() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Ten of Salome").with("price", "20");
    for (quantity, most, wrong) in
        [("ten", "4", "quantity"), ("1001", "4", "quantity"), ("10", "0", "max_per_order")]
    {
        let page = seller.sends(&form.with("quantity", quantity).with("max_per_order", most)).await;
        page.expect(422);
        assert_eq!(page.texts(&format!("#{wrong}-error")).len(), 1, "{}", page.main());
        assert_eq!(page.form("/tickets/new").value("quantity"), Some(quantity));
    }
    let ticket = seller.lists_many("Ten of Salome", "20", 10, 4).await;
    let edit = format!("{ticket}/edit");
    buyer.buys_many(&ticket, 2).await.expect_part("order-unpaid");
    reads(&seller, &ticket, "reserved", "2").await;

    let page = seller.opens(&edit).await;
    page.expect_part("details-fixed");
    let form = page.form(&edit);
    let page = seller.sends(&form.with("title", "Eleven of Salome")).await;
    page.expect(422);
    assert_eq!(page.texts("#title-error").len(), 1, "{}", page.main());
    let page = seller.sends(&form.with("quantity", "9")).await;
    page.expect(422);
    assert_eq!(page.texts("#quantity-error").len(), 1, "{}", page.main());
    let page = seller.sends(&form.with("quantity", "12").with("price", "25")).await;
    page.expect_part("notice-edited");
    assert_eq!(page.part("left"), "10");
    let page = shows(&buyer, &ticket, "buy").await;
    assert!(page.main().contains("$25.00 each"), "{}", page.main());
}

#[tokio::test]
async fn a_single_ticket_that_is_refunded_stays_off_sale_unless_the_seller_wants_it_back() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("One of Fidelio", "20").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    pays(&buyer, &order).await;
    let refund = format!("{order}/refund");
    let form = seller.opens(&refund).await.form(&refund);
    seller.sends(&form).await.expect(200);
    shows(&buyer, &order, "order-refunded").await;
    let page = shows(&seller, &ticket, "ticket-closed").await;
    assert!(!page.has("reopen-sale"), "{}", page.main());
    shows(&seller, "/sales", "listing-closed").await;
    shows(&stack.browser(), "/?q=One+of+Fidelio", "no-matches").await;
}
