//! Our threads take no part in the process's signals.

/// Blocks every signal for the calling thread but those that tell of its own faults. The host's handlers then never run on
/// one of our threads, and writing to a connection that the peer has closed is an error and not the end of the process.
/// Threads that libcurl starts from here inherit it.
#[cfg(unix)]
pub(crate) fn block() {
    const FAULTS: [libc::c_int; 8] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGABRT,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGPROF,
    ];
    let mut signals = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set, the others read it.
    unsafe {
        libc::sigfillset(signals.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(signals.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), std::ptr::null_mut());
    }
}

/// Windows has no such signals.
#[cfg(not(unix))]
pub(crate) fn block() {}
