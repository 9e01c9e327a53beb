//! A file of a JSON value a line that grows while work is done, and that a killed program leaves usable.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Result, Write};
use std::path::Path;

/// Why a file cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum JsonLinesError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line, counted from 1, is not of the form that is asked for.
    #[error("line {0} is of another form")]
    Line(usize),
}

/// Such a file, open behind its last whole line.
#[derive(Debug)]
pub struct JsonLines(BufWriter<File>);

impl JsonLines {
    /// Opens a file, or begins one, and reads what it has, as [`JsonLines::read`]. A last line without an end is cut off.
    ///
    /// # Errors
    /// Those of [`JsonLines::read`], or the file cannot be written; then it is left as it is.
    pub fn open<T: DeserializeOwned>(
        path: &Path,
        begins: &str,
    ) -> std::result::Result<(JsonLines, Vec<T>), JsonLinesError> {
        let (whole, values) = JsonLines::read(path, begins)?;
        let file = File::options().create(true).append(true).open(path)?;
        file.set_len(whole)?;
        Ok((JsonLines(BufWriter::new(file)), values))
    }

    /// Reads what a file has, and how many bytes its whole lines take; one that is not there is empty. Nothing is written, so
    /// that a file that grows meanwhile is safe. A last line without an end, which is what a killed program leaves, is passed
    /// over where it begins with `begins` as every line does; else the file is another's.
    ///
    /// # Errors
    /// The file cannot be read, or a whole line is of another form.
    pub fn read<T: DeserializeOwned>(
        path: &Path,
        begins: &str,
    ) -> std::result::Result<(u64, Vec<T>), JsonLinesError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e.into()),
        };
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let mut values = Vec::new();
        for (i, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
            values.push(serde_json::from_slice(line).map_err(|_| JsonLinesError::Line(i + 1))?);
        }
        let rest = &bytes[whole..];
        let compared = rest.len().min(begins.len());
        if rest[..compared] != begins.as_bytes()[..compared] {
            return Err(JsonLinesError::Line(values.len() + 1));
        }
        Ok((whole as u64, values))
    }

    /// Writes a value behind the others. The system has it after [`JsonLines::flush`].
    ///
    /// # Errors
    /// The disk refuses.
    pub fn append<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }

    /// Hands what was written to the system, so that it outlives the program.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cut_in_a_line_or_a_character_goes_on_behind_the_last_whole_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("numbers");
        let (mut file, none) = JsonLines::open::<Vec<String>>(&path, "[").unwrap();
        assert!(none.is_empty());
        file.append(&["가"]).unwrap();
        file.flush().unwrap();
        drop(file);
        for cut in [&b"["[..], b"[\"\xea\xb0", b"[\"b\"]"] {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(cut).unwrap();
            drop(file);
            let (_, found) = JsonLines::open::<Vec<String>>(&path, "[").unwrap();
            assert_eq!(found, [["가"]], "{cut:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\"가\"]\n");
    }

    #[test]
    fn a_file_that_is_read_while_another_writes_keeps_its_half_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("numbers");
        std::fs::write(&path, "[1]\n[2").unwrap();
        let mut allowed = std::fs::metadata(&path).unwrap().permissions();
        allowed.set_readonly(true);
        std::fs::set_permissions(&path, allowed).unwrap();
        let (whole, found) = JsonLines::read::<Vec<u32>>(&path, "[").unwrap();
        assert_eq!((whole, found), (4, vec![vec![1]]));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1]\n[2");
        assert_eq!(JsonLines::read::<Vec<u32>>(&home.path().join("none"), "[").unwrap().0, 0);
    }

    #[test]
    fn a_file_of_something_else_is_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notes");
        for (text, line) in [("my notes", 1), ("my\nnotes\n", 1), ("[1]\nnotes", 2)] {
            std::fs::write(&path, text).unwrap();
            let wrong = JsonLines::open::<Vec<u32>>(&path, "[");
            assert!(matches!(wrong, Err(JsonLinesError::Line(at)) if at == line));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
