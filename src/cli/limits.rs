//! Limits of this process and of its machine: open files, memory, disk.

use std::path::Path;

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

/// Bytes of available memory, of the machine or of the container that this process is in, whichever is less, if the
/// system reports it.
pub fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = 1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(free_in_container().map_or(machine, |container| machine.min(container)))
}

/// Bytes that the limit of this process's control group leaves.
fn free_in_container() -> Option<u64> {
    let group = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = group.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    // "max" is no number, and no limit.
    let (most, used) = (number("memory.max")?, number("memory.current")?);
    // Cached files go when memory is needed.
    let cached = read("memory.stat")?.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some(most.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
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
