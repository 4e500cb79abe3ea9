//! The system calls that a process does not make any more. Goes out: a seccomp filter on all threads. A forbidden call
//! fails with EPERM, so that what was overlooked is an error in the log and not the end of a watch.

use std::collections::BTreeMap;

use libc as sys;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::SandboxError;

/// What nobody who reads packets and writes files and sockets needs: programs, other processes, the kernel and its
/// modules, mounts and namespaces, users, clocks, keys, and ways around the filter.
const FORBIDDEN: [sys::c_long; 62] = [
    sys::SYS_execve,
    sys::SYS_execveat,
    sys::SYS_ptrace,
    sys::SYS_process_vm_readv,
    sys::SYS_process_vm_writev,
    sys::SYS_pidfd_getfd,
    sys::SYS_kcmp,
    sys::SYS_init_module,
    sys::SYS_finit_module,
    sys::SYS_delete_module,
    sys::SYS_kexec_load,
    sys::SYS_reboot,
    sys::SYS_bpf,
    sys::SYS_perf_event_open,
    sys::SYS_syslog,
    sys::SYS_acct,
    sys::SYS_swapon,
    sys::SYS_swapoff,
    sys::SYS_quotactl,
    sys::SYS_mount,
    sys::SYS_umount2,
    sys::SYS_pivot_root,
    sys::SYS_chroot,
    sys::SYS_move_mount,
    sys::SYS_open_tree,
    sys::SYS_fsopen,
    sys::SYS_fsconfig,
    sys::SYS_fsmount,
    sys::SYS_fspick,
    sys::SYS_mount_setattr,
    sys::SYS_setns,
    sys::SYS_unshare,
    sys::SYS_mknodat,
    sys::SYS_open_by_handle_at,
    sys::SYS_name_to_handle_at,
    sys::SYS_setuid,
    sys::SYS_setgid,
    sys::SYS_setreuid,
    sys::SYS_setregid,
    sys::SYS_setresuid,
    sys::SYS_setresgid,
    sys::SYS_setgroups,
    sys::SYS_setfsuid,
    sys::SYS_setfsgid,
    sys::SYS_capset,
    sys::SYS_settimeofday,
    sys::SYS_clock_settime,
    sys::SYS_adjtimex,
    sys::SYS_clock_adjtime,
    sys::SYS_sethostname,
    sys::SYS_setdomainname,
    sys::SYS_vhangup,
    sys::SYS_add_key,
    sys::SYS_request_key,
    sys::SYS_keyctl,
    sys::SYS_userfaultfd,
    sys::SYS_io_uring_setup,
    sys::SYS_io_uring_enter,
    sys::SYS_io_uring_register,
    sys::SYS_personality,
    sys::SYS_lookup_dcookie,
    sys::SYS_fanotify_init,
];

/// The families of sockets that are opened: of this machine, of the Internet, of the kernel's tables, of packets.
const FAMILIES: [sys::c_int; 5] =
    [sys::AF_UNIX, sys::AF_INET, sys::AF_INET6, sys::AF_NETLINK, sys::AF_PACKET];

/// Forbids them to every thread of the process, for good.
///
/// # Errors
/// Where the kernel knows no such filter, or not for this machine.
pub fn forbid_calls() -> Result<(), SandboxError> {
    let failed = |error: &dyn std::fmt::Display| SandboxError::Calls(error.to_string());
    let program = program().map_err(|error| failed(&error))?;
    apply_filter_all_threads(&program).map_err(|error| failed(&error))
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let others = FAMILIES
        .iter()
        .map(|family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family as u64))
        .collect::<Result<Vec<_>, _>>()?;
    rules.insert(sys::SYS_socket, vec![SeccompRule::new(others)?]);
    let (otherwise, forbidden) = (SeccompAction::Allow, SeccompAction::Errno(sys::EPERM as u32));
    SeccompFilter::new(rules, otherwise, forbidden, TargetArch::try_from(std::env::consts::ARCH)?)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_can_be_made_for_this_machine_and_names_no_call_twice() {
        assert!(!program().unwrap().is_empty());
        let mut calls = FORBIDDEN.to_vec();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), FORBIDDEN.len());
    }
}
