//! Forms: errors, kept entries, and repeated submissions.

use testkit::Method;

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
    let form = form.with("title", "Night walk").with("price", "5,50 €");
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
