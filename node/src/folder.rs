//! The state's folder: nobody else looks into it, and a file in it is there as a whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Makes a folder, and those above it, for their owner only. One that is there is left as it is.
///
/// # Errors
/// Those of the system.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file that is not there yet, for its owner only.
///
/// # Errors
/// Those of the system; a file of the name is there.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes a file that is not there yet: after a crash at any moment, all of it is there or nothing.
///
/// # Errors
/// Those of the system; a file of the name is there, and is left as it is.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let written = new_file(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| put_in_place(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Writes a file anew: after a crash at any moment, it is all as it was or all as it is to be.
///
/// # Errors
/// Those of the system; the file is as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let written = new_file(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.and_then(|()| sync(path))
}

/// Gives a finished file its name, if nothing has it. The name is durable when it returns.
///
/// # Errors
/// Those of the system; a file of the name is there, and is left as it is.
pub(crate) fn put_in_place(finished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(finished, path) {
        Ok(()) => fs::remove_file(finished)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || path.exists() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Some file systems have no links.
        Err(_) => fs::rename(finished, path)?,
    }
    sync(path)
}

/// Makes the name of a file durable.
///
/// # Errors
/// Those of the system.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    // Where folders cannot be opened, their names are durable by themselves.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Takes from others what they could do with a file; says whether they could anything.
///
/// # Errors
/// Those of the system.
pub(crate) fn keep_from_others(path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
            return Ok(true);
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(false)
}

/// Whether others than its owner could look into it.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Removes what a crash has left of files that were being made: those with a name of [`beside`]. Only for who has the folder for itself.
pub(crate) fn clear(folder: &Path) {
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = file.file_name();
        let number = name.to_str().and_then(|name| name.split_once(NEW)).map(|(_, number)| number);
        let is_ours = number.is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        if is_ours && file.file_type().is_ok_and(|kind| kind.is_file()) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(file.path());
        }
    }
}

/// What stands between the name of a file and the number of one that takes its place.
const NEW: &str = ".new-";

/// A name in the same folder that nothing has.
///
/// # Errors
/// The system gives no random number.
pub(crate) fn beside(path: &Path) -> io::Result<PathBuf> {
    let number = getrandom::u64().map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!("{NEW}{number:016x}"));
    Ok(path.with_file_name(name))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        make(&deep).unwrap();
        assert_eq!((mode(&deep), mode(&folder.path().join("a"))), (0o700, 0o700));
        let file = deep.join("file");
        write_new(&file, b"x").unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(!keep_from_others(&file).unwrap());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(keep_from_others(&file).unwrap());
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_file_that_is_there_is_not_written_over_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write_new(&file, b"first").unwrap();
        assert_eq!(write_new(&file, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"first");
        replace(&file, b"third").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"third");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_has_left_is_cleared_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let left = beside(&folder.path().join("key")).unwrap();
        let kept = ["key", "notes.new-1", "store.redb.corrupt-1", "x.new-00000000000000zz"];
        for path in kept.iter().map(|name| folder.path().join(name)).chain([left.clone()]) {
            fs::write(path, b"x").unwrap();
        }
        clear(folder.path());
        assert!(!left.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), kept.len());
    }
}
