//! Programs that wear a server out with little: requests that never end, and HTTP/2 streams that are cancelled as soon
//! as they are opened ([RFC 9113](https://www.rfc-editor.org/rfc/rfc9113), CVE-2023-44487).

use super::actor::{Fate, Signal};
use super::engine::{ActorId, ConnId, Event, World};
use super::people::Client;
use super::plan::{Rapid, Slow, SlowPart};
use crate::time::{Span, Timestamp};

/// One program that holds a connection with a request that never ends.
#[derive(Debug)]
pub struct Holder {
    group: u16,
    client: Client,
    style: Slow,
    end: Timestamp,
    conn: Option<ConnId>,
    opened: bool,
}

/// One program that opens streams and cancels them.
#[derive(Debug)]
pub struct Canceller {
    group: u16,
    client: Client,
    style: Rapid,
    end: Timestamp,
    conn: Option<ConnId>,
    stream: u32,
}

/// After a connection is lost the next comes within that time.
const COME_BACK: (Span, Span) = (Span::from_millis(300), Span::from_secs(2));
/// Tags of wake-ups: the first, a new connection, the next bit.
const CONNECT: u32 = 1;
const GO_ON: u32 = 2;

impl Holder {
    /// A program about to begin.
    pub const fn new(group: u16, client: Client, style: Slow, end: Timestamp) -> Self {
        Self { group, client, style, end, conn: None, opened: false }
    }

    /// Hears of something and acts.
    pub fn hear(&mut self, world: &mut World, me: ActorId, signal: Signal) -> Fate {
        if world.now >= self.end {
            if let Some(conn) = self.conn.take() {
                world.let_go(conn);
                world.abandon(conn);
            }
            return Fate::Leaves;
        }
        match signal {
            Signal::Wake(0) => {
                // Connections are built up over some seconds.
                let spread = world.rng.span_between(Span::default(), Span::from_secs(8));
                world.at(world.now + spread, Event::Wake(me, CONNECT));
                world.at(self.end, Event::Wake(me, GO_ON));
            }
            Signal::Wake(CONNECT) if self.conn.is_none() => {
                (self.conn, self.opened) = (world.connect(me, self.group, self.client), false);
            }
            Signal::Wake(_) => self.go_on(world, me),
            Signal::Opened(conn) => self.begin(world, me, conn),
            Signal::Failed(conn) if self.conn == Some(conn) => {
                self.conn = None;
                let pause = world.rng.span_between(COME_BACK.0, COME_BACK.1);
                world.at(world.now + pause, Event::Wake(me, CONNECT));
            }
            Signal::Answered(..) | Signal::Failed(_) => {}
        }
        Fate::Stays
    }

    fn begin(&mut self, world: &mut World, me: ActorId, conn: ConnId) {
        let host = world.host_name(self.group);
        let agent = self.client.look.agent();
        let head = match self.style.part {
            SlowPart::Head => format!(
                "GET /?{} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n",
                world.rng.below(9_999)
            ),
            SlowPart::Body => format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nContent-Type: \
                 application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
                world.rng.between(10_000, 1_000_000)
            ),
        };
        self.opened = true;
        world.count_attempt(conn);
        world.mumble(conn, head.into_bytes(), 0);
        world.hold(conn);
        self.wait(world, me);
    }

    fn go_on(&mut self, world: &mut World, me: ActorId) {
        let Some(conn) = self.conn.filter(|_| self.opened) else { return };
        let bit = match self.style.part {
            SlowPart::Head => format!("X-a: {}\r\n", world.rng.below(5_000)).into_bytes(),
            SlowPart::Body => vec![b'a' + world.rng.below(26) as u8],
        };
        world.mumble(conn, bit, 0);
        self.wait(world, me);
    }

    fn wait(&self, world: &mut World, me: ActorId) {
        let whole = self.style.interval.nanos();
        let wait = world.rng.between(whole * 4 / 5, whole * 6 / 5);
        world.at(world.now + Span::from_nanos(wait), Event::Wake(me, GO_ON));
    }
}

impl Canceller {
    /// A program about to begin.
    pub const fn new(group: u16, client: Client, style: Rapid, end: Timestamp) -> Self {
        Self { group, client, style, end, conn: None, stream: 1 }
    }

    /// Hears of something and acts.
    pub fn hear(&mut self, world: &mut World, me: ActorId, signal: Signal) -> Fate {
        if world.now >= self.end {
            if let Some(conn) = self.conn.take() {
                world.abandon(conn);
            }
            return Fate::Leaves;
        }
        match signal {
            Signal::Wake(0) => {
                let spread = world.rng.span_between(Span::default(), Span::from_secs(3));
                world.at(world.now + spread, Event::Wake(me, CONNECT));
            }
            Signal::Wake(CONNECT) if self.conn.is_none() => {
                (self.conn, self.stream) = (world.connect(me, self.group, self.client), 1);
            }
            Signal::Wake(_) => self.burst(world, me),
            Signal::Opened(conn) => {
                world.mumble(conn, PREFACE.to_vec(), 0);
                world.hear_out(conn, &SERVER_SETTINGS);
                world.at(world.now + Span::from_millis(20), Event::Wake(me, GO_ON));
            }
            Signal::Failed(conn) if self.conn == Some(conn) => {
                self.conn = None;
                let pause = world.rng.span_between(COME_BACK.0, COME_BACK.1);
                world.at(world.now + pause, Event::Wake(me, CONNECT));
            }
            Signal::Answered(..) | Signal::Failed(_) => {}
        }
        Fate::Stays
    }

    fn burst(&mut self, world: &mut World, me: ActorId) {
        let Some(conn) = self.conn else { return };
        let host = world.host_name(self.group);
        let frames: Vec<Vec<u8>> = (0..self.style.burst)
            .map(|_| {
                let frames = open_and_cancel(self.stream, host);
                self.stream += 2;
                frames
            })
            .collect();
        world.chatter(conn, &frames);
        let whole = self.style.period.nanos();
        let wait = world.rng.between(whole / 2, whole * 3 / 2);
        world.at(world.now + Span::from_nanos(wait), Event::Wake(me, GO_ON));
    }
}

/// The client's preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// An empty SETTINGS frame and the acknowledgement of the client's.
const SERVER_SETTINGS: [u8; 18] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];

/// HEADERS (GET / by the static table of RFC 7541, and the authority) and RST_STREAM (CANCEL).
fn open_and_cancel(stream: u32, host: &str) -> Vec<u8> {
    let host = host.as_bytes();
    let length = (5 + host.len()) as u8;
    let mut frames = vec![0, 0, length, 1, 5];
    frames.extend(stream.to_be_bytes());
    frames.extend([0x82, 0x86, 0x84, 0x01, host.len() as u8]);
    frames.extend(host);
    frames.extend([0, 0, 4, 3, 0]);
    frames.extend(stream.to_be_bytes());
    frames.extend(8_u32.to_be_bytes());
    frames
}
