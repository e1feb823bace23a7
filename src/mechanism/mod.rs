//! How peers are judged and paid.

pub mod gauntlet;
pub mod openskill;
pub mod proof;
pub mod shares;
