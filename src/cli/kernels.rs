//! Keeps compiled and tuned kernels of a GPU on disk, so that a later start need not make them again.

use burn::cubecl::config::cache::CacheConfig;
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

/// The environment variable that names the folder.
const FOLDER: &str = "GAUNTLET_KERNELS";

/// Keeps kernels in the folder that the environment names, if it names one. It must be called before a device is used.
pub fn keep() {
    let Some(folder) = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()) else { return };
    // A file `cubecl.toml` and CubeCL's own variables still hold, but for the folder.
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.environment.path = CacheConfig::Directory(folder.into());
    config.compilation.cache = true;
    if !CubeClRuntimeConfig::try_set(config) {
        tracing::warn!("{FOLDER}: kernels are not kept, because a device is in use already");
    }
}
