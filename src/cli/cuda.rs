//! Checks that this machine has what a CUDA device needs, before a library panics for lack of it.

use cubecl_cuda::install;
use cudarc::{driver, nvrtc};

/// Checks the CUDA device of this number. The error says what is missing and what to do.
pub fn check(index: usize) -> Result<(), String> {
    // SAFETY: these calls only look for the libraries and open them.
    let (has_driver, has_nvrtc) = unsafe { (driver::sys::is_culib_present(), nvrtc::sys::is_culib_present()) };
    if !has_driver {
        return Err("there is no NVIDIA driver (libcuda.so); install it, or compute on `cpu`".into());
    }
    let count = driver::CudaContext::device_count().map_err(|error| format!("the NVIDIA driver says: {error}"))?;
    if index >= count as usize {
        return Err(format!(
            "the NVIDIA driver has {}, numbered from 0; `nvidia-smi -L` lists them",
            gauntlet::words::counted(count, "device")
        ));
    }
    if !has_nvrtc {
        let what = "NVRTC (libnvrtc.so) of the CUDA toolkit, which compiles the kernels, is not found";
        return Err(format!("{what}; install the toolkit, or name the folder of its libraries in LD_LIBRARY_PATH"));
    }
    let header = install::cuda_path().map(|path| path.join("include/cuda_fp16.h"));
    if !header.is_some_and(|header| header.is_file()) {
        let what = "the CUDA toolkit's headers (include/cuda_fp16.h), which kernels include, are not found";
        return Err(format!("{what}; install the toolkit, or name its folder in CUDA_PATH"));
    }
    Ok(())
}

/// The versions of driver and compiler, and what the device is.
pub fn describe(index: usize) -> Result<String, String> {
    let says = |error: driver::DriverError| format!("the NVIDIA driver says: {error}");
    let context = driver::CudaContext::new(index).map_err(says)?;
    let ((major, minor), (free, total)) =
        (context.compute_capability().map_err(says)?, context.mem_get_info().map_err(says)?);
    let (mut version, mut compiler) = (0, (0, 0));
    // SAFETY: both calls fill in the numbers that they are given, or fail and leave them.
    unsafe {
        let _ = driver::sys::cuDriverGetVersion(&raw mut version);
        let _ = nvrtc::sys::nvrtcVersion(&raw mut compiler.0, &raw mut compiler.1);
    }
    Ok(format!(
        "CUDA {}.{}, NVRTC {}.{}; compute capability {major}.{minor}; {:.1} of {:.1} GB free",
        version / 1000,
        version % 1000 / 10,
        compiler.0,
        compiler.1,
        free as f64 / 1e9,
        total as f64 / 1e9
    ))
}
