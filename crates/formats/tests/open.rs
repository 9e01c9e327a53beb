//! What a path holds is told by its contents, and what is no model is told kindly.

mod common;

use common::{fixture, message};
use sai_formats::{Bytes, Container, Source, open};
use std::path::{Path, PathBuf};

#[test]
fn opens_each_kind_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [("gguf/v3.gguf", "a.bin"), ("safetensors/all.safetensors", "b.gguf")] {
        std::fs::copy(fixture(from), folder.path().join(to)).unwrap();
    }
    assert!(matches!(open(&folder.path().join("a.bin")), Ok(Container::Gguf(_))));
    assert!(matches!(open(&folder.path().join("b.gguf")), Ok(Container::Safetensors(_))));
    let sharded = open(&fixture("safetensors/sharded")).unwrap();
    assert!(matches!(sharded, Container::Safetensors(_)));
    assert_eq!(sharded.tensors().len(), 3);
}

#[test]
fn what_is_in_memory_is_opened_as_a_file_is() {
    let path = fixture("gguf/v3.gguf");
    let bytes: &'static [u8] = std::fs::read(&path).unwrap().leak();
    let there = |bytes| Source::Memory { name: PathBuf::from("it (built in)"), bytes };
    let (Ok(Container::Gguf(file)), Ok(Container::Gguf(memory))) =
        (open(&path), open(there(Bytes::from_static(bytes))))
    else {
        panic!("two GGUFs");
    };
    assert_eq!(memory.tensors.path(), Path::new("it (built in)"));
    assert_eq!(file.metadata.keys().collect::<Vec<_>>(), memory.metadata.keys().collect::<Vec<_>>());
    for (a, b) in file.tensors.iter().zip(&memory.tensors) {
        assert_eq!((&a.name, a.dtype, &a.shape, &a.data), (&b.name, b.dtype, &b.shape, &b.data));
    }
    // Only a GGUF is a model by itself, and messages have its name.
    let error = open(there(Bytes::from_static(b"{}"))).unwrap_err().to_string();
    assert!(error.starts_with("it (built in): ") && error.contains("text, not a model"), "{error}");
}

#[test]
fn says_what_a_file_is_instead() {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents, says) in [
        ("empty.gguf", &b""[..], "the file is empty; fetch it again"),
        (
            "lfs.gguf",
            b"version https://git-lfs.github.com/spec/v1\n",
            "this is a git-lfs pointer, not the weights; run",
        ),
        (
            "page.gguf",
            b"<!DOCTYPE html>\n<html>",
            "this is a web page, not a model; the download link led to a page",
        ),
        (
            "pytorch_model.bin",
            b"PK\x03\x04rest",
            "this is a PyTorch checkpoint (pickle, which can run code when read)",
        ),
        ("old.bin", b"tjgg\x01\0\0\0", "this is a GGML file from before GGUF"),
        ("config.json", b"{}", "this is text, not a model; give a .gguf file or a model's folder"),
        (
            "noise",
            b"\x01\x02\xff\xff\xff\xff\xff\xff\xff",
            "this is neither GGUF nor safetensors (it starts with bytes 01 02",
        ),
        ("short.gguf", b"GGUF", "the header needs 4 bytes at byte 4 of a file of 4 bytes"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        let text = message(open(&path), &path);
        assert!(text.starts_with(says), "{text}\nshould start with\n{says}");
    }
    let nowhere = folder.path().join("nowhere.gguf");
    assert!(message(open(&nowhere), &nowhere).starts_with("could not find the file: "));
    #[cfg(unix)]
    {
        let device = std::path::Path::new("/dev/null");
        assert!(message(open(device), device).starts_with("this is neither a file nor a folder"));
    }
}

#[test]
fn says_what_a_folder_lacks() {
    for (files, says) in [
        (&[][..], "the folder has neither config.json nor .safetensors files"),
        (&["config.json"], "the folder has a config.json but no .safetensors file"),
        (&["model.safetensors"], "the folder has weights but no config.json"),
        (
            &["config.json", "pytorch_model.bin"],
            "the folder's weights are PyTorch checkpoints (pytorch_model.bin:",
        ),
        (
            &["a.gguf", "b.gguf"],
            "the folder has no .safetensors file, but GGUF; give the file itself: a.gguf",
        ),
        (&["config.json", "x.safetensors", "y.safetensors"], "the folder has several .safetensors files"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            std::fs::copy(fixture("safetensors/all.safetensors"), folder.path().join(name)).unwrap();
        }
        let text = message(open(folder.path()), folder.path());
        assert!(text.starts_with(says), "{text}\nshould start with\n{says}");
    }
}
