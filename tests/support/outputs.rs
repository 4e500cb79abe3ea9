//! One replay into every output at once: a file in each format, syslog, and what a person reads.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::support::{Answer, bongsu};

/// What a run wrote.
pub struct Outputs {
    /// Lines of each format, by its name.
    pub files: Vec<(&'static str, String)>,
    /// Syslog messages.
    pub syslog: Vec<String>,
    /// The program's answer: the summary, and its log at its most talkative.
    pub answer: Answer,
}

/// The formats of files.
pub const FORMATS: [&str; 4] = ["eve", "ecs", "ocsf", "cef"];

/// All kinds of records.
const EVENTS: &str = "alert,flow,http,tls,stats,heartbeat,config";

impl Outputs {
    /// Replays a capture under a configuration to which the outputs are added.
    pub fn of(capture: &Path, configuration: &str, words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut text = format!("{configuration}\nsinks:\n");
        for format in FORMATS {
            text.push_str(&format!("  - file: {{path: {}, format: {format}}}\n", path(format)));
        }
        text.push_str(&format!("  - syslog: {{to: \"unix://{}\", format: cef}}\n", path("log")));
        fs::write(path("bongsu.yaml"), text).unwrap();
        let log = UnixDatagram::bind(path("log")).unwrap();
        let heard = thread::spawn(move || hear(&log));
        let replay = bongsu()
            .arg("replay")
            .arg(capture)
            .args(["-c", &path("bongsu.yaml"), "-vv"])
            .args(words)
            .args(["--events", EVENTS])
            .output();
        let answer = Answer::of(replay.unwrap());
        UnixDatagram::unbound().unwrap().send_to(END, path("log")).unwrap();
        let files = FORMATS.map(|format| (format, fs::read_to_string(path(format)).unwrap())).to_vec();
        Self { files, syslog: heard.join().unwrap(), answer: answer.exits(0) }
    }

    /// The lines of a format.
    pub fn lines(&self, format: &str) -> impl Iterator<Item = &str> {
        self.files.iter().filter(move |(name, _)| *name == format).flat_map(|(_, text)| text.lines())
    }

    /// Every text, with the name of where it stands.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().map(|(name, text)| (*name, text.as_str()));
        let syslog = self.syslog.iter().map(|text| ("syslog", text.as_str()));
        let answer = [("stdout", self.answer.stdout.as_str()), ("stderr", self.answer.stderr.as_str())];
        files.chain(syslog).chain(answer)
    }
}

/// Says that no more comes.
const END: &[u8] = b"end";

/// Messages until the end; they must be text.
fn hear(log: &UnixDatagram) -> Vec<String> {
    log.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    let (mut heard, mut room) = (Vec::new(), vec![0; 70_000]);
    loop {
        let len = log.recv(&mut room).unwrap();
        if &room[..len] == END {
            return heard;
        }
        heard.push(String::from_utf8(room[..len].to_vec()).unwrap());
    }
}
