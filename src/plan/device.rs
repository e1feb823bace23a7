//! How fast devices are.

/// Part of a device's peak that forward and backward passes are assumed to reach: model FLOPs, without what is computed
/// again to save memory. A guess; PaLM reached 0.46 (arXiv 2204.02311, table 3).
pub const MFU: f64 = 0.35;

/// Part of the memory's peak rate that passes over memory are assumed to reach.
const MEMORY_SHARE: f64 = 0.5;
/// Bytes of memory that DeMo's encode on a device moves for each parameter: momentum and gradient, two products each
/// way, top-k, and what is taken off again.
const ENCODE_BYTES: f64 = 120.0;
/// Bytes that an aggregation moves on the host for each parameter: the signs come to it (1), the step reads and writes
/// (9), the digest reads (4), the next model is copied and goes back to the device (12).
const STEP_BYTES: f64 = 26.0;
/// Bytes of the host for each coefficient received: unpacked, checked, made whole.
const RECEIVED_BYTES: f64 = 20.0;
/// Bytes a second that one thread of a host moves.
const HOST_RATE: f64 = 4e9;

/// Forward and backward of one core with AVX-512, FLOP a second: 95 K tokens/s of `tiny` (README, "Speed").
const CORE_FLOPS: f64 = 79e9;
/// The same core's encode and aggregation of 15 peers, parameters a second.
const CORE_ENCODE: f64 = 304e6;
const CORE_AGGREGATE: f64 = 224e6;

/// What a maker says of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataSheet {
    /// As a command line names it.
    pub name: &'static str,
    pub title: &'static str,
    /// Dense bf16 products, FLOP a second.
    pub flops: f64,
    /// Bytes.
    pub memory: f64,
    /// Of the memory, bytes a second.
    pub bandwidth: f64,
}

/// The devices that are known by their data sheets: NVIDIA H100 Tensor Core GPU Datasheet (SXM; 1,979 TFLOP/s is with
/// sparsity), NVIDIA H200 Tensor Core GPU Datasheet (SXM), NVIDIA A100 Tensor Core GPU Datasheet (SXM, 80 GB).
pub fn data_sheets() -> [DataSheet; 3] {
    let sheet = |name, title, teraflops, gigabytes, terabytes_a_second| DataSheet {
        name,
        title,
        flops: 1e12 * teraflops,
        memory: 1e9 * gigabytes,
        bandwidth: 1e12 * terabytes_a_second,
    };
    [
        sheet("h100", "NVIDIA H100 SXM", 989.0, 80.0, 3.35),
        sheet("h200", "NVIDIA H200 SXM", 989.0, 141.0, 4.8),
        sheet("a100", "NVIDIA A100 SXM", 312.0, 80.0, 2.04),
    ]
}

/// What a device's time is spent on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Forward and backward.
    pub flops_per_token: f64,
    pub parameters: f64,
    /// Coefficients of all aggregated peers.
    pub received: f64,
}

/// How fast a device does a scenario's work.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// What it is called.
    pub device: String,
    /// Forward and backward, tokens a second.
    pub tokens_per_second: f64,
    /// Encoding one pseudo-gradient.
    pub encode_seconds: f64,
    /// Aggregating the payloads of a round, up to the next model on the device.
    pub aggregate_seconds: f64,
    /// Bytes of its memory, where they are known.
    pub memory: Option<f64>,
    /// Whether the gradient goes block by block on a device beside the host.
    pub is_accelerator: bool,
    /// What this was made of, a line each.
    pub assumed: Vec<String>,
}

impl Speed {
    /// A device by its data sheet, of whose peak a part `mfu` is reached.
    pub fn of_sheet(sheet: &DataSheet, mfu: f64, work: &Work) -> Self {
        let rate = MEMORY_SHARE * sheet.bandwidth;
        let host = STEP_BYTES * work.parameters + RECEIVED_BYTES * work.received;
        Self {
            device: sheet.title.into(),
            tokens_per_second: mfu * sheet.flops / work.flops_per_token,
            encode_seconds: ENCODE_BYTES * work.parameters / rate,
            aggregate_seconds: host / HOST_RATE + ENCODE_BYTES * work.parameters / rate,
            memory: Some(sheet.memory),
            is_accelerator: true,
            assumed: vec![
                format!(
                    "{}: {:.0} TFLOP/s of dense bf16, {:.0} GB, {:.2} TB/s, by its data sheet",
                    sheet.title,
                    sheet.flops / 1e12,
                    sheet.memory / 1e9,
                    sheet.bandwidth / 1e12
                ),
                format!("model FLOPs reach {mfu} of that peak (--mfu); it was not measured (--device measured does)"),
                format!(
                    "encode: {ENCODE_BYTES} bytes of device memory a parameter at half of its rate; aggregation: the same, \
                     and on the host {STEP_BYTES} bytes a parameter and {RECEIVED_BYTES} a coefficient at {} GB/s",
                    HOST_RATE / 1e9
                ),
            ],
        }
    }

    /// One core of a CPU with AVX-512.
    pub fn of_core(work: &Work) -> Self {
        Self {
            device: "CPU core".into(),
            tokens_per_second: CORE_FLOPS / work.flops_per_token,
            encode_seconds: work.parameters / CORE_ENCODE,
            aggregate_seconds: work.parameters / CORE_AGGREGATE,
            memory: None,
            is_accelerator: false,
            assumed: vec![format!(
                "a peer is one core that does {} GFLOP/s forward and backward, encodes {} and aggregates {} million \
                 parameters a second: an AMD EPYC with AVX-512 on `tiny`; a larger model does not fit its caches",
                CORE_FLOPS / 1e9,
                CORE_ENCODE / 1e6,
                CORE_AGGREGATE / 1e6
            )],
        }
    }
}
