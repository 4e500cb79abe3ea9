//! One address database (`.mmdb`), whoever made it, read whole into memory.
//! Comes in: a file and what is wanted of it, country or network. Goes out: what its record says of an address.
//! A file may be damaged or hostile: opening refuses what it can see, look-ups answer "nothing known", and every walk
//! through the file has a limit. `maxminddb`'s own `verify` is not used: it passes over aliases of the IPv4 tree
//! without counting them, and a tree whose nodes share children holds 2^96 of those.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use thiserror::Error;

use super::record::{FieldNames, Record, printable};

/// An open database; look-ups need no lock.
#[derive(Debug)]
pub struct Database {
    reader: Reader<Vec<u8>>,
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

/// How far opening looks into a file. Every field of a schema shows within the first records; a larger look also
/// finds damage, in less than 100 ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct SurveyLimits {
    /// Networks (leaves of the tree) whose pointers are followed.
    pub(super) networks: usize,
    /// Distinct records that are decoded.
    pub(super) records: usize,
}

impl SurveyLimits {
    /// For a file from outside.
    const THOROUGH: Self = Self { networks: 1 << 20, records: 1 << 15 };
    /// For a file whose checksum a test proves.
    pub(super) const BRIEF: Self = Self { networks: 1 << 10, records: 1 << 6 };
}

impl Database {
    /// Reads a database file and makes sure that it has what is wanted.
    ///
    /// Fails where the file cannot be read, is no `.mmdb`, is damaged, has no records, or has none of the known fields.
    pub fn open(path: &Path, wanted: Wanted) -> Result<Self, DatabaseError> {
        let bytes =
            read_whole(path).map_err(|source| DatabaseError::Unreadable { path: path.into(), source })?;
        let too_large = bytes.len() as u64 > MAX_DATABASE_BYTES;
        if too_large {
            return Err(DatabaseError::TooLarge { path: path.into(), limit: MAX_DATABASE_BYTES });
        }
        Self::parse(bytes, wanted, SurveyLimits::THOROUGH).map_err(|fault| fault.of(path, wanted))
    }

    pub(super) fn parse(bytes: Vec<u8>, wanted: Wanted, limits: SurveyLimits) -> Result<Self, Fault> {
        let reader = Reader::from_source(bytes)?;
        let name = printable(&reader.metadata().database_type).unwrap_or_else(|| "unnamed".to_owned());
        let database = Self { reader, name };
        let survey = database.survey(wanted, limits)?;
        match survey {
            Survey { records: 0, .. } => Err(Fault::Empty),
            Survey { telling: 0, fields, .. } => {
                Err(Fault::NoSuchField { has: fields.into_iter().collect() })
            }
            Survey { .. } => Ok(database),
        }
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
        mut visit: impl FnMut(&LookupResult<'d, Vec<u8>>) -> Result<(), MaxMindDbError>,
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

    fn survey(&self, wanted: Wanted, limits: SurveyLimits) -> Result<Survey, MaxMindDbError> {
        let mut survey = Survey::default();
        self.visit_records(limits, |network| survey.add(network, wanted))?;
        Ok(survey)
    }
}

/// The place of an address in a database.
pub(super) struct Found<'d> {
    address: IpAddr,
    result: Option<LookupResult<'d, Vec<u8>>>,
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

/// What the first records of a database have.
#[derive(Debug, Default)]
struct Survey {
    records: usize,
    /// Records that say what is wanted.
    telling: usize,
    /// The fields of those that do not.
    fields: BTreeSet<String>,
}

/// Enough to recognise a database by; an error line has no room for more.
const MAX_NAMED_FIELDS: usize = 40;

impl Survey {
    fn add(&mut self, network: &LookupResult<'_, Vec<u8>>, wanted: Wanted) -> Result<(), MaxMindDbError> {
        let record = match network.decode::<Record<'_>>() {
            Ok(record) => record.unwrap_or_default(),
            // Sound data of another shape than a map of fields.
            Err(MaxMindDbError::Decoding { .. }) => Record::default(),
            Err(damage) => return Err(damage),
        };
        self.records += 1;
        if wanted.is_in(&record) {
            self.telling += 1;
        } else if self.telling == 0 && self.fields.len() < MAX_NAMED_FIELDS {
            let names = network.decode::<FieldNames>().ok().flatten().unwrap_or_default();
            self.fields.extend(names.0.into_iter().take(MAX_NAMED_FIELDS));
        }
        Ok(())
    }
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_DATABASE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Wanted {
    fn is_in(self, record: &Record<'_>) -> bool {
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
    /// An embedded database does not unpack.
    #[error("the embedded database {name} does not unpack: {source}")]
    Unpack {
        /// Which one.
        name: &'static str,
        /// What went wrong.
        source: io::Error,
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
    use super::super::fixture::{Mmdb, Value};
    use super::super::{Asn, Country};
    use super::*;

    fn parse(file: &Mmdb, wanted: Wanted) -> Result<Database, Fault> {
        Database::parse(file.bytes(), wanted, SurveyLimits::THOROUGH)
    }

    fn country_of(record: Value) -> Option<Country> {
        let file = Mmdb::new().with("1.2.3.0/24", record).with("9.9.9.0/24", Value::flat_country("FR"));
        parse(&file, Wanted::Country).unwrap().find("1.2.3.4".parse().unwrap()).record().country
    }

    fn network_of(record: Value) -> (Option<Asn>, Option<String>) {
        let file = Mmdb::new().with("1.2.3.0/24", record).with("9.9.9.0/24", Value::asn(1, "one"));
        let database = parse(&file, Wanted::Asn).unwrap();
        let record = database.find("1.2.3.4".parse().unwrap()).record();
        (record.asn, record.organization.map(str::to_owned))
    }

    const KR: Option<Country> = Some(Country::Code(*b"KR"));

    #[test]
    fn a_country_is_read_from_every_vendors_field() {
        let code = |name, value: &str| Value::map([(name, Value::text(value))]);
        let nested = |outer, value| Value::map([(outer, code("iso_code", value))]);
        assert_eq!(country_of(nested("country", "KR")), KR, "MaxMind, DB-IP");
        assert_eq!(country_of(nested("registered_country", "KR")), KR, "only the registered country");
        assert_eq!(country_of(code("country_code", "KR")), KR, "flat, IPinfo Lite");
        assert_eq!(country_of(code("country", "KR")), KR, "IPinfo standard");
        let lite = [("country", Value::text("South Korea")), ("country_code", Value::text("KR"))];
        assert_eq!(country_of(Value::map(lite)), KR, "a country's name is no code");
        let both = [("registered_country", code("iso_code", "US")), ("country", code("iso_code", "KR"))];
        assert_eq!(country_of(Value::map(both)), KR, "where it is used goes before where it is registered");
        assert_eq!(country_of(Value::city("KR", "Seoul")), KR, "a full city record");
    }

    #[test]
    fn an_odd_country_is_read_or_unknown_but_never_wrong() {
        let code = |value: Value| Value::map([("country_code", value)]);
        assert_eq!(country_of(code(Value::text("kr"))), KR);
        assert_eq!(country_of(code(Value::text(" KR "))), KR);
        for text in ["", "K", "KOR", "K1", "--", "ZZ", "가", "Korea"] {
            assert_eq!(country_of(code(Value::text(text))), None, "{text:?}");
        }
        let odd = [
            Value::Number(410),
            Value::Bool(true),
            Value::Double(4.1),
            Value::list([Value::text("KR")]),
            Value::map([("name", Value::text("KR"))]),
            Value::map([("iso_code", Value::map([("iso_code", Value::text("KR"))]))]),
        ];
        for value in odd {
            assert_eq!(country_of(code(value.clone())), None, "{value:?}");
            assert_eq!(country_of(Value::map([("country", value.clone())])), None, "{value:?}");
        }
        assert_eq!(country_of(Value::text("KR")), None, "a record that is no map");
    }

    #[test]
    fn a_network_is_read_from_every_vendors_field() {
        let google = (Some(Asn(15169)), Some("Google LLC".to_owned()));
        assert_eq!(network_of(Value::asn(15169, "Google LLC")), google, "MaxMind, DB-IP");
        for (asn, name) in [("AS15169", "as_name"), ("AS15169", "name"), ("15169", "as_name")] {
            let record = Value::map([("asn", Value::text(asn)), (name, Value::text("Google LLC"))]);
            assert_eq!(network_of(record), google, "{asn} {name}");
        }
        let number = Value::map([("asn", Value::Number(15169)), ("as_name", Value::text("Google LLC"))]);
        assert_eq!(network_of(number), google);
        let enterprise = Value::map([("traits", Value::asn(15169, "Google LLC"))]);
        assert_eq!(network_of(enterprise), google);
    }

    #[test]
    fn an_odd_network_is_nobody() {
        for asn in ["", "AS", "AS0", "Google"] {
            let record = Value::map([("asn", Value::text(asn)), ("as_name", Value::text("x"))]);
            assert_eq!(network_of(record), (None, None), "{asn:?}");
        }
        assert_eq!(network_of(Value::asn(7018, "")), (Some(Asn(7018)), None));
    }

    #[test]
    fn one_file_may_carry_both() {
        let lite = Value::map([
            ("as_name", Value::text("Korea Telecom")),
            ("asn", Value::text("AS4766")),
            ("country", Value::text("South Korea")),
            ("country_code", Value::text("KR")),
        ]);
        let file = Mmdb::new().with("168.126.0.0/16", lite);
        for wanted in [Wanted::Country, Wanted::Asn] {
            let database = parse(&file, wanted).unwrap();
            let record = database.find("168.126.63.1".parse().unwrap()).record();
            assert_eq!((record.country, record.asn), (KR, Some(Asn(4766))));
        }
    }

    #[test]
    fn a_database_without_the_field_is_refused_and_says_what_it_has() {
        let privacy = Value::map([("vpn", Value::Bool(true)), ("hosting", Value::Bool(false))]);
        let file = Mmdb::new().with("1.2.3.0/24", privacy);
        let error = parse(&file, Wanted::Country).unwrap_err().of("privacy.mmdb".as_ref(), Wanted::Country);
        assert_eq!(
            error.to_string(),
            "privacy.mmdb: no country in this database (--country-db needs country.iso_code, \
             registered_country.iso_code, country_code or a two-letter country); its records have hosting, vpn"
        );
    }

    #[test]
    fn a_database_of_the_other_kind_is_refused_and_says_what_it_has() {
        let file = Mmdb::new().with("1.2.3.0/24", Value::asn(7018, "AT&T"));
        let Fault::NoSuchField { has } = parse(&file, Wanted::Country).unwrap_err() else {
            panic!("another fault")
        };
        assert_eq!(has, ["autonomous_system_number", "autonomous_system_organization"]);
        assert!(parse(&file, Wanted::Asn).is_ok());
    }

    #[test]
    fn a_database_without_records_is_refused() {
        assert!(matches!(parse(&Mmdb::new(), Wanted::Country), Err(Fault::Empty)));
    }

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

    /// Looks up addresses all over the tree; a damaged file may answer anything but must come back.
    fn ask_everything(bytes: &[u8]) {
        for wanted in [Wanted::Country, Wanted::Asn] {
            let Ok(database) = Database::parse(bytes.to_vec(), wanted, SurveyLimits::BRIEF) else { continue };
            let _ = database.fact();
            for address in
                ["0.0.0.0", "1.2.3.4", "168.126.63.1", "255.255.255.255", "::", "2001:e60::1", "ffff::"]
            {
                let found = database.find(address.parse().unwrap());
                let _ = (found.record(), found.network());
            }
        }
    }

    /// The reader follows 512 pointers in a row: 64 KiB of stack when optimised, more than a test thread has when not.
    fn on_a_large_stack(check: impl FnOnce() + Send + 'static) {
        std::thread::Builder::new().stack_size(64 << 20).spawn(check).unwrap().join().unwrap();
    }

    fn small() -> Vec<u8> {
        let file = Mmdb::new().with("1.2.3.0/24", Value::city("KR", "Seoul"));
        file.with("168.126.0.0/16", Value::asn(4766, "Korea Telecom")).bytes()
    }

    #[test]
    fn a_truncated_database_never_panics() {
        let whole = small();
        for length in 0..whole.len() {
            ask_everything(whole.get(..length).unwrap());
        }
    }

    #[test]
    fn a_flipped_byte_never_panics() {
        on_a_large_stack(|| {
            let mut bytes = small();
            for index in 0..bytes.len() {
                for flip in [0x01, 0x20, 0x80, 0xff] {
                    bytes[index] ^= flip;
                    ask_everything(&bytes);
                    bytes[index] ^= flip;
                }
            }
        });
    }

    #[test]
    fn damage_in_a_record_is_found_on_opening() {
        let file = Mmdb::new()
            .with("1.2.3.0/24", Value::flat_country("KR"))
            .with("1.2.4.0/24", Value::Pointer(9999));
        assert!(matches!(parse(&file, Wanted::Country), Err(Fault::Damaged(_))));
    }

    #[test]
    fn a_record_that_points_at_itself_or_nests_without_end_comes_back() {
        // The field's name and control byte take 9 bytes; there the pointer points at itself.
        let field = Value::map([("country", Value::Pointer(9))]);
        for own in [Value::Pointer(0), field] {
            let file = Mmdb::new().with("1.2.3.0/24", own);
            on_a_large_stack(move || {
                assert!(matches!(parse(&file, Wanted::Country), Err(Fault::Damaged(_))))
            });
        }
        let nest = |levels| (0..levels).fold(Value::text("KR"), |inner, _| Value::map([("country", inner)]));
        // The reader steps over 128 levels and goes into 512.
        for levels in [2, 100, 130, 600] {
            let file = Mmdb::new().with("1.2.3.0/24", nest(levels));
            on_a_large_stack(move || drop(parse(&file, Wanted::Country)));
        }
    }

    #[test]
    fn a_tree_whose_nodes_share_children_is_left_in_time() {
        for wanted in [Wanted::Country, Wanted::Asn] {
            assert!(matches!(
                Database::parse(Mmdb::ladder(), wanted, SurveyLimits::THOROUGH),
                Err(Fault::Empty)
            ));
        }
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
