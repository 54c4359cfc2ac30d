//! The security headers and the cache policy of every page.

use std::time::Instant;

use system_tests::Page;
use testkit::{Method, eventually};

use super::problems;
use crate::shared;

/// The pages of a user with a listing and an order, and error pages.
async fn pages() -> Vec<Page> {
    let stack = shared::default().await;
    let (seller, buyer, anonymous) = (stack.browser(), stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Otello", "10").await;
    let spare = seller.lists("Falstaff", "10").await;
    let order = buyer.buys(&ticket).await.path().to_owned();
    let mut pages = Vec::new();
    for address in [
        "/",
        "/?q=otello",
        &ticket,
        "/docs",
        "/auth/signin",
        "/auth/signup",
        "/nowhere",
        "/tickets/1",
    ] {
        pages.push(anonymous.opens(address).await);
    }
    for address in ["/", &ticket, "/orders", &order, "/account", "/auth/signout", "/tickets/new"] {
        pages.push(buyer.opens(address).await);
    }
    let (edit, delete) = (format!("{spare}/edit"), format!("{spare}/delete"));
    for address in [&*spare, &edit, &delete, "/sales", &order] {
        pages.push(seller.opens(address).await);
    }
    buyer.pays(&order, "tok_visa").await.expect(200);
    let receipt = format!("{order}/receipt");
    let receipt = eventually("the receipt", || async {
        Some(buyer.opens(&receipt).await).filter(|page| page.has("receipt-number"))
    });
    pages.push(receipt.await);
    pages.push(problems::administrator(stack).await.opens("/problems").await);
    pages
}

#[tokio::test]
async fn no_page_has_inline_scripts_or_styles_or_may_load_foreign_ones() {
    for page in pages().await {
        let address = &page.address;
        let policy = page.answer.header("content-security-policy").unwrap_or_default().to_owned();
        assert!(policy.contains("default-src 'none'"), "{address}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{address}: {policy}");
        assert!(!policy.contains("unsafe"), "{address}: {policy}");
        assert!(!policy.contains("stripe"), "{address}: Stripe's key isn't set");
        assert_eq!(page.answer.header("x-content-type-options"), Some("nosniff"), "{address}");
        assert_eq!(page.answer.header("referrer-policy"), Some("same-origin"), "{address}");
        for script in page.attributes("script:not([type='application/ld+json'])", "src") {
            assert!(script.starts_with("/assets/"), "{address}: {script}");
        }
        let inline = page.texts("script:not([type='application/ld+json'])").concat();
        assert!(inline.trim().is_empty(), "{address}: {inline}");
        assert!(page.texts("style, [style]").is_empty(), "{address}");
        assert!(!page.answer.text.contains(" onclick="), "{address}");
    }
}

#[tokio::test]
async fn every_page_has_one_headline_a_title_and_a_skip_link() {
    for page in pages().await {
        assert_eq!(page.texts("h1").len(), 1, "{}", page.address);
        assert!(!page.text("title").trim_start_matches(" · ").is_empty(), "{}", page.address);
        assert_eq!(page.attributes("a.skip", "href"), ["#main"], "{}", page.address);
        let ids = page.attributes("[id]", "id");
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "{}: a duplicate id: {ids:?}", page.address);
        for label in page.attributes("label", "for") {
            assert!(ids.contains(&label), "{}: a label of {label}", page.address);
        }
    }
}

#[tokio::test]
async fn what_is_personal_is_kept_by_nobody_and_the_rest_is_not_sent_again() {
    let stack = shared::default().await;
    let (seller, anonymous) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    let ticket = seller.lists("Wozzeck", "10").await;
    for address in ["/", &ticket, "/account", "/orders", "/sales"] {
        let page = seller.opens(address).await;
        assert_eq!(page.answer.header("cache-control"), Some("no-store"), "{address}");
    }
    // *Back* restores the submitted form, with its key.
    let page = seller.opens("/tickets/new").await;
    assert_eq!(page.answer.header("cache-control"), Some("private, no-cache"));

    let page = anonymous.opens(&ticket).await;
    assert_eq!(page.answer.header("cache-control"), Some("no-cache"));
    assert!(page.answer.header("vary").unwrap().contains("Cookie"));
    let etag = page.answer.header("etag").unwrap().to_owned();
    let again = anonymous.client.header("if-none-match", &etag).get(&ticket).await;
    assert_eq!(again.status, 304);
    assert!(again.text.is_empty());
}

#[tokio::test]
async fn a_first_visit_is_light_and_its_assets_are_kept_for_ever() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    let home = visitor.opens("/").await;
    let mut assets = home.attributes("link[rel='stylesheet'], link[rel='icon']", "href");
    assets.extend(home.attributes("script[src]", "src"));
    assets.extend(
        home.attributes("use", "href")
            .iter()
            .map(|href| href.split('#').next().unwrap().to_owned()),
    );
    assets.sort();
    assets.dedup();
    assert!(assets.len() >= 3, "{assets:?}");
    let compressed = visitor.client.header("accept-encoding", "br");
    for asset in &assets {
        let answer = compressed.get(asset).await;
        answer.expect(200);
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    let style = assets.iter().find(|asset| asset.ends_with(".css")).unwrap();
    assert_eq!(compressed.get(style).await.header("content-encoding"), Some("br"));
    visitor.client.get("/assets/app.000000000000.css").await.expect(404);
    let icon = visitor.client.get("/favicon.ico").await;
    assert!(icon.header("location").unwrap().starts_with("/assets/favicon."));
}

#[tokio::test]
async fn stripe_s_hosts_are_named_only_where_its_form_is_and_only_with_its_key() {
    let stack = shared::default().await;
    let web = stack.other_web(&[("STRIPE_PUBLISHABLE_KEY", "pk_test_1")]).await;
    let (seller, buyer) = (web.browser(), web.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Lulu", "10").await;
    let order = buyer.buys(&ticket).await;
    let policy = order.answer.header("content-security-policy").unwrap();
    assert!(policy.contains("https://js.stripe.com") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(order.attributes("form[data-stripe-key]", "data-stripe-key"), ["pk_test_1"]);
    assert!(order.attributes("input[type='radio']", "value").is_empty(), "no test cards");
    assert!(order.answer.text.contains("stripe-needs-script"));
    let home = buyer.opens("/").await;
    assert!(!home.answer.header("content-security-policy").unwrap().contains("stripe"));
}

#[tokio::test]
async fn search_engines_find_what_is_on_sale_and_nothing_else() {
    let stack = shared::default().await;
    let seller = stack.person("ada").await;
    let body = serde_json::json!({
        "title": "Faust", "price": "10", "date": "2099-01-31T19:30:00+01:00",
        "timeZone": "Europe/Berlin", "venue": "Oper",
    });
    let ticket = seller.client.post("/api/tickets", body).await.expect(201);
    let address = format!("{}/tickets/{}", stack.url(), ticket["id"].as_str().unwrap());
    let page = stack.browser().opens(address.trim_start_matches(&stack.url())).await;
    assert_eq!(page.attributes("link[rel='canonical']", "href"), [&*address]);
    assert_eq!(page.attributes("meta[property='og:title']", "content"), ["Faust"]);
    let event: serde_json::Value =
        serde_json::from_str(&page.text("script[type='application/ld+json']")).unwrap();
    assert_eq!(event["@type"], "Event");
    assert_eq!(event["startDate"], "2099-01-31T19:30:00+01:00");
    assert_eq!(event["offers"]["availability"], "https://schema.org/InStock");

    // A web process of our own, without a cached list.
    let web = stack.other_web(&[]).await;
    let sitemap = web.browser().client.get("/sitemap.xml").await;
    assert_eq!(sitemap.media_type(), Some("application/xml"));
    assert!(sitemap.text.contains(&format!("<loc>{address}</loc>")), "{}", sitemap.text);
    let robots = web.browser().client.get("/robots.txt").await;
    assert!(robots.text.contains(&format!("Sitemap: {}/sitemap.xml", stack.url())));
    assert!(robots.text.contains("Disallow: /orders"));
    let private = seller_s_page(stack).await;
    assert_eq!(private.attributes("meta[name='robots']", "content"), ["noindex"]);
}

async fn seller_s_page(stack: &system_tests::Stack) -> Page {
    let browser = stack.browser();
    browser.signs_up("Ada").await;
    browser.opens("/sales").await
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_without_its_body() {
    let stack = shared::default().await;
    let begun = Instant::now();
    let answer = stack.browser().client.request(Method::HEAD, "/").send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.is_empty() && begun.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn an_address_with_a_slash_too_many_or_an_old_parameter_still_leads_somewhere() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    visitor.signs_up("Ada").await;
    for (address, page) in [
        ("/orders/", "/orders"),
        ("/auth/signin/?next=/sales", "/auth/signin?next=/sales"),
        ("/tickets/new/", "/tickets/new"),
    ] {
        let answer = visitor.client.get(address).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (308, Some(page)));
    }
    for address in ["//evil.example/", "/%5Cevil.example/", "/nowhere"] {
        let location = visitor.client.get(address).await.header("location").map(str::to_owned);
        assert!(!location.is_some_and(|to| to.starts_with("//") || to.contains('\\')), "{address}");
    }
    for (address, page) in [
        ("/orders?cursor=x", "/orders"),
        ("/sales?cursor=x", "/sales"),
        ("/tickets/new?like=", "/tickets/new?like="),
        ("/tickets/new?like=x", "/tickets/new?like=x"),
        ("/?q=a&q=ab", "/?q=a&q=ab"),
        ("/orders?cursor=&cursor=", "/orders?cursor=&cursor="),
    ] {
        assert_eq!(visitor.opens(address).await.expect(200).address, page);
    }
}
