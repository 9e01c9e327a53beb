//! Event files for TensorBoard: records of TensorFlow, each a protocol buffer with its length and checksums.

use crate::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// An event file, one a launch.
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins a file of a run that goes on after `step`; `seconds` is the time. TensorBoard then passes over what an
    /// earlier file has from later steps.
    pub(crate) fn create(folder: &Path, step: u64, seconds: f64) -> Result<EventFile, Error> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make the folder", e))?;
        let path =
            folder.join(format!("events.out.tfevents.{:010}.{}.sai", seconds as u64, std::process::id()));
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|e| Error::io(&path, "create the file", e))?;
        let mut events = EventFile { path, file };
        // Event { file_version } and Event { session_log { status: START } }.
        events.record(&event(seconds, 0, 3, b"brain.Event:2"))?;
        events.record(&event(seconds, step, 7, &[0x08, 1]))?;
        Ok(events)
    }

    /// Adds values by their names.
    pub(crate) fn scalars(&mut self, seconds: f64, step: u64, values: &[(String, f64)]) -> Result<(), Error> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            // Summary.Value { tag = 1, simple_value = 2 }
            let mut one = Vec::new();
            bytes_field(&mut one, 1, tag.as_bytes());
            one.push(2 << 3 | 5);
            one.extend((*value as f32).to_le_bytes());
            bytes_field(&mut summary, 1, &one);
        }
        self.record(&event(seconds, step, 5, &summary))
    }

    fn record(&mut self, data: &[u8]) -> Result<(), Error> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(length);
        record.extend(masked(&length));
        record.extend(data);
        record.extend(masked(data));
        self.file.write_all(&record).map_err(|e| Error::io(&self.path, "write the file", e))
    }
}

/// Event { wall_time = 1, step = 2, `field` }.
fn event(seconds: f64, step: u64, field: u8, value: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(seconds.to_le_bytes());
    event.push(2 << 3);
    varint(&mut event, step);
    bytes_field(&mut event, field, value);
    event
}

fn bytes_field(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A checksum as records have it, so that one of a text with a checksum in it is another.
fn masked(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_protocol_buffers_have_it() {
        let mut summary = Vec::new();
        let mut one = Vec::new();
        bytes_field(&mut one, 1, b"loss");
        one.push(0x15);
        one.extend(1.5f32.to_le_bytes());
        bytes_field(&mut summary, 1, &one);
        let expected = b"\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\xc0\x3f";
        assert_eq!(event(2.0, 300, 5, &summary), expected);
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8A91_36AA);
    }
}
