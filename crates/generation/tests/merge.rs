//! An adapter of the `peft` library in a folder's weights, against `merge_and_unload`.

use sai_formats::{DType, safetensors};
use sai_generation::convert::FolderModel;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../decoder/tests/fixtures").join(name)
}

#[test]
fn a_merged_folder_is_pefts() {
    let home = tempfile::tempdir().unwrap();
    for (name, base, dtype) in [("all", "untied", None), ("patterns", "tied", Some(DType::BF16))] {
        let base = fixture(&format!("training/{base}"));
        let target = home.path().join(name);
        let mut model = FolderModel::merged(&base, &fixture(&format!("adapters/{name}")), dtype).unwrap();
        // Several files under an index.
        model.shard_bytes = model.bytes() / 2;
        assert!(model.write(&target, false, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
        let config = std::fs::read_to_string(target.join("config.json")).unwrap();
        match dtype {
            None => assert_eq!(config, std::fs::read_to_string(base.join("config.json")).unwrap()),
            Some(_) => assert!(config.contains("bfloat16"), "{config}"),
        }
        let got = safetensors::open(&target).unwrap();
        let want = safetensors::open(&fixture(&format!("adapters/{name}/merged.safetensors"))).unwrap();
        assert_eq!(got.len(), safetensors::open(&base).unwrap().len());
        for want in want.iter() {
            let found = got.get(&want.name).unwrap();
            assert_eq!(found.dtype, dtype.unwrap_or(DType::F32));
            let largest = want.to_f32().unwrap().iter().fold(0.0f32, |a, b| a.max(b.abs()));
            for (a, b) in found.to_f32().unwrap().iter().zip(want.to_f32().unwrap()) {
                let rounding = if dtype.is_some() { largest / 128.0 } else { 1e-6 };
                assert!((a - b).abs() <= rounding, "{}: {a} {b}", want.name);
            }
        }
    }
    // What the adapter was trained with comes along, but for the description.
    let adapter = home.path().join("adapter");
    std::fs::create_dir(&adapter).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(fixture("adapters/all").join(name), adapter.join(name)).unwrap();
    }
    for name in ["chat_template.jinja", "generation_config.json", "config.json"] {
        std::fs::write(adapter.join(name), "{}").unwrap();
    }
    let base = fixture("training/untied");
    let (model, target) = (FolderModel::merged(&base, &adapter, None).unwrap(), home.path().join("own"));
    assert!(model.write(&target, false, &mut |_| ControlFlow::Continue(())).unwrap().is_continue());
    let read = |folder: &std::path::Path, name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!([read(&target, "chat_template.jinja"), read(&target, "generation_config.json")], ["{}", "{}"]);
    assert_eq!(read(&target, "config.json"), read(&base, "config.json"));
    let refused = sai_decoder::Config::open(&fixture("adapters/all")).err().unwrap().to_string();
    assert!(
        refused.contains("has an adapter (LoRA) and no model") && refused.contains("sai merge"),
        "{refused}"
    );

    let refused =
        FolderModel::merged(&fixture("training/tied"), &fixture("adapters/all"), None).err().unwrap();
    assert!(refused.to_string().contains("another model"), "{refused}");
    let stopped = FolderModel::merged(&fixture("training/untied"), &fixture("adapters/all"), None).unwrap();
    let target = home.path().join("stopped");
    assert!(stopped.write(&target, false, &mut |_| ControlFlow::Break(())).unwrap().is_break());
    assert!(!target.exists());
}
