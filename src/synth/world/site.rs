//! What there is on a site: pages with their popularity, size and cost, their assets, the login. Comes in: a choice;
//! goes out: an [`Ask`] with what the server will make of it in good health.

use super::super::rng::Rng;
use crate::time::Span;

/// One request: what is sent, and what it costs and brings in good health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Method.
    pub method: &'static str,
    /// Path.
    pub path: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Bytes of body sent along.
    pub upload: u32,
    /// Time on a processor.
    pub cost: Span,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of body in the answer.
    pub body: u32,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A page that is computed; its place in the list of pages.
    Page(u8),
    /// A file that belongs to pages.
    Asset,
    /// An attempt to log in.
    Login,
    /// Something that is not there.
    Missing,
}

/// A site.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Its name in Host and SNI.
    pub host: &'static str,
    pages: &'static [Page],
    assets: &'static [&'static str],
    /// Where one logs in.
    pub login: &'static str,
}

/// A computed page.
#[derive(Debug, Clone, Copy)]
struct Page {
    /// Path; `{}` becomes a number.
    path: &'static str,
    weight: u32,
    /// Bytes, usually.
    size: u32,
    /// Milliseconds on a processor, usually.
    cost: u32,
}

const fn page(path: &'static str, weight: u32, size: u32, cost: u32) -> Page {
    Page { path, weight, size, cost }
}

/// The sites, of which a scenario takes one or several.
const SITES: [Site; 5] = [
    Site {
        host: "bid.pps.example",
        pages: &[
            page("/", 14, 9_000, 45),
            page("/bid/list", 22, 12_000, 95),
            page("/bid/notice/{}", 34, 7_000, 60),
            page("/bid/notice/{}/files", 9, 5_000, 40),
            page("/bid/offer/form", 7, 8_000, 70),
            page("/search", 9, 10_000, 130),
            page("/mypage", 5, 5_000, 65),
        ],
        assets: &[
            "/static/main.css",
            "/static/main.js",
            "/static/vendor.js",
            "/static/logo.svg",
            "/static/icons.woff2",
        ],
        login: "/user/login",
    },
    Site {
        host: "rail.tickets.example",
        pages: &[
            page("/", 18, 7_000, 40),
            page("/trains", 25, 11_000, 110),
            page("/trains/{}/seats", 25, 9_000, 90),
            page("/reserve/{}", 15, 6_000, 80),
            page("/notice", 10, 4_000, 30),
            page("/account/trips", 7, 6_000, 70),
        ],
        assets: &["/assets/app.css", "/assets/app.js", "/assets/map.png", "/assets/station.json"],
        login: "/account/login",
    },
    Site {
        host: "id.gov.example",
        pages: &[
            page("/auth", 30, 5_000, 60),
            page("/auth/session", 30, 2_500, 50),
            page("/cert/{}", 20, 3_500, 70),
            page("/help", 10, 6_000, 30),
            page("/status", 10, 1_500, 20),
        ],
        assets: &["/res/auth.css", "/res/auth.js", "/res/keypad.png"],
        login: "/auth/login",
    },
    Site {
        host: "minwon.city.example",
        pages: &[
            page("/", 20, 8_000, 40),
            page("/civil/forms", 22, 9_000, 70),
            page("/civil/form/{}", 26, 6_000, 60),
            page("/civil/status/{}", 18, 4_000, 80),
            page("/search", 14, 9_000, 120),
        ],
        assets: &["/pub/site.css", "/pub/site.js", "/pub/emblem.png", "/pub/banner.jpg", "/pub/font.woff2"],
        login: "/member/login",
    },
    Site {
        host: "shop.mall.example",
        pages: &[
            page("/", 20, 14_000, 55),
            page("/category/{}", 26, 15_000, 85),
            page("/item/{}", 36, 12_000, 65),
            page("/cart", 9, 5_000, 70),
            page("/search", 9, 13_000, 120),
        ],
        assets: &["/cdn/shop.css", "/cdn/shop.js", "/cdn/hero.webp", "/cdn/sprite.svg"],
        login: "/login",
    },
];

/// What scanners ask for.
const PROBES: [&str; 24] = [
    "/.env",
    "/.git/config",
    "/wp-login.php",
    "/wp-admin/setup-config.php",
    "/phpmyadmin/index.php",
    "/admin/login.jsp",
    "/manager/html",
    "/cgi-bin/luci",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/actuator/env",
    "/solr/admin/info/system",
    "/boaform/admin/formLogin",
    "/backup.zip",
    "/db.sql",
    "/config.json",
    "/server-status",
    "/.aws/credentials",
    "/console/",
    "/api/v1/users",
    "/druid/index.html",
    "/jenkins/script",
    "/owa/auth/logon.aspx",
    "/shell.php",
    "/test.php",
];

/// Words that a scanner's list is made of.
const WORDS: [&str; 12] =
    ["old", "admin", "bak", "dev", "test", "data", "upload", "tmp", "site", "web", "portal", "secret"];

impl Site {
    /// Site `number`.
    pub fn number(number: u64) -> Self {
        let [first, ..] = SITES;
        SITES.get((number % SITES.len() as u64) as usize).copied().unwrap_or(first)
    }

    /// A page as people choose it.
    pub fn page(&self, rng: &mut Rng) -> Ask {
        let place = rng.weighted(self.pages.iter().map(|page| page.weight));
        self.page_at(place, rng)
    }

    /// The page at a place of the list.
    pub fn page_at(&self, place: usize, rng: &mut Rng) -> Ask {
        let place = place % self.pages.len().max(1);
        let [first, ..] = SITES;
        let page = self.pages.get(place).or(first.pages.first()).copied();
        let Page { path, size, cost, .. } = page.unwrap_or(page_of_nothing());
        let path = path.replace("{}", &(100_000 + rng.below(40_000)).to_string());
        Ask {
            method: "GET",
            path,
            purpose: Purpose::Page(place as u8),
            upload: 0,
            cost: around(cost, rng),
            status: 200,
            body: (u64::from(size) / 2 + rng.below(u64::from(size))) as u32,
        }
    }

    /// A file that pages need; `cached` where the client may have it.
    pub fn asset(&self, number: u64, rng: &mut Rng) -> Ask {
        let path = self.assets.get((number % self.assets.len().max(1) as u64) as usize);
        let unchanged = rng.below(4) == 0;
        Ask {
            method: "GET",
            path: path.map_or("/favicon.ico", |path| path).to_owned(),
            purpose: Purpose::Asset,
            upload: 0,
            cost: around(3, rng),
            status: if unchanged { 304 } else { 200 },
            body: if unchanged { 0 } else { (800 + rng.below(9_000)) as u32 },
        }
    }

    /// An attempt to log in that succeeds with probability `success`.
    pub fn login(&self, success: f64, rng: &mut Rng) -> Ask {
        let good = rng.unit() < success;
        Ask {
            method: "POST",
            path: self.login.to_owned(),
            purpose: Purpose::Login,
            upload: (40 + rng.below(60)) as u32,
            cost: around(60, rng),
            status: if good { 302 } else { 401 },
            body: if good { 0 } else { 900 },
        }
    }

    /// Something that a scanner hopes for; rarely it is there.
    pub fn probe(&self, number: u64, rng: &mut Rng) -> Ask {
        let known = PROBES.get(number as usize).map(|path| (*path).to_owned());
        let word = |of: u64| WORDS.get((of % WORDS.len() as u64) as usize).copied().unwrap_or("x");
        let path = known
            .unwrap_or_else(|| format!("/{}-{}/{}.php", word(number), word(number / 12), word(number / 144)));
        let there = rng.below(60) == 0;
        Ask {
            method: "GET",
            path,
            purpose: Purpose::Missing,
            upload: 0,
            cost: around(6, rng),
            status: if there { 403 } else { 404 },
            body: 500,
        }
    }

    /// The mean time on a processor per request of people who fetch `assets` files with a page.
    pub fn mean_cost(&self, assets: f64) -> f64 {
        let weights: u32 = self.pages.iter().map(|page| page.weight).sum();
        let costs: u32 = self.pages.iter().map(|page| page.weight * page.cost).sum();
        let page = f64::from(costs) / f64::from(weights.max(1)) / 1e3;
        (page + assets * 0.003) / (1.0 + assets)
    }
}

const fn page_of_nothing() -> Page {
    page("/", 1, 1_000, 10)
}

/// Half to one and a half times as many milliseconds, sometimes twice that.
fn around(millis: u32, rng: &mut Rng) -> Span {
    let micros = u64::from(millis) * (500 + rng.below(1_000));
    Span::from_micros(if rng.below(20) == 0 { micros * 2 } else { micros })
}
