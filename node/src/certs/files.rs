//! Certificate files: read with a bound, written so that nobody sees half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::CertsError;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Secrecy {
    /// The owner only: mode 0600 from its first byte on.
    Private,
    /// Everybody.
    Public,
}

/// The text of the file, or `None` when there is none.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, CertsError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(path, "cannot be read", error)),
    };
    let mut text = String::new();
    match file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(bytes) if bytes as u64 > FILE_BYTES_MAX => Err(broken(
            path,
            format!("larger than {FILE_BYTES_MAX} bytes, which no PEM file is"),
        )),
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(file_error(path, "cannot be read", error)),
    }
}

/// The certificates of a PEM file, one at least.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertsError> {
    chain_of(path, &required_text(path)?)
}

/// The certificates of `text`, one at least, that came from `path`.
pub(super) fn chain_of(
    path: &Path,
    text: &str,
) -> Result<Vec<CertificateDer<'static>>, CertsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, pem::Error>>()
        .map_err(|error| broken(path, format!("this is no PEM: {error}")))?;
    if chain.is_empty() {
        return Err(broken(path, "no PEM certificate in it".to_owned()));
    }
    Ok(chain)
}

/// The private key of a PEM file.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertsError> {
    PrivateKeyDer::from_pem_slice(required_text(path)?.as_bytes())
        .map_err(|error| broken(path, format!("no PEM private key in it: {error}")))
}

/// Refuses a private key that everybody on this machine may read.
#[cfg(unix)]
pub(super) fn refuse_open_key(path: &Path) -> Result<(), CertsError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| file_error(path, "cannot be read", error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o004 == 0 {
        Ok(())
    } else {
        Err(CertsError::KeyOpenToAll {
            path: path.to_owned(),
            mode,
        })
    }
}

/// Elsewhere than on Unix a file has no such mode.
#[cfg(not(unix))]
pub(super) fn refuse_open_key(_path: &Path) -> Result<(), CertsError> {
    Ok(())
}

/// Writes a file that is not there yet, all of it at once. Where another process was faster its
/// file stays, so read the file back.
pub(super) fn write_new(path: &Path, text: &str, secrecy: Secrecy) -> Result<(), CertsError> {
    let written = write_beside(path, text, secrecy)?;
    let linked = fs::hard_link(&written, path);
    // Its only name left, or none: a leftover would be a second copy of a key.
    let removed = fs::remove_file(&written);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(file_error(path, "cannot be made", error))
        }
        _ => removed.map_err(|error| file_error(&written, "cannot be removed", error)),
    }
}

/// Writes a file in place of what is there, all of it at once.
pub(super) fn replace(path: &Path, text: &str, secrecy: Secrecy) -> Result<(), CertsError> {
    let written = write_beside(path, text, secrecy)?;
    fs::rename(&written, path).map_err(|error| file_error(path, "cannot be replaced", error))
}

/// A [`CertsError::File`].
pub(super) fn file_error(path: &Path, action: &'static str, source: std::io::Error) -> CertsError {
    CertsError::File {
        path: path.to_owned(),
        action,
        source,
    }
}

/// A [`CertsError::Broken`].
pub(super) fn broken(path: &Path, why: String) -> CertsError {
    CertsError::Broken {
        path: path.to_owned(),
        why,
    }
}

fn required_text(path: &Path) -> Result<String, CertsError> {
    read_text(path)?.ok_or_else(|| file_error(path, "cannot be read", ErrorKind::NotFound.into()))
}

/// Writes a new file of a random name in the directory of `path` and returns its path.
fn write_beside(path: &Path, text: &str, secrecy: Secrecy) -> Result<PathBuf, CertsError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{:016x}", rand::random::<u64>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(match secrecy {
            Secrecy::Private => 0o600,
            Secrecy::Public => 0o644,
        });
    }
    #[cfg(not(unix))]
    let _ = secrecy;
    options
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| {
            let _ = fs::remove_file(&beside); // What was written of it is of no use.
            file_error(path, "cannot be written", error)
        })?;
    Ok(beside)
}

/// A chain of ten large certificates takes a fifth of it.
const FILE_BYTES_MAX: u64 = 256 * 1024;
