//! A ticket's way from one person to another. Each of these works without JavaScript too, and is tested so.

use crate::people::{DECLINED_CARD, GOOD_CARD, POOR_CARD, member, title, visitor};
use crate::shared::{Scripts, hasty, usual};

#[tokio::test]
async fn a_ticket_is_sold_from_sign_up_to_paid() {
    a_sale(Scripts::On).await;
}

#[tokio::test]
async fn a_ticket_is_sold_from_sign_up_to_paid_without_javascript() {
    a_sale(Scripts::Off).await;
}

async fn a_sale(scripts: Scripts) {
    let stack = usual().await;
    let seller = visitor(stack, "seller", scripts).await;
    seller.browser.visit("/").await;
    seller.browser.follow("Sell").await;
    // Whoever has to sign in first comes back to where they were.
    seller.browser.sees("Sign in").await;
    seller.browser.follow("Sign up").await;
    seller.signs_up().await;
    seller.browser.arrives_at("/tickets/new").await;
    let title = title("Rusalka, row 7");
    let ticket = seller.lists(&title, "20.50").await;

    let buyer = visitor(stack, "buyer", scripts).await;
    buyer.browser.visit("/").await;
    buyer.browser.fill("Search", &title).await;
    buyer.browser.press("Search").await;
    buyer.browser.follow(&title).await;
    buyer.browser.sees("Sat 15 Jun 2041, 19:30").await;
    buyer.browser.follow("Sign in to buy").await;
    buyer.browser.follow("Sign up").await;
    buyer.signs_up().await;
    buyer.browser.arrives_at(&ticket).await;
    buyer.browser.press("Buy").await;

    buyer.browser.arrives_at("/orders/").await;
    buyer.browser.sees("Held for you until").await;
    let order = buyer.path_of_page().await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.sees("It is yours").await;
    for told in ["You have paid $20.50", "Receipt", &title, &seller.email, "State Opera"] {
        buyer.browser.sees(told).await;
    }
    buyer.browser.visit("/orders").await;
    buyer.browser.sees("paid").await;
    buyer.browser.visit(&ticket).await;
    buyer.browser.sees("It is yours").await;

    seller.browser.visit("/sales").await;
    seller.browser.sees("sold, paid").await;
    seller.browser.follow("See the sale").await;
    seller.browser.arrives_at(&order).await;
    seller.browser.sees(&format!("Send {} the ticket", buyer.name)).await;
    seller.browser.sees(&buyer.email).await;

    // The seller gives the money back, and the ticket is on sale again.
    seller.browser.follow("Give the money back").await;
    seller.browser.press("Give it back").await;
    buyer.browser.finds_at(&order, "have been given back").await;
    buyer.browser.finds_at(&ticket, "On sale").await;
}

#[tokio::test]
async fn a_declined_card_is_followed_by_a_good_one() {
    two_cards(Scripts::On).await;
}

#[tokio::test]
async fn a_declined_card_is_followed_by_a_good_one_without_javascript() {
    two_cards(Scripts::Off).await;
}

async fn two_cards(scripts: Scripts) {
    let stack = usual().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", scripts));
    let ticket = seller.lists(&title("Jenůfa"), "1,250").await;
    buyer.holds(&ticket).await;
    buyer.pays_with(DECLINED_CARD).await;
    buyer.browser.sees("The card was declined").await;
    buyer.browser.sees("You can try 2 more cards").await;
    buyer.pays_with(POOR_CARD).await;
    buyer.browser.sees("You can try one more card").await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.sees("You have paid $1,250.00").await;
}

#[tokio::test]
async fn three_declined_cards_end_the_order() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = usual().await;
        let (seller, buyer) =
            tokio::join!(member(stack, "seller", scripts), member(stack, "buyer", scripts));
        let ticket = seller.lists(&title("Dalibor"), "20").await;
        buyer.holds(&ticket).await;
        for said in
            ["You can try 2 more cards", "You can try one more card", "No card went through"]
        {
            buyer.pays_with(DECLINED_CARD).await;
            buyer.browser.sees(said).await;
        }
        buyer.browser.sees("Nothing was charged").await;
        buyer.browser.follow("Back to the ticket").await;
        buyer.browser.finds_at(&ticket, "On sale").await;
    }
}

#[tokio::test]
async fn what_is_given_up_is_there_for_the_next_one() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = usual().await;
        let (seller, buyer, other) = tokio::join!(
            member(stack, "seller", scripts),
            member(stack, "buyer", scripts),
            member(stack, "other", scripts)
        );
        let ticket = seller.lists(&title("Libuše"), "20").await;
        other.browser.visit(&ticket).await;
        buyer.holds(&ticket).await;
        if scripts == Scripts::Off {
            // Their page still shows it as free.
            other.browser.press("Buy").await;
        } else {
            other.browser.visit(&ticket).await;
        }
        other.browser.sees("held until").await;
        // Whoever holds it is led to their order.
        buyer.browser.visit(&ticket).await;
        buyer.browser.follow("Go on to pay").await;
        buyer.browser.press("Give the ticket up").await;
        buyer.browser.sees("You gave it up").await;
        other.browser.finds_at(&ticket, "On sale").await;
        other.browser.press("Buy").await;
        other.browser.sees("Held for you until").await;
    }
}

#[tokio::test]
async fn a_hold_that_ran_out_is_seen_without_javascript() {
    let stack = hasty().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::Off), member(stack, "buyer", Scripts::Off));
    let ticket = seller.lists(&title("Armida"), "20").await;
    let order = buyer.holds(&ticket).await;
    buyer.browser.sees("Held for you until").await;
    buyer.browser.finds_at(&order, "The time ran out").await;
    buyer.browser.follow("Back to the ticket").await;
    buyer.browser.press("Buy").await;
    buyer.browser.sees("Held for you until").await;
}
