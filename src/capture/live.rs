//! Interfaces as sources: a mirror port read through libpcap.
//! Comes in: an interface's name. Goes out: frames as they come, idleness after a short wait, drop counts, and whether
//! the interface is still what it was. Refuses to send, to block for longer than it was told, and to read any clock but
//! the packets'.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use ::pcap::{Active, Capture, Error, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netdevice;

use super::filter::reason;
use super::{CaptureError, Frame, LinkType, Source, Step};
use crate::time::{Span, Timestamp};

/// Milliseconds after which the kernel hands over a block that is not full.
const HAND_OVER_MS: i32 = 50;

/// The first four bytes of a file that libpcap writes from a handle with nanoseconds.
const NANOS: u32 = 0xa1b2_3c4d;

/// How an interface is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveOptions {
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// Bytes of the kernel's ring.
    pub buffer_size: u32,
    /// A filter in tcpdump's language that the kernel applies.
    pub filter: Option<String>,
    /// Whether packets to other machines are taken too, as on a mirror port.
    pub promiscuous: bool,
    /// How long a step waits for a packet.
    pub wait: Span,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            // What tcpdump takes: any frame, also those that the card's offloading joined.
            snaplen: 262_144,
            // A quarter of a second at 1 Gbit/s, within the budget of memory.
            buffer_size: 32 << 20,
            filter: None,
            promiscuous: true,
            wait: Span::from_millis(50),
        }
    }
}

/// Packets that never reached us, since the interface was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drops {
    /// Dropped by the kernel for want of room in the ring.
    pub kernel: u64,
    /// Dropped by the interface or its driver.
    pub interface: u64,
}

/// One interface.
pub struct Live {
    interface: String,
    /// `None` when the interface is gone.
    handle: Option<Capture<Active>>,
    /// The kernel's number of it, which stays when it is renamed and never comes again.
    index: Option<u32>,
    link: LinkType,
    /// Whether it is gone, and only what was captured before is read.
    is_leaving: bool,
    unit: Unit,
    wait: Span,
    last: Lent,
    drops: DropCounter,
}

/// What the fraction of a handle's times counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros,
    Nanos,
}

/// The last packet, copied out of the ring: libpcap lends it only while its handle is borrowed.
#[derive(Debug, Default)]
struct Lent {
    time: Timestamp,
    wire_len: u32,
    data: Vec<u8>,
}

impl Live {
    /// Opens an interface for reading.
    ///
    /// # Errors
    /// [`CaptureError::Interface`] with libpcap's reason, [`CaptureError::Filter`] for the filter.
    pub fn open(interface: &str, options: &LiveOptions) -> Result<Self, CaptureError> {
        let failed = |error: Error| gone(interface, reason(&error));
        let inactive = Capture::from_device(interface).map_err(failed)?;
        let handle = inactive
            // The pseudo-interface of all interfaces cannot be promiscuous, and libpcap calls the attempt a failure.
            .promisc(options.promiscuous && interface != "any")
            .snaplen(saturated(options.snaplen))
            .buffer_size(saturated(options.buffer_size))
            .timeout(HAND_OVER_MS)
            .precision(Precision::Nano)
            .open()
            .and_then(Capture::<Active>::setnonblock)
            .map_err(failed)?;
        let mut live = Self {
            interface: interface.to_owned(),
            link: LinkType::from_dlt(handle.get_datalink().0),
            unit: unit(&handle).map_err(|error| gone(interface, error.to_string()))?,
            index: netdevice::name_to_index(&handle, interface).ok(),
            handle: Some(handle),
            is_leaving: false,
            wait: options.wait,
            last: Lent::default(),
            drops: DropCounter::default(),
        };
        live.filter(options.filter.as_deref())?;
        Ok(live)
    }

    /// The interface's name.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// What the kernel and the interface dropped; the counts never fall, and stay when the interface is gone.
    pub fn drops(&mut self) -> Drops {
        if let Some(Ok(stats)) = self.handle.as_mut().map(Capture::stats) {
            self.drops.advance(stats.dropped, stats.if_dropped);
        }
        self.drops.total
    }

    /// What the kernel says of the interface now.
    pub(super) fn presence(&self) -> Presence {
        let (Some(handle), Some(index)) = (&self.handle, self.index) else { return Presence::Here };
        match netdevice::index_to_name(handle, index) {
            Ok(name) if name == self.interface => Presence::Here,
            Ok(name) => Presence::Renamed(name),
            Err(_) => Presence::Gone,
        }
    }

    /// Whether its link carries anything, as far as the kernel says; an interface that cannot tell is taken to.
    pub(super) fn is_up(&self) -> bool {
        let state = fs::read_to_string(format!("/sys/class/net/{}/operstate", self.interface));
        !state.is_ok_and(|state| matches!(state.trim_end(), "down" | "lowerlayerdown" | "notpresent"))
    }

    /// It is gone: what the kernel holds of its packets is handed over, and then it is an error.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        rest(Span::from_millis(2 * u64::from(HAND_OVER_MS.unsigned_abs())));
    }

    /// It goes on under another name.
    pub(super) fn call(&mut self, name: String) {
        self.interface = name;
    }

    fn filter(&mut self, expression: Option<&str>) -> Result<(), CaptureError> {
        let (Some(expression), Some(handle)) = (expression, self.handle.as_mut()) else { return Ok(()) };
        handle.filter(expression, true).map_err(|error| CaptureError::Filter {
            expression: expression.to_owned(),
            reason: reason(&error),
        })
    }

    /// Takes a packet that is there, without waiting.
    pub(super) fn take(&mut self) -> Result<Step, CaptureError> {
        let Some(handle) = self.handle.as_mut() else { return Ok(Step::End) };
        let error = match handle.next_packet() {
            Ok(packet) => {
                let header = packet.header;
                self.last.time = self.unit.time(header.ts.tv_sec, header.ts.tv_usec);
                self.last.wire_len = header.len.max(header.caplen);
                self.last.data.clear();
                self.last.data.extend_from_slice(packet.data);
                return Ok(Step::Frame);
            }
            Err(Error::TimeoutExpired) if !self.is_leaving => return Ok(Step::Idle),
            // What came last is still to be handed over.
            Err(_) if !self.is_leaving => {
                self.leave();
                return self.take();
            }
            Err(error) => error,
        };
        self.drops();
        self.handle = None;
        Err(gone(&self.interface, reason(&error)))
    }
}

impl Source for Live {
    fn step(&mut self) -> Result<Step, CaptureError> {
        match self.take()? {
            Step::Idle => {
                let readable = wait(std::iter::once(&*self), self.wait);
                // Taken even where the wait was in vain: an interface that went away shows only then.
                let step = self.take()?;
                if step == Step::Idle && readable == Readable::InVain {
                    rest(self.wait);
                }
                Ok(step)
            }
            step => Ok(step),
        }
    }

    fn frame(&self) -> Frame<'_> {
        let Lent { time, wire_len, data } = &self.last;
        Frame { time: *time, link: self.link, wire_len: *wire_len, data }
    }
}

impl Drops {
    pub(super) fn and(self, other: Self) -> Self {
        Self { kernel: self.kernel + other.kernel, interface: self.interface + other.interface }
    }
}

/// Makes rising counts of libpcap's, which wrap at 32 bits.
#[derive(Debug, Default)]
struct DropCounter {
    seen: (u32, u32),
    total: Drops,
}

impl DropCounter {
    fn advance(&mut self, kernel: u32, interface: u32) {
        self.total.kernel += u64::from(kernel.wrapping_sub(self.seen.0));
        self.total.interface += u64::from(interface.wrapping_sub(self.seen.1));
        self.seen = (kernel, interface);
    }
}

impl Unit {
    /// With nanoseconds, libpcap puts them where the microseconds were.
    fn time(self, secs: i64, fraction: i64) -> Timestamp {
        let nanos = match self {
            Self::Micros => fraction.saturating_mul(1_000),
            Self::Nanos => fraction,
        };
        Timestamp::from_parts(secs, nanos)
    }
}

/// What has become of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is what it was.
    Here,
    /// It is called otherwise.
    Renamed(String),
    /// It is not there any more, or in another network namespace.
    Gone,
}

/// What waiting for packets came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readable {
    /// Packets, or the time is over.
    Maybe,
    /// The wait ended early with an error or hang-up: without rest, the caller would spin.
    InVain,
}

/// Waits until one of the interfaces has packets, for `span` at most.
pub(super) fn wait<'a>(lines: impl Iterator<Item = &'a Live>, span: Span) -> Readable {
    let handles = lines.filter_map(|live| live.handle.as_ref());
    let mut polled: Vec<_> =
        handles.map(|handle| PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)).collect();
    match poll(&mut polled, Some(&timespec(span))) {
        Ok(0) => Readable::Maybe,
        Ok(_) if polled.iter().any(|one| one.revents().contains(PollFlags::IN)) => Readable::Maybe,
        // Interrupted by a signal: the caller looks at it at once.
        Err(rustix::io::Errno::INTR) => Readable::Maybe,
        Ok(_) | Err(_) => Readable::InVain,
    }
}

/// Lets `span` pass.
pub(super) fn rest(span: Span) {
    // An interruption only makes the rest shorter.
    let _ = poll(&mut [], Some(&timespec(span)));
}

fn timespec(span: Span) -> Timespec {
    Timespec { tv_sec: span.secs().cast_signed(), tv_nsec: (span.nanos() % 1_000_000_000) as _ }
}

/// What the handle's times count: libpcap may refuse nanoseconds without a word, but what it would write to a file
/// begins with a number that tells.
fn unit(handle: &Capture<Active>) -> io::Result<Unit> {
    let (mut told, writer) = io::pipe()?;
    let path = format!("/proc/self/fd/{}", writer.as_fd().as_raw_fd());
    let Ok(mut file) = handle.savefile(path) else {
        // Without /proc there is no telling; every network interface of Linux has nanoseconds.
        return Ok(Unit::Nanos);
    };
    let flushed = file.flush();
    drop((file, writer));
    let mut magic = [0; 4];
    match (flushed, told.read_exact(&mut magic)) {
        (Ok(()), Ok(())) if u32::from_ne_bytes(magic) != NANOS => Ok(Unit::Micros),
        _ => Ok(Unit::Nanos),
    }
}

fn saturated(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn gone(interface: &str, what: String) -> CaptureError {
    CaptureError::Interface { interface: interface.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_counts_what_the_handle_says() {
        assert_eq!(Unit::Micros.time(7, 999_999), Timestamp::from_parts(7, 999_999_000));
        assert_eq!(Unit::Nanos.time(7, 999_999_999), Timestamp::from_parts(7, 999_999_999));
        let (Ok(live), Ok(micros)) = (Live::open("lo", &LiveOptions::default()), micros_on_lo()) else {
            println!("not run: no rights to read lo");
            return;
        };
        assert_eq!(live.unit, Unit::Nanos);
        assert_eq!(unit(&micros).unwrap(), Unit::Micros);
    }

    fn micros_on_lo() -> Result<Capture<Active>, Error> {
        Capture::from_device("lo")?.precision(Precision::Micro).timeout(HAND_OVER_MS).open()
    }

    #[test]
    fn counts_rise_over_the_wrap_of_32_bits() {
        let mut drops = DropCounter::default();
        for (kernel, interface) in [(10, 0), (u32::MAX, 5), (4, 5)] {
            drops.advance(kernel, interface);
        }
        assert_eq!(drops.total, Drops { kernel: u64::from(u32::MAX) + 5, interface: 5 });
    }
}
