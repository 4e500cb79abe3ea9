//! What was delivered and may still be lost on its way: receivers that answer nothing. Comes in: numbers of records, as
//! they are delivered. Goes out: the same numbers, in their order, once they have been in doubt for long enough.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Deliveries in doubt, oldest first.
#[derive(Debug)]
pub(super) struct Doubt {
    lasts: Duration,
    held: VecDeque<(Pin<Box<Sleep>>, Delivered)>,
}

/// Records that were delivered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    /// The number of the last of them in the spool.
    pub last: u64,
    /// How many they are.
    pub records: u64,
}

impl Doubt {
    /// Doubt that lasts so long.
    pub fn lasting(lasts: Duration) -> Self {
        Self { lasts, held: VecDeque::new() }
    }

    /// Whether there is ever any.
    pub fn is_cast(&self) -> bool {
        !self.lasts.is_zero()
    }

    /// Whether nothing is in doubt.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Records were delivered now.
    pub fn cast(&mut self, delivered: Delivered) {
        self.held.push_back((Box::pin(sleep(self.lasts)), delivered));
    }

    /// Waits until the oldest has been in doubt for long enough; for ever where there is none.
    pub async fn lifted(&mut self) {
        match self.held.front_mut() {
            Some((due, _)) => due.as_mut().await,
            None => pending().await,
        }
    }

    /// Takes out all that has been in doubt for long enough, as one.
    pub async fn take_lifted(&mut self) -> Option<Delivered> {
        let mut lifted = 0;
        for (due, _) in &mut self.held {
            if !is_over(due).await {
                break;
            }
            lifted += 1;
        }
        sum(self.held.drain(..lifted).map(|(_, delivered)| delivered))
    }

    /// Takes out everything, as one.
    pub fn take_all(&mut self) -> Option<Delivered> {
        sum(self.held.drain(..).map(|(_, delivered)| delivered))
    }
}

/// Whether a time is over, without waiting for it.
pub(super) async fn is_over(due: &mut Pin<Box<Sleep>>) -> bool {
    tokio::select! {
        biased;
        () = due.as_mut() => true,
        () = ready(()) => false,
    }
}

fn sum(all: impl Iterator<Item = Delivered>) -> Option<Delivered> {
    all.reduce(|sum, next| Delivered { last: next.last, records: sum.records + next.records })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_is_certain_in_its_order_and_when_its_time_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut doubt = Doubt::lasting(Duration::from_millis(1));
            doubt.cast(Delivered { last: 3, records: 3 });
            doubt.cast(Delivered { last: 5, records: 2 });
            doubt.lasts = Duration::from_secs(3_600);
            doubt.cast(Delivered { last: 6, records: 1 });
            sleep(Duration::from_millis(5)).await;
            doubt.lifted().await;
            assert_eq!(doubt.take_lifted().await, Some(Delivered { last: 5, records: 5 }));
            assert_eq!(doubt.take_lifted().await, None);
            assert!(!doubt.is_empty());
            assert_eq!(doubt.take_all(), Some(Delivered { last: 6, records: 1 }));
            assert!(doubt.is_empty());
        });
    }
}
