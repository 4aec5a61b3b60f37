//! How the system schedules our threads.

/// Keeps this thread from taking the processor away from another just because it is woken. Without that, a frame that
/// submits a request may stand still for as long as the worker is busy with it, if no other core is free. A policy that the
/// creating thread was given on purpose is left as it is.
pub(crate) fn never_preempt() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: 0 is this thread.
        if unsafe { libc::sched_getscheduler(0) } != libc::SCHED_OTHER {
            return;
        }
        // SAFETY: all zero is a value, and the right one for this policy.
        let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
        // SAFETY: 0 is this thread, and the parameters are live. A system that refuses leaves the thread as it is.
        let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    }
}
