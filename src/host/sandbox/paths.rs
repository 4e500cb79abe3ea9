//! The files that a process reaches. Comes in: what it reads and writes. Goes out: a Landlock ruleset, enforced.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, path_beneath_rules,
};

use super::Plan;

/// The rights that are asked for; a kernel that knows fewer confines what it knows.
const RIGHTS: ABI = ABI::V5;

/// What any process reads: names of hosts, how to look them up and whom to trust, links of interfaces, itself.
const EVERYONES: [&str; 13] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
    "/run/systemd/resolve",
    "/sys/class/net",
    "/sys/devices",
    "/proc/self",
    "/lib",
    "/usr/lib",
];

/// Devices that are written to as well.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/tty"];

/// Folders in which more lies than a program should read: of these, files are named one by one.
const SHARED: [&str; 4] = ["/", "/etc", "/root", "/home"];

/// Confines the calling thread; answers whether the kernel could.
pub(super) fn confine(plan: &Plan) -> Result<bool, RulesetError> {
    let all = AccessFs::from_all(RIGHTS);
    // Programs are never started.
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = all & !AccessFs::Execute;
    let named: Vec<&Path> = plan.read.iter().map(|path| readable(path)).collect();
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .create()?
        .add_rules(path_beneath_rules(EVERYONES, read))?
        .add_rules(path_beneath_rules(named, read))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(&plan.write, write))?;
    Ok(ruleset.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// What is opened for a file to be read: its folder, since whoever replaces a file makes another one.
fn readable(path: &Path) -> &Path {
    let folder =
        path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let is_shared = |folder: &Path| SHARED.iter().any(|shared| folder == Path::new(shared));
    match folder {
        Some(folder) if !path.is_dir() && !is_shared(folder) => folder,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_secrets_is_not_opened_for_a_file_in_it() {
        assert_eq!(readable(Path::new("/etc/bongsu.yaml")), Path::new("/etc/bongsu.yaml"));
        assert_eq!(readable(Path::new("/etc/bongsu/bongsu.yaml")), Path::new("/etc/bongsu"));
        assert_eq!(readable(Path::new("bongsu.yaml")), Path::new("."));
        assert_eq!(readable(Path::new("/etc")), Path::new("/etc"));
    }
}
