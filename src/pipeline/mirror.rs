//! The state of the mirror as far as packets show it before they are followed: whether it hands over each packet twice
//! (both VLANs or both directions of a port mirrored). Comes in: packets in order. Goes out: which of them are copies.
//!
//! One repeated packet is no copy: only where many TCP segments with payload, on connections that go on, come twice at
//! much the same distance is the mirror doubled, and only then are copies told. A flood of one frame, the repeats of an
//! application and true retransmissions are not.

use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;

use super::twins::{Print, Recent, TOGETHER};
use crate::capture::{Frame, LinkType};
use crate::decode::{Decoder, Packet, TcpSegment, Transport};
use crate::time::{Span, Timestamp};

/// What is known of the mirror.
#[derive(Debug)]
pub(super) struct Mirror {
    doubled: bool,
    /// The copies that it hands over of each packet; as many as there are while it is not known.
    copies: u8,
    sample: Sample,
    talks: Talks,
    recent: Recent,
    /// TCP segments that are looked at whichever conversation they belong to.
    closely: u32,
}

/// Segments after the look-ahead, and after a repeated one, that are looked at whichever conversation they belong to.
const CLOSELY: u32 = 4_096;

/// While nobody knows how many copies there are, each packet is remembered for as long as they come.
const UNKNOWN: u8 = u8::MAX;

/// Otherwise one conversation in so many is looked at, another one every [`TURN`].
const ONE_IN: u16 = 16;

/// About a second, as a number of bits of nanoseconds: this is asked of every packet, and a division takes its time.
const TURN: u32 = 30;

impl Default for Mirror {
    /// One of which nothing is known.
    fn default() -> Self {
        let (sample, talks, recent) = (Sample::default(), Talks::default(), Recent::of_sample());
        Self { doubled: false, copies: 0, sample, talks, recent, closely: 0 }
    }
}

impl Mirror {
    /// A mirror of which the beginning shows whether it is doubled.
    pub fn surveyed(doubled: bool, copies: u8) -> Self {
        let recent = if doubled { Recent::of_all() } else { Recent::of_sample() };
        Self { doubled, copies, recent, closely: CLOSELY, ..Self::default() }
    }

    /// Whether this packet is the mirror's copy of another.
    #[inline]
    pub fn is_copy(&mut self, packet: &Packet<'_>, time: Timestamp) -> bool {
        if !self.doubled {
            let Transport::Tcp(segment) = &packet.transport else { return false };
            if self.closely == 0 && !is_turn_of(segment, time) {
                return false;
            }
        }
        self.look_closely(packet, time)
    }

    fn look_closely(&mut self, packet: &Packet<'_>, time: Timestamp) -> bool {
        let (was, closely) = (self.doubled, self.closely > 0);
        self.closely = self.closely.saturating_sub(1);
        let is_twin = self.look_at(packet, time) > 0;
        if was {
            self.doubled = !self.sample.shows_end();
            self.copies = if self.doubled { self.copies } else { UNKNOWN };
        } else if is_twin {
            if !closely {
                // What came before the first twin shows nothing of what comes now.
                self.sample = Sample::default();
            }
            self.closely = CLOSELY;
            self.doubled = self.sample.shows(Enough::Some);
            if self.doubled {
                self.recent.widen();
            }
            self.copies = if self.doubled { self.sample.copies() } else { UNKNOWN };
        }
        self.sample.age();
        is_twin && (was || self.doubled)
    }

    /// How often the packet was there already a moment ago. A segment that carries on its conversation counts in the
    /// sample.
    fn look_at(&mut self, packet: &Packet<'_>, time: Timestamp) -> u8 {
        let segment = match &packet.transport {
            Transport::Tcp(segment) => Some(segment),
            _ => None,
        };
        let carries = segment.is_some_and(|segment| segment.payload_len > 0);
        if !self.doubled && !carries {
            segment.map(|segment| self.talks.carries_on(packet, segment));
            return 0;
        }
        let print = Print::of(packet);
        if let Some((earlier, distance)) = self.recent.twin(print, time, self.copies) {
            match (earlier.sampled, earlier.twins) {
                (true, 1) => self.sample.pair(distance),
                (true, _) => self.sample.more += 1,
                (false, _) => {}
            }
            return earlier.twins;
        }
        let sampled = segment.is_some_and(|segment| self.talks.carries_on(packet, segment)) && carries;
        if sampled {
            self.sample.first();
        }
        if sampled || self.doubled {
            self.recent.put(print, time, sampled);
        }
        0
    }
}

/// The first packets of a capture, kept until they show whether the mirror is doubled: copies are told from the first
/// packet on.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    kept: Vec<Kept>,
    decoder: Decoder,
    survey: Mirror,
    decoded: u64,
    twins: u64,
}

/// A packet that is kept, its bytes apart.
#[derive(Debug, Clone, Copy)]
struct Kept {
    end: usize,
    time: Timestamp,
    link: LinkType,
    wire_len: u32,
}

/// Packets and bytes that are kept at most: enough even where a crowd begins with its handshakes.
const AHEAD: usize = 16_384;
const AHEAD_BYTES: usize = 8 << 20;

/// Segments in the sample that are enough: a fifth of them does not look like three tenths (five standard errors).
const AHEAD_SAMPLE: u32 = 512;

impl Default for Ahead {
    fn default() -> Self {
        let (bytes, kept, decoder) = (Vec::new(), Vec::new(), Decoder::default());
        Self { bytes, kept, decoder, survey: Mirror::surveyed(true, UNKNOWN), decoded: 0, twins: 0 }
    }
}

impl Ahead {
    /// Keeps a packet.
    pub fn keep(&mut self, frame: &Frame<'_>) {
        let Frame { time, link, wire_len, data } = *frame;
        self.bytes.extend_from_slice(data);
        self.kept.push(Kept { end: self.bytes.len(), time, link, wire_len });
        if let Ok(packet) = self.decoder.decode(frame) {
            self.decoded += 1;
            self.twins += u64::from(self.survey.look_at(&packet, time) == 1);
        }
    }

    /// When it begins.
    pub fn begins(&self) -> Option<Timestamp> {
        self.kept.first().map(|kept| kept.time)
    }

    /// Whether no more is to be kept. How much that is depends on the packets alone, not on when they come.
    pub fn is_over(&self) -> bool {
        self.survey.sample.firsts >= AHEAD_SAMPLE
            || self.kept.len() >= AHEAD
            || self.bytes.len() >= AHEAD_BYTES
    }

    /// The packets in the order of arrival.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut begin = 0;
        self.kept.iter().map(move |kept| {
            let Kept { end, time, link, wire_len } = *kept;
            let data = self.bytes.get(std::mem::replace(&mut begin, end)..end).unwrap_or_default();
            Frame { time, link, wire_len, data }
        })
    }

    /// The mirror as these packets show it.
    pub fn shows(&self) -> Mirror {
        let mut sample = self.survey.sample;
        if let Some(last) = self.kept.last().filter(|_| self.is_over()) {
            // Packets go on: what came last may still come twice.
            let young = self.survey.recent.sampled_since(last.time - TOGETHER);
            sample.firsts = sample.firsts.saturating_sub(young);
        }
        // Too short to tell from the segments with payload alone, it is plain where nearly everything is there twice.
        let nearly_all = 20 * self.twins >= 9 * self.decoded;
        let plain = sample.pairs > 0 && sample.is_constant() && nearly_all;
        let doubled = plain || sample.shows(Enough::Any);
        Mirror::surveyed(doubled, if doubled { sample.copies() } else { UNKNOWN })
    }
}

/// Whether it is now the turn of the conversation's ports.
fn is_turn_of(segment: &TcpSegment<'_>, time: Timestamp) -> bool {
    let ports = segment.source_port ^ segment.destination_port;
    (ports ^ ports >> 8 ^ (time.nanos() >> TURN) as u16).is_multiple_of(ONE_IN)
}

/// Segments with payload that were looked at, and those of them that came twice, by the time between.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    firsts: u32,
    pairs: u32,
    /// Copies that came after the second packet of a pair.
    more: u32,
    distances: [u32; BINS],
}

/// How many segments it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Enough {
    /// Two, as there may be no more.
    Any,
    /// A few, since the many before showed nothing.
    Some,
}

/// Half milliseconds up to [`TOGETHER`].
const BIN: Span = Span::from_micros(500);
const BINS: usize = (TOGETHER.nanos() / BIN.nanos()) as usize;

/// The part of the segments that must come twice, in percent.
const TWICE: u32 = 30;

/// Below this part, in percent, a doubled mirror has ended being one: well below what it takes to begin.
const NO_MORE: u32 = 20;

/// The distance is near constant where this part of the pairs, in percent, lies within a millisecond and a half.
const CONSTANT: u32 = 80;
const NEAR: usize = 3;

/// Nobody mirrors more often.
const MOST_COPIES: u8 = 7;

/// Segments of a whole sample: a part of 20 % does not look like 30 % in so many (seven standard errors).
const WHOLE: u32 = 1_024;

/// The fewest that show anything while a capture goes on.
const FEW: u32 = 16;

impl Sample {
    fn first(&mut self) {
        self.firsts += 1;
    }

    fn pair(&mut self, distance: Span) {
        self.pairs += 1;
        if let Some(count) = self.distances.get_mut(((distance.nanos() / BIN.nanos()) as usize).min(BINS - 1))
        {
            *count += 1;
        }
    }

    /// Whether so many came twice that it is the mirror's doing. Before the sample is whole the part must lie three
    /// standard errors above the bound.
    fn shows(&self, enough: Enough) -> bool {
        let (firsts, pairs) = (f64::from(self.firsts), f64::from(self.pairs));
        let bound = f64::from(TWICE) / 100.0;
        let margin = match enough {
            Enough::Some if self.firsts < FEW => return false,
            Enough::Some if self.firsts < WHOLE => 3.0 * (bound * (1.0 - bound) * firsts).sqrt(),
            Enough::Some | Enough::Any => 0.0,
        };
        self.pairs >= 2 && pairs >= bound * firsts + margin && self.is_constant()
    }

    /// Whether a whole sample shows that the mirror is doubled no more.
    fn shows_end(&self) -> bool {
        self.firsts >= WHOLE && 100 * self.pairs < NO_MORE * self.firsts
    }

    /// How many copies there are of a packet that comes more than once: one, unless the mirrored traffic was mirrored
    /// before.
    fn copies(&self) -> u8 {
        let pairs = self.pairs.max(1);
        1 + ((self.more + pairs / 2) / pairs).min(u32::from(MOST_COPIES - 1)) as u8
    }

    fn is_constant(&self) -> bool {
        let most = self.distances.windows(NEAR).map(|near| near.iter().sum::<u32>()).max().unwrap_or(0);
        100 * most >= CONSTANT * self.pairs
    }

    /// Begins anew once the sample is whole.
    fn age(&mut self) {
        if self.firsts >= WHOLE {
            *self = Self::default();
        }
    }
}

/// Which conversations go on: a segment that begins where its sender left off belongs to one. A table of fixed size, in
/// which the newest stays.
#[derive(Debug)]
struct Talks {
    table: Vec<Talk>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Talk {
    tag: u32,
    /// The number that follows what each side sent.
    next: [u32; 2],
    heard: [bool; 2],
}

/// Conversations that are remembered: those of a moment; 40 KiB.
const TALKS: usize = 2_048;

impl Default for Talks {
    fn default() -> Self {
        Self { table: vec![Talk::default(); TALKS] }
    }
}

impl Talks {
    /// Whether the segment begins where its sender left off.
    fn carries_on(&mut self, packet: &Packet<'_>, segment: &TcpSegment<'_>) -> bool {
        let (source, destination) = packet.endpoints();
        let (from, to) = (bits(source), bits(destination));
        let side = usize::from(from > to);
        let hash = FixedState::with_seed(0).hash_one((from.min(to), from.max(to)));
        let tag = hash as u32;
        let Some(talk) = self.table.get_mut((hash >> 32) as usize % TALKS) else { return false };
        if talk.tag != tag {
            *talk = Talk { tag, ..Talk::default() };
        }
        let (Some(next), Some(heard)) = (talk.next.get_mut(side), talk.heard.get_mut(side)) else {
            return false;
        };
        let carries_on = *heard && *next == segment.sequence;
        let length = segment.payload_len + u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
        let end = segment.sequence.wrapping_add(length);
        // Half of the number space lies behind, half ahead (RFC 9293 section 3.4).
        if !*heard || end.wrapping_sub(*next) < 1 << 31 {
            (*next, *heard) = (end, true);
        }
        carries_on
    }
}

fn bits(end: SocketAddr) -> (u128, u16) {
    let address = match end.ip() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (address, end.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;
    use crate::synth::{Scenario, SynthFrame, Traffic, per_sec, secs};

    fn talk(rate: u32, seconds: u64) -> Vec<SynthFrame> {
        let web = Service::parse("web=192.0.2.1:80").unwrap();
        let requests = Traffic::to(&web).from("198.51.100.0/24").sources(40).requests(per_sec(rate));
        Scenario::new(3).with(requests.over(secs(seconds))).frames().unwrap().collect()
    }

    fn later(frame: &SynthFrame, span: Span) -> SynthFrame {
        SynthFrame { time: frame.time + span, bytes: frame.bytes.clone() }
    }

    fn in_order(mut frames: Vec<SynthFrame>) -> Vec<SynthFrame> {
        frames.sort_by_key(|frame| frame.time);
        frames
    }

    /// Every packet and its copy a little later.
    fn doubled(frames: &[SynthFrame]) -> Vec<SynthFrame> {
        let distance = |at: usize| Span::from_micros(1 + (at as u64 * 7_919) % 998);
        let twins = frames
            .iter()
            .enumerate()
            .flat_map(|(at, frame)| [later(frame, Span::default()), later(frame, distance(at))]);
        in_order(twins.collect())
    }

    fn survey(frames: &[SynthFrame]) -> bool {
        let mut ahead = Ahead::default();
        frames.iter().for_each(|frame| ahead.keep(&frame.as_frame()));
        ahead.shows().doubled
    }

    fn copies(mirror: &mut Mirror, frames: &[SynthFrame]) -> usize {
        let mut decoder = Decoder::default();
        let mut copy =
            |frame: &&SynthFrame| mirror.is_copy(&decoder.decode(&frame.as_frame()).unwrap(), frame.time);
        frames.iter().filter(|frame| copy(frame)).count()
    }

    #[test]
    fn a_doubled_mirror_is_seen_at_once_and_every_copy_is_told() {
        let frames = talk(20, 5);
        let twice = doubled(&frames);
        assert!(survey(&twice) && !survey(&frames));
        assert_eq!(copies(&mut Mirror::surveyed(true, 1), &twice), frames.len());
        assert_eq!(copies(&mut Mirror::surveyed(false, UNKNOWN), &frames), 0);
    }

    #[test]
    fn one_connection_is_enough() {
        let frames = talk(1, 1);
        assert!(survey(&doubled(&frames)) && !survey(&frames), "{} frames", frames.len());
    }

    #[test]
    fn what_is_rarer_or_at_any_distance_is_no_state_of_the_mirror() {
        let frames = talk(50, 10);
        let some = |part: usize, distance: &dyn Fn(usize) -> Span| {
            let again = frames.iter().enumerate().filter(|(at, _)| at * 7 % 100 < part);
            let again = again.map(|(at, frame)| later(frame, distance(at)));
            in_order(frames.iter().cloned().chain(again).collect())
        };
        let constant = |_: usize| Span::from_micros(300);
        let spread = |at: usize| Span::from_micros(100 + at as u64 * 7_919 % 9_800);
        assert!(!survey(&some(20, &constant)), "a fifth");
        assert!(survey(&some(40, &constant)), "two fifths");
        assert!(!survey(&some(90, &spread)), "retransmissions at any distance");
    }

    #[test]
    fn a_flood_of_one_frame_is_counted_frame_by_frame() {
        let web = Service::parse("web=192.0.2.1:80").unwrap();
        let flood = Traffic::to(&web).from("203.0.113.9").syns(per_sec(1)).over(secs(1));
        let one = Scenario::new(1).with(flood).frames().unwrap().next().unwrap();
        let again = (0..2_000).map(|nth| later(&one, Span::from_micros(200 * nth)));
        let frames = in_order(talk(20, 5).into_iter().chain(again).collect());
        assert!(!survey(&frames));
        assert_eq!(copies(&mut Mirror::surveyed(false, UNKNOWN), &frames), 0);
        let request = talk(1, 1).into_iter().find(|frame| frame.bytes.len() > 100).unwrap();
        let segments: Vec<_> = (0..2_000).map(|nth| later(&request, Span::from_millis(6 * nth))).collect();
        assert!(!survey(&segments), "a segment that is sent again and again carries nothing on");
    }

    #[test]
    fn one_flood_of_equal_frames_on_a_doubled_mirror_is_halved() {
        let datagram = {
            let web = Service::parse("web=192.0.2.1:80").unwrap();
            let one = Traffic::to(&web).from("203.0.113.9").datagrams(per_sec(1)).over(secs(1));
            Scenario::new(1).with(one).frames().unwrap().next().unwrap()
        };
        let flood: Vec<_> = (0..3_000).map(|nth| later(&datagram, Span::from_micros(50 * nth))).collect();
        let twice = in_order(doubled(&flood).into_iter().chain(doubled(&talk(20, 3))).collect());
        assert!(survey(&twice));
        assert_eq!(copies(&mut Mirror::surveyed(true, 1), &twice), twice.len() / 2);
    }

    #[test]
    fn what_was_doubled_before_is_doubled_again() {
        let frames = talk(20, 5);
        let four = doubled(&doubled(&frames));
        let mut mirror = {
            let mut ahead = Ahead::default();
            four.iter().for_each(|frame| ahead.keep(&frame.as_frame()));
            ahead.shows()
        };
        assert_eq!((mirror.doubled, mirror.copies), (true, 3));
        assert_eq!(copies(&mut mirror, &four), 3 * frames.len());
    }

    #[test]
    fn a_state_may_begin_and_end_midway() {
        let mut mirror = Mirror::surveyed(false, UNKNOWN);
        let calm = talk(100, 20);
        assert_eq!(copies(&mut mirror, &calm), 0);
        let shift = |frames: Vec<SynthFrame>, by: u64| -> Vec<SynthFrame> {
            frames.iter().map(|frame| later(frame, secs(by))).collect()
        };
        let twice = shift(doubled(&calm), 100);
        let told = copies(&mut mirror, &twice);
        assert!(told * 100 > calm.len() * 90 && told < calm.len(), "{told} of {}", calm.len());
        assert!(mirror.doubled);
        assert_eq!(copies(&mut mirror, &shift(calm, 200)), 0);
        assert!(!mirror.doubled);
    }
}
