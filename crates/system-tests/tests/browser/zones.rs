//! Whose time zone a page speaks of: the visitor's by the script, and one that is named without it.

use std::time::Duration;

use common::Time;
use serde_json::Value;

use crate::people::{member, title};
use crate::shared::{Scripts, default_stack};

/// Five and three quarter hours ahead of UTC. Browsers report it by an older name.
const ZONE: &str = "Asia/Kathmandu";
const AHEAD: Duration = Duration::from_secs((5 * 60 + 45) * 60);

#[tokio::test]
async fn times_are_in_the_visitors_own_zone_with_scripts_and_named_without() {
    let stack = default_stack().await;
    let seller = member(stack, "seller", Scripts::On).await;
    seller.browser.is_in_time_zone(ZONE).await;
    seller.browser.visit("/tickets/new").await;
    let title = title("Lakmé");
    seller.browser.fill("title", &title).await;
    seller.browser.fill("price", "20").await;
    seller.browser.pick("date", "2041-06-15T19:30").await;
    seller.browser.press("list-ticket").await;
    seller.browser.shows("notice-listed").await;
    let ticket = seller.path_of_page().await;
    let listed = stack.visitor().get(&format!("/api{ticket}")).await.expect(200);
    assert_eq!(
        (&*text(&listed["timeZone"]), &*text(&listed["date"])),
        (ZONE, "2041-06-15T13:45:00.000Z")
    );

    for scripts in [Scripts::Off, Scripts::On] {
        let buyer = member(stack, "buyer", scripts).await;
        buyer.browser.is_in_time_zone(ZONE).await;
        buyer.browser.visit(&ticket).await;
        buyer.browser.sees("reserve it for you for 15 minutes").await;
        let order = buyer.reserves(&ticket).await;
        buyer.browser.visit(&ticket).await;
        buyer.browser.sees("Reserved for you until").await;
        let reserved = stack.visitor().get(&format!("/api{ticket}")).await.expect(200);
        let end = Time::parse(&text(&reserved["reservedUntil"])).unwrap();
        let shown = match scripts {
            Scripts::On => hour_and_minute(end + AHEAD),
            Scripts::Off => format!("{} UTC", hour_and_minute(end)),
        };
        buyer.browser.sees(&format!("until {shown}")).await;
        buyer.browser.visit(&order).await;
        buyer.browser.press("cancel-reservation").await;
        buyer.browser.finds_text_at(&ticket, "Available").await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn hour_and_minute(time: Time) -> String {
    time.to_string()["2026-01-31T".len()..][..5].to_owned()
}
