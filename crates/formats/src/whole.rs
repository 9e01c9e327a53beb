//! Small files that are the old one or the new one, never half.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;

/// Writes a file under a temporary name beside `path`, brings it to the disk and renames it.
///
/// # Errors
/// The disk refuses; what was there is there still.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o666)
}

/// As [`write_whole`], a file that its owner alone may read.
///
/// # Errors
/// Those of [`write_whole`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o600)
}

/// `mode` is what Unix lets whom do with it, less what the person's umask forbids.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sai-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Without this a power cut could forget the rename; file systems that cannot sync a folder need not.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
