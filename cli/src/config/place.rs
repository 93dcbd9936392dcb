//! Where files of this program are, by the XDG base directory specification.

use std::env;
use std::path::{Path, PathBuf};

/// The directories of the user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Places {
    /// `$XDG_CONFIG_HOME`, when it is an absolute path.
    pub config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, when it is an absolute path.
    pub state_home: Option<PathBuf>,
    /// The user's own directory.
    pub home: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let absolute = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            config_home: absolute("XDG_CONFIG_HOME"),
            state_home: absolute("XDG_STATE_HOME"),
            home: etcetera::home_dir().ok(),
        }
    }

    /// The configuration file; none when this user has no directory at all.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        let home = self.home.as_ref().map(|home| home.join(".config"));
        let dir = self.config_home.clone().or(home)?;
        Some(dir.join("chat/config.toml"))
    }

    /// Where known nodes are kept; none when this user has no directory at all.
    #[must_use]
    pub fn known_nodes(&self) -> Option<PathBuf> {
        let home = self.home.as_ref().map(|home| home.join(".local/state"));
        let dir = self.state_home.clone().or(home)?;
        Some(dir.join("chat/known_nodes"))
    }

    /// A path as people write it in a file: `~/` is the user's directory, and what is relative
    /// starts at `from`.
    #[must_use]
    pub fn expand(&self, path: &Path, from: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => from.join(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_the_specification_has_them() {
        let none = Places::default();
        assert_eq!(none.config_file(), None);
        let mut places = Places {
            home: Some("/home/ann".into()),
            ..none
        };
        let shown = |path: Option<PathBuf>| path.unwrap().to_string_lossy().into_owned();
        assert_eq!(
            shown(places.config_file()),
            "/home/ann/.config/chat/config.toml"
        );
        assert_eq!(
            shown(places.known_nodes()),
            "/home/ann/.local/state/chat/known_nodes"
        );
        places.config_home = Some("/c".into());
        places.state_home = Some("/s".into());
        assert_eq!(shown(places.config_file()), "/c/chat/config.toml");
        assert_eq!(shown(places.known_nodes()), "/s/chat/known_nodes");
        let expand = |path: &str| shown(Some(places.expand(path.as_ref(), "/c/chat".as_ref())));
        assert_eq!(expand("~/ca.pem"), "/home/ann/ca.pem");
        assert_eq!(expand("ca.pem"), "/c/chat/ca.pem");
        assert_eq!(expand("/etc/ca.pem"), "/etc/ca.pem");
    }
}
