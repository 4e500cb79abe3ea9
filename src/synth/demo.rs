//! The story that `bongsu demo` tells: twelve minutes before a procurement site, a domestic crowd that grows towards
//! its deadline, and in the eighth minute concentrated access from two foreign ranges. Nothing comes in; a
//! [`Scenario`] goes out.
//!
//! Real address ranges are needed so that the databases have something to say. The service and its visitors stand in
//! ranges of Korean providers. The foreign ranges belong to a research testbed for routing experiments: nobody
//! browses from there.

use super::{Scenario, Traffic, Trouble, millis, per_sec, ramp, secs};
use crate::service::Service;
use crate::time::{Span, Timestamp};

/// What has to be said wherever the story is shown.
pub const DISCLAIMER: &str = "This traffic is invented. Its addresses are real only so that country and network \
    can be shown; nobody there sent a packet of it, and nothing of it happened.";

/// The service of the story, as `--service` takes it.
pub const SERVICE: &str = "pps=211.34.105.10:80";

/// The two foreign ranges, both AS47065 and US in the shipped databases.
pub const FOREIGN_RANGES: [&str; 2] = ["184.164.240.0/24", "147.28.10.0/24"];

/// Ranges that the shipped databases know as Korean throughout.
const DOMESTIC_RANGES: [&str; 4] = ["168.126.0.0/16", "211.34.0.0/16", "121.128.0.0/10", "175.192.0.0/10"];

/// 09:12 in Seoul on 2023-11-23.
pub const START: Timestamp = Timestamp::from_secs(1_700_698_320);

/// How long the story is.
pub const LENGTH: Span = secs(12 * 60);

/// When the foreign access begins, after [`START`], and how long it lasts.
pub const FOREIGN_ACCESS: (Span, Span) = (secs(7 * 60), secs(4 * 60));

/// What visitors read with.
const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:120.0) Gecko/20100101 Firefox/120.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 13; SM-S918N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
];

/// The whole story: some 350 000 packets.
pub fn scenario() -> Scenario {
    let service = service();
    Scenario::new(0x9d5)
        .at(START)
        .with(domestic_crowd(&service))
        .with(foreign_access(&service))
        .trouble(overload())
}

/// The service of the story.
pub fn service() -> Service {
    Service::parse(SERVICE).unwrap_or(Service {
        name: String::from("pps"),
        addresses: Vec::new(),
        ports: Vec::new(),
    })
}

/// Bidders: from 6 to 20 requests a second from 600 clients, over all of the site.
fn domestic_crowd(service: &Service) -> Traffic {
    let crowd = Traffic::to(service)
        .named("domestic crowd")
        .sources(600)
        .requests(ramp(6, 20))
        .over(LENGTH)
        .rtt(millis(3), millis(28))
        .path_weighted("/", 6)
        .path_weighted("/bid/list", 14)
        .path_weighted("/bid/notice/{n}", 24)
        .path_weighted("/bid/notice/{n}/attachments", 6)
        .path_weighted("/login", 3)
        .ask("POST", "/login", 3)
        .ask("POST", "/bid/offer", 4)
        .path_weighted("/static/main.css", 12)
        .path_weighted("/static/main.js", 12)
        .path_weighted("/static/logo.svg", 10)
        .statuses(&[(200, 90), (304, 6), (302, 3), (404, 1)])
        .host("pps.example")
        .per_connection(4)
        .think(millis(400))
        .body(700, 6_000);
    let crowd = DOMESTIC_RANGES.iter().fold(crowd, |crowd, range| crowd.from(range));
    BROWSERS.iter().fold(crowd, |crowd, agent| crowd.agent(agent))
}

/// 120 requests a second from 200 clients in two ranges, one path, one agent.
fn foreign_access(service: &Service) -> Traffic {
    let (start, length) = FOREIGN_ACCESS;
    let access = Traffic::to(service)
        .named("concentrated foreign access")
        .sources(200)
        .requests(per_sec(120))
        .start(start)
        .over(length)
        .rtt(millis(135), millis(190))
        .path("/bid/list")
        .agent("Mozilla/5.0 (compatible; ListReader/1.4)")
        .host("pps.example")
        .per_connection(3)
        .think(millis(150))
        .body(2_000, 5_000);
    FOREIGN_RANGES.iter().fold(access, |access, range| access.from(range))
}

/// The service stands ten seconds of it, then fails more and more requests and takes longer for the others.
fn overload() -> Trouble {
    let (start, length) = FOREIGN_ACCESS;
    let patience = secs(10);
    Trouble::status(503)
        .share(0.05, 0.6)
        .wait(millis(1_500))
        .start(secs(start.secs() + patience.secs()))
        .over(secs(length.secs() - patience.secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_is_as_told() {
        let truth = scenario().truth().unwrap();
        let [crowd, foreign] = &truth.parts[..] else { panic!("two parts") };
        assert_eq!((crowd.sources, crowd.requests), (600, 13 * 720));
        assert_eq!((foreign.sources, foreign.requests), (200, 120 * 240));
        assert_eq!(foreign.start, "2023-11-23T00:19:00.000000+00:00");
        assert!((200_000..500_000).contains(&truth.packets), "{}", truth.packets);
    }

    #[test]
    fn overload_comes_and_goes() {
        let share = |second| overload().share_at(secs(second));
        assert_eq!((share(429), share(661)), (0.0, 0.0));
        assert!(share(431) < 0.1 && share(650) > 0.55);
    }
}
