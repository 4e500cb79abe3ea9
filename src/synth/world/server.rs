//! The server's side of things: connections and requests come in, whether and when they are served goes out. Workers
//! share processors, wait for a backend, and are held by requests that do not end; a queue stands before them, a
//! listen backlog before that. Knows no packets.

use std::collections::VecDeque;

use super::super::rng::Rng;
use super::engine::ConnId;
use super::site::{Ask, Purpose};
use crate::time::{Span, Timestamp};

/// How large a server is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Requests that are worked on at once.
    pub workers: u32,
    /// Processors that the workers share.
    pub processors: f64,
    /// Requests that may wait for a worker before others are answered with 503.
    pub queue: usize,
    /// Requests that may wait before new connections are dropped.
    pub backlog: usize,
    /// How long a request may wait before it is answered with 504.
    pub patience: Span,
    /// How long an idle connection is kept.
    pub keep_alive: Span,
    /// How long a request may take to arrive.
    pub read_timeout: Span,
}

/// What is wrong with it or the line to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// It does not send a packet any more.
    Silent,
    /// Its port is closed.
    Closed,
    /// It accepts and reads nothing.
    Stuck,
    /// Computed pages wait for a backend, and a part of them fails.
    Backend {
        /// How long they wait.
        wait: Span,
        /// The part that fails.
        errors: f64,
        /// The page that is concerned; all where none is told.
        page: Option<u8>,
    },
    /// A part of all requests is answered with that status at once.
    Errors {
        /// The status.
        status: u16,
        /// The part.
        share: f64,
    },
    /// That part of its segments of full size is lost on the way out.
    LargeLoss(f64),
    /// That part of all packets is lost, either way.
    Loss(f64),
    /// That part of new connections finds no room.
    SynLoss(f64),
}

/// What becomes of a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// It is answered.
    Accepted,
    /// Nothing comes back.
    Dropped,
    /// RST comes back.
    Refused,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// A worker begins and will be done after that time.
    Begun(Span, Busy),
    /// It waits for a worker.
    Queued,
    /// It is answered at once with this status.
    Rejected(u16),
    /// It is acknowledged, no more.
    Ignored,
    /// Nothing comes back at all.
    Lost,
    /// RST comes back.
    Reset,
}

/// A server at work.
#[derive(Debug, Clone)]
pub struct Server {
    /// How large it is.
    pub size: Size,
    /// Which of its lives this is: connections of earlier ones are unknown to it.
    pub life: u32,
    faults: Vec<Fault>,
    computing: u32,
    waiting: u32,
    held: u32,
    queue: VecDeque<Job>,
}

/// A request that waits for a worker, or that a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Where it came in.
    pub conn: ConnId,
    /// When.
    pub since: Timestamp,
    cost: Span,
    purpose: Purpose,
}

/// What a worker is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// It computes.
    Computing,
    /// It waits for a backend.
    Waiting,
    /// A request that does not end holds it.
    Held,
}

/// Waits longer than this leave the processors to others.
const BACKEND_WAIT: Span = Span::from_millis(500);

impl Server {
    /// An idle server.
    pub const fn new(size: Size) -> Self {
        Self { size, life: 0, faults: Vec::new(), computing: 0, waiting: 0, held: 0, queue: VecDeque::new() }
    }

    /// Something breaks.
    pub fn break_with(&mut self, fault: Fault) {
        if matches!(fault, Fault::Silent | Fault::Closed | Fault::Stuck) {
            self.life += 1;
            self.queue.clear();
            (self.computing, self.waiting, self.held) = (0, 0, 0);
        }
        self.faults.push(fault);
    }

    /// It is repaired.
    pub fn repair(&mut self, fault: Fault) {
        if fault == Fault::Stuck {
            self.life += 1;
        }
        self.faults.retain(|present| *present != fault);
    }

    /// Whether it sends anything.
    pub fn is_silent(&self) -> bool {
        self.faults.contains(&Fault::Silent)
    }

    /// Whether it accepts and reads nothing.
    pub fn is_stuck(&self) -> bool {
        self.faults.contains(&Fault::Stuck)
    }

    /// The part of outgoing segments of full size that is lost.
    pub fn large_loss(&self) -> f64 {
        self.sum(|fault| if let Fault::LargeLoss(share) = fault { share } else { 0.0 })
    }

    /// The part of all packets that is lost near it.
    pub fn loss(&self) -> f64 {
        self.sum(|fault| if let Fault::Loss(share) = fault { share } else { 0.0 })
    }

    fn sum(&self, of: impl Fn(Fault) -> f64) -> f64 {
        self.faults.iter().map(|fault| of(*fault)).sum()
    }

    /// Receives a SYN.
    pub fn welcome(&self, rng: &mut Rng) -> Welcome {
        let full = self.sum(|fault| if let Fault::SynLoss(share) = fault { share } else { 0.0 });
        if self.is_silent() {
            Welcome::Dropped
        } else if self.faults.contains(&Fault::Closed) {
            Welcome::Refused
        } else if self.queue.len() >= self.size.backlog || (full > 0.0 && rng.unit() < full) {
            Welcome::Dropped
        } else {
            Welcome::Accepted
        }
    }

    /// Receives a request.
    pub fn receive(&mut self, job: Job, rng: &mut Rng) -> Reception {
        if self.is_silent() {
            return Reception::Lost;
        }
        if self.faults.contains(&Fault::Closed) {
            return Reception::Reset;
        }
        if self.faults.contains(&Fault::Stuck) {
            return Reception::Ignored;
        }
        if let Some(status) = self.broken_answer(rng) {
            return Reception::Rejected(status);
        }
        if self.has_worker() {
            let (took, busy) = self.begin(job, rng);
            return Reception::Begun(took, busy);
        }
        if self.queue.len() >= self.size.queue {
            return Reception::Rejected(503);
        }
        self.queue.push_back(job);
        Reception::Queued
    }

    /// A request that will not end takes a worker; whether one was free.
    pub const fn hold(&mut self) -> bool {
        if !self.has_worker() {
            return false;
        }
        self.held += 1;
        true
    }

    /// A worker is free again.
    pub const fn release(&mut self, busy: Busy) {
        let count = match busy {
            Busy::Computing => &mut self.computing,
            Busy::Waiting => &mut self.waiting,
            Busy::Held => &mut self.held,
        };
        *count = count.saturating_sub(1);
    }

    /// The request that waited longest, where a worker is free for it.
    pub fn next_waiting(&mut self) -> Option<Job> {
        if self.has_worker() { self.queue.pop_front() } else { None }
    }

    /// A worker begins: how long it will take and what it is busy with.
    ///
    /// Processors are shared: with n requests computed at once on c of them, each takes max(1, n/c) times as long.
    pub fn begin(&mut self, job: Job, rng: &mut Rng) -> (Span, Busy) {
        let wait = self.backend_wait(job.purpose, rng);
        let crowd = (f64::from(self.computing + 1) / self.size.processors).max(1.0);
        let took = Span::from_nanos((job.cost.nanos() as f64 * crowd) as u64 + wait.nanos());
        let busy = if wait >= BACKEND_WAIT { Busy::Waiting } else { Busy::Computing };
        match busy {
            Busy::Waiting => self.waiting += 1,
            _ => self.computing += 1,
        }
        (took, busy)
    }

    /// A worker begins, where one is free.
    pub fn begin_if_free(&mut self, job: Job, rng: &mut Rng) -> Option<(Span, Busy)> {
        self.has_worker().then(|| self.begin(job, rng))
    }

    /// The status of a finished request: its own, unless the backend failed.
    pub fn outcome(&self, ask: &Ask, rng: &mut Rng) -> u16 {
        let fails = self.faults.iter().any(|fault| {
            matches!(fault, Fault::Backend { errors, page, .. }
                if concerned(*page, ask.purpose) && rng.unit() < *errors)
        });
        if fails { 502 } else { ask.status }
    }

    const fn has_worker(&self) -> bool {
        self.computing + self.waiting + self.held < self.size.workers
    }

    fn backend_wait(&self, purpose: Purpose, rng: &mut Rng) -> Span {
        let computed = matches!(purpose, Purpose::Page(_) | Purpose::Login);
        let usual = if computed { rng.exponential(Span::from_millis(8)) } else { Span::default() };
        let slow = self.faults.iter().find_map(|fault| match fault {
            Fault::Backend { wait, page, .. } if concerned(*page, purpose) => Some(*wait),
            _ => None,
        });
        slow.map_or(usual, |wait| Span::from_nanos(wait.nanos() / 2 + rng.exponential(wait).nanos() / 2))
    }

    /// The status of an answer that is given without looking.
    fn broken_answer(&self, rng: &mut Rng) -> Option<u16> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Errors { status, share } if rng.unit() < *share => Some(*status),
            _ => None,
        })
    }
}

fn concerned(page: Option<u8>, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Page(place) => page.is_none_or(|page| page == place),
        Purpose::Login => page.is_none(),
        Purpose::Asset | Purpose::Missing => false,
    }
}

impl Job {
    /// A request as the server sees it.
    pub const fn of(ask: &Ask, conn: ConnId, since: Timestamp) -> Self {
        Self { conn, since, cost: ask.cost, purpose: ask.purpose }
    }

    /// Work of that cost.
    pub const fn costing(cost: Span, conn: ConnId, since: Timestamp) -> Self {
        Self { conn, since, cost, purpose: Purpose::Missing }
    }
}
