//! For whom trusted proxies speak on their connections. Comes in: who is trusted, and whom a proxy named last, by the
//! connection's slot. Goes out: to whom what happens there belongs. Holds nothing of connections that come from nobody's
//! proxy, and is empty where no proxy is trusted.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::speech::TrustedProxies;
use super::table::SlotId;

/// The clients that proxies' connections ask for at the moment, at most one a connection.
#[derive(Debug)]
pub(super) struct Askers {
    /// Whose word on their clients is believed.
    pub proxies: TrustedProxies,
    asked_for: HashMap<SlotId, IpAddr, RandomState>,
}

impl Askers {
    /// Nobody yet; these proxies may speak for others.
    pub fn new(proxies: TrustedProxies) -> Self {
        Self { proxies, asked_for: HashMap::default() }
    }

    /// Whom the connection in a slot asks for; `None` where it is its sender.
    #[inline]
    pub fn of(&self, id: SlotId) -> Option<IpAddr> {
        if self.asked_for.is_empty() { None } else { self.asked_for.get(&id).copied() }
    }

    /// What the connection of `sender` in a slot asks from now on, it asks for `asker`; answers for whom it asked before,
    /// where that was another.
    #[inline]
    pub fn ask(&mut self, id: SlotId, sender: IpAddr, asker: IpAddr) -> Option<IpAddr> {
        let before = self.of(id).unwrap_or(sender);
        if before == asker {
            return None;
        }
        if asker == sender {
            self.asked_for.remove(&id);
        } else {
            self.asked_for.insert(id, asker);
        }
        Some(before)
    }

    /// The connection in a slot is no more.
    #[inline]
    pub fn forget(&mut self, id: SlotId) {
        if !self.asked_for.is_empty() {
            self.asked_for.remove(&id);
        }
    }
}
