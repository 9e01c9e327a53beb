//! Valid files with bytes changed, lost or repeated: opening them never panics, never asks for more memory than the
//! file's length justifies, and what does open keeps its promises.

mod common;

use std::alloc::System;
use std::path::Path;

use cap::Cap;
use common::{fixture, message};
use proptest::prelude::*;
use sai_formats::gguf::Gguf;
use sai_formats::{Bytes, Error, Tensors, safetensors};

/// Every test here holds a few files of a few kilobytes at a time. A request that a header talked a reader into goes
/// past this limit, and ends the process.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, 48 << 20);

/// One way to spoil a file; places are fractions of its length.
#[derive(Clone, Debug)]
enum Spoil {
    Set(f64, u8),
    Flip(f64, u8),
    Word(f64, u64),
    Cut(f64),
    Repeat(f64, f64),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let word = prop_oneof![
        any::<u64>(),
        (0u32..64).prop_map(|bit| 1 << bit),
        (0u32..64).prop_map(|bit| u64::MAX >> bit),
        0u64..64
    ];
    prop_oneof![
        4 => (0.0..1.0, any::<u8>()).prop_map(|(at, byte)| Spoil::Set(at, byte)),
        4 => (0.0..1.0, 0u8..8).prop_map(|(at, bit)| Spoil::Flip(at, bit)),
        4 => (0.0..1.0, word).prop_map(|(at, word)| Spoil::Word(at, word)),
        1 => (0.0..1.0).prop_map(Spoil::Cut),
        1 => (0.0..1.0, 0.0..0.1).prop_map(|(at, length)| Spoil::Repeat(at, length)),
    ]
}

fn apply(file: &mut Vec<u8>, spoil: &Spoil) {
    let place = |at: f64| (at * file.len() as f64) as usize;
    match *spoil {
        Spoil::Set(at, byte) => {
            let at = place(at);
            file[at] = byte;
        }
        Spoil::Flip(at, bit) => {
            let at = place(at);
            file[at] ^= 1 << bit;
        }
        Spoil::Word(at, word) => {
            let at = place(at);
            let bytes = word.to_le_bytes();
            let end = file.len().min(at + bytes.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
        }
        Spoil::Cut(at) => {
            let at = place(at).max(1);
            file.truncate(at);
        }
        Spoil::Repeat(at, length) => {
            let (from, to) = (place(at), place((at + length).min(1.0)));
            let part = file[from..to].to_vec();
            file.splice(from..from, part);
        }
    }
}

fn check(opened: Result<Tensors, Error>, path: &Path, length: usize) {
    let Ok(tensors) = opened else {
        message(opened, path);
        return;
    };
    assert!(tensors.total_bytes() <= length as u64);
    for tensor in &tensors {
        if tensor.dtype.is_known() {
            assert_eq!(tensor.to_f32().unwrap().len(), tensor.elements());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gguf(spoils in prop::collection::vec(spoil(), 1..5), header_only in any::<bool>()) {
        let mut file = std::fs::read(fixture("gguf/v3.gguf")).unwrap();
        let data = file.split_off(if header_only { 2400 } else { file.len() });
        for spoil in &spoils {
            apply(&mut file, spoil);
        }
        file.extend(data);
        let (length, path) = (file.len(), Path::new("m.gguf"));
        let bytes = Bytes::from_vec(file);
        let opened = Gguf::from_bytes(bytes, path);
        if let Ok(gguf) = &opened {
            for (key, value) in gguf.metadata.iter() {
                let _ = format!("{value} {:?} {:?}", gguf.metadata.strings(key), gguf.metadata.f32s(key));
            }
        }
        check(opened.map(|gguf| gguf.tensors), path, length);
    }

    #[test]
    fn safetensors_files(spoils in prop::collection::vec(spoil(), 1..5)) {
        let mut file = std::fs::read(fixture("safetensors/all.safetensors")).unwrap();
        for spoil in &spoils {
            apply(&mut file, spoil);
        }
        let (length, path) = (file.len(), Path::new("m.safetensors"));
        let bytes = Bytes::from_vec(file);
        check(safetensors::from_bytes(bytes, path), path, length);
    }

    #[test]
    fn anything(start in prop_oneof![Just(&b"GGUF\x03\0\0\0"[..]), Just(&b"\x20\0\0\0\0\0\0\0{"[..]), Just(&b""[..])],
                noise in prop::collection::vec(any::<u8>(), 0..512)) {
        let file = [start, &noise].concat();
        let (length, path) = (file.len(), Path::new("m"));
        let bytes = Bytes::from_vec(file);
        check(Gguf::from_bytes(bytes.clone(), path).map(|gguf| gguf.tensors), path, length);
        check(safetensors::from_bytes(bytes, path), path, length);
    }
}
