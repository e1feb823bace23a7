//! Raises the number of files that this process may open from the shell's default to the system's maximum.

/// Raises the soft limit to the hard one. If that is not allowed, nothing changes.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call fills in the structure that it is given, or fails.
        if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 && limit.rlim_cur < limit.rlim_max {
            // Some systems report more than they grant.
            limit.rlim_cur = limit.rlim_cur.max(limit.rlim_max.min(1 << 16));
            // SAFETY: the structure is whole; a refusal changes nothing.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        }
    }
}
