//! S3 credentials from the files of the AWS tools, where environment variables give none.
//!
//! Reads keys, session token, region and endpoint from the section of `AWS_PROFILE`, or `default`, in
//! `~/.aws/credentials` and `~/.aws/config` (or `AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// Fills in what the builder lacks from the files.
pub fn from_files(builder: AmazonS3Builder) -> AmazonS3Builder {
    let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".into());
    let mut found = BTreeMap::new();
    // The credentials file comes last, so it overrides the config file.
    for (variable, name, section) in [
        ("AWS_CONFIG_FILE", "config", config_section(&profile)),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile.clone()),
    ] {
        let text = file(variable, name).and_then(|path| std::fs::read_to_string(path).ok());
        found.extend(text.map(|text| section_of(&text, &section)).unwrap_or_default());
    }
    let keys = [
        ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
        ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
        ("aws_session_token", AmazonS3ConfigKey::Token),
        ("region", AmazonS3ConfigKey::Region),
        ("endpoint_url", AmazonS3ConfigKey::Endpoint),
    ];
    // Keys belong together: keys from a file are never mixed with keys from the environment.
    let has_keys = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some();
    keys.into_iter().fold(builder, |builder, (name, key)| {
        let is_secret = name.starts_with("aws_");
        let missing = builder.get_config_value(&key).is_none() && !(is_secret && has_keys);
        match found.get(name) {
            Some(value) if missing => builder.with_config(key, value),
            _ => builder,
        }
    })
}

/// Where the store answers, if settings name another place than Amazon's.
pub fn endpoint() -> Option<String> {
    from_files(AmazonS3Builder::from_env()).get_config_value(&AmazonS3ConfigKey::Endpoint)
}

fn config_section(profile: &str) -> String {
    if profile == "default" { profile.into() } else { format!("profile {profile}") }
}

fn file(variable: &str, name: &str) -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".aws").join(name));
    std::env::var_os(variable).map(PathBuf::from).or_else(home)
}

/// Keys and values in a section of an INI file.
fn section_of(text: &str, section: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = name.trim() == section;
        } else if let Some((key, value)) = line.split_once('=')
            && inside
        {
            found.insert(key.trim().to_lowercase(), value.trim().to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "[other]\nregion = x\n# note\n[ default ]\naws_access_key_id = AK\nAWS_SECRET_ACCESS_KEY=a=b\n[z]\nregion=y";
        let found = section_of(text, "default");
        assert_eq!(found.get("aws_access_key_id").map(String::as_str), Some("AK"));
        assert_eq!(found.get("aws_secret_access_key").map(String::as_str), Some("a=b"));
        assert_eq!(found.get("region"), None);
        assert_eq!(config_section("default"), "default");
        assert_eq!(config_section("mine"), "profile mine");
    }
}
