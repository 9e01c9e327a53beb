//! GGUF files: golden ones, round trips, and every way in which a header can lie.

mod common;

use std::path::Path;

use common::{fixture, fnv, message};
use sai_formats::gguf::{self, Array, Gguf, Value, ValueType};
use sai_formats::{Bytes, DType, Error, Tensor, TensorSpec};
use serde_json::Value as Json;

fn expected() -> Json {
    serde_json::from_slice(&std::fs::read(fixture("gguf/expected.json")).unwrap()).unwrap()
}

fn assert_holds(tensor: &Tensor, expected: &Json) {
    assert_eq!(tensor.dtype.name(), expected["dtype"].as_str().unwrap(), "{}", tensor.name);
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(tensor.shape, shape, "{}", tensor.name);
    assert_eq!(fnv(&tensor.data), expected["fnv"].as_str().unwrap(), "{}", tensor.name);
}

/// A value as the fixture's JSON has it.
fn json(value: &Value) -> Json {
    match value {
        Value::Bool(x) => (*x).into(),
        Value::String(x) => x.as_str().into(),
        Value::Array(x) => x.iter().map(|v| json(&v)).collect(),
        Value::U64(x) => (*x).into(),
        Value::F32(x) => (*x).into(),
        Value::F64(x) => (*x).into(),
        integer => Json::from(i64::try_from(integer.as_integer().unwrap()).unwrap()),
    }
}

#[test]
fn reads_what_the_python_package_writes() {
    let expected = expected();
    for (name, version) in [("gguf/v2.gguf", 2), ("gguf/v3.gguf", 3)] {
        let gguf = Gguf::open(&fixture(name)).unwrap();
        assert_eq!(gguf.version, version);
        assert_eq!(gguf.metadata.str("general.architecture").unwrap(), Some("llama"));
        let keys: Vec<&str> = gguf.metadata.keys().filter(|k| k.starts_with("t.")).collect();
        let metadata = expected["metadata"].as_object().unwrap();
        assert_eq!(keys, metadata.keys().collect::<Vec<_>>());
        for (key, value) in metadata {
            assert_eq!(&json(gguf.metadata.get(key).unwrap()), value, "{key}");
        }
        let tensors = expected["tensors"].as_array().unwrap();
        assert_eq!(gguf.tensors.len(), tensors.len());
        for (tensor, expected) in gguf.tensors.iter().zip(tensors) {
            assert_eq!(tensor.name, expected["name"].as_str().unwrap());
            assert_holds(gguf.tensors.get(&tensor.name).unwrap(), expected);
            let numbers = tensor.to_f32();
            assert_eq!(numbers.is_ok(), tensor.dtype.is_known());
        }
        assert_eq!(gguf.tensors.get("vector").unwrap().to_f32().unwrap(), [0., 1., 2., 3., 4., 5., 6.]);
    }
}

#[test]
fn getters_convert_what_fits_and_name_what_does_not() {
    let path = fixture("gguf/v3.gguf");
    let m = Gguf::open(&path).unwrap().metadata;
    assert_eq!(m.u32("t.u8").unwrap(), Some(255));
    assert_eq!(m.u64("t.u64").unwrap(), Some(u64::MAX));
    assert_eq!(m.i64("t.i8").unwrap(), Some(-128));
    assert_eq!(m.f32("t.f64").unwrap(), Some(0.1));
    assert_eq!(m.bool("t.bool").unwrap(), Some(true));
    assert_eq!(m.str("nowhere").unwrap(), None);
    assert_eq!(m.strings("t.strings").unwrap().unwrap(), ["", "한글", "<|endoftext|>", "Ġa"]);
    assert_eq!(m.i32s("t.i16s").unwrap().unwrap(), [-3, 4]);
    assert_eq!(m.u32s("t.u8s").unwrap().unwrap(), [0, 1, 255]);
    assert_eq!(m.f32s("t.f32s").unwrap().unwrap(), [0.25, -1.0, 3.0]);
    assert_eq!(m.bools("t.bools").unwrap().unwrap(), [true, false]);
    for (text, says) in [
        (message(m.u32("t.i32"), &path), "an unsigned 32-bit number was expected and i32 -2147483648 found"),
        (
            message(m.u32("t.u64"), &path),
            "an unsigned 32-bit number was expected and u64 18446744073709551615 found",
        ),
        (message(m.str("t.u8"), &path), "text was expected and u8 255 found"),
        (message(m.u64("t.string"), &path), "an unsigned 64-bit number was expected and text found"),
        (message(m.strings("t.u8s"), &path), "an array of text was expected and an array of u8 found"),
        (
            message(m.u32s("t.i32s"), &path),
            "an array of unsigned 32-bit numbers was expected and an array of i32 found",
        ),
        (message(m.f32s("t.f32"), &path), "an array of floats was expected and f32 0.5 found"),
    ] {
        assert!(text.starts_with("metadata key `t.") && text.contains(says), "{text}");
    }
    assert!(m.missing("llama.block_count").to_string().contains("`llama.block_count`: it is missing"));
}

#[test]
fn names_versions_and_byte_orders_that_it_does_not_read() {
    for (name, says) in [
        ("gguf/v1.gguf", "GGUF version 1 is not readable (versions 2 and 3 are); convert the model again"),
        ("gguf/big_endian.gguf", "this GGUF file (version 3) is big-endian"),
    ] {
        let text = message(Gguf::open(&fixture(name)), &fixture(name));
        assert!(text.starts_with(says), "{text}");
    }
}

#[test]
fn writes_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.gguf");
    let original = Gguf::open(&fixture("gguf/v3.gguf")).unwrap();
    let metadata: Vec<_> = original.metadata.iter().map(|(k, v)| (k.to_owned(), v.clone())).collect();
    let specs = original.tensors.iter().map(|t| TensorSpec {
        name: t.name.clone(),
        dtype: t.dtype,
        shape: t.shape.clone(),
    });
    std::fs::write(&path, "an older file").unwrap();
    let mut writer = gguf::create(&path, &metadata, specs.collect()).unwrap();
    while let Some(spec) = writer.next_tensor() {
        let data = &original.tensors.get(&spec.name).unwrap().data;
        let (head, tail) = data.split_at(data.len() / 3);
        writer.write(head).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"an older file");
        writer.write(tail).unwrap();
    }
    writer.finish().unwrap();
    // Their package pads and orders as we do, so the files are the same byte for byte.
    assert!(std::fs::read(&path).unwrap() == std::fs::read(fixture("gguf/v3.gguf")).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_writer_that_is_not_fed_right_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let spec =
        |name: &str, dtype, shape: &[usize]| TensorSpec { name: name.into(), dtype, shape: shape.into() };
    let one = || vec![spec("a", DType::F32, &[2])];
    let start = |specs| gguf::create(&path, &[], specs);

    let text = message(start(one()).unwrap().finish(), &path);
    assert_eq!(text, "tensor `a` lacks 8 bytes; nothing was written");
    let text = message(start(one()).unwrap().write(&[0; 9]), &path);
    assert_eq!(text, "tensor `a` was given 1 bytes more than its shape holds; nothing was written");
    let mut full = start(one()).unwrap();
    full.write(&[0; 8]).unwrap();
    assert_eq!(message(full.write(&[0]), &path), "1 bytes came after the last tensor; nothing was written");
    drop(full);
    let i64s = DType::from_name("U64").unwrap();
    for (specs, says) in [
        (vec![spec("a", DType::F32, &[2]); 2], "tensor `a` is given twice"),
        (vec![spec("a", DType::Q4_0, &[32, 33])], "tensor `a` of shape [32, 33] does not fill Q4_0 blocks"),
        (vec![spec("a", DType::F32, &[usize::MAX, 2])], "does not fill F32 blocks"),
        (vec![spec("a", i64s, &[2])], "is of type U64, which GGUF does not have"),
        (vec![spec("a", DType::F32, &[1, 1, 1, 1, 1])], "GGUF has no room for tensor `a`"),
        (vec![spec("a", DType::F32, &[0, 1])], "GGUF has no room for tensor `a`"),
    ] {
        let text = message(start(specs), &path);
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file was left");
    let nowhere = folder.path().join("no/such/m.gguf");
    assert!(
        message(gguf::create(&nowhere, &[], vec![]), &nowhere)
            .starts_with("could not create a file beside it")
    );
}

/// A GGUF file built byte by byte, so that it can lie.
#[derive(Clone, Default)]
struct Forged {
    entries: Vec<u8>,
    entry_count: u64,
    infos: Vec<u8>,
    tensor_count: u64,
    data: usize,
}

impl Forged {
    fn entry(mut self, key: &[u8], kind: u32, value: &[u8]) -> Forged {
        self.entries.extend((key.len() as u64).to_le_bytes());
        self.entries.extend(key);
        self.entries.extend(kind.to_le_bytes());
        self.entries.extend(value);
        self.entry_count += 1;
        self
    }

    fn tensor(mut self, name: &[u8], dimensions: &[u64], dtype: u32, offset: u64) -> Forged {
        self.infos.extend((name.len() as u64).to_le_bytes());
        self.infos.extend(name);
        self.infos.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|d| self.infos.extend(d.to_le_bytes()));
        self.infos.extend(dtype.to_le_bytes());
        self.infos.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    fn data(mut self, bytes: usize) -> Forged {
        self.data = bytes;
        self
    }

    fn open(&self) -> Result<Gguf, Error> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(self.tensor_count.to_le_bytes());
        file.extend(self.entry_count.to_le_bytes());
        file.extend(&self.entries);
        file.extend(&self.infos);
        if self.data > 0 {
            file.resize(file.len().next_multiple_of(32) + self.data, 0);
        }
        Gguf::from_bytes(Bytes::from_vec(file), Path::new("m.gguf"))
    }

    #[track_caller]
    fn says(&self, expected: &str) {
        let text = message(self.open(), Path::new("m.gguf"));
        assert!(text.starts_with(expected), "{text}\nshould start with\n{expected}");
    }
}

#[test]
fn counts_and_lengths_are_not_believed() {
    let mut many = Forged { entry_count: 1 << 60, ..Forged::default() };
    many.says(
        "the list of 1152921504606846976 metadata entries needs 14,987,979,559,889,010,688 bytes at byte 24",
    );
    many.entry_count = u64::MAX;
    many.says("the list of 18446744073709551615 metadata entries needs");
    Forged { tensor_count: 1 << 60, ..Forged::default() }
        .says("the list of 1152921504606846976 tensors needs");

    let huge = (1u64 << 60).to_le_bytes();
    let array = |element: u32, count: u64| [&element.to_le_bytes()[..], &count.to_le_bytes()].concat();
    Forged::default().entry(b"k", 8, &huge).says(
        "the value of metadata key `k` needs 1,152,921,504,606,846,976 bytes at byte 45 of a file of 45 bytes; the \
         download was cut short",
    );
    for element in [0, 7, 8, 9, 12] {
        for count in [1, 1 << 60, u64::MAX] {
            Forged::default()
                .entry(b"k", 9, &array(element, count))
                .says("the value of metadata key `k` needs");
        }
    }
    let mut key = Forged { entries: huge.to_vec(), entry_count: 1, ..Forged::default() };
    key.entries.extend([0; 16]);
    key.says(
        "the key of metadata entry 0 needs 1,152,921,504,606,846,976 bytes at byte 32 of a file of 48 bytes",
    );
    let mut name = Forged { infos: huge.to_vec(), tensor_count: 1, ..Forged::default() };
    name.infos.extend([0; 16]);
    name.says("the name of tensor 0 needs 1,152,921,504,606,846,976 bytes at byte 32");
}

#[test]
fn metadata_is_checked() {
    let forged = Forged::default;
    forged().entry(b"k", 13, &[0; 8]).says("metadata key `k`: there is no value type 13");
    forged().entry(b"k", 7, &[2]).says("metadata key `k`: a boolean is 2");
    forged().entry(b"k", 4, &[0; 4]).entry(b"k", 4, &[0; 4]).says("metadata key `k`: it is there twice");
    forged().entry(b"\xff\n", 0, &[0]).says("metadata key `\u{fffd}\\n`: its text is not UTF-8");
    forged().entry(b"k", 8, b"\x01\0\0\0\0\0\0\0\xff").says("metadata key `k`: its text is not UTF-8");
    forged()
        .entry(b"general.alignment", 4, &48u32.to_le_bytes())
        .says("metadata key `general.alignment`: an alignment of 48 is not a power of two");
    forged()
        .entry(b"general.alignment", 4, &[0; 4])
        .says("metadata key `general.alignment`: an alignment of 0");
    forged()
        .entry(b"general.alignment", 8, &[0; 8])
        .says("metadata key `general.alignment`: an unsigned 32-bit");
    let mut deep = Vec::new();
    for _ in 0..200_000 {
        deep.extend([9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }
    forged().entry(b"k", 9, &deep).says("metadata key `k`: arrays are nested deeper than 8");
    let bools = [7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 9];
    forged().entry(b"k", 9, &bools).says("metadata key `k`: a boolean is 9");
    forged()
        .entry(b"split.no", 2, &[1, 0])
        .entry(b"split.count", 2, &[3, 0])
        .says("this is part 2 of a model split over 3 GGUF files");
    let broken = Array::from_strings(&[&b"ok"[..], b"\xff"]);
    let metadata =
        gguf::Metadata::new(Path::new("m.gguf"), vec![("k".into(), Value::Array(broken))]).unwrap();
    let text = message(metadata.strings("k"), Path::new("m.gguf"));
    assert!(text.starts_with("metadata key `k`: the text of its element 1 is not UTF-8"), "{text}");
    assert!(Array::from_values(ValueType::U8, &[Value::U8(1), Value::I8(1)]).is_none());
}

#[test]
fn tensors_are_checked() {
    let forged = Forged::default;
    let good = forged().tensor(b"w", &[4, 3], 0, 0).data(48).open().unwrap();
    assert_eq!(good.tensors.get("w").unwrap().shape, [3, 4]);
    assert_eq!(
        forged().tensor(b"s", &[], 0, 0).data(4).open().unwrap().tensors.get("s").unwrap().elements(),
        1
    );

    forged().tensor(b"blk.3.ffn_up.weight", &[4, 3], 0, 0).data(47).says(
        "tensor `blk.3.ffn_up.weight` ends at byte 144 of a file of 143 bytes; the download was cut short; fetch it again",
    );
    forged().tensor(b"w", &[4], 0, 1 << 63).data(16).says("tensor `w` ends at byte 9,223,372,036,854,775,8");
    forged()
        .tensor(b"w", &[4], 0, u64::MAX - 31)
        .data(16)
        .says("tensor `w` ends at byte 18,446,744,073,709,551,615");
    forged()
        .tensor(b"w", &[4], 0, 4)
        .data(64)
        .says("tensor `w`: it starts at offset 4, which 32 does not divide");
    forged().tensor(b"w", &[1; 5], 0, 0).says("tensor `w`: it has 5 dimensions");
    Forged { infos: [&[0; 8][..], &[255; 20]].concat(), tensor_count: 1, ..forged() }
        .says("tensor ``: it has 4294967295 dimensions");
    forged().tensor(b"w", &[0, 4], 0, 0).says("tensor `w`: its shape (4, 0) has a zero");
    forged()
        .tensor(b"w", &[1 << 32, 1 << 32], 0, 0)
        .says("tensor `w`: its shape (4294967296, 4294967296) is too large");
    forged().tensor(b"w", &[1 << 62], 0, 0).says("tensor `w`: its shape (4611686018427387904) is too large");
    forged()
        .tensor(b"w", &[33, 32], 2, 0)
        .says("tensor `w`: rows of 33 do not divide into Q4_0 blocks of 32");
    forged().tensor(b"w", &[32], 4, 0).says("tensor `w`: its element type Q4_2 was withdrawn from GGML");
    forged().tensor(b"w", &[32], 99, 0).says("tensor `w`: there is no element type 99");
    let two = |a: &[u8], b: &[u8], at| forged().tensor(a, &[16], 0, 0).tensor(b, &[16], 0, at).data(128);
    assert_eq!(two(b"a", b"b", 64).open().unwrap().tensors.total_bytes(), 128);
    two(b"a", b"a", 64).says("tensor `a`: it is there twice");
    two(b"a", b"b", 32).says("tensor `b`: it overlaps tensor `a`");
    two(b"a", b"b", 0).says("tensor `b`: it overlaps tensor `a`");
}

#[test]
fn a_file_may_end_anywhere() {
    let whole = std::fs::read(fixture("gguf/v3.gguf")).unwrap();
    for length in 0..whole.len() {
        let cut = Gguf::from_bytes(Bytes::from_vec(whole[..length].to_vec()), Path::new("m.gguf"));
        // Only the padding after the last tensor may be missing.
        if length + 32 <= whole.len() {
            message(cut, Path::new("m.gguf"));
        }
    }
}
