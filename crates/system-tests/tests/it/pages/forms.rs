//! Forms: errors, kept entries, and repeated submissions.

use serde_json::json;
use testkit::Method;
use uuid::Uuid;

use crate::shared;

#[tokio::test]
async fn errors_stand_beside_their_fields_and_what_was_typed_is_kept() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    let form = visitor.opens("/auth/signup").await.form("/auth/signup");
    let typed = form.with("email", "nobody").with("password", "short").with("name", "Zoë");
    let page = visitor.sends(&typed).await;
    page.expect(422);
    assert_eq!(page.attributes("#email", "aria-invalid"), ["true"]);
    assert_eq!(page.attributes("#email", "aria-describedby"), ["email-error"]);
    assert_eq!(page.texts("#email-error").len(), 1, "{}", page.main());
    assert!(page.text("#password-error").contains("128"), "{}", page.main());
    assert_eq!(page.attributes("[data-test='form-errors'] a", "href"), ["#email", "#password"]);
    assert!(page.text("title").starts_with("Error: "), "{}", page.text("title"));
    let kept = page.form("/auth/signup");
    assert_eq!((kept.value("email"), kept.value("name")), (Some("nobody"), Some("Zoë")));
    assert_eq!(kept.value("password"), Some(""), "a password is never echoed");

    visitor.signs_up("Ada").await;
    let form = visitor.opens("/tickets/new").await.form("/tickets/new");
    let typed = form.with("title", " ").with("price", "0.49").with("description", " <b>\n two ");
    let page = visitor.sends(&typed.with("date", "2099-01-31T19:30")).await;
    page.expect(422);
    assert_eq!(page.texts("#title-error").len(), 1, "{}", page.main());
    assert!(page.text("#price-error").contains("$0.50"), "{}", page.main());
    let kept = page.form("/tickets/new");
    assert_eq!(kept.value("description"), Some(" <b>\n two "));
    assert_eq!(kept.value("date"), Some("2099-01-31T19:30"));
    assert_eq!(kept.value("key"), typed.value("key"), "it is still the same form");
}

#[tokio::test]
async fn a_time_that_the_clocks_leave_out_is_told_and_others_are_read_in_their_zone() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Night walk").with("price", "5,50 $");
    let form = form.with("time_zone", "Europe/Berlin");
    let page = seller.sends(&form.with("date", "2099-03-29T02:30")).await;
    assert_eq!(page.texts("#date-error").len(), 1, "{}", page.main());
    let page = seller.sends(&form.with("date", "2099-07-01T02:30")).await;
    page.expect(200);
    assert!(page.main().contains("Wed 1 Jul 2099, 02:30 CEST, Europe/Berlin"), "{}", page.main());
    assert!(page.main().contains("$5.50"), "{}", page.main());
}

#[tokio::test]
async fn a_form_that_is_sent_twice_lists_and_orders_once() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    let form = form.with("title", "Only once").with("price", "9");
    let (one, other) = tokio::join!(seller.sends(&form), seller.sends(&form));
    assert_eq!(one.path(), other.path());
    assert!(one.path().starts_with("/tickets/"), "{}: {}", one.address, one.main());
    assert_eq!(seller.opens("/sales").await.texts(".rows h2"), ["Only once"]);
    // *Back*, other entries in the same form, and submitted again: perhaps a mistake.
    let page = seller.sends(&form.with("title", "Another")).await;
    page.expect(422);
    page.expect_part("form-errors").expect_part("error-link");
    let page = seller.sends(&page.form("/tickets/new")).await;
    assert_eq!(page.text("h1"), "Another");

    let ticket = one.path();
    let form = buyer.opens(ticket).await.form(ticket);
    let (one, other) = tokio::join!(buyer.sends(&form), buyer.sends(&form));
    assert_eq!(one.path(), other.path());
    let order = one.path();
    let pay = one.form(&format!("{order}/pay"));
    let (one, other) = tokio::join!(buyer.sends(&pay), buyer.sends(&pay));
    assert_eq!((one.path(), other.path()), (order, order));
    let ledger = stack.stripe_ledger().await.to_string();
    let charges = ledger.matches(order.trim_start_matches("/orders/")).count();
    assert!(charges >= 1, "{ledger}");
}

#[tokio::test]
async fn one_comes_back_to_our_own_pages_alone() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    let email = visitor.signs_up("Ada").await;
    for (next, page) in [
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/orders?cursor=", "/orders?cursor="),
    ] {
        let visitor = stack.browser();
        let address = format!("/auth/signin?next={}", next.replace('&', "%26"));
        let form = visitor.opens(&address).await.form("/auth/signin");
        let form = form.with("email", &email).with("password", "correct horse").with("next", next);
        let answer = visitor.posts(&form).await;
        assert_eq!(answer.header("location"), Some(page), "{next}");
    }
}

#[tokio::test]
async fn a_wrong_password_says_no_more_than_that() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    let email = visitor.signs_up("Ada").await;
    let visitor = stack.browser();
    let form = visitor.opens("/auth/signin").await.form("/auth/signin");
    let (known, unknown) = (form.with("email", &email), form.with("email", "nobody@example.com"));
    let known = visitor.sends(&known.with("password", "wrong")).await;
    let unknown = visitor.sends(&unknown.with("password", "wrong")).await;
    assert_eq!(known.text("#password-error"), unknown.text("#password-error"));
    assert_eq!(known.form("/auth/signin").value("email"), Some(&*email));
}

#[tokio::test]
async fn signing_out_asks_first() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    visitor.signs_up("Ada").await;
    let question = visitor.opens("/auth/signout").await;
    assert!(visitor.opens("/account").await.path() == "/account", "the question has no effect");
    let page = visitor.sends(&question.form("/auth/signout")).await;
    page.expect_part("notice-signed-out");
    assert!(visitor.opens("/account").await.address.starts_with("/auth/signin?next=%2Faccount"));
}

#[tokio::test]
async fn a_form_from_another_site_is_refused_with_a_page() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    visitor.signs_up("Ada").await;
    let post = visitor
        .client
        .request(Method::POST, "/auth/signout")
        .header("sec-fetch-site", "cross-site");
    let answer =
        post.header("content-type", "application/x-www-form-urlencoded").body("").send().await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.media_type(), Some("text/html"));
    visitor.opens("/account").await.expect(200);
}

#[tokio::test]
async fn an_edit_that_crosses_another_is_not_lost_and_loses_nothing() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    let ticket = seller.lists("Elektra", "10").await;
    let edit = format!("{ticket}/edit");
    let form = seller.opens(&edit).await.form(&edit);
    seller.sends(&form.with("venue", "Semperoper")).await.expect(200);
    let page = seller.sends(&form.with("price", "11")).await;
    page.expect(422);
    page.expect_part("form-errors");
    let again = page.form(&edit);
    assert_eq!(again.value("price"), Some("11"));
    assert!(seller.sends(&again).await.main().contains("$11.00"));
}

#[tokio::test]
async fn a_date_that_is_saved_unchanged_stays_where_it_is() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    // The second half past two of the night in which clocks go back, and a quarter of a minute.
    let body = json!({
        "title": "Night walk", "price": "10", "date": "2099-10-25T02:30:15+01:00",
        "timeZone": "Europe/Berlin",
    });
    let ticket = seller.client.post("/api/tickets", body).await.expect(201);
    let edit = format!("/tickets/{}/edit", ticket["id"].as_str().unwrap());
    let form = seller.opens(&edit).await.form(&edit);
    seller.sends(&form.with("venue", "Tiergarten")).await.expect(200);
    let api = format!("/api{}", edit.trim_end_matches("/edit"));
    let edited = seller.client.get(&api).await.expect(200);
    assert_eq!((&edited["venue"], &edited["date"]), (&json!("Tiergarten"), &ticket["date"]));
    let form = seller.opens(&edit).await.form(&edit);
    seller.sends(&form.with("date", "2099-10-25T03:30")).await.expect(200);
    let moved = seller.client.get(&api).await.expect(200);
    assert_eq!(moved["date"], "2099-10-25T02:30:00.000Z");
}

#[tokio::test]
async fn a_listing_without_a_date_needs_no_time_zone_and_one_with_a_date_does() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new");
    assert_eq!(form.value("time_zone"), Some(""), "no script has chosen one");
    let form = form.with("title", "Fair").with("price", "10");
    let page = seller.sends(&form.with("date", "2099-07-01T19:30")).await;
    page.expect(422);
    assert_eq!(page.texts("#time_zone-error").len(), 1, "{}", page.main());
    // Browsers report some zones by an older name.
    let form = page.form("/tickets/new").with("time_zone", "Asia/Calcutta");
    let page = seller.sends(&form).await;
    assert!(page.main().contains("Wed 1 Jul 2099, 19:30 IST, Asia/Kolkata"), "{}", page.main());
}

#[tokio::test]
async fn an_amount_with_separators_is_understood_or_refused() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    let form = seller.opens("/tickets/new").await.form("/tickets/new").with("title", "Fair");
    for typed in ["0,500", "1.234", "1,23,456", "1.234,50 €"] {
        let page = seller.sends(&form.with("price", typed)).await;
        page.expect(422);
        assert_eq!(page.texts("#price-error").len(), 1, "{typed}: {}", page.main());
    }
    let page = seller.sends(&form.with("price", "1.234,50 $")).await;
    assert!(page.expect(200).main().contains("$1,234.50"), "{}", page.main());
}

#[tokio::test]
async fn what_was_typed_is_kept_when_one_was_signed_out_in_another_tab() {
    let stack = shared::default().await;
    let seller = stack.browser();
    let email = seller.signs_up("Ada").await;
    let ticket = seller.lists("Undine", "10").await;
    let edit = format!("{ticket}/edit");
    for address in ["/tickets/new", &edit] {
        let form = seller.opens(address).await.form(address);
        let form = form.with("title", "Undine, row 7").with("price", "12");
        let question = seller.opens("/auth/signout").await;
        seller.sends(&question.form("/auth/signout")).await;
        let page = seller.sends(&form).await;
        page.expect(422);
        assert_eq!(page.path(), address, "it isn't the sign-in page");
        let kept = page.form(address);
        assert_eq!((kept.value("title"), kept.value("price")), (Some("Undine, row 7"), Some("12")));
        let sign_in = page.attributes("[data-test='form-errors'] a", "href").remove(0);
        assert_eq!(page.attributes("[data-test='form-errors'] a", "target"), ["_blank"]);
        let sign_in = seller.opens(&sign_in).await.form("/auth/signin");
        seller.sends(&sign_in.with("email", &email).with("password", "correct horse")).await;
        let page = seller.sends(&kept).await;
        assert_eq!(page.expect(200).text("h1"), "Undine, row 7");
    }
}

#[tokio::test]
async fn a_sign_up_form_that_is_sent_twice_signs_in() {
    let stack = shared::default().await;
    let visitor = stack.browser();
    let email = format!("ada-{}@example.com", Uuid::now_v7());
    let form = visitor.opens("/auth/signup?next=/sales").await.form("/auth/signup");
    let form = form.with("email", &email).with("password", "correct horse");
    let (one, other) = tokio::join!(visitor.posts(&form), visitor.posts(&form));
    for answer in [one, other, visitor.posts(&form).await] {
        assert_eq!(answer.header("location"), Some("/sales"), "{}", answer.text);
        assert!(answer.set_cookie("session").is_some());
    }
    // Another password isn't the owner's.
    let page = visitor.sends(&form.with("password", "wrong horse")).await;
    page.expect(422).expect_part("error-link");
}

#[tokio::test]
async fn an_old_form_does_not_lead_silently_to_an_order_that_has_ended() {
    let stack = shared::default().await;
    let (seller, buyer) = (stack.browser(), stack.browser());
    seller.signs_up("Ada").await;
    buyer.signs_up("Bert").await;
    let ticket = seller.lists("Only once more", "9").await;
    let form = buyer.opens(&ticket).await.form(&ticket);
    let order = buyer.sends(&form).await;
    assert_eq!(buyer.sends(&form).await.path(), order.path(), "it is live");
    buyer
        .sends(&order.form(&format!("{}/cancel", order.path())))
        .await
        .expect_part("order-cancelled");
    let page = buyer.sends(&form).await;
    assert_eq!(page.path(), ticket);
    page.expect_part("notice-reservation-ended");
}

#[tokio::test]
async fn bytes_that_are_not_text_are_not_stored() {
    let stack = shared::default().await;
    let seller = stack.browser();
    seller.signs_up("Ada").await;
    for title in [b"%FF%FE".as_slice(), b"Mot\xf6rhead", b"%ED%A0%80"] {
        let body = [b"price=5&key=0123456789&title=", title].concat();
        let post = seller.client.request(Method::POST, "/tickets/new");
        let post = post.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = post.send().await;
        assert_eq!((answer.status.as_u16(), answer.media_type()), (400, Some("text/html")));
    }
    seller.opens("/sales").await.expect_part("no-listings");
}
