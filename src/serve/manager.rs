//! The service manager (systemd's `sd_notify`). Goes out: ready, reloading, stopping, signs of life. Where there is no
//! manager, nothing happens.

use sd_notify::{NotifyState, notify};

/// Packets are read from now on.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Rules and configuration are read anew; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// All threads move.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(state: &[NotifyState<'_>]) {
    // A manager that does not listen is its own business.
    let _ = notify(state);
}
