//! Who does the work: one worker in place, or several in threads of their own with a reducer beside them.
//! Comes in: placed packets and ticks that are over. What comes out does not depend on which of the two it is.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::placement::Placement;
use super::progress::{Hand, Progress};
use super::reducer::{Judged, Listener, Quality, Reducer};
use super::renewal::{ForReducer, ForWorkers};
use super::script::Lines;
use super::watermark::Over;
use super::worker::{Kit, Worker};
use crate::decode::{Layers, Packet, Sealed};
use crate::flow::{FlowCounts, LedgerCounts, Shed};

/// The crew.
pub(super) enum Crew<L: Listener + 'static> {
    /// One worker and the reducer, called in place: no hand-over.
    InPlace(Box<InPlace<L>>),
    /// Threads.
    Threads(Threads<L>),
}

pub(super) struct InPlace<L> {
    worker: Worker,
    reducer: Reducer<L>,
    hand: Arc<Hand>,
    unseen: u32,
}

pub(super) struct Threads<L> {
    lines: Vec<Line>,
    workers: Vec<JoinHandle<(FlowCounts, LedgerCounts)>>,
    reducer: JoinHandle<Judged<L>>,
    closings: SyncSender<Errand<L>>,
    judging: Arc<Hand>,
}

/// What the reducer is told to do.
enum Errand<L> {
    /// To meet the workers.
    Meet(Meeting),
    /// To go on under something else.
    Renew(Box<ForReducer<L>>),
}

/// What all workers meet for.
#[derive(Debug, Clone, Copy)]
enum Meeting {
    /// Ticks are over.
    Over(Over, Quality),
    /// Records are due.
    Records,
}

/// What the crew leaves behind.
pub(super) struct Ended<L> {
    pub flows: FlowCounts,
    pub ledgers: LedgerCounts,
    pub judged: Judged<L>,
}

/// Packets handed over at once, and the bytes that may lie in one batch: enough to make the hand-over cheap, small
/// enough to stay in the second-level cache.
const BATCH_PACKETS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;

/// Batches that may wait for a worker.
const WAITING: usize = 8;

/// Closings that may wait for the reducer.
const CLOSINGS: usize = 64;

/// Packets after which the readers of the open ticks are shown what was counted.
const SHOW_EVERY: u32 = 4_096;

impl<L: Listener + 'static> Crew<L> {
    /// Musters `workers` workers, who say in `progress` how far they are.
    pub fn muster(kit: &Kit, workers: usize, reducer: Reducer<L>, progress: &Progress) -> Self {
        if workers <= 1 {
            let worker = Worker::new(kit, 0, 1);
            let hand = progress.worker(0);
            return Self::InPlace(Box::new(InPlace { worker, reducer, hand, unseen: 0 }));
        }
        let (closings, over) = sync_channel(CLOSINGS);
        let mut lines = Vec::new();
        let mut meetings = Vec::new();
        let mut threads = Vec::new();
        for index in 0..workers {
            let (send, batches) = sync_channel(WAITING);
            let (give_back, emptied) = sync_channel(WAITING);
            let (met, meeting) = sync_channel(CLOSINGS);
            let worker = Worker::new(kit, index, workers);
            let (hand, of_line) = (progress.worker(index), progress.worker(index));
            let inbox = Inbox { batches, give_back };
            threads.push(std::thread::spawn(move || work(worker, &inbox, &met, &hand)));
            lines.push(Line { send, emptied, batch: Batch::default(), hand: of_line });
            meetings.push(meeting);
        }
        let (hand, judging) = (progress.reducer(), progress.reducer());
        let reducer = std::thread::spawn(move || reduce(reducer, &over, &meetings, &hand));
        Self::Threads(Threads { lines, workers: threads, reducer, closings, judging })
    }

    /// Follows a packet.
    #[inline(always)]
    pub fn packet(&mut self, packet: &Packet<'_>, placement: &Placement) {
        match self {
            Crew::InPlace(crew) => {
                crew.worker.packet(packet, placement);
                crew.unseen += 1;
                if crew.unseen >= SHOW_EVERY {
                    crew.unseen = 0;
                    crew.worker.show();
                }
            }
            Crew::Threads(threads) => threads.hand(packet, placement),
        }
    }

    /// Closes ticks that are over.
    pub fn close(&mut self, over: Over, quality: Quality) {
        match self {
            Crew::InPlace(crew) => {
                crew.worker.close(over);
                crew.tell_records();
                crew.hand.moved(crew.worker.flow_counts(), crew.worker.ledger_counts());
                crew.reducer.close(over, quality);
            }
            Crew::Threads(threads) => threads.meet(Meeting::Over(over, quality)),
        }
    }

    /// Has the records told that the workers hold.
    pub fn tell_records(&mut self) {
        match self {
            Crew::InPlace(crew) => crew.tell_records(),
            Crew::Threads(threads) => threads.meet(Meeting::Records),
        }
    }

    /// Has everybody go on under something else, from the next packet on.
    pub fn renew(&mut self, workers: ForWorkers, reducer: ForReducer<L>) {
        match self {
            Crew::InPlace(crew) => {
                crew.worker.renew(&workers);
                crew.reducer.renew(reducer);
            }
            Crew::Threads(threads) => threads.renew(&workers, reducer),
        }
    }

    /// Has everybody leave out so much, from the next packet on.
    pub fn shed(&mut self, shed: Shed) {
        match self {
            Crew::InPlace(crew) => crew.worker.shed(shed),
            Crew::Threads(threads) => {
                for line in &mut threads.lines {
                    line.batch.shed = Some(shed);
                    line.send();
                }
            }
        }
    }

    /// Whether everybody is still at work: a thread ends before its time by a panic only.
    pub fn is_sound(&self) -> bool {
        match self {
            Crew::InPlace(_) => true,
            Crew::Threads(threads) => {
                !threads.reducer.is_finished() && !threads.workers.iter().any(JoinHandle::is_finished)
            }
        }
    }

    /// Ends the work.
    pub fn finish(self) -> Ended<L> {
        match self {
            Crew::InPlace(mut crew) => {
                crew.reducer.record(&[crew.worker.last_records()]);
                Ended {
                    flows: crew.worker.flow_counts(),
                    ledgers: crew.worker.ledger_counts(),
                    judged: crew.reducer.finish(),
                }
            }
            Crew::Threads(threads) => {
                let Threads { lines, workers, reducer, closings, judging: _ } = threads;
                for mut line in lines {
                    line.send();
                }
                drop(closings);
                let (mut flows, mut ledgers) = (FlowCounts::default(), LedgerCounts::default());
                for worker in workers {
                    let (of_tracker, of_ledger) = joined(worker);
                    flows.merge(&of_tracker);
                    ledgers.merge(&of_ledger);
                }
                Ended { flows, ledgers, judged: joined(reducer) }
            }
        }
    }
}

impl<L: Listener> InPlace<L> {
    fn tell_records(&mut self) {
        let lines = self.worker.records();
        self.reducer.record(&[lines]);
        lines.clear();
    }
}

impl<L: Listener + 'static> Threads<L> {
    #[inline(never)]
    fn hand(&mut self, packet: &Packet<'_>, placement: &Placement) {
        let index = usize::from(placement.shard) % self.lines.len();
        if let Some(line) = self.lines.get_mut(index) {
            line.hand(packet, placement);
        }
    }

    fn renew(&mut self, workers: &ForWorkers, reducer: ForReducer<L>) {
        for line in &mut self.lines {
            line.batch.renewal = Some(workers.clone());
            line.send();
        }
        self.judging.give();
        let _ = self.closings.send(Errand::Renew(Box::new(reducer)));
    }

    fn meet(&mut self, meeting: Meeting) {
        for line in &mut self.lines {
            line.batch.meeting = Some(meeting);
            line.send();
        }
        self.judging.give();
        // A reducer that is gone has panicked; the end of the run passes that on.
        let _ = self.closings.send(Errand::Meet(meeting));
    }
}

/// The result of a thread; its panic goes on here.
fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The way to one worker.
struct Line {
    send: SyncSender<Batch>,
    /// Batches that were worked off: large memory that is given back to the system and asked for again costs more than
    /// the copying.
    emptied: Receiver<Batch>,
    batch: Batch,
    hand: Arc<Hand>,
}

/// The other end of it.
struct Inbox {
    batches: Receiver<Batch>,
    give_back: SyncSender<Batch>,
}

/// Innermost IP packets for one worker, copied one behind the other, and what it meets the others for after them.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    packets: Vec<Copied>,
    /// The wrappings of those packets that have any.
    layers: Vec<Layers>,
    meeting: Option<Meeting>,
    /// What holds for the packets after these.
    renewal: Option<ForWorkers>,
    shed: Option<Shed>,
}

impl Batch {
    /// Nothing, in the same memory.
    fn emptied(self) -> Self {
        let Self { mut bytes, mut packets, mut layers, .. } = self;
        bytes.clear();
        packets.clear();
        layers.clear();
        Self { bytes, packets, layers, ..Self::default() }
    }
}

struct Copied {
    end: usize,
    sealed: Sealed,
    /// Its place among the batch's layers.
    layers: Option<usize>,
    placement: Placement,
}

impl Copied {
    /// Has the worker follow the packet that is in these bytes.
    #[inline(always)]
    fn follow(&self, ip: &[u8], layers: &Layers, worker: &mut Worker) {
        let plain = self.sealed.open_plain(ip, layers);
        let other;
        let packet = match &plain {
            Some(packet) => packet,
            None => {
                other = self.sealed.open_anything(ip, layers);
                match &other {
                    Ok(packet) => packet,
                    Err(_) => return,
                }
            }
        };
        worker.packet(packet, &self.placement);
    }
}

impl Line {
    fn hand(&mut self, packet: &Packet<'_>, placement: &Placement) {
        let batch = &mut self.batch;
        batch.bytes.extend_from_slice(packet.ip);
        let layers = (!packet.layers.is_empty()).then_some(batch.layers.len());
        batch.layers.extend(layers.map(|_| *packet.layers));
        let (end, sealed) = (batch.bytes.len(), Sealed::of(packet));
        batch.packets.push(Copied { end, sealed, layers, placement: *placement });
        if batch.packets.len() >= BATCH_PACKETS || batch.bytes.len() >= BATCH_BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        let next = self.emptied.try_recv().unwrap_or_default();
        self.hand.give();
        // A worker that is gone has panicked; the end of the run passes that on.
        let _ = self.send.send(std::mem::replace(&mut self.batch, next));
    }
}

fn work(
    mut worker: Worker,
    inbox: &Inbox,
    met: &SyncSender<Lines>,
    hand: &Hand,
) -> (FlowCounts, LedgerCounts) {
    while let Ok(batch) = inbox.batches.recv() {
        let mut begin = 0;
        for copied in &batch.packets {
            let ip = batch.bytes.get(begin..copied.end).unwrap_or_default();
            begin = copied.end;
            let layers = copied.layers.and_then(|at| batch.layers.get(at)).unwrap_or(&Layers::NONE);
            copied.follow(ip, layers, &mut worker);
        }
        worker.show();
        if let Some(renewal) = &batch.renewal {
            worker.renew(renewal);
        }
        if let Some(shed) = batch.shed {
            worker.shed(shed);
        }
        if let Some(Meeting::Over(over, _)) = batch.meeting {
            worker.close(over);
            hand.moved(worker.flow_counts(), worker.ledger_counts());
        }
        if batch.meeting.is_some() {
            let _ = met.send(std::mem::take(worker.records()));
        }
        // Where there are enough of them it goes the way of all memory.
        let _ = inbox.give_back.try_send(batch.emptied());
        hand.done();
    }
    let _ = met.send(std::mem::take(worker.last_records()));
    (worker.flow_counts(), worker.ledger_counts())
}

/// Tells what was recorded and judges what is over when every worker has met there.
fn reduce<L: Listener>(
    mut reducer: Reducer<L>,
    errands: &Receiver<Errand<L>>,
    workers: &[Receiver<Lines>],
    hand: &Hand,
) -> Judged<L> {
    // An error is a worker that has panicked; joining it passes that on.
    let gather = || -> Vec<Lines> { workers.iter().filter_map(|worker| worker.recv().ok()).collect() };
    while let Ok(errand) = errands.recv() {
        match errand {
            Errand::Renew(renewal) => reducer.renew(*renewal),
            Errand::Meet(meeting) => {
                reducer.record(&gather().iter().collect::<Vec<_>>());
                if let Meeting::Over(over, quality) = meeting {
                    reducer.close(over, quality);
                }
            }
        }
        hand.done();
    }
    reducer.record(&gather().iter().collect::<Vec<_>>());
    reducer.finish()
}
