//! The records of one worker between two meetings, as lines. Comes in: records as they happen. Goes out: lines with their
//! places among the lines of all workers, and pages of them in that order.

use crate::alert::{EventType, FlowWriter, Page};
use crate::flow::record::{Order, Record, Scribe};
use crate::time::Timestamp;

/// Writes the records of a worker.
pub(super) struct Script {
    writer: FlowWriter,
    lines: Lines,
}

/// Lines in the order in which one worker wrote them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    marks: Vec<Mark>,
}

/// One line.
#[derive(Debug)]
struct Mark {
    order: Order,
    end: usize,
    kind: EventType,
    time: Timestamp,
}

/// Room for text that is kept from one meeting to the next; a flood that ends may have needed more.
const KEPT: usize = 4 * 1024 * 1024;

/// Pages that are told at once: those of a usual meeting, so that a sink wakes once for all of them.
const AT_ONCE: usize = 32;

impl Script {
    pub fn new(writer: FlowWriter) -> Self {
        Self { writer, lines: Lines::default() }
    }

    /// Has records written otherwise from now on.
    pub fn renew(&mut self, writer: FlowWriter) {
        self.writer = writer;
    }

    /// What was written since the last time.
    pub fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }
}

impl Scribe for Script {
    fn write(&mut self, record: &Record<'_>) {
        let kind = self.writer.write(record, &mut self.lines.text);
        let end = self.lines.text.len();
        self.lines.marks.push(Mark { order: record.order(), end, kind, time: record.time() });
    }
}

impl Lines {
    /// Forgets them.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.marks.clear();
    }

    /// A line, and where it begins.
    fn line(&self, index: usize) -> Option<(&[u8], &Mark)> {
        let mark = self.marks.get(index)?;
        let begin = index.checked_sub(1).and_then(|before| self.marks.get(before)).map_or(0, |mark| mark.end);
        Some((self.text.get(begin..mark.end)?, mark))
    }
}

/// What was followed since records were last told: what the workers may hold as text is bounded by it.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    packets: u32,
    bytes: usize,
}

/// Packets after which records are told though no second is over.
const MOST_PACKETS: u32 = 16_384;

/// Bytes of packets after which they are: a request of 18 bytes makes a record of 450, and a packet may be full of them.
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl Unrecorded {
    /// Counts a packet of so many captured bytes; answers whether records are to be told, and begins anew then.
    #[inline]
    pub fn is_enough_with(&mut self, bytes: usize) -> bool {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let enough = self.packets >= MOST_PACKETS || self.bytes >= MOST_BYTES;
        if enough {
            *self = Self::default();
        }
        enough
    }
}

/// Where a line stands: its time, and whose it is.
#[derive(Clone, Copy)]
struct Place {
    told: Timestamp,
    worker: u32,
    index: u32,
}

/// Hands the lines of all workers to `tell` in pages, in an order that is theirs together.
pub(super) fn in_order(workers: &[&Lines], mut tell: impl FnMut(Vec<Page>)) {
    let marks = |place: Place| workers.get(place.worker as usize)?.marks.get(place.index as usize);
    let mut places: Vec<Place> = Vec::with_capacity(workers.iter().map(|lines| lines.marks.len()).sum());
    for (worker, lines) in (0..).zip(workers) {
        places.extend((0..).zip(&lines.marks).map(|(index, mark)| Place {
            told: mark.order.told,
            worker,
            index,
        }));
    }
    if places.is_empty() {
        return;
    }
    // What is equal in all came from one shard, which had it in order.
    places.sort_unstable_by(|one, other| {
        let whole = || marks(*one).map(|mark| &mark.order).cmp(&marks(*other).map(|mark| &mark.order));
        one.told.cmp(&other.told).then_with(whole).then(one.index.cmp(&other.index))
    });
    let (mut pages, mut page) = (Vec::new(), Page::new());
    for place in places {
        let Some(lines) = workers.get(place.worker as usize) else { continue };
        let Some((line, mark)) = lines.line(place.index as usize) else { continue };
        page.add(line, mark.kind, mark.time);
        if page.is_full() {
            pages.push(std::mem::replace(&mut page, Page::new()));
        }
        if pages.len() >= AT_ONCE {
            tell(std::mem::take(&mut pages));
        }
    }
    pages.extend((!page.is_empty()).then_some(page));
    if !pages.is_empty() {
        tell(pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Pseudonyms;
    use crate::flow::record::{Ends, RequestRecord};
    use crate::time::Zone;

    fn write(script: &mut Script, second: i64, port: u16) {
        let [originator, responder] = [port, 80].map(|port| ([192, 0, 2, 1], port).into());
        let time = Timestamp::from_secs(second);
        let request = RequestRecord {
            ends: Ends { originator, responder, protocol: 6 },
            time,
            told: time,
            host: None,
            path: "/",
            query: None,
            method: "GET",
            user_agent: None,
            protocol: "HTTP/1.1",
            forwarded: None,
            status: None,
            length: None,
            ttfb_us: None,
        };
        script.write(&Record::Request(&request));
    }

    fn told(scripts: &mut [Script]) -> Vec<String> {
        let lines: Vec<&Lines> = scripts.iter_mut().map(|script| &*script.lines()).collect();
        let mut told = Vec::new();
        in_order(&lines, |pages| {
            told.extend(pages.iter().flat_map(Page::records).map(|record| record.line.to_string()));
        });
        told
    }

    #[test]
    fn what_is_held_as_text_is_bounded_by_packets_and_by_bytes() {
        let told = |bytes: usize| {
            let mut unrecorded = Unrecorded::default();
            (0..40_000).filter(|_| unrecorded.is_enough_with(bytes)).count()
        };
        assert_eq!(told(60), 2);
        assert_eq!(told(1_514), 14, "every 2,771 full packets");
        assert_eq!(told(usize::MAX), 40_000);
    }

    #[test]
    fn the_lines_are_the_same_whoever_wrote_them() {
        let script = || Script::new(FlowWriter::new("s", &Zone::utc(), &Pseudonyms::default()));
        let records: Vec<(i64, u16)> =
            (0..3_000).map(|n| (n * 7 % 100, 1_000 + (n % 1_000) as u16)).collect();
        let (mut alone, mut shared) = ([script()], [script(), script(), script()]);
        for (second, port) in records {
            write(&mut alone[0], second, port);
            write(&mut shared[usize::from(port % 3)], second, port);
        }
        let lines = told(&mut alone);
        assert_eq!((lines.len(), told(&mut shared)), (3_000, lines.clone()));
        assert!(lines.is_sorted_by_key(|line| line[..40].to_owned()), "by time first");
        alone[0].lines().clear();
        assert!(told(&mut alone).is_empty());
    }
}
