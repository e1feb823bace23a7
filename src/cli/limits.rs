//! How many files this process may have open: as many as the system allows, not as few as a shell starts with.

/// Raises the soft limit to the hard one. Where that is not allowed, things stay as they are.
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
