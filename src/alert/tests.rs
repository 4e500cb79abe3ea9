//! Incidents in, records and text out.

use serde_json::Value;

use super::example::{ONSET, Scene, XX, forged, incident, prefix};
use super::sensor::Watching;
use super::summary::{Paint, Reading, Summary};
use super::target::Target;
use super::{Alert, Pseudonyms, told};
use crate::attribute::{Asn, Country, LabelId};
use crate::detect::Subject;
use crate::flow::ServerEnd;
use crate::incident::{Aim, Incident, Origin, Place, Sought, State, Unit};
use crate::service::{ServiceId, Services};
use crate::time::Timestamp;

fn eve(incident: &Incident) -> Value {
    let line = Scene::new().tell(incident, |alert| alert.eve());
    assert!(!line.contains('\n'));
    serde_json::from_str(&line).unwrap()
}

fn message(incident: &Incident) -> String {
    Scene::new().tell(incident, |alert| alert.message())
}

#[test]
fn the_contracts_record() {
    let line = Scene::new().tell(&incident(), |alert| alert.eve());
    let id = Scene::new().tell(&incident(), |alert| alert.id());
    let expected = [
        r#"{"timestamp":"2023-11-23T09:19:40.000000+09:00","event_type":"alert","sensor":"mirror-1","#,
        r#""service":{"name":"pps","address":"211.34.105.10","port":443,"#,
        r#""addresses":["211.34.105.10","2001:220::10"],"ports":[80,443]},"#,
        r#""dest_ip":"211.34.105.10","dest_port":443,"proto":"TCP","#,
        r#""alert":{"action":"allowed","gid":1,"signature_id":1001,"rev":1,"severity":2,"#,
        r#""signature":"BONGSU concentrated foreign access","category":"Denial of Service"},"#,
        r#""message":"pps: access from 2 foreign prefixes (AS64500, XX), 76 % of requests, 0.1 % before","#,
        &format!(r#""incident":{{"id":"{id}","state":"update","seq":1,"severity":"high","#),
        r#""started":"2023-11-23T09:19:20.000000+09:00","detected":"2023-11-23T09:19:30.000000+09:00","#,
        r#""ended":null},"#,
        r#""verdict":{"label":"attack","kind":"http_flood","confidence":0.93,"#,
        r#""causes":[{"label":"attack","kind":"http_flood","share":0.87,"origins":[0,1]},"#,
        r#"{"label":"flash_crowd","share":0.13,"origins":[]}],"#,
        r#""for":[{"id":"concentration","#,
        r#""text":"few sources or prefixes that were hardly there before hold 75 % of the excess","#,
        r#""value":0.75,"expected":0.001},{"id":"foreign-concentration","#,
        r#""text":"75 % of all accesses come from one country (limit 30 %), at most 0.2 % before","#,
        r#""value":0.75,"expected":0.002}],"against":[],"would_change":[]},"#,
        r#""foreign":{"concentrated":true,"share":0.76,"baseline_share":0.02},"#,
        r#""origins":[{"kind":"prefix","value":"198.51.100.0/22","country":"XX","asn":64500,"#,
        r#""as_org":"Example Net","foreign":true,"share":0.62,"traffic_share":0.5394,"#,
        r#""baseline_share":0.0005,"rate":1650.0,"sources":142,"proven":true},"#,
        r#"{"kind":"prefix","value":"203.0.113.0/24","country":"XX","asn":64500,"#,
        r#""as_org":"Example Net","foreign":true,"share":0.25,"traffic_share":0.2175,"#,
        r#""baseline_share":0.0005,"rate":650.0,"sources":70,"proven":true}],"#,
        r#""sought":[{"method":"GET","path":"/bid/list","share":0.91}],"#,
        r#""load":{"rate":3050.0,"baseline":400.0,"knee":null,"unit":"requests/s"},"#,
        r#""but_for":[{"origins":[0,1],"rate":750.0,"within_knee":null},"#,
        r#"{"label":"attack","kind":"http_flood","origins":[0,1],"rate":750.0,"within_knee":null},"#,
        r#"{"label":"flash_crowd","origins":[],"rate":2705.5,"within_knee":null}],"#,
        r#""contrast":[{"attribute":"country","value":"XX","share":0.76,"baseline_share":0.02,"lift":38.0,"#,
        r#""likelihood":0.98}],"#,
        r#""health":{"state":"degraded","failure_ratio":0.38,"#,
        r#""cohort":"clients from prefixes seen before, origins apart","since":null},"#,
        r#""rules":[{"id":"foreign-concentration","rev":1,"observed":0.75,"limit":0.3}],"#,
        r#""capture":{"loss":0.0,"one_way":false,"duplicates":0.0},"#,
        r#""geo":{"country_db":"countries","build_epoch":1780272000,"asn_db":"networks","#,
        r#""asn_build_epoch":1780272001}}"#,
    ]
    .concat();
    assert_eq!(line, expected);
}

#[test]
fn the_identity_stays_while_the_incident_changes() {
    let id = |incident: &Incident| Scene::new().tell(incident, |alert| alert.id());
    let open = incident();
    let closed =
        Incident { state: State::Close, seq: 9, severity: crate::detect::rule::Level::Low, ..incident() };
    let later = Incident { opened: open.opened.plus(1), ..incident() };
    let found = Incident { subject: Subject::Found("211.34.105.10:443".parse().unwrap()), ..incident() };
    assert_eq!(id(&open), id(&closed));
    assert_eq!(id(&open).len(), 16);
    assert!(id(&open).bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(id(&open), id(&later));
    assert_ne!(id(&open), id(&found));
}

#[test]
fn the_load_is_told_without_each_cause_and_held_against_what_was_carried() {
    let mut known = incident();
    known.load.knee = Some(1_200.0);
    let but_for = eve(&known)["but_for"].clone();
    let told: Vec<_> = but_for
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["label"].as_str(), one["rate"].as_f64().unwrap(), one["within_knee"].as_bool().unwrap())
        })
        .collect();
    let expected =
        [(None, 750.0, true), (Some("attack"), 750.0, true), (Some("flash_crowd"), 2_705.5, false)];
    assert_eq!(told, expected);
    let story =
        Scene::new().tell(&known, |alert| alert.story(1, Paint::Plain)).replace("\n              ", " ");
    assert!(story.contains("750 without these origins (within the 1,200 carried in health)"), "{story}");
    assert!(story.contains("2,706 without a flash crowd (more than the 1,200"), "{story}");
    assert!(story.contains("country XX 76 % (2 % before)"), "{story}");
}

#[test]
fn a_forged_flood_names_nobody() {
    let record = eve(&forged());
    let said = record["message"].as_str().unwrap();
    assert_eq!(
        said,
        "pps: 2,362 connection attempts a second never completed, addresses are forged or unknown: \
         no origin can be named"
    );
    assert_eq!(record["origins"], Value::Array(vec![]));
    assert_eq!(record["but_for"], Value::Array(vec![]));
    assert_eq!(record["health"]["cohort"], "all clients");
    assert_eq!(record["load"]["total"], 240_000, "a close tells totals");
    assert_eq!(record["incident"]["ended"], "2023-11-23T09:21:00.000000+09:00");
    assert!(record["incident"].get("interrupted").is_none());
    assert!(record.get("src_ip").is_none());
}

#[test]
fn the_end_of_the_input_is_said_once_it_cut_the_incident_off() {
    let record = eve(&Incident { interrupted: true, ..forged() });
    assert_eq!(record["incident"]["interrupted"], true);
}

#[test]
fn one_address_is_the_source() {
    let alone = Origin {
        place: Place::Source("198.51.100.7".parse().unwrap()),
        sources: 1,
        label: Some(LabelId(0)),
        ..prefix("198.51.100.0/24", 0.9, 100.0, 1)
    };
    let record = eve(&Incident { origins: vec![alone.clone()], ..incident() });
    assert_eq!(record["src_ip"], "198.51.100.7");
    assert_eq!(record["origins"][0]["label"], "searchbot");
    assert_eq!(
        record["message"],
        "pps: access from foreign address 198.51.100.7 (AS64500, XX), 78 % of requests, 0.1 % before"
    );
    let two = eve(&Incident { origins: vec![alone.clone(), alone], ..incident() });
    assert!(two.get("src_ip").is_none());
}

#[test]
fn protocols_and_ports() {
    let with = |address: &str, protocol| {
        let end = Some(ServerEnd { address: address.parse().unwrap(), protocol });
        let record = eve(&Incident { end, ..incident() });
        (record["proto"].clone(), record.get("dest_port").cloned(), record["service"]["port"].clone())
    };
    assert_eq!(with("211.34.105.10:1900", 17), ("UDP".into(), Some(1900.into()), 80.into()));
    assert_eq!(with("211.34.105.10:0", 1), ("ICMP".into(), None, 80.into()));
    assert_eq!(with("[2001:220::10]:0", 58), ("IPv6-ICMP".into(), None, 80.into()));
    assert_eq!(with("211.34.105.10:0", 255), ("IP".into(), None, 80.into()));
    assert_eq!(with("211.34.105.10:0", 47), ("47".into(), None, 80.into()));
    let unseen = eve(&Incident { end: None, ..incident() });
    assert_eq!((&unseen["dest_ip"], &unseen["dest_port"]), (&"211.34.105.10".into(), &80.into()));
}

#[test]
fn bytes_are_told_as_bits() {
    let mut bytes = incident();
    bytes.load.unit = Unit::Bytes;
    let record = eve(&bytes);
    assert_eq!(record["load"]["unit"], "bits/s");
    assert_eq!(record["load"]["rate"], 24_400.0);
    assert_eq!(record["origins"][0]["rate"], 13_200.3);
    assert!(record["message"].as_str().unwrap().contains("traffic from 2 foreign prefixes"));
    assert!(record["message"].as_str().unwrap().contains("% of traffic"));
}

#[test]
fn who_is_said_as_far_as_it_is_known() {
    let with = |place: Place, foreign| Origin { place, foreign, ..prefix("198.51.100.0/24", 0.9, 1.0, 1) };
    let said = |origins: Vec<Origin>| {
        let text = message(&Incident { origins, ..incident() });
        text.split(", ").take_while(|part| !part.contains(" of ")).collect::<Vec<_>>().join(", ")
    };
    let country = Place::Country(XX);
    assert_eq!(said(vec![with(country, Some(true))]), "pps: access from foreign country XX (AS64500)");
    let network = Place::Network(Asn(64_500));
    assert_eq!(said(vec![with(network, None)]), "pps: access from network AS64500 (XX)");
    assert_eq!(
        said(vec![with(country, Some(true)), with(network, Some(false))]),
        "pps: access from 2 origins (AS64500, XX)"
    );
    let many: Vec<Origin> = (0..5)
        .map(|n| Origin {
            asn: Some(Asn(n)),
            country: Country::Code([b'A', b'A' + n as u8]),
            ..with(network, Some(true))
        })
        .collect();
    assert_eq!(said(many), "pps: access from 5 foreign networks (5 networks, 5 countries)");
}

#[test]
fn hostile_text_stays_text_on_one_line() {
    let hostile = ["\x1b]0;owned\x07", "a\r\n{\"event_type\":\"alert\"}", "\u{202e}gpj", "\0", "\u{2028}"];
    for text in hostile.into_iter().map(str::to_owned).chain(["\x1b조\"\\".repeat(16_384)]) {
        let mut incident = incident();
        let path = Aim::Path { path: text.clone(), method: "GET".to_owned() };
        let asked = [path, Aim::ServerName(text.clone())];
        incident.sought = asked.map(|what| Sought { what, share: 1.0, baseline_share: None }).to_vec();
        incident.opening.title = text.clone();
        incident.rules[0].id = text.clone();
        let scene = Scene { labels: vec![text.clone()], ..Scene::new() };
        incident.origins[0].label = Some(LabelId(0));
        let (line, story) = scene.tell(&incident, |alert| (alert.eve(), alert.story(1, Paint::Plain)));
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["sought"][0]["path"], told(&text));
        assert_eq!(record["sought"][1]["sni"], told(&text));
        assert_eq!(record["origins"][0]["label"], told(&text));
        assert!(line.len() < 16_384, "{}", line.len());
        let hidden = |letter: char| letter.is_control() || ('\u{2028}'..='\u{202e}').contains(&letter);
        assert!(!line.contains(hidden), "{line:?}");
        assert!(!story.replace('\n', "").contains(hidden), "{story:?}");
    }
}

fn reading(services: Vec<Watching>, home: Vec<Country>) -> Reading {
    Reading {
        packets: 123_456,
        skipped: 12,
        bytes: 84_000_000,
        first: Some(Timestamp::from_secs(ONSET - 600)),
        last: Some(Timestamp::from_secs(ONSET + 120)),
        services,
        home,
    }
}

fn summary(incidents: &[Incident], reading: &Reading) -> String {
    let scene = Scene::new();
    let around = scene.around();
    let text = Summary { around: &around, incidents, reading, paint: Paint::Plain }.to_string();
    for line in text.lines() {
        assert!(super::table::width(line) <= 100, "{line}");
        assert_eq!(line, line.trim_end());
    }
    text
}

#[test]
fn a_tired_person_reads_what_happened() {
    let mut over = incident();
    over.state = State::Close;
    over.ended = Some(Timestamp::from_secs(ONSET + 3_680));
    let pps = Watching::Named(Target::of(
        Subject::Named(ServiceId(0)),
        &Scene::new().services,
        &Pseudonyms::default(),
    ));
    let text = summary(&[over, forged()], &reading(vec![pps], vec![Country::Code(*b"KR")]));
    assert_eq!(text, include_str!("expected_summary.txt"));
}

#[test]
fn nothing_found_is_said_plainly() {
    let text = summary(&[], &reading(Vec::new(), Vec::new()));
    assert_eq!(
        text,
        "Nothing was judged: no service to watch.\n\
         Read 123,456 packets (under 0.1 % skipped), 84 MB, 2023-11-23 09:09:20 - 09:21:20 +09:00 (12 min).\n\
         No service was named, and no web server was found in the traffic (name one with -s NAME=ADDR:PORT).\n\
         No home was named (--home CC): the country of a service's own address is home; where it has none,\n\
         nothing is called foreign.\n"
    );
    let found = Subject::Found("[2001:db8::1]:443".parse().unwrap());
    let watched = vec![Watching::Found(Target::of(found, &Services::default(), &Pseudonyms::default()))];
    let text = summary(&[], &reading(watched, Vec::new()));
    assert!(text.starts_with("No incident: no rule held for any service.\n"), "{text}");
    assert!(text.contains("Services found in the traffic: [2001:db8::1]:443.\n"), "{text}");
}

#[test]
fn the_widest_row_still_fits() {
    let mut wide = incident();
    wide.origins = vec![Origin {
        place: Place::Source("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap()),
        asn: Some(Asn(u32::MAX)),
        country: Country::Reserved,
        rate: 123_456_789.0,
        sources: 1_234_567_890,
        baseline_share: 0.000_01,
        traffic_share: 0.999,
        ..prefix("198.51.100.0/24", 0.9, 1.0, 1)
    }];
    wide.rules = (0..20).map(|_| wide.rules[0].clone()).collect();
    summary(&[wide], &Reading::default());
}

#[test]
fn colours_only_where_asked_for() {
    let scene = Scene::new();
    let incident = incident();
    let (plain, painted) = scene
        .tell(&incident, |alert: Alert<'_>| (alert.story(1, Paint::Plain), alert.story(1, Paint::Coloured)));
    assert!(!plain.contains('\x1b'));
    assert_eq!(painted.replace("\x1b[1;31m", "").replace("\x1b[0m", ""), plain);
}
