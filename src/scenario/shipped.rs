//! The scenarios that ship with the program.

use super::sections::Scenario;

/// A scenario of the `scenarios` folder.
#[derive(Clone, Debug)]
pub struct Shipped {
    /// Name of the file, without `.toml`.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

impl Shipped {
    /// The file, relative to the repository.
    pub fn file(&self) -> String {
        format!("scenarios/{}.toml", self.name)
    }

    /// Its line in the list of scenarios.
    pub fn summary(&self) -> String {
        Scenario::from_toml(self.text, &self.file(), &[])
            .map_or_else(|error| error.to_string(), |scenario| scenario.summary)
    }
}

/// All shipped scenarios, in the order of `sim scenarios`.
pub fn shipped() -> Vec<Shipped> {
    macro_rules! scenarios {
        ($($name:literal),* $(,)?) => {
            vec![$(Shipped { name: $name, text: include_str!(concat!("../../scenarios/", $name, ".toml")) }),*]
        };
    }
    scenarios![
        "honest",
        "sparseloco",
        "ahead",
        "covenant",
        "lazy",
        "stale",
        "copycat",
        "averaging",
        "thieves",
        "thieves-250",
        "offline",
        "byzantine",
        "copy-weights",
        "favour",
        "withhold",
        "out-of-turn",
        "false-model",
        "silent",
        "equivocate",
        "three-peers",
        "storm",
        "mixed-250",
        "real-text",
        "templar-scaled",
        "templar-1b",
        "covenant-72b"
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_shipped_and_passes_the_checks() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.filter_map(|file| file.strip_suffix(".toml").map(str::to_string)).collect();
        let mut names: Vec<&str> = shipped().iter().map(|scenario| scenario.name).collect();
        files.sort();
        names.sort();
        assert_eq!(names, files);
        for shipped in shipped() {
            let scenario =
                Scenario::from_toml(shipped.text, &shipped.file(), &[]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, shipped.name);
            assert!(!scenario.summary.is_empty(), "{} has no summary", shipped.name);
            assert_eq!(shipped.summary(), scenario.summary);
        }
    }
}
