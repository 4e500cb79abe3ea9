//! November 2023 in small: four services, four outages with four causes, and one foreign flood.

use super::build::{Builder, Window};
use super::crowds::founding_episode;
use super::curve::{Curve, plus};
use super::faults::{backend_episode, down_episode, large_loss_episode};
use super::floods::concentrated;
use super::server::Fault;
use super::site::Site;
use crate::time::Span;

/// 09:00 in Seoul on 2023-11-23, when offices open.
const MORNING: i64 = 1_700_697_600;

/// Seconds that each of the five takes, usually: people need a while to gather for a deadline.
const LENGTHS: [f64; 5] = [130.0, 220.0, 130.0, 130.0, 130.0];

/// Five episodes, one after the other.
pub fn november_2023(builder: &mut Builder) {
    builder.starts(MORNING);
    let (mut begin, _) = builder.event();
    let mut windows: Vec<Window> = Vec::new();
    for usual in LENGTHS {
        let length = builder.secs(usual);
        windows.push((begin, plus(begin, length)));
        let pause = builder.secs(150.0);
        begin = plus(plus(begin, length), pause);
    }
    builder.lasts(begin);
    let ordinary = Curve::flat(Span::default(), begin, 1.0);
    // Each of the four is half as busy as a single service would be.
    let rate = builder.setting.rate / 2.0;
    // Who gathers before a server that bears hardly more than always is not served and not seen.
    let services = [("gov", 1, 3.0), ("pps", 0, 4.4), ("id", 2, 3.0), ("city", 3, 3.0)];
    let [gov, pps, id, city] = services.map(|(name, site, capacity)| {
        builder.service_for((name, Site::number(site)), capacity, (rate, &ordinary))
    });
    let window = |place: usize| windows.get(place).copied().unwrap_or_default();
    large_loss_episode(builder, gov, window(0));
    founding_episode(builder, pps, window(1), rate);
    down_episode(builder, id, window(2), (Fault::Silent, "the identity service stopped answering"));
    backend_episode(builder, city, window(3), None);
    let times = builder.near(6.0) * 0.5;
    concentrated(builder, pps, window(4), times);
}
