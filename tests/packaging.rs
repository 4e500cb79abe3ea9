//! What is packaged beside the program fits it: manual pages and completions have every flag, the unit is as closed as it
//! claims, its files are read by the program, and every file that the package names is there.

#![allow(clippy::unwrap_used, reason = "the lint does not see that helpers of tests are tests")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{not_run, run};

fn packaged(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// The long flags that the program's own help lists.
fn flags(command: &str) -> Vec<String> {
    let help = run([command, "--help"]).exits(0).stdout;
    let flags = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
    let name = |flag: &str| {
        flag.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect()
    };
    flags.map(name).collect()
}

#[test]
fn manual_pages_and_completions_have_every_flag() {
    let folder = tempfile::tempdir().unwrap();
    let (man, completions) = (folder.path().join("man"), folder.path().join("completions"));
    run(["man", man.to_str().unwrap()]).exits(0);
    run(["completions", completions.to_str().unwrap()]).exits(0);
    let shells = ["bongsu.bash", "bongsu.fish", "_bongsu"]
        .map(|name| fs::read_to_string(completions.join(name)).unwrap());
    for command in ["replay", "watch", "learn", "synth", "geo"] {
        let page = fs::read_to_string(man.join(format!("bongsu-{command}.1"))).unwrap().replace("\\-", "-");
        let flags = flags(command);
        assert!(flags.len() >= 2, "{command}: {flags:?}");
        for flag in flags.iter().filter(|flag| *flag != "version") {
            assert!(page.contains(&format!("--{flag}")), "bongsu-{command}.1 has no --{flag}");
            assert!(
                shells.iter().all(|shell| shell.contains(flag.as_str())),
                "a shell does not know --{flag}"
            );
        }
    }
    let main = fs::read_to_string(man.join("bongsu.1")).unwrap();
    assert!(main.contains("replay") && !main.contains("completions"), "what is hidden stays so");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let answer = run(["man", file.path().to_str().unwrap()]).exits(1);
    assert!(answer.stderr.contains("exists") || answer.stderr.contains("directory"), "{}", answer.stderr);
}

#[test]
fn the_unit_is_closed() {
    let unit = packaged("bongsu.service");
    let judged = Command::new("systemd-analyze")
        .args(["security", "--no-pager", "--offline=true", "--threshold=17"])
        .arg(&unit)
        .output();
    let Ok(judged) = judged else { return not_run("no systemd-analyze") };
    let said =
        String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
    if said.contains("unrecognized option") {
        return not_run("systemd-analyze is too old to judge a file");
    }
    assert!(judged.status.success(), "{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[test]
fn the_shipped_configuration_is_right() {
    run(["rules", "check", packaged("bongsu.yaml").to_str().unwrap()]).exits(0);
    let options = fs::read_to_string(packaged("bongsu.default")).unwrap();
    let words =
        options.lines().find_map(|line| line.strip_prefix("BONGSU_OPTIONS=")).unwrap().trim_matches('"');
    // Whatever else is wrong, the words are ones that the program knows.
    let answer = run(["watch", "--check"].into_iter().chain(words.split(' ')));
    assert_ne!(answer.code, Some(2), "{}", answer.stderr);
}

#[test]
fn every_file_of_the_package_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let assets: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[\""))
        .filter_map(|line| line.split('"').next())
        .filter(|path| !path.starts_with("target/"))
        .collect();
    assert!(assets.len() >= 8, "{assets:?}");
    for asset in assets {
        let folder = root.join(asset).parent().unwrap().to_owned();
        let is_there = if asset.contains('*') { folder.is_dir() } else { root.join(asset).is_file() };
        assert!(is_there, "{asset}");
    }
    assert!(packaged("bongsu.sysusers").is_file() && packaged("bongsu.service").is_file());
}
