//! What an incident is judged by, piece by piece: small cases whose answer is known in advance.

mod cohort;
mod contrast;
mod facts;
mod health;
mod moments;
mod standing;
mod timeline;
mod verdict;

use crate::aggregate::{Count, ScopeTick};
use crate::detect::Before;
use crate::time::TickId;

/// A second in which so many connect and ask, and are answered.
fn served(each_second: u64) -> ScopeTick {
    let mut tick = ScopeTick::default();
    for count in [
        Count::Attempts,
        Count::Answered,
        Count::Opened,
        Count::Accesses,
        Count::Requests,
        Count::Responses,
        Count::FirstBytes,
    ] {
        tick.counts[count] = each_second;
    }
    tick.counts[Count::FirstByteWait] = each_second * 20_000;
    tick
}

/// A second in which so many connect and ask, and nobody is answered.
fn silent(each_second: u64) -> ScopeTick {
    let mut tick = ScopeTick::default();
    for count in [Count::Attempts, Count::Accesses, Count::Requests] {
        tick.counts[count] = each_second;
    }
    tick
}

/// A quarter of an hour of such seconds, up to second 0.
fn before(each_second: u64) -> Before {
    let mut before = Before::default();
    for second in -900..0 {
        before.learn(second, 1, &served(each_second));
    }
    before
}

fn at(second: i64) -> TickId {
    TickId { epoch: 0, second }
}
