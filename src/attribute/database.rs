//! One address database (`.mmdb`), whoever made it, read whole into memory.
//! Comes in: a file and what is wanted of it, country or network. Goes out: what its record says of an address.
//! A file may be damaged or hostile: opening refuses what it can see, look-ups answer "nothing known", and every walk
//! through the file has a limit. `maxminddb`'s own `verify` is not used: it passes over aliases of the IPv4 tree
//! without counting them, and a tree whose nodes share children holds 2^96 of those.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use thiserror::Error;

use super::record::{Record, printable};
use super::survey::{self, SurveyLimits};

/// The bytes of a database: of a file, or of the binary itself.
pub(super) type Bytes = Cow<'static, [u8]>;

/// An open database; look-ups need no lock.
#[derive(Debug)]
pub struct Database {
    reader: Reader<Bytes>,
    name: String,
}

/// What a database is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The country of an address.
    Country,
    /// The autonomous system of an address.
    Asn,
}

/// Which database was used: what an alert says of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFact {
    /// What the database calls itself, fit to print.
    pub name: String,
    /// When it was built, in Unix seconds.
    pub build_epoch: i64,
}

/// Larger than any country, city or AS database sold today; a file over it is no such database.
const MAX_DATABASE_BYTES: u64 = 1 << 30;

impl Database {
    /// Reads a database file and makes sure that it has what is wanted.
    ///
    /// Fails where the file cannot be read, is no `.mmdb`, is damaged, has no records, or has none of the known fields.
    pub fn open(path: &Path, wanted: Wanted) -> Result<Self, DatabaseError> {
        let file =
            File::open(path).map_err(|source| DatabaseError::Unreadable { path: path.into(), source })?;
        Self::read(path, file, wanted)
    }

    /// Reads a database from any stream; `path` is what errors call it.
    ///
    /// Fails as [`Database::open`] does.
    pub fn read(path: &Path, stream: impl Read, wanted: Wanted) -> Result<Self, DatabaseError> {
        let bytes =
            read_whole(stream).map_err(|source| DatabaseError::Unreadable { path: path.into(), source })?;
        let too_large = bytes.len() as u64 > MAX_DATABASE_BYTES;
        if too_large {
            return Err(DatabaseError::TooLarge { path: path.into(), limit: MAX_DATABASE_BYTES });
        }
        Self::parse(bytes, wanted, SurveyLimits::THOROUGH).map_err(|fault| fault.of(path, wanted))
    }

    /// Opens the database of that kind inside the binary.
    pub fn embedded(wanted: Wanted) -> Result<Self, DatabaseError> {
        super::embedded::open(wanted)
    }

    pub(super) fn parse(
        bytes: impl Into<Bytes>,
        wanted: Wanted,
        limits: SurveyLimits,
    ) -> Result<Self, Fault> {
        let reader = Reader::from_source(bytes.into())?;
        let name = printable(&reader.metadata().database_type).unwrap_or_else(|| "unnamed".to_owned());
        let database = Self { reader, name };
        survey::require(&database, wanted, limits)?;
        Ok(database)
    }

    /// Gives the database another name than the one it carries.
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Name and build date.
    pub fn fact(&self) -> DatabaseFact {
        let build_epoch = i64::try_from(self.reader.metadata().build_epoch).unwrap_or(i64::MAX);
        DatabaseFact { name: self.name.clone(), build_epoch }
    }

    /// Finds the record that holds `address`; IPv4-mapped IPv6 must have become IPv4 before.
    pub(super) fn find(&self, address: IpAddr) -> Found<'_> {
        // An error is an IPv6 address in a file of IPv4 alone, or a pointer out of a damaged tree.
        Found { address, result: self.reader.lookup(address).ok() }
    }

    /// Visits at most `limits.networks` networks and hands each distinct record, at most `limits.records`, to `visit`
    /// in the order of the tree.
    pub(super) fn visit_records<'d>(
        &'d self,
        limits: SurveyLimits,
        mut visit: impl FnMut(&LookupResult<'d, Bytes>) -> Result<(), MaxMindDbError>,
    ) -> Result<(), MaxMindDbError> {
        // Everything is yielded, empty networks and aliases too: a step that yields nothing would escape the limit.
        let everything = WithinOptions::default().include_aliased_networks().include_networks_without_data();
        let mut seen = HashSet::new();
        for network in self.reader.networks(everything)?.take(limits.networks) {
            let network = network?;
            let Some(offset) = network.offset() else { continue };
            if seen.len() < limits.records && seen.insert(offset) {
                visit(&network)?;
            }
        }
        Ok(())
    }
}

/// The place of an address in a database.
pub(super) struct Found<'d> {
    address: IpAddr,
    result: Option<LookupResult<'d, Bytes>>,
}

impl<'d> Found<'d> {
    /// Where the record lies in the file, the same for all addresses that share it.
    pub(super) fn offset(&self) -> Option<usize> {
        self.result.as_ref()?.offset()
    }

    /// What the record says; empty where there is none or it is damaged.
    pub(super) fn record(&self) -> Record<'d> {
        self.result.as_ref().and_then(|result| result.decode().ok().flatten()).unwrap_or_default()
    }

    /// The length of the database's own network around the address; 0 where the database is one for all.
    pub(super) fn network_length(&self) -> u8 {
        let Some(network) = self.result.as_ref().and_then(|result| result.network().ok()) else { return 0 };
        match network.is_ipv4() == self.address.is_ipv4() {
            true => network.prefix(),
            // An IPv4 address in a tree that ends above its IPv4 part.
            false => 0,
        }
    }

    /// The database's own network around the address.
    pub(super) fn network(&self) -> Option<IpNet> {
        self.offset()?;
        IpNet::new(self.address, self.network_length()).ok().map(|network| network.trunc())
    }
}

fn read_whole(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_DATABASE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Wanted {
    pub(super) fn is_in(self, record: &Record<'_>) -> bool {
        match self {
            Wanted::Country => record.country.is_some(),
            Wanted::Asn => record.asn.is_some(),
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Wanted::Country => "--country-db",
            Wanted::Asn => "--asn-db",
        }
    }

    const fn fields(self) -> &'static str {
        match self {
            Wanted::Country => {
                "country.iso_code, registered_country.iso_code, country_code or a two-letter country"
            }
            Wanted::Asn => "autonomous_system_number or asn",
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Wanted::Country => "country",
            Wanted::Asn => "AS number",
        })
    }
}

/// Why a database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any such database.
    #[error("{}: larger than {limit} bytes, the most that is read of an address database", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
    },
    /// The file is not in MaxMind DB format, or is cut or damaged.
    #[error("{}: no usable MaxMind DB (.mmdb) file: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: MaxMindDbError,
    },
    /// The database has no records.
    #[error("{}: the database has no records", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The database has none of the fields that say what is wanted.
    #[error("{}: no {wanted} in this database ({} needs {}); its records have {}",
        path.display(), wanted.flag(), wanted.fields(), list(has))]
    NoSuchField {
        /// The file.
        path: PathBuf,
        /// What was asked of it.
        wanted: Wanted,
        /// The fields that its first records have.
        has: Vec<String>,
    },
}

fn list(fields: &[String]) -> String {
    if fields.is_empty() { "no fields".to_owned() } else { fields.join(", ") }
}

/// What is wrong with a database, before it is known which file it came from.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(MaxMindDbError),
    Empty,
    NoSuchField { has: Vec<String> },
}

impl Fault {
    pub(super) fn of(self, path: &Path, wanted: Wanted) -> DatabaseError {
        let path = path.to_owned();
        match self {
            Fault::Damaged(source) => DatabaseError::Damaged { path, source },
            Fault::Empty => DatabaseError::Empty { path },
            Fault::NoSuchField { has } => DatabaseError::NoSuchField { path, wanted, has },
        }
    }
}

impl From<MaxMindDbError> for Fault {
    fn from(source: MaxMindDbError) -> Self {
        Fault::Damaged(source)
    }
}
#[cfg(test)]
mod tests {
    use super::super::Country;
    use super::super::fixture::{Mmdb, Value};
    use super::*;

    fn parse(file: &Mmdb, wanted: Wanted) -> Result<Database, Fault> {
        Database::parse(file.bytes(), wanted, SurveyLimits::THOROUGH)
    }

    const KR: Option<Country> = Some(Country::Code(*b"KR"));

    #[test]
    fn every_record_size_and_ip_version_is_read() {
        for bits in [24, 28, 32] {
            let file = Mmdb::new().record_bits(bits).with("1.2.3.0/24", Value::flat_country("KR"));
            let database =
                parse(&file.with("2001:e60::/32", Value::flat_country("KR")), Wanted::Country).unwrap();
            for address in ["1.2.3.4", "2001:e60::1"] {
                assert_eq!(
                    database.find(address.parse().unwrap()).record().country,
                    KR,
                    "{bits} bits, {address}"
                );
            }
        }
        let old = Mmdb::new().ipv4_only().with("1.2.3.0/24", Value::flat_country("KR"));
        let database = parse(&old, Wanted::Country).unwrap();
        assert_eq!(database.find("1.2.3.4".parse().unwrap()).record().country, KR);
        assert!(database.find("2001:e60::1".parse().unwrap()).offset().is_none());
        assert_eq!(database.find("2001:e60::1".parse().unwrap()).network_length(), 0);
    }

    #[test]
    fn the_network_is_the_databases_own() {
        let file = Mmdb::new().with("168.126.0.0/16", Value::flat_country("KR"));
        let database = parse(&file, Wanted::Country).unwrap();
        let found = database.find("168.126.63.1".parse().unwrap());
        assert_eq!(found.network().unwrap().to_string(), "168.126.0.0/16");
        let six = Mmdb::new().with("2001:e60::/32", Value::flat_country("KR"));
        let database = parse(&six, Wanted::Country).unwrap();
        assert_eq!(
            database.find("8.8.8.8".parse().unwrap()).network_length(),
            0,
            "the file has no IPv4 part"
        );
    }

    #[test]
    fn a_name_from_the_file_is_fit_to_print() {
        let file =
            Mmdb::new().database_type("Evil\u{1b}[31mDB").with("1.2.3.0/24", Value::flat_country("KR"));
        let fact = parse(&file, Wanted::Country).unwrap().fact();
        assert_eq!(fact, DatabaseFact { name: "Evil [31mDB".into(), build_epoch: Mmdb::BUILD_EPOCH as i64 });
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let error = Database::open("no/such.mmdb".as_ref(), Wanted::Country).unwrap_err().to_string();
        assert!(error.starts_with("no/such.mmdb: cannot be read: "), "{error}");
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "country,KR\n").unwrap();
        let error = Database::open(text.path(), Wanted::Country).unwrap_err();
        assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
    }
}
