use lettre::Message;
use lettre::message::{Attachment, MultiPart, SinglePart, header::ContentType};

use crate::support::{Double, mail, send};

#[tokio::test]
async fn the_page_lists_mails_and_shows_their_html_in_a_sandbox() {
    let double = Double::start().await;
    assert!(double.get_text("/").await.contains("No mails yet"));
    send(&mut double.connect().await, &mail("kim@example.org", "1 < 2")).await.unwrap();

    let list = double.get_text("/").await;
    assert!(list.contains("kim@example.org") && list.contains("Tosca – row 7"), "{list}");
    let page = double.get_text("/mails/1").await;
    assert!(page.contains("<iframe sandbox") && page.contains("1 &#60; 2"), "{page}");
    let html = double.get("/api/mails/1/html").await;
    let policy = html.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("sandbox") && policy.contains("default-src 'none'"), "{policy}");
    assert!(html.text().await.unwrap().contains("Hello"));
}

#[tokio::test]
async fn attachments_can_be_fetched_and_inline_images_are_part_of_the_html() {
    let double = Double::start().await;
    let png = ContentType::parse("image/png").unwrap();
    let html = SinglePart::builder().header(ContentType::TEXT_HTML);
    let related = MultiPart::related()
        .singlepart(html.body("<img src=\"cid:code-1\">".to_owned()))
        .singlepart(Attachment::new_inline("code-1".to_owned()).body(vec![1, 2, 3], png));
    let calendar = ContentType::parse("text/calendar").unwrap();
    let whole = MultiPart::mixed().multipart(related).singlepart(
        Attachment::new("event.ics".to_owned()).body("BEGIN:VCALENDAR".to_owned(), calendar),
    );
    let mail = Message::builder()
        .from("a@example.com".parse().unwrap())
        .to("b@example.com".parse().unwrap())
        .multipart(whole)
        .unwrap();
    send(&mut double.connect().await, &mail).await.unwrap();

    assert!(double.get_text("/api/mails/1/html").await.contains("data:image/png;base64,AQID"));
    let read = double.get_json("/api/mails/1").await;
    let names = read["attachments"].as_array().unwrap().iter().map(|it| it["name"].clone());
    let at = names.clone().position(|name| name == "event.ics").unwrap();
    let content = double.get(&format!("/api/mails/1/attachments/{at}")).await;
    assert_eq!(content.headers()["content-type"], "text/calendar");
    assert_eq!(content.text().await.unwrap(), "BEGIN:VCALENDAR");
}
