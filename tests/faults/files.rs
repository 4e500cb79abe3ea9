//! Rules, configuration and databases that are rewritten under load, a third of them wrong: the last good ones are always
//! the ones in use, and no packet is lost by it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::line::{Line, Watch};
use crate::support::{WEB, crowd_at_home, last_stats, records, written};
use crate::told::{Outcome, tell};
use bongsu::synth::{Scenario, per_sec, secs};

const ROUNDS: u32 = 200;

/// When the shipped country database was built, and where in it that stands.
struct Shipped {
    bytes: Vec<u8>,
    at: usize,
    built: u32,
}

impl Shipped {
    fn read() -> Self {
        let packed = fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/geoip/dbip-country-lite.mmdb.zst"));
        let bytes = zstd::decode_all(packed.unwrap()).unwrap();
        let name = b"build_epoch";
        let found = bytes.windows(name.len()).rposition(|window| window == name).unwrap();
        // A 64-bit number of four bytes: its length, its extended type, itself.
        let at = found + name.len() + 2;
        assert_eq!(bytes[at - 2..at], [4, 2]);
        let built = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        Self { bytes, at, built }
    }

    /// The same database, built so many seconds later.
    fn later(&self, secs: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[self.at..self.at + 4].copy_from_slice(&(self.built + secs).to_be_bytes());
        bytes
    }
}

/// The files of a run, and what stands in them where they are right.
struct Files {
    config: PathBuf,
    rules: PathBuf,
    country: PathBuf,
    shipped: Shipped,
    set: String,
    /// The second home, the rate of a rule, and the seconds that the database is younger.
    good: (String, u32, u32),
}

impl Files {
    fn write_all(&self) {
        let (home, rate, later) = &self.good;
        fs::write(&self.config, format!("home: [KR, {home}]\nrule_files: [rules.yaml]\n")).unwrap();
        fs::write(&self.rules, self.set.replacen("gte: 20/s", &format!("gte: {rate}/s"), 1)).unwrap();
        fs::write(&self.country, self.shipped.later(*later)).unwrap();
    }

    /// Changes one of them to something else that is right; answers what is told to have changed, as it was and as it is.
    fn change(&mut self, round: u32) -> (&'static str, String, String) {
        let letters = || [b'A' + (round / 26 % 26) as u8, b'A' + (round % 26) as u8];
        let before = self.good.clone();
        // Of three rounds one is wrong; the others take turns.
        let changed = match (round - round / 3) % 3 {
            0 => {
                self.good.0 = String::from_utf8(letters().to_vec()).unwrap();
                ("home", before.0, self.good.0.clone())
            }
            1 => {
                self.good.1 = 20 + round;
                ("rules.load-surge", format!("≥ {}/s", before.1), format!("≥ {}/s", self.good.1))
            }
            _ => {
                self.good.2 = round;
                let built = |later: u32| format!("built {}", self.shipped.built + later);
                ("databases.country", built(before.2), built(self.good.2))
            }
        };
        self.write_all();
        changed
    }

    /// Makes one of them wrong.
    fn spoil(&self, round: u32) {
        let (set, database) = (&self.set, self.shipped.later(round));
        match round % 6 {
            0 => fs::write(&self.config, "home: [KOREA]\n"),
            1 => fs::write(&self.rules, &set[..set.find("gte: 20/s").unwrap() + 3]),
            // As it is while somebody copies it.
            2 => fs::write(&self.country, &database[..database.len() * (round as usize % 90 + 5) / 100]),
            3 => fs::write(&self.country, "no database"),
            4 => fs::write(&self.country, ""),
            _ => fs::write(&self.rules, [0xff, 0xfe, 0, 1]),
        }
        .unwrap();
    }
}

fn refusals(watch: &Watch) -> usize {
    let told = fs::read_to_string(&watch.told).unwrap();
    let whole = told.rfind('\n').map_or("", |end| &told[..=end]);
    records(whole).iter().filter(|record| is_refusal(record)).count()
}

/// Rewrites the files and waits for what is said of it; answers what should not have been said.
fn rewrite(watch: &Watch, files: &mut Files) -> Vec<String> {
    let mut wrong = Vec::new();
    for round in 1..=ROUNDS {
        if round % 3 == 0 {
            let before = refusals(watch);
            files.spoil(round / 3);
            watch.signal("HUP");
            watch.until("it is refused", || refusals(watch) > before);
            continue;
        }
        let (what, old, new) = files.change(round);
        watch.signal("HUP");
        let is = |change: &Value| change["what"] == what && change["new"].as_str().unwrap().contains(&new);
        let told = watch.tells("what changed", |record| {
            record["changes"].as_array().is_some_and(|changes| changes.iter().any(is))
        });
        let change = told["changes"].as_array().unwrap().iter().find(|change| is(change)).unwrap();
        // What was good last was in use until now, whatever was written in between.
        if !change["old"].as_str().unwrap().contains(&old) {
            wrong.push(format!("round {round}: {change}, not {old}"));
        }
    }
    wrong
}

#[test]
#[ignore = "needs root and minutes: make faults"]
fn files_that_change_under_load() {
    let fault = "200 rewrites of rules, configuration and databases, a third of them wrong or half-written";
    let Some(line) = Line::new("files") else {
        return tell(fault, Outcome::NotRun("no network namespace".to_owned()));
    };
    let folder = tempfile::tempdir().unwrap();
    let [config, rules, country] =
        ["bongsu.yaml", "rules.yaml", "country.mmdb"].map(|name| folder.path().join(name));
    let set = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/load.yaml")).unwrap();
    let good = ("JP".to_owned(), 20, 0);
    let mut files = Files { config, rules, country, shipped: Shipped::read(), set, good };
    files.write_all();
    let (_folder, capture) = written(&Scenario::new(75).with(crowd_at_home(per_sec(200)).over(secs(30))));
    let words =
        ["-s", WEB, "-c", files.config.to_str().unwrap(), "--country-db", files.country.to_str().unwrap()];
    let more = ["--events", "alert,notice,stats,config", "--http", "off", "--workers", "2"];
    let mut watch = Watch::begin_unkept(&line, folder.path(), &[&words[..], &more[..]].concat());
    let sending = line.send_on(&capture, 2_000);
    let wrong = rewrite(&watch, &mut files);
    drop(sending);
    std::thread::sleep(Duration::from_secs(1));
    let sent = line.sent();
    watch.interrupt().exits(0);
    let told = fs::read_to_string(&watch.told).unwrap();
    let packets = &last_stats(&told)["packets"];
    let refused = refusals(&watch);
    let figures = format!(
        "{} of {sent} packets, {} dropped, {refused} times refused, not the last good one: {wrong:?}",
        packets["read"], packets["dropped_kernel"]
    );
    let whole = packets["read"] == sent && packets["dropped_kernel"] == 0;
    let held = whole && refused >= ROUNDS as usize / 3 && wrong.is_empty();
    tell(fault, if held { Outcome::Held(figures) } else { Outcome::FellShort(figures) });
}

fn is_refusal(record: &Value) -> bool {
    record["condition"] == "reload_failed" && record["state"] == "on"
}
