//! Bytes that a gradient and a peer really allocate, against their counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gauntlet::digest::Digest;
use gauntlet::model::ModelSettings;
use gauntlet::model::{Device, Llama, LlamaConfig, Memory, init_theta};
use gauntlet::plan::{MemoryPart, Plan};
use gauntlet::scenario::Scenario;
use gauntlet::training::gradient::{gradient, gradient_on_device};
use gauntlet::training::{Contribution, Data};

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
    match model.is_fused() {
        true => drop(gradient(&model, &pages, sequences)),
        false => drop(gradient_on_device(&model, &pages, sequences)),
    }
    ((MOST.load(Relaxed) - before) as u64, Memory::on(&device, &config, sequences))
}

/// Whether a count is close enough; tells both.
fn is_close(case: &str, measured: u64, counted: u64) -> bool {
    let ratio = counted as f64 / measured as f64;
    println!("{case}: {measured} bytes, counted {ratio:.2} times as many");
    (0.85..1.15).contains(&ratio)
}

/// Bytes that a peer keeps when it has trained, and followed more rounds than are remembered, and their count by `sim
/// plan`, without what a gradient takes while it is computed; then those at the peak of saving its state, and their count.
fn kept_by_a_peer(device: Device) -> [(u64, u64); 2] {
    let text = "name = 'n'\n[model]\nvocab_size = 4096\nhidden_size = 256\nsequence_length = 16\n\
                [corpus]\nheld_out_pages = 1\n[training]\npages_per_round = 1\n[[peers]]\ncount = 15";
    let scenario = Scenario::from_toml(text, "n.toml", &[]).unwrap();
    let memory = Plan::new(scenario.clone()).unwrap().peer_memory(device != Device::Cpu);
    let counted = |names: &[&str]| {
        let parts = memory.parts.iter().filter(|part| names.contains(&part.what));
        parts.map(|part| part.device + part.host).sum::<u64>()
    };

    let before = NOW.load(Relaxed);
    let network = scenario.network(device).unwrap();
    let (core, mut replica) = (&network.core, network.genesis.clone());
    let mut local = core.local();
    let sent = std::sync::Arc::new(core.train(&mut *local, &replica, &Data::whole([0]), 0).unwrap());
    for round in 0..12 {
        let name = Digest::of(&[round as u8]);
        replica = core.advance(&replica, round, &[name], || vec![Contribution { payload: sent.clone(), weight: 1 }]);
    }
    let kept = NOW.load(Relaxed) - before;

    MOST.store(NOW.load(Relaxed), Relaxed);
    let now = NOW.load(Relaxed);
    local.save(&mut Vec::new());
    let saving = MOST.load(Relaxed) - now;
    // A tensor is copied twice on its way from a device.
    let copied = core.layout.tensors.iter().map(|tensor| 8 * tensor.range.len() as u64).max().unwrap();
    let copied = if device == Device::Cpu { 0 } else { copied };
    [
        (kept as u64, counted(&["weights", "further replicas", "momentum"])),
        (saving as u64, counted(&["state, while it is saved"]) + copied),
    ]
}

/// Bytes at the peak of a peer's round of local steps, and their count by `sim plan`.
fn taken_by_local_steps(device: Device, setting: &str) -> (u64, u64) {
    let text = "name = 'n'\n[model]\nvocab_size = 1024\nhidden_size = 256\nsequence_length = 64\n\
                [corpus]\nheld_out_pages = 1\n[training]\npages_per_round = 4\nmicro_batch = 2\n\
                [scheme]\nkind = 'sparseloco'\ninner_steps = 2\n[[peers]]\ncount = 15";
    let scenario =
        Scenario::from_toml(text, "n.toml", &setting.split(' ').map(str::to_string).collect::<Vec<_>>()).unwrap();
    let memory = Plan::new(scenario.clone()).unwrap().peer_memory(device != Device::Cpu);
    let beside =
        ["weights", "further replicas", "error feedback and moments", "an aggregation", "state, while it is saved"];
    // The gradient comes to the host when the activations are gone from the device, which here are one memory.
    let bytes = |part: &MemoryPart| match (part.what, device) {
        ("gradient", Device::CpuF32 | Device::CpuBf16) => part.host,
        (what, _) if beside.contains(&what) => part.device + part.host,
        _ => 0,
    };
    let counted = memory.total.device + memory.total.host - memory.parts.iter().map(bytes).sum::<u64>();

    let network = scenario.network(device).unwrap();
    let mut local = network.core.local();
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    network.core.train(&mut *local, &network.genesis, &Data::whole([0, 1, 2, 3]), 0).unwrap();
    ((MOST.load(Relaxed) - before) as u64, counted)
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
        for device in [Device::CpuF32, Device::CpuBf16, Device::Cpu] {
            let settings = settings.clone();
            // On a thread of its own, whose kernels have kept no memory of the case before.
            let measure = std::thread::spawn(move || measured_and_counted(settings, 1, device));
            let (measured, counted) = measure.join().unwrap();
            let case = format!("{case} on {device}: {counted:?}");
            if !is_close(&case, measured, counted.total()) {
                wrong.push(case);
            }
        }
    }
    // The wide MLP has larger matrices than activations.
    let settings = ["scheme.inner=adamw", "scheme.inner=muon", "scheme.inner=muon model.intermediate_size=4096"];
    for (setting, device) in settings
        .into_iter()
        .flat_map(|setting| [Device::CpuF32, Device::CpuBf16, Device::Cpu].map(|device| (setting, device)))
    {
        let case = format!("local steps with {setting} on {device}");
        let (measured, counted) = std::thread::spawn(move || taken_by_local_steps(device, setting)).join().unwrap();
        if !is_close(&case, measured, counted) {
            wrong.push(case);
        }
    }
    for device in [Device::CpuF32, Device::Cpu] {
        let found = std::thread::spawn(move || kept_by_a_peer(device)).join().unwrap();
        for (what, (measured, counted)) in ["a peer", "a peer that saves its state"].into_iter().zip(found) {
            let case = format!("{what} on {device}");
            if !is_close(&case, measured, counted) {
                wrong.push(case);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
