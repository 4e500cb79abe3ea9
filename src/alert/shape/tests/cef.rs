//! CEF version 0, with the dictionary of "Implementing ArcSight Common Event Format", revision 25: only the keys that we
//! write, with their types and the most characters that each may have.

use super::cef_reader::Cef;
use super::*;

enum Is {
    Text(usize),
    Millis,
    Whole,
    Float,
    Port,
    V4,
    V6,
}
use Is::*;

const KEYS: [(&str, Is); 36] = [
    ("rt", Millis),
    ("start", Millis),
    ("end", Millis),
    ("externalId", Text(40)),
    ("cat", Text(1_023)),
    ("cnt", Whole),
    ("deviceExternalId", Text(255)),
    ("destinationServiceName", Text(1_023)),
    ("src", V4),
    ("dst", V4),
    ("c6a2", V6),
    ("c6a2Label", Text(1_023)),
    ("c6a3", V6),
    ("c6a3Label", Text(1_023)),
    ("dpt", Port),
    ("proto", Text(31)),
    ("msg", Text(1_023)),
    ("reason", Text(1_023)),
    ("cs1", Text(4_000)),
    ("cs1Label", Text(1_023)),
    ("cs2", Text(4_000)),
    ("cs2Label", Text(1_023)),
    ("cs3", Text(4_000)),
    ("cs3Label", Text(1_023)),
    ("cs4", Text(4_000)),
    ("cs4Label", Text(1_023)),
    ("cs5", Text(4_000)),
    ("cs5Label", Text(1_023)),
    ("cs6", Text(4_000)),
    ("cs6Label", Text(1_023)),
    ("flexString1", Text(1_023)),
    ("flexString1Label", Text(128)),
    ("cn1", Whole),
    ("cn1Label", Text(1_023)),
    ("cfp1", Float),
    ("cfp1Label", Text(1_023)),
];

fn fits(value: &str, is: &Is) -> bool {
    match is {
        Text(most) => !value.is_empty() && value.chars().count() <= *most,
        Millis | Whole => value.parse::<i64>().is_ok(),
        Float => value.parse::<f64>().is_ok_and(f64::is_finite),
        Port => value.parse::<u16>().is_ok(),
        V4 => value.parse::<std::net::Ipv4Addr>().is_ok(),
        V6 => value.parse::<std::net::Ipv6Addr>().is_ok(),
    }
}

/// Reads a record's line and checks every key.
pub fn read(record: &Record) -> Cef {
    let line = record.shaped(Format::Cef).line;
    let cef = Cef::read(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(cef.header[..3], ["bongsu", "bongsu", env!("CARGO_PKG_VERSION")]);
    assert!(cef.header[4].chars().count() <= 512 && cef.header[5].parse::<u8>().unwrap() <= 10, "{line}");
    for (key, value) in &cef.keys {
        let known = KEYS.iter().find(|(known, _)| known == key);
        let (_, is) = known.unwrap_or_else(|| panic!("{key} is no key of the dictionary"));
        assert!(fits(value, is), "{key}={value}");
        let name = key.strip_suffix("Label").unwrap_or(key);
        let custom = name.ends_with(|last: char| last.is_ascii_digit());
        assert!(!custom || cef.get(name).is_some() && cef.get(&format!("{name}Label")).is_some(), "{key}");
    }
    cef
}

#[test]
fn alerts_have_the_keys_of_the_dictionary() {
    for incident in incidents() {
        let (record, eve) = (record(&incident), Eve::read(&record(&incident).line).unwrap());
        let cef = read(&record);
        assert_eq!(cef.header[3], eve.alert.signature_id.to_string());
        assert_eq!(cef.header[4], eve.alert.signature);
        let severity = [("low", "3"), ("medium", "5"), ("high", "8"), ("critical", "10")];
        assert!(severity.contains(&(&eve.incident.severity, &cef.header[5])));
        assert_eq!(cef.get("externalId"), Some(eve.incident.id.as_str()));
        assert_eq!(cef.get("msg"), Some(eve.message.as_str()));
        assert_eq!(cef.get("rt"), Some((incident.decided.secs() * 1_000).to_string().as_str()));
        assert_eq!(cef.get("end").is_some(), incident.ended.is_some());
        assert_eq!(cef.get("cs1"), Some(eve.verdict_told().as_str()));
        let source = cef.get("src").or(cef.get("c6a2"));
        assert_eq!(source.map(str::to_owned), eve.src_ip.map(|ip| ip.to_string()));
        let destination = cef.get("dst").or(cef.get("c6a3"));
        assert_eq!(destination.map(str::to_owned), eve.dest_ip.map(|ip| ip.to_string()));
    }
}

#[test]
fn what_a_sensor_says_is_its_json() {
    for record in of_the_sensor() {
        let cef = read(&record);
        assert_eq!((cef.header[3].as_str(), cef.header[5].as_str()), (record.kind.word(), "0"));
        let own: Value = serde_json::from_str(cef.get("cs1").unwrap()).unwrap();
        let eve: Value = serde_json::from_str(&record.line).unwrap();
        assert!(own.as_object().unwrap().iter().all(|(name, value)| eve[name] == *value));
        assert_eq!(cef.get("rt").is_some(), record.time.is_some());
    }
}

#[test]
fn the_whole_line() {
    let line = record(&example::forged()).shaped(Format::Cef).line;
    let id = Eve::read(&record(&example::forged()).line).unwrap().incident.id;
    assert_eq!(
        *line,
        *[
            "CEF:0|bongsu|bongsu|",
            env!("CARGO_PKG_VERSION"),
            "|1010|BONGSU SYN flood from forged addresses|8|rt=1700699160000 start=1700698760000 end=1700698860000 ",
            &format!("externalId={id} cat=Denial of Service deviceExternalId=mirror-1 "),
            "destinationServiceName=pps dst=211.34.105.10 dpt=443 proto=TCP ",
            "msg=pps: 2,362 connection attempts a second never completed, addresses are forged or unknown: ",
            "no origin can be named ",
            "reason=99.7 % of the attempts to connect were never completed by their senders ",
            "cs1=attack/syn_flood cs1Label=Verdict cs2=close cs2Label=Incident State cs5=unknown ",
            "cs5Label=Service Health cs6=2,400 packets/s cs6Label=Load cn1=2 cn1Label=Sequence cfp1=0.98 ",
            "cfp1Label=Confidence cnt=240000",
        ]
        .concat()
    );
}
