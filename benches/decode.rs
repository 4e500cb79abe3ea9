//! What decoding costs per packet, beside the least that etherparse itself costs over the same bytes.
//!
//! The capture is made here, in memory: 70 % TCP data of mixed sizes, 20 % bare acknowledgments, 10 % UDP, one packet
//! in ten over IPv6. The three benches read it in the same blocks: `record_walk` only walks, `bare_loop` slices every
//! packet with etherparse, `decode` makes a `Packet` of it; the differences are what slicing and decoding cost.

#![expect(clippy::unwrap_used, reason = "a bench that cannot build its input has nothing to measure")]

use std::hint::black_box;
use std::sync::LazyLock;

use bongsu::capture::{Frame, LinkType};
use bongsu::decode::Decoder;
use bongsu::time::Timestamp;
use divan::Bencher;
use divan::counter::ItemsCount;
use etherparse::{PacketBuilder, PacketBuilderStep, SlicedPacket, TcpHeader, UdpHeader};

mod blocks;

/// Packets in the capture: some 40 MB, which no second-level cache holds.
const PACKETS: u64 = 60_000;

static CAPTURE: LazyLock<Vec<u8>> = LazyLock::new(|| Capture::of(PACKETS));

fn main() {
    divan::main();
}

#[divan::bench]
fn record_walk(bencher: Bencher) {
    measure(bencher, |record| {
        black_box(record.data);
    });
}

#[divan::bench]
fn bare_loop(bencher: Bencher) {
    measure(bencher, |record| {
        let _ = black_box(SlicedPacket::from_ethernet(record.data));
    });
}

#[divan::bench(name = "decode")]
fn decode_packets(bencher: Bencher) {
    let capture = CAPTURE.as_slice();
    bencher.counter(ItemsCount::new(PACKETS)).bench(|| {
        let mut decoder = Decoder::default();
        blocks::walk(capture, |record| {
            let link = LinkType(record.link);
            let _ = black_box(decoder.decode(&Frame {
                time: Timestamp::default(),
                link,
                wire_len: record.wire_len,
                data: record.data,
            }));
        })
    });
}

fn measure(bencher: Bencher, each: impl Fn(blocks::Record<'_>) + Sync) {
    let capture = CAPTURE.as_slice();
    bencher.counter(ItemsCount::new(PACKETS)).bench(|| blocks::walk(capture, &each).unwrap());
}

/// A pcap file that grows by one packet at a time.
struct Capture {
    bytes: Vec<u8>,
    dice: Dice,
}

impl Capture {
    fn of(packets: u64) -> Vec<u8> {
        let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1_u32].map(u32::to_le_bytes).concat();
        let mut capture = Self { bytes: header, dice: Dice(1) };
        for _ in 0..packets {
            capture.add_packet();
        }
        capture.bytes
    }

    fn add_packet(&mut self) {
        let over_ipv6 = self.dice.below(10) == 0;
        let port = 1_024 + self.dice.below(60_000) as u16;
        let mut frame = Vec::new();
        match self.dice.below(10) {
            0..7 => self.tcp(over_ipv6, port, &mut frame),
            7..9 => tcp(over_ipv6, port).write(&mut frame, &[]).unwrap(),
            _ => {
                let len = self.dice.below(500);
                udp(over_ipv6, port).write(&mut frame, &vec![0x55; len]).unwrap();
            }
        }
        let len = frame.len() as u32;
        self.bytes.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
        self.bytes.extend(frame);
    }

    fn tcp(&mut self, over_ipv6: bool, port: u16, frame: &mut Vec<u8>) {
        let len = [1_448, 1_448, 1 + self.dice.below(1_448), 1 + self.dice.below(300)][self.dice.below(4)];
        tcp(over_ipv6, port).write(frame, &vec![0x55; len]).unwrap();
    }
}

fn tcp(over_ipv6: bool, port: u16) -> PacketBuilderStep<TcpHeader> {
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    match over_ipv6 {
        true => ethernet.ipv6([1; 16], [2; 16], 64).tcp(port, 443, 1, 512).ack(2),
        false => ethernet.ipv4([198, 51, 100, 7], [203, 0, 113, 10], 64).tcp(port, 443, 1, 512).ack(2),
    }
}

fn udp(over_ipv6: bool, port: u16) -> PacketBuilderStep<UdpHeader> {
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    match over_ipv6 {
        true => ethernet.ipv6([1; 16], [2; 16], 64).udp(port, 443),
        false => ethernet.ipv4([198, 51, 100, 7], [203, 0, 113, 10], 64).udp(port, 443),
    }
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}
