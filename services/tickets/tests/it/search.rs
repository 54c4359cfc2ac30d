use serde_json::json;

use crate::list::titles;
use crate::world::World;

#[tokio::test]
async fn tickets_are_found_by_their_folded_words() {
    let world = World::start().await;
    let (seller, client) = (world.user(), world.service.client());
    for (title, venue) in [
        ("Motörhead, live!", "Zénith Paris"),
        ("Édith Piaf — a tribute", "L'Olympia, Paris"),
        ("AC/DC (Power Up)", "Wembley"),
        ("東京 コンサート", "武道館"),
        ("Großer Straßenlauf Æon", "Tromsø"),
        ("ΟΔΥΣΣΕΥΣ", "Ηρώδειο"),
        ("DİYARBAKIR", "Łódź"),
        ("Rock'n'Roll with R.E.M. & the U2s", "international"),
        ("ガールズ ﾗｲﾌﾞ", "서울라이브"),
    ] {
        world.list_ticket(&seller, json!({ "title": title, "price": 1, "venue": venue })).await;
    }
    let (lemmy, piaf, angus, tokyo) =
        ("Motörhead, live!", "Édith Piaf — a tribute", "AC/DC (Power Up)", "東京 コンサート");
    let (run, odysseus, dotless) = ("Großer Straßenlauf Æon", "ΟΔΥΣΣΕΥΣ", "DİYARBAKIR");
    let (rock, girls) = ("Rock'n'Roll with R.E.M. & the U2s", "ガールズ ﾗｲﾌﾞ");
    let all = vec![lemmy, piaf, angus, tokyo, run, odysseus, dotless, rock, girls];
    for (q, expected) in [
        ("motorhead", vec![lemmy]),
        ("MOTÖR", vec![lemmy]),
        ("moto\u{308}r", vec![lemmy]),
        ("head", vec![]),
        ("paris", vec![lemmy, piaf]),
        ("paris edith", vec![piaf]),
        ("paris wembley", vec![]),
        ("par trib", vec![piaf]),
        ("zenith", vec![lemmy]),
        ("olympia", vec![piaf]),
        ("ac/dc", vec![angus]),
        ("dc power", vec![angus]),
        ("東", vec![tokyo]),
        ("武道", vec![tokyo]),
        ("  paris  ", vec![lemmy, piaf]),
        ("", all.clone()),
        ("  ", all),
        ("acdc", vec![angus]),
        ("ACD", vec![angus]),
        ("ac-dc", vec![angus]),
        ("A.C.D.C.", vec![angus]),
        ("strasse", vec![run]),
        ("STRASSEN", vec![run]),
        ("straßenl", vec![run]),
        ("GROẞER", vec![run]),
        ("aeon", vec![run]),
        ("æo", vec![run]),
        ("tromso", vec![run]),
        ("Tromsø", vec![run]),
        ("οδυσσευς", vec![odysseus]),
        ("οδυσσευσ", vec![odysseus]),
        ("Οδυσσεύς", vec![odysseus]),
        ("ηρωδ", vec![odysseus]),
        ("diyarbakir", vec![dotless]),
        ("diyarbakır", vec![dotless]),
        ("DIYARBAKIR", vec![dotless]),
        ("lodz", vec![dotless]),
        ("rocknroll", vec![rock]),
        ("rock'n'roll", vec![rock]),
        ("rock n roll", vec![rock]),
        ("rock roll rem", vec![rock]),
        ("r.e.m.", vec![rock]),
        ("u2", vec![rock]),
        ("in", vec![rock]),
        ("inter", vec![rock]),
        ("interna", vec![rock]),
        ("internat", vec![rock]),
        ("internati", vec![rock]),
        ("international", vec![rock]),
        ("internationale", vec![]),
        ("internatiom", vec![]),
        ("京", vec![tokyo]),
        ("京都", vec![]),
        ("武道館", vec![tokyo]),
        ("道館", vec![tokyo]),
        ("館", vec![tokyo]),
        ("武館", vec![]),
        ("コンサ", vec![tokyo]),
        ("ンサート東京", vec![]),
        ("東京コンサート", vec![]),
        ("サート 東京", vec![tokyo]),
        ("ガール", vec![girls]),
        ("カール", vec![]),
        ("ライブ", vec![girls]),
        ("울라이", vec![girls]),
        ("서울 라이브", vec![girls]),
        ("!?", vec![]),
        (".*", vec![]),
        ("^m", vec![]),
        ("^mo", vec![lemmy]),
        ("m", vec![]),
        ("a b", vec![]),
        ("m paris", vec![lemmy, piaf]),
        ("m.t", vec![]),
        ("[a-z]", vec![]),
        ("a|b", vec![]),
        ("\u{0}", vec![]),
        ("{\"$ne\":null}", vec![]),
        ("(((((", vec![]),
    ] {
        let query: String = url_encoded(q);
        let mut found = titles(&client, &format!("q={query}")).await;
        let mut expected = expected;
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{q:?}");
    }
}

pub fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
