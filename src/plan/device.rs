//! Speed of devices.

/// Fraction of a device's peak that forward and backward passes are assumed to reach, in model FLOPs, which leave out
/// recomputation. A guess; PaLM reached 0.46 (arXiv 2204.02311, table 3).
pub const MFU: f64 = 0.35;

/// Fraction of the memory's peak rate that passes over memory are assumed to reach.
const MEMORY_SHARE: f64 = 0.5;
/// Bytes of device memory that DeMo's encode moves per parameter: momentum and gradient, two products each way, top-k,
/// and the subtraction of the sent part.
const ENCODE_BYTES: f64 = 120.0;
/// Bytes that an aggregation moves on the host per parameter: the signs arrive (1), the step reads and writes (9), the
/// digest reads (4), the next model is copied and sent to the device (12).
const STEP_BYTES: f64 = 26.0;
/// Bytes moved on the host per received coefficient, to unpack, check and expand it.
const RECEIVED_BYTES: f64 = 20.0;
/// Bytes per second that one host thread moves.
const HOST_RATE: f64 = 4e9;

/// Forward and backward on one core with AVX-512, in FLOP per second: 95 K tokens/s of `tiny` (README, "Speed").
const CORE_FLOPS: f64 = 79e9;
/// Encode, and aggregation of 15 peers, on the same core, in parameters per second.
const CORE_ENCODE: f64 = 304e6;
const CORE_AGGREGATE: f64 = 224e6;

/// A maker's figures for a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataSheet {
    /// The name on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// Dense bf16 products, in FLOP per second.
    pub flops: f64,
    /// Bytes.
    pub memory: f64,
    /// Of the memory, in bytes per second.
    pub bandwidth: f64,
}

/// Devices with published data sheets: NVIDIA H100 Tensor Core GPU Datasheet (SXM; 1,979 TFLOP/s is with sparsity),
/// NVIDIA H200 Tensor Core GPU Datasheet (SXM), NVIDIA A100 Tensor Core GPU Datasheet (SXM, 80 GB), NVIDIA DGX B200 and
/// HGX B200 Datasheets (an eighth of 36 PFLOP/s with sparsity, which is 2.25 dense, of 1,440 GB and of 64 TB/s).
pub fn data_sheets() -> [DataSheet; 4] {
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
        sheet("b200", "NVIDIA B200 SXM", 2250.0, 180.0, 8.0),
    ]
}

/// The amounts of work that take a device's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Forward and backward.
    pub flops_per_token: f64,
    pub parameters: f64,
    /// Coefficients of all aggregated peers.
    pub received: f64,
}

/// How fast a device does the work of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// What it is called.
    pub device: String,
    /// Forward and backward.
    pub tokens_per_second: f64,
    /// To encode one pseudo-gradient.
    pub encode_seconds: f64,
    /// To aggregate the payloads of a round, until the next model is on the device.
    pub aggregate_seconds: f64,
    /// Bytes of its memory, if known.
    pub memory: Option<f64>,
    /// Whether the gradient is computed block by block on a device other than the host.
    pub is_accelerator: bool,
    /// The assumptions behind the figures, one per line.
    pub assumed: Vec<String>,
}

impl Speed {
    /// A device by its data sheet, at a fraction `mfu` of its peak.
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
