//! Address → [`Attribution`], for every admitted client, from any number of threads at once.
//! Comes in: an address. Goes out: country, network, prefix and label. It takes no lock and allocates nothing; the
//! names of networks are asked for when an alert is written.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::cache::RecordCache;
use super::database::{Database, DatabaseError, DatabaseFact, Found, Wanted};
use super::labels::{Label, Labels};
use super::record::printable;
use super::{Asn, Attribution, Country, LabelId, special};

/// The databases and the operator's labels, shared by all workers.
#[derive(Debug)]
pub struct Attributor {
    pub(super) country: Arc<Database>,
    pub(super) asn: Arc<Database>,
    labels: Labels,
    countries: RecordCache,
    networks: RecordCache,
}

/// Which databases were used and when they were built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// The source of countries.
    pub country: DatabaseFact,
    /// The source of networks.
    pub asn: DatabaseFact,
}

impl Attributor {
    /// Joins a country database, an AS database and labels. Both may be the same file, opened twice.
    pub fn new(country: Database, asn: Database, labels: Labels) -> Self {
        Self::joining(Arc::new(country), Arc::new(asn), labels)
    }

    /// The same databases under other labels.
    pub fn relabelled(&self, labels: Labels) -> Self {
        Self::joining(Arc::clone(&self.country), Arc::clone(&self.asn), labels)
    }

    fn joining(country: Arc<Database>, asn: Arc<Database>, labels: Labels) -> Self {
        Self { country, asn, labels, countries: RecordCache::new(), networks: RecordCache::new() }
    }

    /// Uses the databases inside the binary.
    pub fn embedded(labels: Labels) -> Result<Self, DatabaseError> {
        Ok(Self::new(Database::embedded(Wanted::Country)?, Database::embedded(Wanted::Asn)?, labels))
    }

    /// Says whose `address` is; IPv4-mapped IPv6 is treated as the IPv4 address it carries.
    pub fn attribute(&self, address: IpAddr) -> Attribution {
        let address = address.to_canonical();
        let prefix = prefix_of(address);
        let label = self.labels.of(address);
        if let Some(class) = special::class_of(address) {
            return Attribution { country: class, asn: None, prefix, reach: prefix.prefix_len(), label };
        }
        let country = self.country.find(address);
        let network = self.asn.find(address);
        let reach = reach(address, prefix.prefix_len(), [&country, &network]);
        Attribution { country: self.country_of(&country), asn: self.asn_of(&network), prefix, reach, label }
    }

    /// The organisation behind the network of `address`, fit to print.
    pub fn organization(&self, address: IpAddr) -> Option<String> {
        printable(self.asn.find(address.to_canonical()).record().organization?)
    }

    /// The operator's label with this number.
    pub fn label(&self, id: LabelId) -> Option<&Label> {
        self.labels.get(id)
    }

    /// Which databases these are.
    pub fn about(&self) -> DatabaseFacts {
        DatabaseFacts { country: self.country.fact(), asn: self.asn.fact() }
    }

    fn country_of(&self, found: &Found<'_>) -> Country {
        let Some(offset) = found.offset() else { return Country::Unknown };
        let packed = self.countries.get_or(offset, || pack_country(found.record().country));
        unpack_country(packed)
    }

    fn asn_of(&self, found: &Found<'_>) -> Option<Asn> {
        // AS 0 is nobody (RFC 7607), so zero is free to mean "none".
        let number = self.networks.get_or(found.offset()?, || found.record().asn.map_or(0, |asn| asn.0));
        (number != 0).then_some(Asn(number))
    }
}

/// A country as a number; zero is none.
fn pack_country(country: Option<Country>) -> u32 {
    match country {
        Some(Country::Code(code)) => u32::from(u16::from_be_bytes(code)),
        Some(Country::Private | Country::Reserved | Country::Unknown) | None => 0,
    }
}

fn unpack_country(packed: u32) -> Country {
    match packed {
        0 => Country::Unknown,
        code => {
            let [_, _, first, second] = code.to_be_bytes();
            Country::Code([first, second])
        }
    }
}

/// The unit of counting: what the Internet routes at the finest (RFC 7454 section 6.1.3).
fn prefix_of(address: IpAddr) -> IpNet {
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).map_or_else(|_| IpNet::from(address), |prefix| prefix.trunc())
}

/// A row wider than the largest block a registry hands out (/8, RFC 7020; /16 is wider than any IPv6 allocation) says
/// nothing of anybody.
const fn widest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 8 } else { 16 }
}

/// How short the prefix around `address` may become within one network of each database and outside special space.
/// Where no database knows the address, nothing says that anyone holds more than the prefix.
fn reach(address: IpAddr, own: u8, found: [&Found<'_>; 2]) -> u8 {
    if found.iter().all(|found| found.offset().is_none()) {
        return own;
    }
    let networks = found.map(Found::network_length);
    let shortest = networks.into_iter().fold(special::clear_length(address), u8::max);
    shortest.clamp(widest(address), own)
}

#[cfg(test)]
mod tests {
    use super::super::database::Wanted;
    use super::super::fixture::{Mmdb, Value};
    use super::super::labels::Role;
    use super::super::survey::SurveyLimits;
    use super::*;

    fn attributor(country: &Mmdb, asn: &Mmdb) -> Attributor {
        let open = |file: &Mmdb, wanted| Database::parse(file.bytes(), wanted, SurveyLimits::BRIEF).unwrap();
        Attributor::new(open(country, Wanted::Country), open(asn, Wanted::Asn), Labels::default())
    }

    fn korea() -> Attributor {
        let country = Mmdb::new()
            .with("168.0.0.0/6", Value::flat_country("KR"))
            .with("2001:e60::/24", Value::flat_country("KR"))
            .with("11.0.0.0/8", Value::flat_country("US"));
        let asn = Mmdb::new()
            .with("168.126.0.0/16", Value::asn(4766, "Korea Telecom"))
            .with("168.127.1.128/25", Value::asn(3786, "LG\u{7}DACOM"))
            .with("2001:e60::/32", Value::asn(4766, "Another name"));
        attributor(&country, &asn)
    }

    fn ask(attributor: &Attributor, address: &str) -> (String, Option<u32>, String, u8) {
        let found = attributor.attribute(address.parse().unwrap());
        (found.country.to_string(), found.asn.map(|asn| asn.0), found.prefix.to_string(), found.reach)
    }

    fn row(
        country: &str,
        asn: impl Into<Option<u32>>,
        prefix: &str,
        reach: u8,
    ) -> (String, Option<u32>, String, u8) {
        (country.into(), asn.into(), prefix.into(), reach)
    }

    #[test]
    fn an_address_has_country_network_prefix_and_reach() {
        let korea = korea();
        for _ in 0..2 {
            assert_eq!(ask(&korea, "168.126.63.1"), row("KR", 4766, "168.126.63.0/24", 16));
            assert_eq!(ask(&korea, "::ffff:168.126.63.1"), row("KR", 4766, "168.126.63.0/24", 16));
            assert_eq!(ask(&korea, "2001:e60:1:2::3"), row("KR", 4766, "2001:e60:1::/48", 32));
        }
    }

    #[test]
    fn a_network_finer_than_the_prefix_leaves_the_prefix_as_it_is() {
        assert_eq!(ask(&korea(), "168.127.1.129"), row("KR", 3786, "168.127.1.0/24", 24));
        assert_eq!(ask(&korea(), "168.127.1.127"), row("KR", None, "168.127.1.0/24", 24));
    }

    #[test]
    fn a_prefix_never_grows_into_special_or_unknown_space() {
        let wide = Mmdb::new().with("8.0.0.0/5", Value::flat_country("US"));
        let asn = Mmdb::new().with("8.0.0.0/5", Value::asn(1, "one"));
        let wide = attributor(&wide, &asn);
        assert_eq!(ask(&wide, "11.1.1.1").3, 8, "11.0.0.0/7 holds 10.0.0.0/8");
        assert_eq!(ask(&wide, "8.1.1.1").3, 8, "no row is wider than /8");
        assert_eq!(ask(&wide, "77.1.1.1"), row("unknown", None, "77.1.1.0/24", 24));
    }

    #[test]
    fn the_class_of_an_address_goes_before_the_database() {
        let all = Mmdb::new()
            .with("0.0.0.0/1", Value::flat_country("US"))
            .with("128.0.0.0/1", Value::flat_country("US"));
        let asn = Mmdb::new().with("::/1", Value::asn(1, "one"));
        let all = attributor(&all, &asn);
        assert_eq!(ask(&all, "192.168.1.1"), row("private", None, "192.168.1.0/24", 24));
        assert_eq!(ask(&all, "127.0.0.1"), row("reserved", None, "127.0.0.0/24", 24));
        assert_eq!(ask(&all, "fd00:1:2::1"), row("private", None, "fd00:1:2::/48", 48));
    }

    #[test]
    fn a_network_has_the_name_that_stands_at_the_address() {
        let name = |address: &str| korea().organization(address.parse().unwrap());
        assert_eq!(name("168.126.63.1").as_deref(), Some("Korea Telecom"));
        assert_eq!(name("168.127.1.129").as_deref(), Some("LG DACOM"));
        assert_eq!(name("11.0.0.1"), None);
    }

    #[test]
    fn a_label_stands_beside_what_the_databases_say() {
        let prefixes = vec!["168.126.63.0/24".parse().unwrap(), "192.168.0.0/16".parse().unwrap()];
        let labels =
            Labels::new(vec![Label { name: "resolver".into(), role: Role::Partner, prefixes }]).unwrap();
        let korea = Attributor { labels, ..korea() };
        for (address, country) in [("168.126.63.1", "KR"), ("192.168.1.1", "private")] {
            let found = korea.attribute(address.parse().unwrap());
            assert_eq!(found.country.to_string(), country);
            assert_eq!(korea.label(found.label.unwrap()).unwrap().name, "resolver");
        }
        assert_eq!(korea.attribute("168.126.64.1".parse().unwrap()).label, None);
    }

    #[test]
    fn threads_that_share_the_cache_agree() {
        let korea = korea();
        let alone = ask(&korea, "168.126.63.1");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        assert_eq!(ask(&korea, "168.126.63.1"), alone);
                        assert_eq!(ask(&korea, "11.0.0.1").0, "US");
                    }
                });
            }
        });
    }

    #[test]
    fn the_embedded_databases_know_the_world() {
        let world = Attributor::embedded(Labels::default()).unwrap();
        let country_and_asn = |address| {
            let (country, asn, ..) = ask(&world, address);
            (country, asn)
        };
        assert_eq!(country_and_asn("168.126.63.1"), ("KR".into(), Some(4766)));
        assert_eq!(country_and_asn("2001:e60::1").0, "KR");
        assert_eq!(country_and_asn("99.0.1.1"), ("US".into(), Some(7018)));
        assert_eq!(country_and_asn("8.8.8.8"), ("US".into(), Some(15169)));
        assert_eq!(country_and_asn("192.168.1.1"), ("private".into(), None));
        assert!(world.organization("8.8.8.8".parse().unwrap()).unwrap().to_lowercase().contains("google"));
        assert_eq!(world.about().country.name, "DB-IP Country Lite");
        assert!(world.about().country.build_epoch > 1_780_000_000, "built in June 2026");
    }
}
