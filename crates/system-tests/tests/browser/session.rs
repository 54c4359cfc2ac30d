//! Who is signed in, and stays so.

use crate::people::{GOOD_CARD, PASSWORD, member, title};
use crate::shared::{Scripts, usual};

#[tokio::test]
async fn whoever_signs_out_and_in_again_comes_back_to_where_they_were_going() {
    for scripts in [Scripts::On, Scripts::Off] {
        let stack = usual().await;
        let person = member(stack, "person", scripts).await;
        person.browser.visit("/account").await;
        person.browser.sees(&person.email).await;
        person.browser.follow("Sign out").await;
        person.browser.press("Sign out").await;
        person.browser.sees("You are signed out").await;

        person.browser.visit("/orders?status=complete").await;
        person.browser.arrives_at("/auth/signin?next=").await;
        person.browser.fill("E-mail address", &person.email).await;
        person.browser.fill("Password", "not the password").await;
        person.browser.press("Sign in").await;
        person.browser.sees("Something is not right yet").await;
        assert_eq!(person.browser.value("E-mail address").await, person.email);
        person.browser.fill("Password", PASSWORD).await;
        person.browser.press("Sign in").await;
        person.browser.arrives_at("/orders?status=complete").await;
    }
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_of_a_purchase_goes_on_by_itself() {
    let stack = usual().await;
    let (seller, buyer) =
        tokio::join!(member(stack, "seller", Scripts::On), member(stack, "buyer", Scripts::On));
    let ticket = seller.lists(&title("Idomeneo"), "20").await;
    buyer.browser.visit(&ticket).await;
    // As after fifteen minutes: the browser doesn't send it any more.
    buyer.browser.loses_cookie("session").await;
    buyer.browser.press("Buy").await;
    buyer.browser.sees("Held for you until").await;
    buyer.browser.loses_cookie("session").await;
    buyer.pays_with(GOOD_CARD).await;
    buyer.browser.sees("It is yours").await;
}
