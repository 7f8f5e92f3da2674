//! Profiles: the files `~/.aws/config` and `~/.aws/credentials`.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::problem::Problem;
use crate::config::Secret;
use crate::config::Variables;
use crate::error::quoted;

/// More than any such file has; a device or a pipe in its place does not fill the memory.
const LARGEST: u64 = 1 << 20;

/// Every profile of both files.
#[derive(Default)]
pub(super) struct Profiles(BTreeMap<String, Profile>);

/// The settings of one profile. Those of the credentials file take precedence.
#[derive(Default)]
pub(super) struct Profile(BTreeMap<String, Secret>);

impl Profile {
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        self.0.get(key).filter(|value| !value.is_empty()).cloned()
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Secret::expose).filter(|value| !value.is_empty())
    }
}

impl Profiles {
    /// Reads both files. One that is not there has no profiles.
    pub(super) fn read(variables: &Variables) -> Result<Self, Problem> {
        let mut profiles = Self::default();
        for (variable, path, prefixed) in [
            ("AWS_CONFIG_FILE", ".aws/config", true),
            ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", false),
        ] {
            let Some(path) = variables.file(variable, path) else { continue };
            if let Some(text) = read(&path)? {
                let parsed = profiles.parse(&text, prefixed);
                parsed.map_err(|line| {
                    Problem::lasting(format!(
                        "{} is not a file of AWS profiles: see line {line}",
                        path.display()
                    ))
                })?;
            }
        }
        Ok(profiles)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    /// The profile of this name, which somebody asks for.
    pub(super) fn named(&self, name: &str) -> Result<&Profile, Problem> {
        self.get(name).ok_or_else(|| {
            Problem::lasting(format!(
                "there is no AWS profile {} in ~/.aws/config or ~/.aws/credentials (AWS_CONFIG_FILE, \
                 AWS_SHARED_CREDENTIALS_FILE)",
                quoted(name)
            ))
        })
    }

    /// Adds the profiles of a file; in the configuration file all but the default one are called `profile NAME`. An
    /// error is the number of a line.
    fn parse(&mut self, text: &str, prefixed: bool) -> Result<(), usize> {
        // Outside of a profile, such as in `[sso-session NAME]`, settings are none of ours.
        let mut section: Option<Option<String>> = None;
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = trimmed.strip_prefix('[') {
                let (name, _) = rest.split_once(']').ok_or(index + 1)?;
                let name = profile_name(name.trim(), prefixed).map(str::to_owned);
                if let Some(name) = &name {
                    self.0.entry(name.clone()).or_default();
                }
                section = Some(name);
                continue;
            }
            // An indented line belongs to the setting before it: nested settings of other services.
            if line.starts_with([' ', '\t']) && section.is_some() {
                continue;
            }
            let section = section.as_ref().ok_or(index + 1)?;
            let (key, value) = trimmed.split_once('=').ok_or(index + 1)?;
            if let Some(name) = section {
                let value = without_comment(value).trim();
                let profile = self.0.entry(name.clone()).or_default();
                profile.0.insert(key.trim().to_ascii_lowercase(), Secret::from(value));
            }
        }
        Ok(())
    }
}

fn profile_name(section: &str, prefixed: bool) -> Option<&str> {
    let name = match section.split_once(char::is_whitespace) {
        Some(("profile", name)) if prefixed => name.trim(),
        Some(_) => return None,
        None if !prefixed || section == "default" => section,
        None => return None,
    };
    Some(name.trim_matches(['"', '\'']))
}

/// A comment at the end of a line begins after white space.
fn without_comment(value: &str) -> &str {
    let mut pairs = value.char_indices().zip(value.chars().skip(1));
    let comment = pairs.find(|((_, before), c)| before.is_whitespace() && matches!(c, '#' | ';'));
    comment.map_or(value, |((at, _), _)| &value[..at])
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Problem> {
    match read_limited(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Problem::caused(format!("cannot read {}", path.display()), error)),
    }
}

/// A text file of reasonable size.
pub(super) fn read_limited(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(config: &str, credentials: &str) -> Profiles {
        let mut profiles = Profiles::default();
        profiles.parse(config, true).unwrap();
        profiles.parse(credentials, false).unwrap();
        profiles
    }

    #[test]
    fn both_files_are_read_as_aws_documents_them() {
        let profiles = parsed(
            "# a comment\n[default]\nregion = eu-central-1\noutput=json\n\n[profile dev]\r\nrole_arn = arn:aws:iam::1:role/x ; why\r\n\
             source_profile=default\ns3 =\n  max_concurrent_requests = 20\nregion = a\n[sso-session my]\nsso_region = b\n\
             [ignored]\nregion = c\n[profile 'quoted name']\nregion=d\n",
            "[default]\naws_access_key_id = AKID\naws_secret_access_key=a#b;c=d\n[dev]\nregion = e\n;x\n[other]\nAWS_Session_Token = t # why\n",
        );
        let get = |profile: &str, key: &str| profiles.get(profile).and_then(|profile| profile.get(key));
        assert_eq!(get("default", "region"), Some("eu-central-1"));
        assert_eq!(get("default", "aws_access_key_id"), Some("AKID"));
        assert_eq!(get("default", "aws_secret_access_key"), Some("a#b;c=d"));
        assert_eq!(get("dev", "role_arn"), Some("arn:aws:iam::1:role/x"));
        assert_eq!(get("dev", "region"), Some("e"), "the credentials file takes precedence");
        assert_eq!((get("dev", "s3"), get("dev", "max_concurrent_requests")), (None, None));
        assert_eq!(get("other", "aws_session_token"), Some("t"));
        assert_eq!(get("quoted name", "region"), Some("d"));
        assert!(
            ["ignored", "my", "sso-session my", "profile dev"]
                .iter()
                .all(|name| profiles.get(name).is_none())
        );
        let missing = profiles.named("prod").err().unwrap().to_string();
        assert!(missing.starts_with("there is no AWS profile \"prod\" in "), "{missing}");
    }

    #[test]
    fn what_is_no_such_file_is_said_by_line_and_without_its_text() {
        for (text, line) in [("hunter2", 1), ("[default]\nhunter2\n", 2), ("\n[default\n", 2), ("a = b\n", 1)]
        {
            assert_eq!(Profiles::default().parse(text, true), Err(line), "{text:?}");
        }
    }

    #[test]
    fn no_text_panics_the_parser() {
        const PIECES: [&str; 14] =
            ["[", "]", "profile ", "default", "=", " ", "\n", "\r\n", "#", ";", "ä", "😀", "\t", "role_arn"];
        for seed in 0..4_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let text: String =
                (0..random.usize(..24)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
            let mut profiles = Profiles::default();
            _ = (profiles.parse(&text, true), profiles.parse(&text, false));
        }
    }
}
