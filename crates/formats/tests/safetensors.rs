//! safetensors: golden files, round trips, shards, and every way in which a header can lie.

mod common;

use std::path::Path;

use common::{fixture, fnv, message};
use sai_formats::{Bytes, DType, TensorSpec, safetensors};
use serde_json::Value as Json;

const PATH: &str = "m.safetensors";

#[test]
fn reads_what_the_python_package_writes() {
    let tensors = safetensors::open(&fixture("safetensors/all.safetensors")).unwrap();
    let json = std::fs::read(fixture("safetensors/expected.json")).unwrap();
    let expected: Vec<Json> = serde_json::from_slice(&json).unwrap();
    assert_eq!(tensors.len(), expected.len());
    for expected in &expected {
        let tensor = tensors.get(expected["name"].as_str().unwrap()).unwrap();
        assert_eq!(tensor.dtype.name(), expected["dtype"].as_str().unwrap());
        assert_eq!(serde_json::to_value(&tensor.shape).unwrap(), expected["shape"]);
        assert_eq!(fnv(&tensor.data), expected["fnv"].as_str().unwrap());
        assert_eq!(tensor.to_f32().is_ok(), tensor.dtype.is_known());
    }
    assert_eq!(tensors.get("scalar").unwrap().to_f32().unwrap(), [42.0]);
}

#[test]
fn opens_shards_as_one() {
    let folder = fixture("safetensors/sharded");
    let tensors = safetensors::open(&folder).unwrap();
    assert_eq!((tensors.len(), tensors.total_bytes(), tensors.path()), (3, 24, folder.as_path()));
    for name in ["a", "b", "c"] {
        let tensor = tensors.get(name).unwrap();
        assert_eq!(tensor.to_f32().unwrap(), [f32::from(name.as_bytes()[0]); 2]);
        assert_eq!(tensor.file.parent(), Some(folder.as_path()));
    }
}

/// A copy of the sharded fixture to spoil.
fn sharded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture("safetensors/sharded")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

#[test]
fn an_index_and_its_shards_must_agree() {
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let folder = sharded();
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::remove_file(folder.path().join(first)).unwrap();
    assert_eq!(
        message(safetensors::open(folder.path()), &index),
        format!("shard `{first}` is missing (2 tensors, `a` among them); fetch it into the same folder")
    );

    let folder = sharded();
    std::fs::copy(folder.path().join(first), folder.path().join(second)).unwrap();
    let text = message(safetensors::open(folder.path()), &folder.path().join(second));
    assert!(text.starts_with("tensor `c` is not in this shard, though "), "{text}");

    let folder = sharded();
    let index = folder.path().join("model.safetensors.index.json");
    let write = |json: &str| std::fs::write(&index, json).unwrap();
    std::fs::copy(folder.path().join(first), folder.path().join(second)).unwrap();
    write(&format!(r#"{{"weight_map":{{"a":"{first}","b":"{second}"}}}}"#));
    let text = message(safetensors::open(folder.path()), &folder.path().join(second));
    assert!(text.starts_with("tensor `a` is also in ") && text.contains(first), "{text}");

    for (json, says) in [
        (
            r#"{"weight_map":{"a":"../x"}}"#,
            "the index puts tensor `a` in `../x`, which is not a file of its folder",
        ),
        (r#"{"weight_map":{"a":"x","a":"y"}}"#, "the index is wrong: `a` is there twice"),
        (r#"{"weight_map":{}}"#, "the index names no tensors"),
        (
            r#"{"weight_map":[1]}"#,
            "the index is wrong: `weight_map` is a list where an object of texts belongs",
        ),
        ("{}", "the index is wrong: `weight_map` is missing"),
        ("<html>", "the index is wrong: expected value"),
        ("", "the file is empty"),
    ] {
        write(json);
        let text = message(safetensors::open(folder.path()), &index);
        assert!(text.starts_with(says), "{text}");
    }
    let folder = sharded();
    std::fs::write(folder.path().join(first), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let text = message(safetensors::open(folder.path()), &folder.path().join(first));
    assert!(text.starts_with("this is a git-lfs pointer"), "{text}");
}

#[test]
fn one_file_of_another_name_is_enough_but_one_shard_is_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("safetensors/all.safetensors"), folder.path().join("weights.safetensors")).unwrap();
    assert_eq!(safetensors::open(folder.path()).unwrap().len(), 17);
    let folder = sharded();
    std::fs::remove_file(folder.path().join("model.safetensors.index.json")).unwrap();
    let text = message(safetensors::open(folder.path()), folder.path());
    assert!(text.starts_with("the folder has several .safetensors files"), "{text}");
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let text = message(safetensors::open(folder.path()), folder.path());
    assert!(text.contains("no model.safetensors.index.json"), "{text}");
}

fn forged(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

#[track_caller]
fn says(file: Vec<u8>, expected: &str) {
    let text = message(safetensors::from_bytes(Bytes::from_vec(file), Path::new(PATH)), Path::new(PATH));
    assert!(text.starts_with(expected), "{text}\nshould start with\n{expected}");
}

#[test]
fn headers_are_not_believed() {
    let one = |dtype: &str, shape: &str, offsets: &str, data| {
        forged(&format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#), data)
    };
    assert!(safetensors::from_bytes(one("F32", "[2]", "[0,8]", 8).into(), Path::new(PATH)).is_ok());
    says(
        one("F32", "[2]", "[0,8]", 5),
        "tensor `w` ends at byte 70 of a file of 67 bytes; the download was cut short; fetch it again",
    );
    says(
        one("F32", "[2]", "[0,8]", 9),
        "the safetensors header leaves 1 bytes at the end of the file to no tensor",
    );
    says(one("F32", "[2]", "[0,4]", 4), "tensor `w`: shape (2) of F32 does not fill 4 bytes");
    says(one("F32", "[2]", "[4,12]", 12), "tensor `w`: it starts at offset 4, and 0 was expected");
    says(one("F32", "[2]", "[8,0]", 8), "tensor `w`: it starts at offset 8, and 0 was expected");
    let huge = "[18446744073709551615,2]";
    says(one("F32", huge, "[0,8]", 8), "tensor `w`: its shape (18446744073709551615, 2) is too large");
    says(
        one("F32", "[2]", "[0,18446744073709551615]", 8),
        "tensor `w` ends at byte 18,446,744,073,709,551,615",
    );
    says(one("F4", "[3]", "[0,1]", 1), "tensor `w`: its shape (3) is too large");
    says(one("Q9", "[1]", "[0,1]", 1), "the safetensors header is wrong: unknown variant `Q9`");
    says(
        one("F32", "[-1]", "[0,8]", 8),
        "the safetensors header is wrong: `w.shape[0]` is -1 where a whole number",
    );
    let twice = r#"{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#;
    says(forged(twice, 0), "the safetensors header is wrong: `w` is there twice");
    says(forged("{", 0), "the safetensors header is wrong: it ends in the middle");
    says(forged(&("{\"a\":".repeat(100_000)), 0), "the safetensors header is wrong");

    let mut long = forged("{}", 0);
    long[..8].copy_from_slice(&100_000_000u64.to_le_bytes());
    says(
        long.clone(),
        "the header needs 100,000,000 bytes at byte 8 of a file of 10 bytes; the download was cut",
    );
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    says(long, "this is neither GGUF nor safetensors");
    says(vec![1, 0, 0], "the length of the header needs 8 bytes at byte 0 of a file of 3 bytes");
    says(b"<html>".to_vec(), "this is a web page");
}

#[test]
fn a_file_may_end_anywhere() {
    let whole = std::fs::read(fixture("safetensors/all.safetensors")).unwrap();
    for length in 0..whole.len() {
        let cut = safetensors::from_bytes(Bytes::from_vec(whole[..length].to_vec()), Path::new(PATH));
        message(cut, Path::new(PATH));
    }
}

#[test]
fn writes_what_it_reads_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let original = safetensors::open(&fixture("safetensors/all.safetensors")).unwrap();
    let text: Vec<(String, String)> =
        ["format", "b", "a", "c"].map(|k| (k.to_owned(), "pt".to_owned())).into();
    let write = |name: &str| {
        let path = folder.path().join(name);
        let spec = |t: &sai_formats::Tensor| TensorSpec {
            name: t.name.clone(),
            dtype: t.dtype,
            shape: t.shape.clone(),
        };
        let mut writer = safetensors::create(&path, &text, original.iter().map(spec).collect()).unwrap();
        while let Some(spec) = writer.next_tensor() {
            let data = original.get(&spec.name).unwrap().data.clone();
            writer.write(&data).unwrap();
        }
        writer.finish().unwrap();
        path
    };
    let (first, second) = (write("first"), write("second"));
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    let again = safetensors::open(&first).unwrap();
    assert_eq!(again.len(), original.len());
    for tensor in &original {
        let same = again.get(&tensor.name).unwrap();
        assert_eq!((same.dtype, &same.shape, &same.data), (tensor.dtype, &tensor.shape, &tensor.data));
        let width = tensor.dtype.block_bytes();
        assert!((same.data.as_ptr() as usize).is_multiple_of(width), "{} is not aligned", same.name);
    }
    let q4 = TensorSpec { name: "q".into(), dtype: DType::Q4_0, shape: vec![32] };
    let path = folder.path().join("q");
    let text = message(safetensors::create(&path, &[], vec![q4]), &path);
    assert!(text.starts_with("tensor `q` is of type Q4_0, which safetensors does not have"), "{text}");
}
