//! Limits of this process and of its machine: open files, memory, disk.

use std::path::Path;

pub use gauntlet::corpus::free_memory;

/// Raises the soft limit of open files from the shell's default to the system's maximum. If that is not allowed, nothing
/// changes.
pub fn raise_open_files() {
    #[cfg(unix)]
    if let Some(mut limit) = open_files_limit()
        && limit.rlim_cur < limit.rlim_max
    {
        // Some systems report more than they grant.
        limit.rlim_cur = limit.rlim_cur.max(limit.rlim_max.min(1 << 16));
        // SAFETY: the structure is whole; a refusal changes nothing.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// Number of files that this process may have open, if the system reports it.
pub fn open_files() -> Option<u64> {
    #[cfg(unix)]
    return open_files_limit().map(|limit| limit.rlim_cur);
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn open_files_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills in the structure that it is given, or fails.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0).then_some(limit)
}

/// Bytes free on the disk of a folder, if the system reports them.
pub fn free_disk(folder: &Path) -> Option<u64> {
    #[cfg(target_os = "linux")]
    return rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        None
    }
}
