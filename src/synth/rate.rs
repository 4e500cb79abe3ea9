//! How often things happen: a rate and a length of time come in, the moments of single events go out.

use super::rng::Rng;
use crate::time::Span;

/// Events per second, rising or falling evenly from the begin of a part to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// At the begin.
    pub from: f64,
    /// At the end.
    pub to: f64,
}

/// The same rate all the time.
pub fn per_sec(rate: impl Into<f64>) -> Rate {
    let rate = rate.into();
    Rate { from: rate, to: rate }
}

/// A rate per second that goes evenly from one value to another.
pub fn ramp(from: impl Into<f64>, to: impl Into<f64>) -> Rate {
    Rate { from: from.into(), to: to.into() }
}

/// The moments at which conversations begin.
///
/// With N(t) the events a rate brings up to t, event k falls on the t with N(t) = k + u, u random in [0, 1): evenly
/// spread, jittered, in order, and their number is exact.
#[derive(Debug, Clone)]
pub(super) struct Arrivals {
    rate: Rate,
    length: Span,
    batch: u64,
    total: u64,
    made: u64,
    rng: Rng,
}

/// One beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Since the part's begin.
    pub since: Span,
    /// How many events are dealt with in it.
    pub count: u64,
}

impl Arrivals {
    /// `batch` events at a time.
    pub fn new(rate: Rate, length: Span, batch: u64, seed: u64) -> Self {
        let total = (rate.from + rate.to) / 2.0 * length.as_secs_f64();
        // A rounding error must not lose the last event.
        Self { rate, length, batch, total: (total + 1e-6) as u64, made: 0, rng: Rng::new(seed) }
    }

    /// The next beginning; `None` when all events are dealt with.
    pub fn next(&mut self) -> Option<Arrival> {
        let count = (self.total - self.made).min(self.batch);
        if count == 0 {
            return None;
        }
        let place = self.made as f64 + self.rng.unit() * count as f64;
        self.made += count;
        Some(Arrival { since: self.moment(place), count })
    }

    /// The t with from·t + slope·t²/2 = `events`, in the form that also holds for slope 0. Square roots are rounded
    /// exactly, so all machines agree.
    fn moment(&self, events: f64) -> Span {
        let length = self.length.as_secs_f64();
        let slope = (self.rate.to - self.rate.from) / length;
        let root = (self.rate.from * self.rate.from + 2.0 * slope * events).max(0.0).sqrt();
        let seconds = 2.0 * events / (self.rate.from + root);
        let nanos = (seconds.clamp(0.0, length) * 1e9) as u64;
        Span::from_nanos(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(rate: Rate, batch: u64) -> Vec<f64> {
        let mut arrivals = Arrivals::new(rate, Span::from_secs(10), batch, 1);
        std::iter::from_fn(|| arrivals.next()).map(|arrival| arrival.since.as_secs_f64()).collect()
    }

    #[test]
    fn a_steady_rate_is_steady_and_exact() {
        let moments = moments(per_sec(20), 1);
        assert_eq!(moments.len(), 200);
        assert!(moments.is_sorted());
        for second in 0..10 {
            let within = moments.iter().filter(|moment| moment.floor() as i32 == second).count();
            assert_eq!(within, 20, "second {second}");
        }
    }

    #[test]
    fn a_ramp_grows_evenly_up_and_down() {
        let up = moments(ramp(0, 40), 1);
        assert_eq!(up.len(), 200);
        assert!(up.iter().filter(|moment| **moment < 5.0).count().abs_diff(50) <= 1);
        let down = moments(ramp(40, 0), 1);
        assert!(down.iter().filter(|moment| **moment < 5.0).count().abs_diff(150) <= 1);
        assert!(down.iter().all(|moment| *moment <= 10.0));
    }

    #[test]
    fn the_last_batch_takes_the_rest() {
        let mut arrivals = Arrivals::new(per_sec(1), Span::from_secs(10), 4, 1);
        let counts: Vec<u64> = std::iter::from_fn(|| arrivals.next()).map(|arrival| arrival.count).collect();
        assert_eq!(counts, [4, 4, 2]);
        assert!(moments(per_sec(0), 1).is_empty());
    }
}
