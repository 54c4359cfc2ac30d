use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Noop;
use mail_double::Config;

use crate::support::{Double, mail, send};

#[tokio::test]
async fn a_mail_is_kept_as_it_was_sent_dots_included() {
    let double = Double::start().await;
    let mut connection = double.connect().await;
    let text = "Hello,\r\n.\r\n..two dots\r\nBye.\r\n";
    let sent = mail("kim@example.org", text);
    send(&mut connection, &sent).await.unwrap();
    send(&mut connection, &mail("lee@example.org", "second")).await.unwrap();

    let mails = double.mails().await;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0]["to"], serde_json::json!(["kim@example.org"]));
    assert_eq!(mails[0]["from"], "tickets@example.com");
    assert_eq!(mails[0]["subject"], "Tosca – row 7");
    assert_eq!(mails[0]["messageId"], "1@example.com");
    assert_eq!(mails[0]["tls"], false);
    let read = double.get_json("/api/mails/1").await;
    assert_eq!(read["text"], text);
    let raw = double.get_text("/api/mails/1/raw").await;
    assert_eq!(raw.as_bytes(), [sent.formatted().as_slice(), b"\r\n"].concat());
    assert_eq!(double.get_json("/api/mails?to=lee@example.org").await["mails"][0]["id"], 2);
    assert_eq!(double.get_json("/_stats").await["connections"], 1);
}

#[tokio::test]
async fn starttls_encrypts_and_both_ways_to_authenticate_work_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = Some(("apikey".to_owned(), "secret".to_owned()));
    let config = Config { credentials, ..Config::in_dir(folder.path()) };
    let double = Double::start_with(config, folder).await;

    let mut anonymous = double.connect().await;
    let refused = send(&mut anonymous, &mail("kim@example.org", "x")).await.unwrap_err();
    assert_eq!(refused.status().unwrap().to_string(), "530");

    let known = Credentials::new("apikey".to_owned(), "secret".to_owned());
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let mut connection = double.connect_encrypted().await;
        connection.auth(&[mechanism], &known).await.unwrap();
        send(&mut connection, &mail("kim@example.org", "x")).await.unwrap();
    }
    let mails = double.mails().await;
    assert!(mails.iter().all(|mail| mail["tls"] == true && mail["user"] == "apikey"), "{mails:?}");
    assert_eq!(mails.len(), 2);

    let wrong = Credentials::new("apikey".to_owned(), "guess".to_owned());
    let mut connection = double.connect_encrypted().await;
    let refused = connection.auth(&[Mechanism::Plain], &wrong).await.unwrap_err();
    assert_eq!(refused.status().unwrap().to_string(), "535");
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_421() {
    let folder = tempfile::tempdir().unwrap();
    let idle = std::time::Duration::from_millis(50);
    let config = Config { idle, ..Config::in_dir(folder.path()) };
    let double = Double::start_with(config, folder).await;
    let mut connection = double.connect().await;
    let farewell = connection.read_response().await.unwrap_err();
    assert_eq!(farewell.status().unwrap().to_string(), "421");
    assert!(connection.command(Noop).await.is_err());
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let double = Double::start().await;
    for text in ["first", "second"] {
        send(&mut double.connect().await, &mail("kim@example.org", text)).await.unwrap();
    }
    let before = double.mails().await;
    let Double { server, folder, .. } = double;
    server.stop().await.unwrap();

    let config = Config::in_dir(folder.path());
    let double = Double::start_with(config, folder).await;
    assert_eq!(double.mails().await, before);
    send(&mut double.connect().await, &mail("kim@example.org", "third")).await.unwrap();
    assert_eq!(double.mails().await[2]["id"], 3);
    double.delete("/api/mails").await;
    assert!(double.mails().await.is_empty());
}
