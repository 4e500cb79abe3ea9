//! A first look into a database: is it sound, and has it what is wanted?
//! Comes in: an open file, perhaps damaged or hostile. Goes out: nothing, or what is wrong with it.

use std::collections::BTreeSet;

use maxminddb::{LookupResult, MaxMindDbError};

use super::database::{Bytes, Database, Fault, Wanted};
use super::record::{FieldNames, Record};

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
    pub(super) const THOROUGH: Self = Self { networks: 1 << 20, records: 1 << 15 };
    /// For a file whose checksum a test proves.
    pub(super) const BRIEF: Self = Self { networks: 1 << 10, records: 1 << 6 };
}

/// Looks through `database` and refuses it where it is damaged, empty or has no field for what is `wanted`.
pub(super) fn require(database: &Database, wanted: Wanted, limits: SurveyLimits) -> Result<(), Fault> {
    let mut survey = Survey::default();
    database.visit_records(limits, |network| survey.add(network, wanted))?;
    match survey {
        Survey { records: 0, .. } => Err(Fault::Empty),
        Survey { telling: 0, fields, .. } => Err(Fault::NoSuchField { has: fields.into_iter().collect() }),
        Survey { .. } => Ok(()),
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
    fn add(&mut self, network: &LookupResult<'_, Bytes>, wanted: Wanted) -> Result<(), MaxMindDbError> {
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{Mmdb, Value};
    use super::*;

    fn parse(file: &Mmdb, wanted: Wanted) -> Result<Database, Fault> {
        Database::parse(file.bytes(), wanted, SurveyLimits::THOROUGH)
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
}
