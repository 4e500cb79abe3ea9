//! What a cause is called that is sure: how somebody attacks, what of a service failed. Comes in: a cohort and its evidence
//! with weights. Goes out: a [`Cause`] with its kind.

use super::{ATTACK, Case, FLASH_CROWD, GLITCH, SLIGHT, Weighed, shows};
use crate::detect::rule::Evidence;
use crate::incident::cohort::Cohort;
use crate::incident::facts::Fact;
use crate::incident::signs::INTENT;
use crate::incident::{Attack, Cause, Glitch, Unit, Unknown};

/// As many equal sources are "few".
const FEW: f64 = 3.0;

/// As many that hurt nobody and hardly raise the load may be one program on several machines.
const SEVERAL: f64 = 16.0;

/// A load of less than so many times that before is hardly raised.
const MILD: f64 = 2.0;

/// Who was told to be a heavy client is one until the load is so many times as much again.
const STAYS: f64 = 1.25;

impl Case<'_> {
    /// What a cause is called that is sure.
    pub(super) fn cause(&self, cohort: &Cohort, weighed: &[Weighed], best: usize) -> Cause {
        let sources = cohort.effective_sources;
        let mild = match self.told {
            Some(Cause::HeavyClient) => MILD * STAYS,
            // Who was seen to hurt somebody is an attacker still when he hurts them less.
            Some(Cause::Attack(_)) => 0.0,
            _ => MILD,
        };
        let raises_less =
            |times: Option<f64>, most| !self.is_failing && times.is_some_and(|times| times < most);
        // Who asks on each connection is not after connections: what counts is what he asks.
        let asks = 2 * cohort.cell.accesses >= cohort.cell.connections;
        let raised = if asks { self.times_asked.or(self.times) } else { self.times };
        let (is_mild, is_slight) = (raises_less(self.times, mild), raises_less(raised, SLIGHT.min(mild)));
        let few = sources > 0.0 && (sources <= FEW || is_mild && sources <= SEVERAL);
        let is_loud = |evidence| {
            let fully = |fact: &Fact| fact.evidence == evidence && self.strength(evidence, fact.value) >= 1.0;
            weighed.iter().any(|(fact, _)| fully(fact))
        };
        match best {
            ATTACK if few && !shows(weighed, &INTENT) && !self.by_connections => Cause::HeavyClient,
            ATTACK if is_slight && !shows(weighed, &INTENT) => Cause::Unknown(Unknown::LeaningAttack),
            ATTACK => Cause::Attack(self.kind_of_attack(cohort, weighed)),
            FLASH_CROWD if !self.was_well => Cause::Unknown(Unknown::LeaningFlashCrowd),
            FLASH_CROWD => Cause::FlashCrowd,
            // Few who send very much where there was nobody may be why it broke, however little of it can be read.
            _ if cohort.who.is_few() && is_loud(Evidence::HighRate) && is_loud(Evidence::Concentration) => {
                Cause::Unknown(Unknown::LeaningGlitch)
            }
            _ => Cause::Glitch(self.kind_of_glitch(weighed)),
        }
    }

    /// The network where large packets are lost, the server where it answers nothing, else what stands behind it.
    fn kind_of_glitch(&self, weighed: &[Weighed]) -> Glitch {
        let shown =
            |evidence| weighed.iter().any(|(fact, parts)| fact.evidence == evidence && parts[GLITCH] >= 1.0);
        if shown(Evidence::LargeLost) || shown(Evidence::PathLost) {
            Glitch::Network
        } else if shown(Evidence::Unanswered) || self.is_silent {
            Glitch::Server
        } else {
            Glitch::Backend
        }
    }

    /// By what weighs most, else by what there is more of.
    fn kind_of_attack(&self, cohort: &Cohort, weighed: &[Weighed]) -> Attack {
        // Few who complete their handshakes and ask are a flood of their own, whatever is forged beside them.
        let asks = [Evidence::HighRate, Evidence::OneMake, Evidence::FewAssets];
        let is_own = cohort.who.is_few() && weighed.iter().any(|(fact, _)| asks.contains(&fact.evidence));
        let kinds = [
            (Evidence::Reflected, Attack::Reflection),
            (Evidence::HalfOpen, Attack::SynFlood),
            (Evidence::Drips, Attack::Slow),
            (Evidence::Resets, Attack::H2Reset),
            (Evidence::HastyRecords, Attack::H2Reset),
            (Evidence::OutOfState, Attack::OutOfState),
            (Evidence::Held, if self.is_connecting { Attack::ConnectionFlood } else { Attack::Slow }),
            (Evidence::Datagrams, Attack::UdpFlood),
        ];
        let shown = |evidence| {
            weighed.iter().find(|(fact, _)| fact.evidence == evidence).map(|(_, parts)| parts[ATTACK])
        };
        let shows = |(evidence, _): &(Evidence, Attack)| !(is_own && *evidence == Evidence::HalfOpen);
        let best =
            kinds.into_iter().filter(shows).filter_map(|(evidence, kind)| Some((shown(evidence)?, kind)));
        match best.fold(None, |best: Option<(f64, Attack)>, one| match best {
            Some(best) if best.0 >= one.0 => Some(best),
            _ => Some(one),
        }) {
            Some((weight, kind)) if weight >= 1.0 => kind,
            // Who opens connections and asks for nothing on most of them is after the connections: a handshake speaks for the
            // first request behind it, until that does not come.
            _ if self.by_packets && 2 * cohort.cell.accesses < cohort.cell.connections => {
                Attack::ConnectionFlood
            }
            _ if 2 * u64::from(cohort.cell.bare) >= cohort.cell.accesses.max(1) => Attack::ConnectionFlood,
            _ if self.by_packets => Attack::HttpFlood,
            _ if matches!(self.unit, Unit::Packets | Unit::Bytes) => Attack::UdpFlood,
            _ if self.has_accesses && !self.by_connections => Attack::HttpFlood,
            _ => Attack::ConnectionFlood,
        }
    }
}
