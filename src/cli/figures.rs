//! The figures of a run as its stats record has them, at its end and while it goes on.

use super::setup::Run;
use crate::aggregate::Sides;
use crate::alert::{CaptureStats, Named, PacketStats, Quality, Stats};
use crate::capture::Beat;
use crate::decode::{FragmentCounts, PacketCounts};
use crate::detect::Subject;
use crate::flow::{FlowCounts, LedgerCounts};
use crate::pipeline::{Pipeline, Teller, Telling, TimeCounts};

/// Whether only one side of the conversations is seen: of some service, or, where none is known, of most connections.
pub fn is_one_way(services: &[(Subject, Sides)], known: usize, flows: &FlowCounts) -> bool {
    !services.is_empty() || (known == 0 && flows.unproven > flows.proven)
}

/// The stats record of a run that goes on.
pub fn so_far(run: &Run, pipeline: &Pipeline<Teller>, telling: &Telling, complete: bool) -> Stats {
    let quality = pipeline.quality_so_far();
    let (flows, ledgers) = pipeline.progress().moved();
    let (one_way, services) = (pipeline.progress().one_way(), run.named().len());
    let figures = Figures {
        packets: pipeline.counts(),
        fragments: pipeline.fragments(),
        drops: pipeline.drops(),
        unserved: pipeline.unserved(),
        flows,
        ledgers,
        times: pipeline.times(),
        quality: Quality {
            loss: quality.loss,
            duplicates: quality.duplicates,
            one_way: is_one_way(&one_way, services, &flows),
            shed: quality.shed,
        },
        complete,
        services,
    };
    Stats {
        alerts: telling.alerts(),
        withheld: telling.muted().values().sum(),
        digest: telling.digest(),
        one_way: run.one_way(&one_way),
        ..figures.stats()
    }
}

/// The sums of all stages.
pub struct Figures<'a> {
    /// What became of the packets.
    pub packets: &'a PacketCounts,
    /// What became of fragments.
    pub fragments: FragmentCounts,
    /// What the capture dropped.
    pub drops: &'a Beat,
    /// Packets that concern no service.
    pub unserved: u64,
    /// What moved through the flow tables.
    pub flows: FlowCounts,
    /// What moved through the ledgers.
    pub ledgers: LedgerCounts,
    /// What was noticed of capture times.
    pub times: TimeCounts,
    /// How good the capture is.
    pub quality: Quality,
    /// Whether everything that was to be read was.
    pub complete: bool,
    /// Services that are watched.
    pub services: usize,
}

impl Figures<'_> {
    /// The stats record, without what is known of alerts.
    pub fn stats(&self) -> Stats {
        let (packets, flows, times) = (self.packets, &self.flows, &self.times);
        Stats {
            packets: PacketStats {
                read: packets.read,
                decoded: packets.decoded,
                skipped: Named::of(&packets.skipped),
                dropped_kernel: self.drops.dropped_kernel,
                dropped_interface: self.drops.dropped_interface,
                fragments: Named::of_fragments(&self.fragments),
            },
            bytes: packets.bytes,
            flows: Named(vec![
                ("attempted", flows.attempted),
                ("proven", flows.proven),
                ("unproven", flows.unproven),
                ("closed", flows.closed),
                ("refused", flows.refused),
                ("displaced", flows.displaced),
                ("unread_heads", flows.unread_heads),
                ("unserved_packets", self.unserved),
                ("followed", self.ledgers.followed),
                ("cut", self.ledgers.cut),
                ("shed", self.ledgers.shed),
            ]),
            services: self.services as u64,
            capture: CaptureStats {
                first: times.first,
                last: times.last,
                complete: self.complete,
                quality: self.quality,
                reordered: times.reordered,
                late: times.late + times.stray,
                clock_steps: times.clock_steps,
            },
            ..Stats::default()
        }
    }
}
