//! Measures the peak memory of work on a device.

use gauntlet::model::Device;

/// Watches a device's memory from its creation on.
pub enum Watch {
    /// The process's peak resident memory since its start, if the system reports it.
    Host,
    #[cfg(feature = "cuda")]
    Cuda(cuda::Watch),
}

impl Watch {
    /// Must be called before anything is put on the device.
    pub fn new(device: Device) -> anyhow::Result<Self> {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => Ok(Self::Cuda(cuda::Watch::new(index)?)),
            _ => Ok(Self::Host),
        }
    }

    /// The peak so far, in bytes.
    pub fn most(&self) -> Option<u64> {
        match self {
            Self::Host => resident_at_most(),
            #[cfg(feature = "cuda")]
            Self::Cuda(watch) => Some(watch.most()),
        }
    }
}

fn resident_at_most() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use anyhow::Context as _;
    use cudarc::driver::CudaContext;

    /// Time between two looks. They must not slow the work, and allocations live longer in the pools of the device's
    /// allocator.
    const PAUSE: Duration = Duration::from_millis(10);

    /// Asks the driver repeatedly, because the allocator keeps no peak: it frees unused memory after a while, and has
    /// pools for each thread. Memory of other processes counts too.
    pub struct Watch {
        most: Arc<AtomicU64>,
        stop: Arc<AtomicBool>,
    }

    impl Watch {
        pub fn new(index: usize) -> anyhow::Result<Self> {
            let context = CudaContext::new(index).with_context(|| format!("cuda:{index}"))?;
            let (free_before, _) = context.mem_get_info().context("the device's memory")?;
            let watch = Self { most: Arc::default(), stop: Arc::default() };
            let (most, stop) = (watch.most.clone(), watch.stop.clone());
            std::thread::spawn(move || {
                // If the device fails, its user reports the error.
                while let (false, Ok((free, _))) = (stop.load(Relaxed), context.mem_get_info()) {
                    most.fetch_max(free_before.saturating_sub(free) as u64, Relaxed);
                    std::thread::sleep(PAUSE);
                }
            });
            Ok(watch)
        }

        pub fn most(&self) -> u64 {
            self.most.load(Relaxed)
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            self.stop.store(true, Relaxed);
        }
    }
}
