//! Who is measured: the program itself, the bare loop, and what else reads packets on this machine.
//! Comes in: the machine. Goes out: for each tool its version and its command, or why it is not run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells this program to be the bare loop.
pub const BARE: &str = "--bare";

/// One of those that are measured.
pub struct Tool {
    pub name: String,
    pub version: String,
    /// Why it is not run.
    pub absent: Option<String>,
    kind: Kind,
}

/// How it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// With these flags besides the usual.
    Bongsu(&'static [&'static str]),
    Bare,
    Tcpdump,
    Softflowd,
    Nfpcapd,
    Argus,
    /// In this root folder.
    Suricata(PathBuf),
}

/// The program as it is measured, first in every list.
pub const BONGSU: &str = "bongsu";
/// The program with records of flows.
pub const RECORDS: &str = "bongsu, records of flows too";
/// Reads blocks and slices packets.
pub const BARE_LOOP: &str = "bare loop";

/// Debian releases whose Suricata is measured: version 7 and version 8.
const SUITES: [&str; 2] = ["trixie", "forky"];

/// Everybody, present or not; roots of other Debian releases lie in `folder`.
pub fn all(folder: &Path) -> Vec<Tool> {
    let own = env!("CARGO_PKG_VERSION");
    let mut tools = vec![
        Tool::there(BONGSU, own, Kind::Bongsu(&[])),
        Tool::there(RECORDS, own, Kind::Bongsu(&["--events", "alert,stats,flow,http,tls"])),
        Tool::there(BARE_LOOP, "etherparse 0.21", Kind::Bare),
        Tool::sought("tcpdump -w /dev/null", "tcpdump", &["--version"], Kind::Tcpdump),
        Tool::sought("softflowd -m 262144", "softflowd", &["-h"], Kind::Softflowd),
        Tool::sought("nfpcapd", "nfpcapd", &["-V"], Kind::Nfpcapd),
        Tool::sought("argus", "argus", &["-h"], Kind::Argus),
    ];
    tools.extend(SUITES.iter().map(|suite| Tool::suricata(suite, &folder.join(suite))));
    tools
}

impl Tool {
    fn there(name: &str, version: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), absent: None, kind }
    }

    /// A tool of this machine, where `program` answers to `flags` with its version.
    fn sought(name: &str, program: &str, flags: &[&str], kind: Kind) -> Self {
        match Command::new(program).args(flags).output() {
            Ok(said) => {
                let text = [said.stdout, said.stderr].concat();
                Self::there(name, &version_in(&String::from_utf8_lossy(&text)), kind)
            }
            Err(error) => {
                let absent = Some(format!("{program}: {error} (sh .ci/setup bench)"));
                Self { absent, ..Self::there(name, "", kind) }
            }
        }
    }

    fn suricata(suite: &str, root: &Path) -> Self {
        let name = format!("Suricata of Debian {suite}");
        let kind = Kind::Suricata(root.to_owned());
        if !root.join("usr/bin/suricata").exists() {
            let absent = Some(format!("no Suricata in {} (sh benches/suricata.sh {suite})", root.display()));
            return Self { absent, ..Self::there(&name, "", kind) };
        }
        if !is_root() {
            let absent = Some("only root may change the root folder".to_owned());
            return Self { absent, ..Self::there(&name, "", kind) };
        }
        let said = Command::new("chroot").arg(root).args(["suricata", "-V"]).output();
        let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
        Self::there(&name, &version_in(&said), kind)
    }

    /// The command that reads `capture`; what it writes goes to `folder`, which is made ready.
    pub fn command(&self, capture: &Path, folder: &Path) -> io::Result<Vec<OsString>> {
        let out = folder.join("out");
        fs::create_dir_all(&out)?;
        Ok(match &self.kind {
            Kind::Bongsu(flags) => {
                let program = words([env!("CARGO_BIN_EXE_bongsu"), "replay", "--workers", "1", "-q", "-o"]);
                let records = [out.join("bongsu.jsonl").into(), capture.into()];
                [program, records.to_vec(), words(flags.iter().copied())].concat()
            }
            Kind::Bare => vec![env::current_exe()?.into(), BARE.into(), capture.into()],
            Kind::Tcpdump => [words(["tcpdump", "-w", "/dev/null", "-r"]), vec![capture.into()]].concat(),
            Kind::Softflowd => {
                let files = [
                    "-p".into(),
                    out.join("softflowd.pid").into(),
                    "-c".into(),
                    out.join("softflowd.ctl").into(),
                ];
                [
                    words(["softflowd", "-d", "-m", "262144"]),
                    files.to_vec(),
                    words(["-r"]),
                    vec![capture.into()],
                ]
                .concat()
            }
            Kind::Nfpcapd => {
                fs::create_dir_all(out.join("nfpcapd"))?;
                [
                    words(["nfpcapd", "-w"]),
                    vec![out.join("nfpcapd").into()],
                    words(["-r"]),
                    vec![capture.into()],
                ]
                .concat()
            }
            Kind::Argus => {
                let records = out.join("argus.out");
                // It goes on with a file that it finds.
                let _ = fs::remove_file(&records);
                [words(["argus", "-w"]), vec![records.into()], words(["-r"]), vec![capture.into()]].concat()
            }
            Kind::Suricata(root) => suricata(root, capture)?,
        })
    }
}

/// Makes rules, settings and capture known inside `root`, and gives the command.
fn suricata(root: &Path, capture: &Path) -> io::Result<Vec<OsString>> {
    let inside = root.join("bench");
    fs::create_dir_all(inside.join("out"))?;
    fs::write(inside.join("suricata.yaml"), include_str!("suricata.yaml"))?;
    fs::write(inside.join("rate.rules"), include_str!("rate.rules"))?;
    let linked = inside.join("capture.pcap");
    let _ = fs::remove_file(&linked);
    fs::hard_link(capture, &linked).or_else(|_| fs::copy(capture, &linked).map(drop))?;
    let called = ["suricata", "-c", "/bench/suricata.yaml", "-S", "/bench/rate.rules", "-l", "/bench/out"];
    let read = ["--runmode", "single", "-r", "/bench/capture.pcap"];
    Ok([words(["chroot"]), vec![root.into()], words(called), words(read)].concat())
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
    words.into_iter().map(|word| OsStr::new(word).to_owned()).collect()
}

/// The first word that looks like a version.
fn version_in(text: &str) -> String {
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    let mut words = text.split(|letter: char| letter.is_whitespace() || letter == ',');
    words.find(is_version).unwrap_or("of unknown version").trim_end_matches('.').to_owned()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
