//! New rules, services and databases for a pipeline that goes on. Comes in: what a reload read. Goes out: the workers'
//! part and the reducer's, which each take over between two packets or two seconds.

use std::sync::Arc;

use super::bench::Bench;
use crate::alert::FlowWriter;
use crate::attribute::Attributor;
use crate::detect::calendar::Calendar;
use crate::detect::rule::RuleSet;
use crate::flow::TrustedProxies;
use crate::service::{ServiceError, ServiceId, Services};

/// Why a pipeline cannot go on under what was read.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// Connections are followed otherwise where services are found than where they are named.
    #[error("services are named where none was, or none any more: this needs a restart")]
    Found,
    /// Services that were named before keep their places, and there are too many in all.
    #[error("{0}, those that were named before included: this needs a restart")]
    Services(#[from] ServiceError),
}

/// What the workers take over.
#[derive(Clone)]
pub(super) struct ForWorkers {
    pub attributor: Arc<Attributor>,
    /// The services of many addresses.
    pub spread: Arc<[ServiceId]>,
    pub proxies: TrustedProxies,
    pub writer: FlowWriter,
}

/// What the reducer takes over.
pub(super) struct ForReducer<L> {
    pub bench: Bench,
    pub rules: RuleSet,
    pub services: Services,
    pub calendar: Calendar,
    pub change: Box<dyn FnOnce(&mut L) + Send>,
}
