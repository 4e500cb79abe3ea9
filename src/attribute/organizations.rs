//! The names of autonomous systems, for the few that an alert mentions.
//! Comes in: the AS database. Goes out: number → name, the same whatever traffic came before.

use std::collections::HashMap;
use std::sync::Arc;

use super::Asn;
use super::database::Database;
use super::record::{Record, printable};
use super::survey::SurveyLimits;

/// All names of one database, by number.
#[derive(Debug, Default)]
pub(super) struct Organizations(HashMap<Asn, Arc<str>>);

/// About 120,000 AS numbers are assigned; IPinfo's files hold one record for each AS and country, some 300,000. At the
/// longest name (512 bytes) the table stays under 140 MiB, at the usual one it takes 8 MiB.
const MAX_ORGANIZATIONS: usize = 1 << 18;

/// Walks a database of 4 million networks through; larger ones have had every AS by then.
const WALK: SurveyLimits = SurveyLimits { networks: 1 << 22, records: 1 << 20 };

impl Organizations {
    /// Gathers the first name that the tree has for each number.
    pub(super) fn of(database: &Database) -> Self {
        let mut names = HashMap::new();
        // A damaged file keeps the names before the damage.
        let _ = database.visit_records(WALK, |network| {
            if let Ok(Some(record)) = network.decode::<Record<'_>>()
                && let Some(asn) = record.asn
                && names.len() < MAX_ORGANIZATIONS
                && !names.contains_key(&asn)
                && let Some(name) = record.organization.and_then(printable)
            {
                names.insert(asn, Arc::from(name));
            }
            Ok(())
        });
        Self(names)
    }

    /// The name of `asn`.
    pub(super) fn get(&self, asn: Asn) -> Option<Arc<str>> {
        self.0.get(&asn).cloned()
    }
}
