//! Which calls of the system the process gives up: what nobody needs who answers requests, and whoever takes it over would.
//!
//! A list of what is refused, not of what is allowed: a library that begins to use another call must not end the gate at night.
//! The system's seccomp keeps it, for all threads that come, for the programs that scan files, and for ever.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter, sock_filter,
};

use crate::config::Config;
use crate::scan::Way;

type Named = (&'static str, libc::c_long);

macro_rules! calls {
    ($($name:ident $number:ident,)+) => { &[$((stringify!($name), libc::$number)),+] };
}

/// What neither the gate nor a program that scans files needs.
const NEVER: &[Named] = calls![
    // other processes, and their memory
    ptrace SYS_ptrace,
    process_vm_readv SYS_process_vm_readv,
    process_vm_writev SYS_process_vm_writev,
    process_madvise SYS_process_madvise,
    pidfd_getfd SYS_pidfd_getfd,
    kcmp SYS_kcmp,
    // file systems and namespaces
    mount SYS_mount,
    umount2 SYS_umount2,
    move_mount SYS_move_mount,
    mount_setattr SYS_mount_setattr,
    open_tree SYS_open_tree,
    fsopen SYS_fsopen,
    fsconfig SYS_fsconfig,
    fsmount SYS_fsmount,
    fspick SYS_fspick,
    pivot_root SYS_pivot_root,
    chroot SYS_chroot,
    unshare SYS_unshare,
    setns SYS_setns,
    open_by_handle_at SYS_open_by_handle_at,
    fanotify_init SYS_fanotify_init,
    quotactl SYS_quotactl,
    quotactl_fd SYS_quotactl_fd,
    swapon SYS_swapon,
    swapoff SYS_swapoff,
    acct SYS_acct,
    // parts of the kernel that are attacked more than used
    bpf SYS_bpf,
    perf_event_open SYS_perf_event_open,
    userfaultfd SYS_userfaultfd,
    io_uring_setup SYS_io_uring_setup,
    io_uring_enter SYS_io_uring_enter,
    io_uring_register SYS_io_uring_register,
    lookup_dcookie SYS_lookup_dcookie,
    personality SYS_personality,
    // its keys, its modules, another kernel
    add_key SYS_add_key,
    request_key SYS_request_key,
    keyctl SYS_keyctl,
    init_module SYS_init_module,
    finit_module SYS_finit_module,
    delete_module SYS_delete_module,
    kexec_load SYS_kexec_load,
    kexec_file_load SYS_kexec_file_load,
    reboot SYS_reboot,
    // the machine's clock, name and messages
    settimeofday SYS_settimeofday,
    clock_settime SYS_clock_settime,
    clock_adjtime SYS_clock_adjtime,
    adjtimex SYS_adjtimex,
    sethostname SYS_sethostname,
    setdomainname SYS_setdomainname,
    syslog SYS_syslog,
    vhangup SYS_vhangup,
];
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[Named] = calls![
    iopl SYS_iopl,
    ioperm SYS_ioperm,
    modify_ldt SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[Named] = &[];
/// What `clone` begins beside a process or thread when it is asked to, as `unshare` does: namespaces, in which anybody is root
/// and reaches parts of the kernel that only root does.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// What a program that scans files needs to begin, and the gate does not: another program, another user.
const WITHOUT_SCANNERS: &[Named] = calls![
    execve SYS_execve,
    execveat SYS_execveat,
    setuid SYS_setuid,
    setgid SYS_setgid,
    setreuid SYS_setreuid,
    setregid SYS_setregid,
    setresuid SYS_setresuid,
    setresgid SYS_setresgid,
    setfsuid SYS_setfsuid,
    setfsgid SYS_setfsgid,
    setgroups SYS_setgroups,
    capset SYS_capset,
];

/// Why the calls are not given up.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    /// The rules cannot be made for this processor.
    #[error(
        "the rules for calls of the system cannot be made: {0}; `confine-calls: false` does without"
    )]
    Rules(#[from] BackendError),
    /// The system refused them.
    #[error("the system refuses to give up calls: {0}; `confine-calls: false` does without")]
    System(#[from] seccompiler::Error),
}

/// Gives them up for this thread and those that it starts: call it before there are others.
///
/// # Errors
/// [`CallsError`], also where the system has no seccomp.
pub fn give_up_calls(config: &Config) -> Result<(), CallsError> {
    let scans = config.scanners.iter().any(|scanner| matches!(scanner.way, Way::Command(_)));
    give_up(&given_up(scans))
}

fn given_up(scans: bool) -> Vec<Named> {
    let without = if scans { &[] } else { WITHOUT_SCANNERS };
    [NEVER, NEVER_HERE, without].concat()
}

fn give_up(calls: &[Named]) -> Result<(), CallsError> {
    let mut refused: BTreeMap<_, _> = calls.iter().map(|(_, call)| (*call, vec![])).collect();
    refused.insert(libc::SYS_clone, with_namespaces()?);
    // What it is asked for lies in memory, where no filter sees it; without it, libraries take `clone`.
    let unseen = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    let programs = [filter(unseen, libc::ENOSYS)?, filter(refused, libc::EPERM)?];
    if cfg!(target_arch = "x86_64") {
        apply_filter(&without_x32())?;
    }
    programs.iter().try_for_each(|program| Ok(apply_filter(program)?))
}

/// A program that answers these calls with an error and lets all others through.
fn filter(
    calls: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    error: libc::c_int,
) -> Result<BpfProgram, BackendError> {
    let answer = SeccompAction::Errno(error.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(calls, SeccompAction::Allow, answer, arch)?.try_into()
}

/// That the first argument asks for a namespace, whichever.
fn with_namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let asks_for = |flag: &libc::c_int| {
        let flag = u64::from(flag.unsigned_abs());
        let set = SeccompCmpOp::MaskedEq(flag);
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, set, flag)?])
    };
    NAMESPACES.iter().map(asks_for).collect()
}

/// On this processor each call has a second number, of programs with short pointers (x32), which the list does not have: none
/// of these is there, as on most systems.
fn without_x32() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32: u32 = 0x4000_0000;
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let line = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    vec![
        line(LOAD_NUMBER, 0, 0),
        line(JUMP_IF_AT_LEAST, 1, X32),
        line(RETURN, 0, absent),
        line(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::process::Command;

    use super::*;

    /// Makes each call with arguments that mean nothing, and prints what the system said: nothing of it is done.
    const MAKE_CALLS: &str = r"
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    print(number, ctypes.get_errno())
";

    /// Asks for a process with each of these flags and for one without, which ends at once; prints what the system said.
    const CLONE_WITH: &str = r"
import ctypes, os, platform, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
number = 56 if platform.machine() == 'x86_64' else 220
for flag in [*map(int, sys.argv[1:]), 0]:
    ctypes.set_errno(0)
    child = libc.syscall(ctypes.c_long(number), ctypes.c_long(flag | signal.SIGCHLD), *[ctypes.c_long(0)] * 4)
    if child == 0:
        os._exit(0)
    print(ctypes.get_errno())
    if child > 0:
        os.waitpid(child, 0)
";

    /// What the system says of these calls in a program that a thread starts; the thread first gives up calls, if it is to.
    fn said(calls: Vec<libc::c_long>, give_up_first: bool) -> HashMap<libc::c_long, i32> {
        let thread = std::thread::spawn(move || {
            if give_up_first {
                give_up(&given_up(true)).unwrap();
            }
            let numbers = calls.iter().map(ToString::to_string);
            let ran = Command::new("python3").args(["-c", MAKE_CALLS]).args(numbers).output();
            ran.unwrap()
        });
        let ran = thread.join().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let lines = String::from_utf8(ran.stdout).unwrap();
        let pair = |line: &str| {
            let (number, said) = line.split_once(' ').unwrap();
            (number.parse().unwrap(), said.parse().unwrap())
        };
        lines.lines().map(pair).collect()
    }

    #[test]
    fn what_was_given_up_is_refused_to_whatever_it_starts_too() {
        // These two do something whatever they are given.
        let calls: Vec<Named> = given_up(true);
        let harmless = calls.iter().filter(|(name, _)| !["vhangup", "personality"].contains(name));
        let numbers: Vec<_> = harmless.map(|(_, number)| *number).collect();
        let (before, after) = (said(numbers.clone(), false), said(numbers.clone(), true));
        let refused = libc::EPERM;
        let changed = numbers.iter().filter(|number| before[number] != refused).count();
        assert!(numbers.iter().all(|number| after[number] == refused), "{after:?}");
        assert!(changed > 5, "the system refuses most of them anyway: {before:?}");
    }

    #[test]
    fn no_namespace_is_begun_by_a_clone_either() {
        // A process may be begun without one, as the test begins python; with all flags the system refuses anyway.
        let (clone, clone3) = (libc::SYS_clone, libc::SYS_clone3);
        let before = said(vec![clone, clone3], false);
        assert_ne!((before[&clone], before[&clone3]), (libc::EPERM, libc::ENOSYS));
        let after = said(vec![clone, clone3], true);
        assert_eq!((after[&clone], after[&clone3]), (libc::EPERM, libc::ENOSYS));
    }

    #[test]
    fn each_kind_of_namespace_is_refused_and_a_thread_is_not() {
        let thread = std::thread::spawn(|| {
            give_up(&given_up(true)).unwrap();
            let flags = NAMESPACES.iter().map(ToString::to_string);
            Command::new("python3").args(["-c", CLONE_WITH]).args(flags).output().unwrap()
        });
        let ran = thread.join().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        let wanted = format!("{}\n", libc::EPERM).repeat(NAMESPACES.len());
        assert_eq!(said, format!("{wanted}0\n"), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    fn a_second_number_of_a_call_is_no_way_around() {
        if cfg!(target_arch = "x86_64") {
            let ptrace = 0x4000_0000 | 521;
            assert_eq!(said(vec![ptrace], true)[&ptrace], libc::ENOSYS);
        }
    }

    #[test]
    fn without_scanners_nothing_is_started_and_nobody_else_becomes() {
        let started = std::thread::spawn(|| {
            give_up(&given_up(false)).unwrap();
            // What requests need goes on.
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("file"), "x").unwrap();
            std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            std::thread::spawn(|| {}).join().unwrap();
            Command::new("/bin/true").status()
        });
        let error = started.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn no_call_stands_twice() {
        let calls = given_up(false);
        let numbers: std::collections::HashSet<_> =
            calls.iter().map(|(_, number)| number).collect();
        assert_eq!(numbers.len(), calls.len());
    }
}
