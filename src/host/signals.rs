//! Signals as flags that the main loop looks at. SIGINT and SIGTERM ask to end, and a second one ends at once; SIGHUP
//! asks to reopen outputs, SIGUSR1 for a stats record.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

/// The signals received so far.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    stop: AtomicBool,
    reopen: AtomicBool,
    stats: AtomicBool,
}

/// What a shell expects of a program that was ended by SIGINT at once (128 + 2).
const ENDED_AT_ONCE: i32 = 130;

impl Signals {
    /// Listens from now on, in a thread of its own.
    pub fn listen() -> io::Result<Self> {
        let signals = Self::default();
        let flags = Arc::clone(&signals.0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        // Registered here, so that no signal is missed while the thread starts.
        let guard = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut user = signal(SignalKind::user_defined1())?;
        drop(guard);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => flags.ask_to_stop(),
                        _ = terminate.recv() => flags.ask_to_stop(),
                        _ = hangup.recv() => flags.reopen.store(true, Ordering::Relaxed),
                        _ = user.recv() => flags.stats.store(true, Ordering::Relaxed),
                    }
                }
            });
        })?;
        Ok(signals)
    }

    /// Whether the program was asked to end.
    pub fn stop(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    /// Whether outputs are to be reopened; asks once for each signal.
    pub fn take_reopen(&self) -> bool {
        self.0.reopen.swap(false, Ordering::Relaxed)
    }

    /// Whether a stats record is wanted; asks once for each signal.
    pub fn take_stats(&self) -> bool {
        self.0.stats.swap(false, Ordering::Relaxed)
    }
}

impl Flags {
    fn ask_to_stop(&self) {
        if self.stop.swap(true, Ordering::Relaxed) {
            std::process::exit(ENDED_AT_ONCE);
        }
    }
}
