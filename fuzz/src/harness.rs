//! What the fuzzer needs around an entry: seeds in the corpus, and a limit on time by the size of the input.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time that any input may take: the largest look into a database, under the sanitizer.
const BASE: Duration = Duration::from_millis(1_500);

/// Time for each byte beyond that. Every reader is linear, and under the sanitizer the slowest (the whole pipeline) takes
/// a tenth of this.
const PER_BYTE: Duration = Duration::from_micros(100);

/// Writes seeds into the folder that the fuzzer reads first: the first word on its command line that is no option.
pub fn sow(seeds: Vec<Vec<u8>>) {
    let folder = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let Some(folder) = folder.filter(|folder| Path::new(folder).is_dir()) else { return };
    for (number, seed) in seeds.iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number:03}"));
        if let Err(error) = fs::write(&path, seed) {
            eprintln!("{}: {error}", path.display());
        }
    }
}

/// Runs an entry; one that takes too much of the processor for the size of its input has found something.
pub fn timed(run: impl FnOnce(&[u8]), bytes: &[u8]) {
    let limit = BASE + PER_BYTE * u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let begun = processor_time();
    run(bytes);
    let taken = processor_time().saturating_sub(begun);
    assert!(taken <= limit, "{} bytes took {taken:?} of the processor, more than {limit:?}", bytes.len());
}

/// What this thread has had of a processor: other programs beside it do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
