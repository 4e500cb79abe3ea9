//! The two databases inside the binary: country and AS, compressed.
//! Comes in: nothing. Goes out: two open [`Database`]s. What they are and who made them stands in `geoip/README.md`.

use std::io;
use std::thread;

use super::database::{Database, DatabaseError, Wanted};
use super::survey::SurveyLimits;

/// A compressed database inside the binary.
struct Embedded {
    name: &'static str,
    compressed: &'static [u8],
    wanted: Wanted,
}

const COUNTRY: Embedded = Embedded {
    name: "DB-IP Country Lite",
    compressed: include_bytes!("../../geoip/dbip-country-lite.mmdb.zst"),
    wanted: Wanted::Country,
};

const ASN: Embedded = Embedded {
    name: "Route Views, NRO, DB-IP ASN",
    compressed: include_bytes!("../../geoip/asn.mmdb.zst"),
    wanted: Wanted::Asn,
};

/// Three times the larger file: room for newer data, and an end to a frame that says it is larger.
const MAX_UNPACKED_BYTES: usize = 32 << 20;

/// Unpacks both databases, side by side: it is most of the time that starting takes.
pub(super) fn open() -> Result<(Database, Database), DatabaseError> {
    thread::scope(|scope| {
        let country = thread::Builder::new().spawn_scoped(scope, || COUNTRY.open());
        let asn = ASN.open()?;
        // Where no thread is to be had, or it did not come back, it is done here.
        let country = country.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| COUNTRY.open())?;
        Ok((country, asn))
    })
}

/// Unpacks one of them.
pub(super) fn open_one(wanted: Wanted) -> Result<Database, DatabaseError> {
    match wanted {
        Wanted::Country => COUNTRY.open(),
        Wanted::Asn => ASN.open(),
    }
}

impl Embedded {
    fn open(&self) -> Result<Database, DatabaseError> {
        let bytes = self.unpack().map_err(|source| DatabaseError::Unpack { name: self.name, source })?;
        // A test proves the checksum of these bytes, so only the schema is looked at.
        let database = Database::parse(bytes, self.wanted, SurveyLimits::BRIEF);
        database
            .map(|database| database.named(self.name))
            .map_err(|fault| fault.of(self.name.as_ref(), self.wanted))
    }

    fn unpack(&self) -> io::Result<Vec<u8>> {
        let stated = zstd::zstd_safe::get_frame_content_size(self.compressed).ok().flatten();
        let size = stated.and_then(|size| usize::try_from(size).ok()).unwrap_or(MAX_UNPACKED_BYTES);
        zstd::bulk::decompress(self.compressed, size.min(MAX_UNPACKED_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    const SHA256SUMS: &str = include_str!("../../geoip/SHA256SUMS");

    #[test]
    fn the_embedded_databases_have_the_written_checksums() {
        for (file, embedded) in [("dbip-country-lite.mmdb", COUNTRY), ("asn.mmdb", ASN)] {
            let digest = Sha256::digest(embedded.unpack().unwrap());
            let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let line = format!("{sum}  {file}");
            assert!(SHA256SUMS.lines().any(|written| written == line), "not in SHA256SUMS: {line}");
        }
    }

    #[test]
    fn the_embedded_databases_hold_country_and_network() {
        let (country, asn) = open().unwrap();
        let address = "8.8.8.8".parse().unwrap();
        assert_eq!(country.find(address).record().country.unwrap().to_string(), "US");
        assert_eq!(asn.find(address).record().asn.unwrap().to_string(), "AS15169");
    }
}
