//! What a scenario needs on real devices: floating-point operations, memory, traffic, time.
//!
//! All counts follow from the scenario. Only the speed of a device, a [`Speed`], comes from outside: measured, or from
//! a data sheet and an assumed fraction of its peak.
//!
//! | file | what it holds |
//! |---|---|
//! | `counts` | a scenario and its operations, of a round and of a run |
//! | `memory` | memory of a peer, on its device and on its host |
//! | `sharded` | the same for a peer of several devices |
//! | `traffic` | bytes of a round, and the links they need |
//! | `round` | the time of a round by part, and whether it suffices |
//! | `device` | data sheets and speeds |

mod counts;
mod device;
mod figures;
mod memory;
mod round;
mod sharded;
mod traffic;

pub use counts::{Flops, Plan};
pub use device::{DataSheet, MFU, Speed, Work, data_sheets};
pub use memory::{MemoryPart, PeerMemory};
pub use round::{NEWTON_SCHULZ, RoundPart, RoundTime, TRAIN};
pub use traffic::Traffic;
