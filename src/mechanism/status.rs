//! How a peer fared in a round.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a peer fared in a round. Files and reports write its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Status {
    Passed,
    /// There is no upload, or it could not be fetched; or it is sealed and has no key.
    Absent,
    /// Uploaded before the put window opened.
    TooEarly,
    /// Uploaded after the put window closed.
    TooLate,
    /// Sealed, and its key came after the reveal window.
    LateKey,
    /// Sealed, and its key does not open it.
    WrongKey,
    /// Sealed, and in the place of its key is that of another upload.
    MisplacedKey,
    Malformed,
    /// Computed on a model that is too many steps behind, or on another model.
    OutOfSync,
    /// Computed from another training state than the one that the peer's last upload ended with.
    StartedOver,
    /// A copy of another peer's upload.
    Copy,
    /// Excluded for an earlier offence.
    Excluded,
    /// The peer holds no slot.
    Unregistered,
}

impl Status {
    /// All statuses, in the order of legends.
    pub const ALL: [Self; 13] = [
        Self::Passed,
        Self::Absent,
        Self::TooEarly,
        Self::TooLate,
        Self::LateKey,
        Self::WrongKey,
        Self::MisplacedKey,
        Self::Malformed,
        Self::OutOfSync,
        Self::StartedOver,
        Self::Copy,
        Self::Excluded,
        Self::Unregistered,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Absent => "absent",
            Self::TooEarly => "too_early",
            Self::TooLate => "too_late",
            Self::LateKey => "late_key",
            Self::WrongKey => "wrong_key",
            Self::MisplacedKey => "misplaced_key",
            Self::Malformed => "malformed",
            Self::OutOfSync => "out_of_sync",
            Self::StartedOver => "started_over",
            Self::Copy => "copy",
            Self::Excluded => "excluded",
            Self::Unregistered => "unregistered",
        }
    }

    /// The status with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the upload may be evaluated and aggregated. A copy may, at a lower score.
    pub fn may_be_aggregated(self) -> bool {
        matches!(self, Self::Passed | Self::Copy)
    }

    /// Whether a registered peer failed to pass.
    pub fn failed(self) -> bool {
        !matches!(self, Self::Passed | Self::Unregistered)
    }
}

impl From<Status> for &'static str {
    fn from(status: Status) -> Self {
        status.name()
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let expected = || Self::ALL.map(Self::name).join(", ");
        Self::named(&name).ok_or_else(|| format!("`{name}` is not a status; expected one of {}", expected()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
