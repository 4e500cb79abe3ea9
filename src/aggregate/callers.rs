//! Who tried to connect to a scope in a second, as far as it takes no row: one address alone, or several. Comes in:
//! addresses that nothing proves. Goes out: the address, where it was one.

use std::net::IpAddr;

/// The addresses that tried to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Callers {
    /// None did.
    #[default]
    Nobody,
    /// One did, however often.
    One(IpAddr),
    /// More than one did.
    Several,
}

impl Callers {
    /// Sees an address try.
    #[inline]
    pub fn see(&mut self, source: &IpAddr) {
        match self {
            Self::Nobody => *self = Self::One(*source),
            Self::One(one) if one == source => {}
            Self::One(_) => *self = Self::Several,
            Self::Several => {}
        }
    }

    /// Adds what was seen elsewhere, in whatever order.
    #[inline]
    pub fn merge(&mut self, other: Self) {
        *self = match (*self, other) {
            (Self::Nobody, any) | (any, Self::Nobody) => any,
            (Self::One(one), Self::One(other)) if one == other => Self::One(one),
            _ => Self::Several,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_tries_again_is_one_and_the_order_does_not_matter() {
        let one = |host| Callers::One(IpAddr::from([198, 51, 100, host]));
        let all = [Callers::Nobody, one(1), one(2), Callers::Several];
        let sum = |mut sum: Callers, more| {
            sum.merge(more);
            sum
        };
        for (first, second) in all.iter().flat_map(|first| all.map(|second| (*first, second))) {
            assert_eq!(sum(first, second), sum(second, first));
            for third in all {
                assert_eq!(sum(sum(first, second), third), sum(first, sum(second, third)));
            }
        }
        assert_eq!(sum(one(1), one(1)), one(1));
        assert_eq!(sum(one(1), one(2)), Callers::Several);
    }
}
