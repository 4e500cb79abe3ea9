//! Address databases: opening one, and asking it for addresses.

use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use bongsu::attribute::{Attributor, Database, DatabaseError, Labels, Wanted, describe};

use super::fixture::{Mmdb, Value};

/// Opens the bytes as a database of countries and as one of networks; where one opens, it is asked.
pub fn run(bytes: &[u8]) {
    for wanted in [Wanted::Country, Wanted::Asn] {
        match open(bytes, wanted) {
            Ok(database) => ask(database, bytes, wanted),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn open(bytes: &[u8], wanted: Wanted) -> Result<Database, DatabaseError> {
    Database::read(Path::new("hostile.mmdb"), Cursor::new(bytes), wanted)
}

/// Addresses told by the file itself, beside some that stand where trees end.
fn ask(database: Database, bytes: &[u8], wanted: Wanted) {
    let Ok(other) = open(bytes, wanted) else { panic!("a file that opened does not open again") };
    let attributor = Attributor::new(database, other, Labels::default());
    for address in addresses(bytes) {
        let attribution = attributor.attribute(address);
        assert_eq!(attributor.attribute(address), attribution, "{address}");
        assert!(attribution.prefix.contains(&address.to_canonical()), "{attribution:?} of {address}");
        assert!(attribution.reach <= attribution.prefix.prefix_len(), "{attribution:?}");
        let _ = (attributor.organization(address), describe(&attributor, address));
    }
    let _ = attributor.about();
}

fn addresses(bytes: &[u8]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = [0, 1 << 24, 0x0102_0304, 0x7fff_ffff, 0xdfff_ffff, u32::MAX]
        .map(|v4| Ipv4Addr::from_bits(v4).into())
        .into();
    addresses.extend(bytes.as_chunks::<4>().0.iter().rev().take(8).map(|word| IpAddr::from(*word)));
    addresses.extend(bytes.as_chunks::<16>().0.iter().rev().take(4).map(|word| IpAddr::from(*word)));
    addresses
        .extend([0, 1 << 125, 0x2001_0e60 << 96, u128::MAX].map(|v6| IpAddr::from(Ipv6Addr::from_bits(v6))));
    addresses
}

/// Small databases of each layout.
pub fn seeds() -> Vec<Vec<u8>> {
    let sizes = [24, 28, 32].map(|bits| {
        let file = Mmdb::new().record_bits(bits).with("1.2.3.0/24", Value::flat_country("KR"));
        file.with("2001:e60::/32", Value::city("KR", "Seoul"))
            .with("211.0.0.0/8", Value::asn(4766, "Carrier"))
            .bytes()
    });
    let mut seeds = Vec::from(sizes);
    seeds.push(Mmdb::new().ipv4_only().with("128.0.0.0/1", Value::asn(1, "All")).bytes());
    seeds.push(
        Mmdb::new().with("1.0.0.0/8", Value::Pointer(3)).with("2.0.0.0/8", Value::flat_country("US")).bytes(),
    );
    seeds
}
