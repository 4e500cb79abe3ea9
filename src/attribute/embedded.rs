//! The two databases inside the binary: country and AS, as `build.rs` unpacked them.
//! Comes in: nothing. Goes out: two open [`Database`]s. What they are and who made them stands in `geoip/README.md`.

use std::borrow::Cow;

use super::database::{Database, DatabaseError, Wanted};
use super::survey::SurveyLimits;

/// A database inside the binary.
struct Embedded {
    name: &'static str,
    bytes: &'static [u8],
    wanted: Wanted,
}

static COUNTRY: Embedded = Embedded {
    name: "DB-IP Country Lite",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/dbip-country-lite.mmdb")),
    wanted: Wanted::Country,
};

static ASN: Embedded = Embedded {
    name: "Route Views, NRO, DB-IP ASN",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/asn.mmdb")),
    wanted: Wanted::Asn,
};

/// Opens one of them.
pub(super) fn open(wanted: Wanted) -> Result<Database, DatabaseError> {
    match wanted {
        Wanted::Country => COUNTRY.open(),
        Wanted::Asn => ASN.open(),
    }
}

impl Embedded {
    fn open(&self) -> Result<Database, DatabaseError> {
        // A test proves the checksum of these bytes, so only the schema is looked at.
        let database = Database::parse(Cow::Borrowed(self.bytes), self.wanted, SurveyLimits::BRIEF);
        database
            .map(|database| database.named(self.name))
            .map_err(|fault| fault.of(self.name.as_ref(), self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    const SHA256SUMS: &str = include_str!("../../geoip/SHA256SUMS");

    #[test]
    fn the_embedded_databases_have_the_written_checksums() {
        for (file, embedded) in [("dbip-country-lite.mmdb", &COUNTRY), ("asn.mmdb", &ASN)] {
            let digest = Sha256::digest(embedded.bytes);
            let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let line = format!("{sum}  {file}");
            assert!(SHA256SUMS.lines().any(|written| written == line), "not in SHA256SUMS: {line}");
        }
    }

    #[test]
    fn the_embedded_databases_hold_country_and_network() {
        let address = "8.8.8.8".parse().unwrap();
        let (country, asn) = (open(Wanted::Country).unwrap(), open(Wanted::Asn).unwrap());
        assert_eq!(country.find(address).record().country.unwrap().to_string(), "US");
        assert_eq!(asn.find(address).record().asn.unwrap().to_string(), "AS15169");
    }
}
