//! Pseudonyms for addresses in what is told. Comes in: a key, and the services, whose own addresses stay readable. Goes out:
//! for every other address always the same other one. Two addresses with a common prefix have pseudonyms with a common
//! prefix of the same length, so that prefixes have pseudonyms too; without the key nothing leads back.
//!
//! The scheme is `ipcrypt-pfx` of [draft-denis-ipcrypt](https://datatracker.ietf.org/doc/draft-denis-ipcrypt/), in the
//! manner of Crypto-PAn: every bit is turned or not by what AES-128, under two keys, makes of the bits before it.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;
use ipcrypt_rs::IpcryptPfx;
use ipnet::IpNet;

use crate::decode::Layers;
use crate::flow::record::{Ends, FlowRecord, HelloRecord, Record, RequestRecord};
use crate::incident::{Incident, Place};
use crate::service::Services;

/// The key of pseudonyms: 32 bytes. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymKey([u8; KEY_BYTES]);

const KEY_BYTES: usize = IpcryptPfx::KEY_BYTES;

/// Hexadecimal digits of a key.
pub const KEY_DIGITS: usize = 2 * KEY_BYTES;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its length or its letters are wrong.
    #[error("expected {KEY_DIGITS} hexadecimal digits, as `openssl rand -hex {KEY_BYTES}` writes them")]
    Digits,
    /// It would turn no bit.
    #[error("the two halves of the key are the same, which hides nothing: write a new one")]
    Halves,
}

impl PseudonymKey {
    /// Reads a key: [`KEY_DIGITS`] hexadecimal digits, a line end behind them or not.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let digits = text.strip_suffix(b"\n").unwrap_or(text);
        let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
        let mut key = [0; KEY_BYTES];
        if digits.len() != KEY_DIGITS {
            return Err(KeyError::Digits);
        }
        for (byte, pair) in key.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = high.zip(low).map(|(high, low)| (high * 16 + low) as u8).ok_or(KeyError::Digits)?;
        }
        let (one, other) = key.split_at(KEY_BYTES / 2);
        if one == other { Err(KeyError::Halves) } else { Ok(Self(key)) }
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PseudonymKey(..)")
    }
}

/// Gives pseudonyms; none where no key was given.
#[derive(Clone, Default)]
pub struct Pseudonyms(Option<Arc<Veil>>);

struct Veil {
    cipher: IpcryptPfx,
    services: Services,
    /// Pseudonyms that were given lately: each costs some microseconds, and whoever comes once comes again.
    given: DashMap<IpAddr, IpAddr, RandomState>,
}

/// Pseudonyms that are remembered; when there are more, all are forgotten.
const MOST_GIVEN: usize = 65_536;

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Pseudonyms").field(&!self.is_empty()).finish()
    }
}

impl Pseudonyms {
    /// Pseudonyms for all addresses that no service owns.
    pub fn new(key: &PseudonymKey, services: &Services) -> Self {
        let cipher = IpcryptPfx::new(key.0);
        Self(Some(Arc::new(Veil { cipher, services: services.clone(), given: DashMap::default() })))
    }

    /// Whether addresses are told as they are.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What is told of an address.
    pub fn address(&self, address: IpAddr) -> IpAddr {
        match &self.0 {
            Some(veil) if veil.services.scope_of(address, None).is_none() => veil.turned(address),
            _ => address,
        }
    }

    /// What is told of an address and port.
    pub fn end(&self, end: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address(end.ip()), end.port())
    }

    /// What is told of a prefix: the same bits of the pseudonym of whatever address it holds. A prefix inside a
    /// service's own stays.
    pub fn prefix(&self, net: IpNet) -> IpNet {
        let Some(veil) = &self.0 else { return net };
        let is_own = |own: &IpNet| own.contains(&net);
        if veil.services.iter().any(|(_, service)| service.addresses.iter().any(is_own)) {
            return net;
        }
        IpNet::new(veil.turned(net.addr()), net.prefix_len()).map_or(net, |turned| turned.trunc())
    }

    /// The incident as it is told.
    pub(super) fn incident<'i>(&self, incident: &'i Incident) -> Cow<'i, Incident> {
        if self.is_empty() {
            return Cow::Borrowed(incident);
        }
        let mut told = incident.clone();
        for row in &mut told.origins {
            row.example = self.address(row.example);
            row.place = match row.place {
                Place::Source(address) => Place::Source(self.address(address)),
                Place::Prefix(net) => Place::Prefix(self.prefix(net)),
                wide @ (Place::Country(_) | Place::Network(_)) => wide,
            };
        }
        if let Some(end) = &mut told.end {
            end.address = self.end(end.address);
        }
        Cow::Owned(told)
    }

    /// Calls `tell` with a record of flows as it is told.
    pub(super) fn record<R>(&self, record: &Record<'_>, tell: impl FnOnce(&Record<'_>) -> R) -> R {
        if self.is_empty() {
            return tell(record);
        }
        match record {
            Record::Flow(flow) => {
                let carried = flow.carried.map(|carried| self.layers(carried));
                let ends = self.ends(flow.ends);
                tell(&Record::Flow(&FlowRecord { ends, carried: carried.as_ref(), ..**flow }))
            }
            Record::Request(request) => {
                let forwarded = request.forwarded.map(|client| self.address(client));
                tell(&Record::Request(&RequestRecord {
                    ends: self.ends(request.ends),
                    forwarded,
                    ..**request
                }))
            }
            Record::Hello(hello) => {
                let forwarded = hello.forwarded.map(|client| self.address(client));
                tell(&Record::Hello(&HelloRecord { ends: self.ends(hello.ends), forwarded, ..**hello }))
            }
        }
    }

    fn ends(&self, ends: Ends) -> Ends {
        Ends { originator: self.end(ends.originator), responder: self.end(ends.responder), ..ends }
    }

    fn layers(&self, layers: &Layers) -> Layers {
        layers.with_addresses(|address| self.address(address))
    }
}

impl Veil {
    fn turned(&self, address: IpAddr) -> IpAddr {
        if let Some(given) = self.given.get(&address) {
            return *given;
        }
        let turned = self.encrypted(address);
        if self.given.len() >= MOST_GIVEN {
            self.given.clear();
        }
        self.given.insert(address, turned);
        turned
    }

    /// IPv6 addresses that hold an IPv4 address have its pseudonym.
    fn encrypted(&self, address: IpAddr) -> IpAddr {
        match (address, self.cipher.encrypt_ipaddr(address.to_canonical())) {
            (IpAddr::V6(_), IpAddr::V4(turned)) => IpAddr::V6(turned.to_ipv6_mapped()),
            (_, turned) => turned,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::service::Service;

    const KEY: &str = "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301";

    fn pseudonyms() -> Pseudonyms {
        let services = ["web=211.34.105.10,[2001:220::10]:443", "net=192.0.2.0/24:80"];
        let services = services.map(|text| Service::parse(text).unwrap()).to_vec();
        Pseudonyms::new(&PseudonymKey::parse(KEY.as_bytes()).unwrap(), &Services::new(services).unwrap())
    }

    fn turned(text: &str) -> String {
        pseudonyms().address(text.parse().unwrap()).to_string()
    }

    #[test]
    fn the_drafts_own_examples() {
        for (address, pseudonym) in [
            ("0.0.0.0", "151.82.155.134"),
            ("255.255.255.255", "94.185.169.89"),
            ("2001:db8::1", "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"),
        ] {
            assert_eq!(turned(address), pseudonym);
        }
    }

    #[test]
    fn a_services_own_addresses_stay() {
        for own in ["211.34.105.10", "2001:220::10", "192.0.2.77"] {
            assert_eq!(turned(own), own);
        }
        assert_ne!(turned("211.34.105.11"), "211.34.105.11");
        let prefix = |text: &str| pseudonyms().prefix(text.parse().unwrap()).to_string();
        assert_eq!(prefix("192.0.2.128/25"), "192.0.2.128/25");
        assert_ne!(prefix("192.0.0.0/16"), "192.0.0.0/16", "of which a part only is its own");
        let none = Pseudonyms::default();
        assert_eq!(none.address("198.51.100.7".parse().unwrap()).to_string(), "198.51.100.7");
    }

    #[test]
    fn a_pseudonym_that_was_forgotten_is_given_again() {
        let pseudonyms = pseudonyms();
        let address = |nth: u32| IpAddr::V4((0x0a00_0000 + nth).into());
        let veil = pseudonyms.0.as_ref().unwrap();
        for nth in 0..MOST_GIVEN as u32 {
            veil.given.insert(address(nth), address(nth));
        }
        let first = pseudonyms.address("198.51.100.7".parse().unwrap());
        assert_eq!(veil.given.len(), 1, "there were too many");
        assert_eq!(first, pseudonyms.address("198.51.100.7".parse().unwrap()));
        assert_ne!(pseudonyms.address(address(5)), address(5));
    }

    #[test]
    fn an_embedded_address_has_the_pseudonym_of_what_it_holds() {
        let v4 = turned("198.51.100.7");
        assert_eq!(turned("::ffff:198.51.100.7"), format!("::ffff:{v4}"));
    }

    #[test]
    fn what_is_no_key_is_refused_and_no_key_is_shown() {
        let parse = |text: &str| PseudonymKey::parse(text.as_bytes());
        assert!(parse(&format!("{KEY}\n")).is_ok() && parse(&format!("{KEY}\r\n")).is_ok());
        for wrong in ["", "0", &KEY[1..], &format!("{KEY}0"), &format!("{KEY} "), &KEY.replace('0', "g")] {
            assert_eq!(parse(wrong).unwrap_err(), KeyError::Digits, "{wrong}");
        }
        assert_eq!(parse(&"0123456789abcdef".repeat(4)).unwrap_err(), KeyError::Halves);
        let key = parse(KEY).unwrap();
        assert_eq!(format!("{key:?} {:?}", pseudonyms()), "PseudonymKey(..) Pseudonyms(true)");
    }

    /// The bits that two addresses of one version have in common.
    fn common(one: IpAddr, other: IpAddr) -> u32 {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => 0,
        }
    }

    fn check(one: IpAddr, other: IpAddr) -> Result<(), TestCaseError> {
        let pseudonyms = Pseudonyms::new(&PseudonymKey::parse(KEY.as_bytes()).unwrap(), &Services::default());
        let (told, other_told) = (pseudonyms.address(one), pseudonyms.address(other));
        prop_assert_eq!(common(told, other_told), common(one, other));
        for len in [0, 8, 17, 24, 32].into_iter().chain(one.is_ipv6().then_some(48)) {
            let net = IpNet::new(one, len).unwrap();
            prop_assert_eq!(pseudonyms.prefix(net.trunc()), IpNet::new(told, len).unwrap().trunc());
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn common_prefixes_stay_common(one in any::<u32>(), near in 0..33_u32, six in any::<u128>(), far in 0..129_u32) {
            let other = one ^ 0x8000_0000_u32.checked_shr(near).unwrap_or(0);
            check(IpAddr::V4(one.into()), IpAddr::V4(other.into()))?;
            // Global addresses: none of them holds an IPv4 address.
            let (six, far) = (six >> 3 | 1 << 125, far.max(3));
            let other = six ^ (1_u128 << 127).checked_shr(far).unwrap_or(0);
            check(IpAddr::V6(six.into()), IpAddr::V6(other.into()))?;
        }
    }
}
