//! What pieces of evidence are signs of: behaviour, intent, people at work, a service that broke by itself. Lists that `verdict`
//! looks things up in; what each weighs stands in `rules/verdict.yaml`.

use crate::detect::rule::Evidence;

/// Evidence of how somebody behaves; without any there is no attack.
pub(super) const BEHAVIOUR: [Evidence; 13] = [
    Evidence::HighRate,
    Evidence::OneMake,
    Evidence::OtherMakes,
    Evidence::FewAssets,
    Evidence::BriefConnections,
    Evidence::HalfOpen,
    Evidence::Held,
    Evidence::Drips,
    Evidence::Resets,
    Evidence::HastyRecords,
    Evidence::OutOfState,
    Evidence::Datagrams,
    Evidence::Reflected,
];

/// Evidence that shows intent even of few sources.
pub(super) const INTENT: [Evidence; 8] = [
    Evidence::HalfOpen,
    Evidence::Held,
    Evidence::Drips,
    Evidence::Resets,
    Evidence::HastyRecords,
    Evidence::OutOfState,
    Evidence::Datagrams,
    Evidence::Reflected,
];

/// Evidence that people are at work: where the service broke by itself it tells nothing, since they are who is hurt.
pub(super) const OF_PEOPLE: [Evidence; 6] = [
    Evidence::Surge,
    Evidence::MoreClients,
    Evidence::KnownNetworks,
    Evidence::SameMakes,
    Evidence::OrdinaryRate,
    Evidence::Assets,
];

/// Evidence that the service broke by itself: where heads of requests drip, somebody keeps its workers from their work, and
/// needs no load for it; where it broke as few began who bring most of the excess, they may need little.
pub(super) const OF_FAULTS: [Evidence; 8] = [
    Evidence::FailsUnloaded,
    Evidence::ErrorsUnloaded,
    Evidence::LateUnloaded,
    Evidence::BriefUnloaded,
    Evidence::BrokeFirst,
    Evidence::Unanswered,
    Evidence::PathLost,
    Evidence::Dropped,
];
