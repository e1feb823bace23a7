//! Bytes that a gradient really allocates, against their count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gauntlet::model::{Device, Llama, LlamaConfig, Memory, init_theta};
use gauntlet::scenario::ModelSettings;
use gauntlet::training::gradient::gradient_on_device;

/// The system's allocator, which counts.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes at the peak of a gradient, beyond those before it and with the parameters, and their count.
fn measured_and_counted(settings: ModelSettings, sequences: usize, device: Device) -> (u64, Memory) {
    let config = LlamaConfig::from_settings(&settings).unwrap();
    let page = |page: usize| (0..=config.sequence_length).map(|at| ((at * 97 + page * 31) % 64) as u32).collect();
    let pages: Vec<Vec<u32>> = (0..sequences).map(page).collect();
    let theta = init_theta(&config, 0);
    let before = NOW.load(Relaxed);
    let model = Llama::from_flat(&config, &theta, &device);
    MOST.store(before, Relaxed);
    gradient_on_device(&model, &pages, sequences);
    ((MOST.load(Relaxed) - before) as u64, Memory::of_gradient(&config, sequences, device.precision()))
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn the_count_is_what_is_allocated() {
    let small = ModelSettings {
        vocab_size: Some(64),
        hidden_size: Some(64),
        num_heads: Some(2),
        intermediate_size: Some(64),
        sequence_length: Some(1024),
        ..Default::default()
    };
    let cases = [
        ("two tiles of scores", small.clone()),
        ("four tiles", ModelSettings { sequence_length: Some(2048), ..small.clone() }),
        ("more heads", ModelSettings { num_heads: Some(8), ..small.clone() }),
        ("a wide MLP", ModelSettings { intermediate_size: Some(1024), ..small.clone() }),
        ("a very wide MLP", ModelSettings { intermediate_size: Some(2048), ..small.clone() }),
        ("a wide stream", ModelSettings { hidden_size: Some(512), ..small.clone() }),
        ("a large vocabulary", ModelSettings { vocab_size: Some(8192), ..small.clone() }),
        ("many layers", ModelSettings { num_layers: Some(24), ..small.clone() }),
    ];
    let mut wrong = Vec::new();
    for (case, settings) in cases {
        for device in [Device::NdArray, Device::CpuBf16] {
            let (measured, counted) = measured_and_counted(settings.clone(), 1, device);
            let ratio = counted.total() as f64 / measured as f64;
            println!("{case} on {device}: {measured} bytes, counted {ratio:.2} times as many: {counted:?}");
            if !(0.85..1.15).contains(&ratio) {
                wrong.push(format!("{case} on {device}: {ratio:.2}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
