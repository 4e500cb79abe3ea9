//! What became of records, for whoever asks. Comes in: counts. Goes out: how each sink does while running ([`SinkStatus`])
//! and how all ended ([`SinkReport`]).

/// What became of a sink's records: their sum is what was sent to it, less what is still in its queue or its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SinkCounts {
    /// Written, or handed to the kernel.
    pub delivered: u64,
    /// There was no room for them, the time was up, or their reader had gone.
    pub discarded: u64,
    /// Writing or sending failed, or the receiver will never take them.
    pub failed: u64,
}

/// How a sink does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name; of a webhook's address no more than the host.
    pub name: String,
    /// Since when it takes nothing, in seconds since 1970 by the machine's date; `None` while it works.
    pub failing_since: Option<i64>,
    /// The last error it met, also where it works again.
    pub last_error: Option<String>,
    /// What became of its records.
    pub counts: SinkCounts,
    /// Of those that failed, how many the receiver refused for good and were put aside.
    pub rejected: u64,
    /// Records that must arrive and wait in its spool.
    pub spooled: u64,
    /// Bytes of its spool.
    pub spooled_bytes: u64,
    /// Records that the spool's disk did not take, and that went on in memory.
    pub unspooled: u64,
    /// Why its spool's disk took nothing when it was last asked; `None` while it does.
    pub spool_error: Option<String>,
    /// Damaged places that were found in its spool.
    pub damaged: u64,
}

impl SinkStatus {
    /// Whether it takes what it is given.
    pub fn is_ok(&self) -> bool {
        self.failing_since.is_none()
    }
}

/// How a sink ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// What became of its records.
    pub counts: SinkCounts,
    /// The first error it met.
    pub first_error: Option<String>,
    /// Whether its reader had gone, which is no failure.
    pub closed: bool,
    /// Records that must arrive and that the next run will deliver.
    pub spooled: u64,
}

/// How all sinks ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkReport {
    /// Every sink, in the order they were given.
    pub sinks: Vec<SinkState>,
}

impl SinkReport {
    /// Whether every record reached every sink that still had a reader.
    pub fn is_complete(&self) -> bool {
        self.sinks.iter().all(|sink| sink.counts.failed == 0 && (sink.closed || sink.counts.discarded == 0))
    }

    /// One sentence for each sink that has records left for the next run.
    pub fn waiting(&self) -> Vec<String> {
        let full = self.sinks.iter().filter(|sink| sink.spooled > 0);
        full.map(|sink| format!("{}: {} records wait in its spool for the next run", sink.name, sink.spooled))
            .collect()
    }

    /// One sentence for each sink that lost records.
    pub fn losses(&self) -> Vec<String> {
        let lossy = self
            .sinks
            .iter()
            .filter(|sink| sink.counts.failed > 0 || (!sink.closed && sink.counts.discarded > 0));
        lossy
            .map(|sink| {
                let SinkCounts { delivered, discarded, failed } = sink.counts;
                let why = sink.first_error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
                format!(
                    "{}: {failed} records failed, {discarded} were discarded, {delivered} delivered{why}",
                    sink.name
                )
            })
            .collect()
    }
}
