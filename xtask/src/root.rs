//! Rights to install what is missing, when nobody has to be asked for them.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// How this process becomes root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Root {
    /// It is.
    Already,
    /// By `sudo`, which asks for no password.
    Sudo,
}

impl Root {
    /// How it can be had without a question.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) fn get() -> Result<Self> {
        let user = Command::new("id")
            .arg("-u")
            .output()
            .context("`id -u` cannot be started")?;
        if user.stdout.trim_ascii() == b"0" {
            return Ok(Self::Already);
        }
        if step::succeeds(Command::new("sudo").args(["--non-interactive", "true"])) {
            return Ok(Self::Sudo);
        }
        bail!("needs root, and sudo would ask for a password")
    }

    /// A command that runs as root.
    pub(crate) fn command(self, program: &str, arguments: &[&str]) -> Command {
        let mut command = match self {
            Self::Already => Command::new(program),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args([
                    "--non-interactive",
                    "--preserve-env=DEBIAN_FRONTEND",
                    program,
                ]);
                sudo
            }
        };
        // Debian's packages ask questions otherwise, and nobody is there to answer.
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_never_waits_for_a_password() {
        let command = Root::Sudo.command("apt-get", &["update"]);
        let line: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        assert_eq!(
            line,
            [
                "--non-interactive",
                "--preserve-env=DEBIAN_FRONTEND",
                "apt-get",
                "update"
            ]
        );
    }
}
