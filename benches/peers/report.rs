//! What was measured, told as tables. Comes in: runs. Goes out: Markdown. Judges the figures by the bars that the project
//! has set itself.

use crate::measure::{Cost, median};
use crate::page::{mib, table, thousands};
use crate::tools::{BARE_LOOP, BONGSU, Tool};
use crate::workloads::Workload;

/// All runs of all tools on one workload.
pub struct Measured {
    pub workload: Workload,
    pub packets: u64,
    pub bytes: u64,
    pub runs: Vec<Runs>,
}

/// The runs of one tool.
pub struct Runs {
    pub name: String,
    pub version: String,
    /// Each with that of bongsu just before it.
    pub pairs: Vec<(Cost, Cost)>,
    /// Why there are none.
    pub absent: Option<String>,
}

impl Runs {
    pub fn of(tool: &Tool) -> Self {
        let (name, version, absent) = (tool.name.clone(), tool.version.clone(), tool.absent.clone());
        Self { name, version, pairs: Vec::new(), absent }
    }

    /// CPU nanoseconds for each packet, the median.
    pub fn per_packet(&self, packets: u64) -> f64 {
        median(self.pairs.iter().map(|(_, own)| own.cpu_secs)) * 1e9 / packets as f64
    }

    /// How many times the CPU time of bongsu: least, median, most.
    pub fn ratio(&self) -> (f64, f64, f64) {
        let ratios = || self.pairs.iter().map(|(bongsu, own)| own.cpu_secs / bongsu.cpu_secs);
        let least = ratios().fold(f64::INFINITY, f64::min);
        (least, median(ratios()), ratios().fold(0.0, f64::max))
    }

    fn peak(&self) -> u64 {
        self.pairs.iter().map(|(_, own)| own.peak).max().unwrap_or(0)
    }

    fn row(&self, packets: u64) -> Vec<String> {
        if let Some(why) = &self.absent {
            return vec![
                self.name.clone(),
                self.version.clone(),
                format!("not run: {why}"),
                String::new(),
                String::new(),
            ];
        }
        let (least, ratio, most) = self.ratio();
        vec![
            self.name.clone(),
            self.version.clone(),
            format!("{:.0}", self.per_packet(packets)),
            format!("{ratio:.2} ({least:.2} to {most:.2})"),
            mib(self.peak()),
        ]
    }
}

impl Measured {
    /// The runs of the tool of that name.
    pub fn runs_of(&self, name: &str) -> Option<&Runs> {
        self.runs.iter().find(|runs| runs.name == name && !runs.pairs.is_empty())
    }

    /// A heading and a table.
    pub fn told(&self) -> String {
        let head = ["who", "version", "CPU ns a packet", "times bongsu's", "peak memory MiB"];
        let rows: Vec<Vec<String>> = self.runs.iter().map(|runs| runs.row(self.packets)).collect();
        format!(
            "### {}: {} packets of {} bytes on average\n\n{}",
            self.workload.name(),
            thousands(self.packets),
            self.bytes / self.packets.max(1),
            table(&head, &rows)
        )
    }
}

/// How many times the CPU time of bongsu another must need, or may need at most, on each workload.
struct Bar {
    whose: &'static str,
    begins: &'static str,
    /// In the order of [`Workload::ALL`].
    limits: [f64; 3],
}

const AT_LEAST: [Bar; 2] = [
    Bar { whose: "Suricata, the faster of its versions", begins: "Suricata", limits: [10.0, 10.0, 8.0] },
    Bar { whose: "softflowd", begins: "softflowd", limits: [1.5, 10.0, 2.5] },
];

/// How many times the bare loop's CPU time bongsu may need, in the order of [`Workload::ALL`].
const BARE_LIMITS: [f64; 3] = [4.0, 8.0, 4.0];

/// Which bars hold.
pub fn bars(measured: &[Measured]) -> String {
    let mut rows: Vec<Vec<String>> = AT_LEAST.iter().map(|bar| bar.row(measured)).collect();
    rows.push(bare_row(measured));
    rows.push(flood_row(measured));
    table(&["bar", "web-mix", "syn-flood", "http-flood"], &rows)
}

impl Bar {
    fn row(&self, measured: &[Measured]) -> Vec<String> {
        let cells = measured.iter().zip(self.limits).map(|(measured, limit)| {
            let named = measured
                .runs
                .iter()
                .filter(|runs| runs.name.starts_with(self.begins) && !runs.pairs.is_empty());
            match named.map(|runs| runs.ratio().1).min_by(f64::total_cmp) {
                Some(ratio) => judged(ratio, limit, ratio >= limit, "at least"),
                None => "not run".to_owned(),
            }
        });
        std::iter::once(format!("{}, times bongsu", self.whose)).chain(cells).collect()
    }
}

fn bare_row(measured: &[Measured]) -> Vec<String> {
    let cells = measured.iter().zip(BARE_LIMITS).map(|(measured, limit)| match measured.runs_of(BARE_LOOP) {
        Some(runs) => {
            let ratio = 1.0 / runs.ratio().1;
            judged(ratio, limit, ratio <= limit, "at most")
        }
        None => "not run".to_owned(),
    });
    std::iter::once("bongsu, times the bare loop".to_owned()).chain(cells).collect()
}

fn flood_row(measured: &[Measured]) -> Vec<String> {
    let per_packet = |workload: Workload| {
        let found = measured.iter().find(|measured| measured.workload == workload);
        found.and_then(|found| Some(found.runs_of(BONGSU)?.per_packet(found.packets))).unwrap_or(f64::NAN)
    };
    let (mix, flood) = (per_packet(Workload::WebMix), per_packet(Workload::SynFlood));
    let said = judged(flood / mix, 1.0, flood <= mix, "at most");
    vec![
        "bongsu, ns of a flood's packet by ns of an ordinary one".to_owned(),
        String::new(),
        said,
        String::new(),
    ]
}

fn judged(figure: f64, limit: f64, holds: bool, wanted: &str) -> String {
    format!("{figure:.2}, {wanted} {limit}: {}", if holds { "holds" } else { "**does not hold**" })
}
