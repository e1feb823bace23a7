//! Says which experiment the results in a folder or bucket belong to, and refuses a place that holds something else.

use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::differences::differences;
use super::error::LabError;
use super::shelf::Shelf;
use crate::scenario::Scenario;
use crate::words::{not_json, unmarked};

/// The files that say what a place holds.
const HOLDERS: [(&str, &str); 3] =
    [("manifest.json", "a run"), ("sweep.json", "a sweep"), ("attack.json", "a search for attacks")];

/// The description of an experiment, as a file beside its results.
pub(super) trait Described: Serialize + DeserializeOwned {
    /// Name of the file; one of [`HOLDERS`].
    const FILE: &'static str;
    /// What it describes, in messages.
    const WHAT: &'static str;
    /// Goes up when older and newer programs could not read each other's files.
    const FORMAT: u64;
}

/// Begins an experiment in a place, or resumes it there. `differs` compares the description there with this one. It
/// returns the difference in words, or fails if the description there makes no sense.
///
/// Several processes may begin at the same time: the first one writes the description, and all compare theirs with it.
///
/// # Errors
/// The place holds something else, or cannot be read or written.
pub(super) fn begin<T: Described>(
    shelf: &Shelf,
    here: &T,
    differs: impl FnOnce(&T) -> Result<Option<String>, String>,
) -> Result<(), LabError> {
    let url = || shelf.url().to_string();
    for (file, by) in HOLDERS.into_iter().filter(|(file, _)| *file != T::FILE) {
        if shelf.read(&Path::from(file))?.is_some() {
            return Err(LabError::Taken { url: url(), by });
        }
    }
    let found = match read(shelf)? {
        Some(found) => Some(found),
        None => {
            let mut bytes = serde_json::to_vec_pretty(here).expect("plain data");
            bytes.push(b'\n');
            shelf.begin(&Path::from(T::FILE), bytes)?;
            read(shelf)?
        }
    };
    let found = found.ok_or_else(|| damaged::<T>(shelf, "it was written and is not there".into()))?;
    match differs(&found).map_err(|reason| damaged::<T>(shelf, reason))? {
        Some(differs) => Err(LabError::Other { url: url(), what: T::WHAT, differs }),
        None => Ok(()),
    }
}

/// The description in a place; `None` if there is none.
///
/// # Errors
/// It cannot be read, is damaged, or was written by another version.
pub(super) fn read<T: Described>(shelf: &Shelf) -> Result<Option<T>, LabError> {
    let Some(bytes) = shelf.read(&Path::from(T::FILE))? else { return Ok(None) };
    let bytes = bytes.map_err(|size| damaged::<T>(shelf, format!("{size} bytes long")))?;
    let text = unmarked(&bytes);
    let parsed = |error: serde_json::Error| damaged::<T>(shelf, not_json(text, &error));
    let Version { format } = serde_json::from_slice(text).map_err(parsed)?;
    if format != T::FORMAT {
        let (file, url) = (T::FILE, shelf.url().to_string());
        return Err(LabError::Format { url, file, what: T::WHAT, found: format, expected: T::FORMAT });
    }
    serde_json::from_slice(text).map(Some).map_err(parsed)
}

/// The part of a description that is read before its format is known.
#[derive(Deserialize)]
struct Version {
    format: u64,
}

/// That the description in a place cannot be used.
pub(super) fn damaged<T: Described>(shelf: &Shelf, reason: String) -> LabError {
    LabError::Damaged { url: shelf.url().to_string(), file: T::FILE, what: T::WHAT, reason }
}

/// The first setting in which a scenario there differs from the one here, in words.
pub(super) fn first_difference(there: &Scenario, here: &Scenario) -> String {
    let settings = differences(&[there, here]);
    let Some((path, values)) = settings.first() else { return "another name or summary of the scenario".into() };
    let value =
        |at: usize| values[at].as_deref().map_or_else(|| format!("no {path}"), |value| format!("{path} = {value}"));
    format!("{} there, {} here", value(0), value(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sweep {
        format: u64,
        seeds: u64,
    }

    impl Described for Sweep {
        const FILE: &'static str = "sweep.json";
        const WHAT: &'static str = "sweep";
        const FORMAT: u64 = 3;
    }

    fn begun(shelf: &Shelf, seeds: u64) -> Result<(), String> {
        let differs = |there: &Sweep| match there.seeds {
            0 => Err("seeds = 0".into()),
            seeds_there => Ok((seeds_there != seeds).then(|| format!("{seeds_there} there, {seeds} here"))),
        };
        begin(shelf, &Sweep { format: 3, seeds }, differs).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_to_begin_decides_what_a_place_holds() {
        let shelf = Shelf::in_memory();
        assert!(read::<Sweep>(&shelf).unwrap().is_none());
        assert_eq!((begun(&shelf, 2), begun(&shelf, 2)), (Ok(()), Ok(())));
        let other = "memory holds another sweep: 2 there, 5 here; take another place with --out, or give the same command as before";
        assert_eq!(begun(&shelf, 5), Err(other.into()));
        // Another process has begun between the two reads: its description stays.
        shelf.begin(&"sweep.json".into(), br#"{"format":3,"seeds":7}"#.to_vec()).unwrap();
        assert_eq!(read::<Sweep>(&shelf).unwrap().unwrap().seeds, 2);
    }

    #[test]
    fn places_of_something_else_are_refused() {
        for (file, by) in [("manifest.json", "a run"), ("attack.json", "a search for attacks")] {
            let shelf = Shelf::in_memory();
            shelf.write(&file.into(), b"{".to_vec()).unwrap();
            let told = format!("memory is the folder of {by}; take another place with --out");
            assert_eq!(begun(&shelf, 1), Err(told));
            assert!(shelf.read(&"sweep.json".into()).unwrap().is_none(), "nothing is left in it");
        }
    }

    #[test]
    fn damage_is_not_taken_for_another_experiment() {
        let shelf = Shelf::in_memory();
        let told = |text: &str| {
            shelf.write(&"sweep.json".into(), text.into()).unwrap();
            begun(&shelf, 1).unwrap_err()
        };
        let rest = "; restore it, or begin the sweep in another place with --out";
        for (text, reason) in [
            ("", "empty"),
            (r#"{"format":3,"seeds""#, "not JSON: it ends within an object, line 1, column 19"),
            (r#"{"format":3,"seeds":0}"#, "seeds = 0"),
            (
                r#"{"format":3,"seeds":1,"more":1}"#,
                "not what it should be: unknown field `more`, expected `format` or `seeds`, line 1, column 28",
            ),
        ] {
            assert_eq!(told(text), format!("memory/sweep.json: {reason}{rest}"));
        }
        let expected = "memory/sweep.json has format 4, expected 3; use the version of gauntlet that wrote it, or begin the \
                        sweep in another place with --out";
        assert_eq!(told(r#"{"format":4,"axes":[]}"#), expected);
    }
}
