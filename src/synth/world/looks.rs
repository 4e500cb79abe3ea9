//! What a client's program and system look like on the wire: User-Agent, headers, ClientHello, SYN options. Comes in:
//! a number; goes out: the same look for the same number.

use super::super::rng::{Rng, mix};
use super::hello::{Program, Shape};

/// A kind of client program on a kind of system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    kind: Kind,
    /// Tells releases of the program apart.
    release: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ChromeWindows,
    ChromeAndroid,
    SafariPhone,
    EdgeWindows,
    WhaleWindows,
    FirefoxWindows,
    SafariMac,
    ChromeMac,
    App,
    Crawler,
    Curl,
    Python,
    GoClient,
    /// A flood tool; the number picks its words and its hello.
    Tool(u16),
}

/// Of a hundred visitors.
const PEOPLE: [(Kind, u32); 9] = [
    (Kind::ChromeWindows, 33),
    (Kind::ChromeAndroid, 22),
    (Kind::SafariPhone, 15),
    (Kind::EdgeWindows, 10),
    (Kind::WhaleWindows, 5),
    (Kind::FirefoxWindows, 4),
    (Kind::SafariMac, 4),
    (Kind::ChromeMac, 4),
    (Kind::App, 3),
];

/// SYN options of Windows: segment size, window scale 8, selective acknowledgement.
const WINDOWS: [u8; 12] = [2, 4, 0x05, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
/// SYN options of macOS and iOS without time stamps: window scale 6.
const APPLE: [u8; 12] = [2, 4, 0x05, 0xa0, 1, 3, 3, 6, 4, 2, 0, 0];
/// SYN options of Linux and Android without time stamps: window scale 7.
const LINUX: [u8; 12] = [2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7];

impl Look {
    /// The look of visitor `number`.
    pub fn of_person(number: u64) -> Self {
        let mut rng = Rng::new(number);
        let place = rng.weighted(PEOPLE.iter().map(|(_, weight)| *weight));
        let kind = PEOPLE.get(place).map_or(Kind::ChromeWindows, |(kind, _)| *kind);
        // Most run the newest release, some an older one.
        Self { kind, release: (rng.below(5) * rng.below(5) / 4) as u8 }
    }

    /// The look of a search engine's crawler.
    pub const fn crawler() -> Self {
        Self { kind: Kind::Crawler, release: 1 }
    }

    /// The look of a common client library, by `number`.
    pub const fn library(number: u64) -> Self {
        let kind = match number % 3 {
            0 => Kind::Curl,
            1 => Kind::Python,
            _ => Kind::GoClient,
        };
        Self { kind, release: (number / 3 % 4) as u8 }
    }

    /// The look of a flood tool, by `number`.
    pub const fn tool(number: u64) -> Self {
        Self { kind: Kind::Tool(mix(number, 11) as u16), release: 0 }
    }

    /// Its User-Agent.
    pub fn agent(self) -> String {
        let release = u32::from(self.release);
        let chrome = format!("AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0", 119 - release);
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)";
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
        match self.kind {
            Kind::ChromeWindows => format!("{windows} {chrome} Safari/537.36"),
            Kind::ChromeAndroid => {
                format!("Mozilla/5.0 (Linux; Android 10; K) {chrome} Mobile Safari/537.36")
            }
            Kind::SafariPhone => format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{release} like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/17.{release} Mobile/15E148 Safari/604.1"
            ),
            Kind::EdgeWindows => format!("{windows} {chrome} Safari/537.36 Edg/{}.0.0.0", 119 - release),
            Kind::WhaleWindows => format!("{windows} {chrome} Whale/3.{}.0.0 Safari/537.36", 23 - release),
            Kind::FirefoxWindows => {
                let version = 120 - release;
                format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
                )
            }
            Kind::SafariMac => {
                format!("{mac} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{release} Safari/605.1.15")
            }
            Kind::ChromeMac => format!("{mac} {chrome} Safari/537.36"),
            Kind::App => format!("BidMobile/4.{release} (Android 13) okhttp/4.10.0"),
            Kind::Crawler => {
                String::from("Mozilla/5.0 (compatible; Searchbot/2.1; +http://search.example/bot.html)")
            }
            Kind::Curl => format!("curl/8.{release}.0"),
            Kind::Python => format!("python-requests/2.3{release}.0"),
            Kind::GoClient => String::from("Go-http-client/1.1"),
            Kind::Tool(number) => match number % 3 {
                0 => format!("Mozilla/5.0 (compatible; MSIE {}.0; Windows NT 6.1)", 7 + number / 3 % 4),
                1 => format!(
                    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{0}.0",
                    40 + number / 3 % 40
                ),
                _ => format!(
                    "{windows} AppleWebKit/537.36 Chrome/{}.0.0.0 Safari/537.36",
                    60 + number / 3 % 40
                ),
            },
        }
    }

    /// The headers that follow Host and User-Agent.
    pub const fn headers(self) -> &'static str {
        match self.kind {
            Kind::Crawler => "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nFrom: bot@search.example\r\n",
            Kind::Curl | Kind::GoClient | Kind::Python => "Accept: */*\r\nAccept-Encoding: gzip\r\n",
            Kind::Tool(_) => "Accept: */*\r\nCache-Control: no-cache\r\n",
            Kind::App => "Accept: application/json\r\nAccept-Encoding: gzip\r\nAccept-Language: ko-KR\r\n",
            Kind::FirefoxWindows => {
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
                 Accept-Language: ko-KR,ko;q=0.8,en-US;q=0.5,en;q=0.3\r\nAccept-Encoding: gzip, deflate\r\n"
            }
            Kind::SafariPhone | Kind::SafariMac => {
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
                 Accept-Language: ko-KR,ko;q=0.9\r\nAccept-Encoding: gzip, deflate\r\n"
            }
            _ => {
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
                 Accept-Encoding: gzip, deflate\r\nAccept-Language: ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7\r\n"
            }
        }
    }

    /// Its ClientHello.
    pub fn hello(self) -> Shape {
        match self.kind {
            Kind::ChromeWindows
            | Kind::ChromeAndroid
            | Kind::EdgeWindows
            | Kind::WhaleWindows
            | Kind::ChromeMac => Shape::of(Program::Chromium),
            Kind::FirefoxWindows => Shape::of(Program::Firefox),
            Kind::SafariPhone | Kind::SafariMac => Shape::of(Program::Safari),
            Kind::App => Shape::of(Program::App),
            Kind::Crawler => Shape::odd(Program::Chromium, 1),
            Kind::Curl | Kind::Python => Shape::of(Program::OpenSsl),
            Kind::GoClient => Shape::of(Program::Go),
            Kind::Tool(number) => {
                let program = if number.is_multiple_of(2) { Program::OpenSsl } else { Program::Go };
                Shape::odd(program, u64::from(number))
            }
        }
    }

    /// Options of its SYN, its first window, and the time to live it starts with.
    pub const fn system(self) -> (&'static [u8; 12], u16, u8) {
        match self.kind {
            Kind::ChromeWindows | Kind::EdgeWindows | Kind::WhaleWindows | Kind::FirefoxWindows => {
                (&WINDOWS, 64_240, 128)
            }
            Kind::SafariPhone | Kind::SafariMac | Kind::ChromeMac => (&APPLE, 65_535, 64),
            _ => (&LINUX, 64_240, 64),
        }
    }
}
