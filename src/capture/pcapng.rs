//! The pcapng format: sections of blocks, each with its own byte order and interfaces.
//! Comes in: the input's bytes. Goes out: packets that still lie in the input's buffer, and the beats that our own
//! writer put between them. Refuses to know names, comments, keys and whatever else a block may carry.
//! See <https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/>.

use super::input::{Input, MAX_PACKET, MAX_PIECE};
use super::options::Options;
use super::reader::{Damage, Found, Lent, Order};
use super::resolution::Clock;
use super::{Beat, LinkType};
use crate::time::Timestamp;

pub(super) const SECTION: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(super) const STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;

pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// `shb_userappl`: who wrote the section.
pub(super) const USER_APPLICATION: u16 = 4;
/// `opt_comment`.
pub(super) const COMMENT: u16 = 1;
/// What our beats say while packets do not come that should.
pub(super) const BLIND: &[u8] = b"blind";
/// What they say of the work that is left out; the step follows.
pub(super) const SHED: &[u8] = b"shed ";
/// `isb_ifdrop`: packets that the interface dropped.
pub(super) const DROPPED_INTERFACE: u16 = 5;
/// `isb_osdrop`: packets that the operating system dropped.
pub(super) const DROPPED_KERNEL: u16 = 7;

/// How the name of our own writer begins: only its statistics are beats of a capture clock.
pub(super) const OUR_NAME: &[u8] = b"bongsu";

/// Type and length before a block's body.
const BLOCK_HEAD: usize = 8;
/// Head, and the length again behind the body.
const BLOCK_FRAME: usize = 12;
/// Interfaces believed of one section. Merged captures have hundreds; a hostile file must not fill memory with them.
const MAX_INTERFACES: usize = 65_536;

/// A pcapng file, anywhere in it.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    author: Author,
    interfaces: Vec<Interface>,
    /// The time of packets that have none.
    last: Timestamp,
    /// A block that nothing is read of.
    passing: Option<Passing>,
}

/// A block under way, of which `left` bytes have not passed.
#[derive(Debug, Clone, Copy)]
struct Passing {
    block: Block,
    left: u64,
}

/// Who wrote a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    Ours,
    Other,
}

/// One interface of a section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    /// The longest packet captured; 0 where there is no limit.
    snaplen: u32,
    clock: Clock,
}

/// A block's place: head and trailer hold the same length.
#[derive(Debug, Clone, Copy)]
struct Block {
    begin: u64,
    kind: u32,
    total: u32,
}

/// The fixed fields of a packet block.
struct PacketFields {
    interface: usize,
    ticks: u64,
    captured: u32,
    wire: u32,
}

impl Pcapng {
    /// Whether a file of these first bytes is pcapng: the type of a section header reads the same in both orders.
    pub(super) fn knows(magic: [u8; 4]) -> bool {
        u32::from_le_bytes(magic) == SECTION
    }

    /// A file before its first section.
    pub(super) fn new() -> Self {
        Self {
            order: Order::Little,
            author: Author::Other,
            interfaces: Vec::new(),
            last: Timestamp::default(),
            passing: None,
        }
    }

    /// Moves to the next packet, which is lent, or beat.
    #[inline(never)]
    pub(super) fn next(&mut self, input: &mut Input, lent: &mut Lent) -> Result<Found, Damage> {
        self.pass(input)?;
        while let Some(block) = self.next_block(input)? {
            let found = match block.kind {
                ENHANCED_PACKET | OLD_PACKET => self.packet(input, block, lent).map(Some),
                SIMPLE_PACKET => self.simple_packet(input, block, lent).map(Some),
                SECTION => self.section(input, block).map(|()| None),
                INTERFACE => self.interface(input, block).map(|()| None),
                STATISTICS if self.author == Author::Ours => self.statistics(input, block).map(Some),
                _ => {
                    self.passing = Some(Passing { block, left: u64::from(block.total) });
                    self.pass(input).map(|()| None)
                }
            };
            if let Some(found) = found? {
                return Ok(found);
            }
        }
        Ok(Found::End)
    }

    /// Moves past a block of any length without holding it.
    #[inline]
    fn pass(&mut self, input: &mut Input) -> Result<(), Damage> {
        let Some(Passing { block: Block { begin, total, .. }, left }) = &mut self.passing else {
            return Ok(());
        };
        let whole = input.skip(left).map_err(|error| Damage::unreadable(*begin, &error))?;
        if !whole {
            return Err(Damage::new(*begin, format!("cut short: the block needs {total} bytes,")));
        }
        self.passing = None;
        Ok(())
    }

    /// Reads the head of the next block; `None` at the end of the file.
    #[inline]
    fn next_block(&mut self, input: &mut Input) -> Result<Option<Block>, Damage> {
        let begin = input.offset();
        let ahead = input.ahead(BLOCK_HEAD).map_err(|error| Damage::unreadable(begin, &error))?;
        let held = ahead.len();
        let &[kind, length, ..] = ahead.as_chunks::<4>().0 else {
            return cut_in_head(begin, held);
        };
        let kind = self.order.u32(kind);
        if kind == SECTION {
            self.order = byte_order(input, begin)?;
        }
        let total = self.order.u32(length);
        if (total as usize) < BLOCK_FRAME || !total.is_multiple_of(4) {
            return Err(Damage::new(begin, format!("a block of impossible length {total}")));
        }
        Ok(Some(Block { begin, kind, total }))
    }

    /// A section begins: what was said of interfaces before is void.
    fn section(&mut self, input: &mut Input, block: Block) -> Result<(), Damage> {
        let body = whole(input, block, self.order)?;
        let major = body.get(4..).and_then(|rest| rest.first_chunk()).map(|half| self.order.u16(*half));
        let options = body.get(16..).ok_or_else(|| too_small(block))?;
        if major != Some(1) {
            let major = major.unwrap_or_default();
            return Err(Damage::new(block.begin, format!("pcapng version {major} instead of 1")));
        }
        let mut options = Options::new(options, self.order);
        let ours =
            options.any(|option| option.code == USER_APPLICATION && option.value.starts_with(OUR_NAME));
        self.author = if ours { Author::Ours } else { Author::Other };
        self.interfaces.clear();
        input.consume(block.total as usize);
        Ok(())
    }

    /// An interface is described.
    fn interface(&mut self, input: &mut Input, block: Block) -> Result<(), Damage> {
        let order = self.order;
        let body = whole(input, block, order)?;
        let (&[link_a, link_b, _, _, a, b, c, d], options) =
            body.split_first_chunk::<8>().ok_or_else(|| too_small(block))?;
        let link = LinkType::from_file(u32::from(order.u16([link_a, link_b])));
        let clock = Clock::told_by(Options::new(options, order), order);
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Damage::new(block.begin, format!("more than {MAX_INTERFACES} interfaces")));
        }
        self.interfaces.push(Interface { link, snaplen: order.u32([a, b, c, d]), clock });
        input.consume(block.total as usize);
        Ok(())
    }

    /// An enhanced packet block, or the packet block it replaced: the same but for the first word.
    #[inline]
    fn packet(&mut self, input: &mut Input, block: Block, lent: &mut Lent) -> Result<Found, Damage> {
        let order = self.order;
        let body = whole(input, block, order)?;
        let (fields, rest) = body.split_first_chunk::<20>().ok_or_else(|| too_small(block))?;
        let fields = PacketFields::read(fields, block.kind, order);
        if fields.captured as usize > rest.len().min(MAX_PACKET) {
            let (captured, room) = (fields.captured, rest.len());
            return Err(Damage::new(
                block.begin,
                format!("a packet of {captured} bytes in a block with room for {room},"),
            ));
        }
        let Some(interface) = self.interfaces.get(fields.interface) else {
            return Err(undescribed(block, fields.interface));
        };
        let time = interface.clock.time(fields.ticks);
        self.last = time;
        let position = input.position() + BLOCK_HEAD + 20;
        input.consume(block.total as usize);
        let wire_len = fields.wire.max(fields.captured) as usize;
        *lent = Lent { time, link: interface.link, wire_len, position, len: fields.captured as usize };
        Ok(Found::Packet)
    }

    /// A packet without a time, of the first interface.
    fn simple_packet(&mut self, input: &mut Input, block: Block, lent: &mut Lent) -> Result<Found, Damage> {
        let body = whole(input, block, self.order)?;
        let (&wire, rest) = body.split_first_chunk::<4>().ok_or_else(|| too_small(block))?;
        let interface = self.interfaces.first().ok_or_else(|| undescribed(block, 0))?;
        let limit = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let wire_len = self.order.u32(wire) as usize;
        let len = wire_len.min(limit as usize).min(rest.len());
        if len > MAX_PACKET {
            return Err(Damage::new(block.begin, format!("a packet of {len} bytes, more than is believed,")));
        }
        let position = input.position() + BLOCK_HEAD + 4;
        input.consume(block.total as usize);
        *lent = Lent { time: self.last, link: interface.link, wire_len, position, len };
        Ok(Found::Packet)
    }

    /// Statistics of an interface, which our own writer uses for the recorder's clock and drops.
    fn statistics(&mut self, input: &mut Input, block: Block) -> Result<Found, Damage> {
        let order = self.order;
        let body = whole(input, block, order)?;
        let (fields, rest) = body.split_first_chunk::<12>().ok_or_else(|| too_small(block))?;
        let (words, _) = fields.as_chunks::<4>();
        let [interface, high, low] = *words else { return Err(too_small(block)) };
        let interface = order.u32(interface) as usize;
        let clock = self.interfaces.get(interface).ok_or_else(|| undescribed(block, interface))?.clock;
        let time = clock.time(ticks(order.u32(high), order.u32(low)));
        let mut beat = Beat { time, ..Beat::default() };
        for option in Options::new(rest, order) {
            if option.code == COMMENT {
                beat.blind |= option.value == BLIND;
                beat.shed = step(option.value).unwrap_or(beat.shed);
            }
            let count = option.value.first_chunk().map(|bytes| order.u64(*bytes));
            match (option.code, count) {
                (DROPPED_KERNEL, Some(count)) => beat.dropped_kernel = count,
                (DROPPED_INTERFACE, Some(count)) => beat.dropped_interface = count,
                _ => {}
            }
        }
        input.consume(block.total as usize);
        Ok(Found::Beat(beat))
    }
}

/// The step in a comment `shed N`.
fn step(comment: &[u8]) -> Option<u8> {
    std::str::from_utf8(comment.strip_prefix(SHED)?).ok()?.parse().ok()
}

impl PacketFields {
    #[inline]
    fn read(bytes: &[u8; 20], kind: u32, order: Order) -> Self {
        let [a, b, c, d, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, w0, w1, w2, w3] = *bytes;
        let interface = match kind {
            OLD_PACKET => usize::from(order.u16([a, b])),
            _ => order.u32([a, b, c, d]) as usize,
        };
        let (high, low) = (order.u32([h0, h1, h2, h3]), order.u32([l0, l1, l2, l3]));
        let (captured, wire) = (order.u32([c0, c1, c2, c3]), order.u32([w0, w1, w2, w3]));
        Self { interface, ticks: ticks(high, low), captured, wire }
    }
}

#[inline]
fn ticks(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The byte order of the section that begins at the input's position.
fn byte_order(input: &mut Input, begin: u64) -> Result<Order, Damage> {
    let ahead = input.ahead(BLOCK_FRAME).map_err(|error| Damage::unreadable(begin, &error))?;
    let Some(&[_, _, magic, ..]) = ahead.as_chunks::<4>().0.get(..3) else {
        return Err(Damage::cut_short(begin, "the section header", BLOCK_FRAME, ahead.len()));
    };
    let orders = [Order::Little, Order::Big];
    orders.into_iter().find(|order| order.u32(magic) == BYTE_ORDER_MAGIC).ok_or_else(|| {
        Damage::new(begin, format!("byte-order magic {:#010x} of a section", Order::Big.u32(magic)))
    })
}

/// The body of a block that is whole in the buffer and whose two lengths agree.
#[inline]
fn whole(input: &mut Input, block: Block, order: Order) -> Result<&[u8], Damage> {
    let Block { begin, total, .. } = block;
    let need = total as usize;
    if need > MAX_PIECE {
        return Err(Damage::new(begin, format!("a block of {total} bytes, more than is believed,")));
    }
    let ahead = input.ahead(need).map_err(|error| Damage::unreadable(begin, &error))?;
    let Some(bytes) = ahead.get(..need) else {
        return Err(Damage::cut_short(begin, "the block", need, ahead.len()));
    };
    let (Some(trailer), Some(body)) = (bytes.last_chunk(), bytes.get(BLOCK_HEAD..need - 4)) else {
        return Err(too_small(block));
    };
    if order.u32(*trailer) != total {
        return Err(unequal(block, order.u32(*trailer)));
    }
    Ok(body)
}

#[cold]
fn cut_in_head(begin: u64, held: usize) -> Result<Option<Block>, Damage> {
    if held == 0 { Ok(None) } else { Err(Damage::cut_short(begin, "the block header", BLOCK_HEAD, held)) }
}

#[cold]
fn too_small(block: Block) -> Damage {
    Damage::new(block.begin, format!("a block of type {} in {} bytes, too few,", block.kind, block.total))
}

#[cold]
fn unequal(block: Block, trailer: u32) -> Damage {
    Damage::new(block.begin, format!("a block whose lengths differ ({} and {trailer})", block.total))
}

#[cold]
fn undescribed(block: Block, interface: usize) -> Damage {
    Damage::new(block.begin, format!("interface {interface}, which the section does not describe,"))
}
