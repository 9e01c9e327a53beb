//! A saved prompt cache gives the answer that a fresh session gives, or is refused.

mod tiny;

use sai_generation::{CacheType, Event, LoadOptions, Model, Request, Sampling, Session};
use std::ops::ControlFlow;
use std::path::Path;

fn options() -> LoadOptions {
    LoadOptions { threads: 1, ..LoadOptions::default() }
}

fn prompt() -> Vec<u32> {
    (0..75).map(|i| i * 7 % 61).collect()
}

/// Greedy text, and how much of the prompt was there.
fn say(session: &mut Session<'_>, prompt: &[u32]) -> (Vec<u32>, usize) {
    let request = Request { sampling: Sampling::greedy(), max_new_tokens: 12, ..Request::default() };
    let go_on = &mut |_: Event<'_>| ControlFlow::Continue(());
    let completion = session.generate(prompt, &request, go_on).unwrap();
    (completion.tokens, completion.usage.cached_tokens)
}

fn saved(model: &Model, file: &Path) -> Vec<u32> {
    let mut session = Session::new(model).unwrap();
    let (text, _) = say(&mut session, &prompt());
    session.save(file).unwrap();
    text
}

#[test]
fn what_was_computed_is_not_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    for cache_type in [CacheType::F16, CacheType::F32, CacheType::Q8_0] {
        let model = tiny::open(1, &LoadOptions { cache_type, ..options() });
        let text = saved(&model, &file);
        // As another process has it: the same files, opened again.
        let model = tiny::open(1, &LoadOptions { cache_type, ..options() });
        let mut session = Session::new(&model).unwrap();
        assert_eq!(session.load(&file).unwrap(), prompt().len() + text.len() - 1);
        assert_eq!(say(&mut session, &prompt()), (text, prompt().len() - 1), "{cache_type:?}");

        // A prompt that departs within a page shares what comes before.
        let other: Vec<u32> = prompt()[..40].iter().copied().chain([3, 1, 4, 1, 5]).collect();
        session.load(&file).unwrap();
        let (text, cached) = say(&mut session, &other);
        assert_eq!((text, cached), (say(&mut Session::new(&model).unwrap(), &other).0, 40));
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left beside the file: {left:?}");
}

#[test]
fn another_model_and_other_settings_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache");
    let model = tiny::open(1, &options());
    saved(&model, &file);
    for (model, fact) in [
        (tiny::open(2, &options()), "another model"),
        (tiny::open(1, &LoadOptions { cache_type: CacheType::F32, ..options() }), "as F16, not F32"),
        (tiny::open(1, &LoadOptions { context: Some(128), ..options() }), "256 tokens, not 128"),
    ] {
        let mut session = Session::new(&model).unwrap();
        let error = session.load(&file).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: the prompt cache ", file.display())), "{error}");
        assert!(error.contains(fact), "{error}");
        assert_eq!(session.context_used(), 0);
    }
    // The same weights whose positions turn otherwise.
    let stretched = folder.path().join("stretched");
    tiny::write(&stretched, 1);
    let config = std::fs::read_to_string(stretched.join("config.json")).unwrap();
    let config = config.replacen('{', r#"{"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "#, 1);
    std::fs::write(stretched.join("config.json"), config).unwrap();
    let stretched = Model::open(&stretched, &options()).unwrap();
    let error = Session::new(&stretched).unwrap().load(&file).unwrap_err().to_string();
    assert!(error.contains("another model"), "{error}");

    let mut session = Session::new(&model).unwrap();
    for (path, fact) in [("nothing", "cannot be read"), ("", "cannot be read")] {
        let error = session.load(&folder.path().join(path)).unwrap_err().to_string();
        assert!(error.contains(fact), "{error}");
    }
    let error = session.save(&folder.path().join("no/folder/cache")).unwrap_err().to_string();
    assert!(error.contains("cannot be written"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_wherever_the_damage_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, broken) = (folder.path().join("cache"), folder.path().join("broken"));
    let model = tiny::open(1, &options());
    let text = saved(&model, &file);
    let bytes = std::fs::read(&file).unwrap();
    let mut session = Session::new(&model).unwrap();
    let mut refuse = |bytes: &[u8], what: &str| {
        std::fs::write(&broken, bytes).unwrap();
        let error = session.load(&broken).expect_err(what).to_string();
        assert!(error.contains("broken: the prompt cache ") && error.lines().count() == 1, "{what}: {error}");
        assert_eq!(session.context_used(), 0, "{what}");
    };

    // Every byte of the header, the facts and the tokens, some of the pages, and every byte of the sum.
    let facts_end = 24 + usize::from(u16::from_le_bytes([bytes[20], bytes[21]]));
    // The last token of an answer is not computed.
    let head = facts_end + 4 * (prompt().len() + text.len() - 1);
    let pages = (head..bytes.len() - 32).step_by(997);
    for at in (0..head).chain(pages).chain(bytes.len() - 32..bytes.len()) {
        for flip in [0x01, 0x80] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            refuse(&bytes, &format!("byte {at} ^ {flip:#x}"));
        }
    }
    for length in (0..head).step_by(7).chain((head..bytes.len()).step_by(1999)).chain([bytes.len() - 1]) {
        refuse(&bytes[..length], &format!("cut to {length}"));
    }
    refuse(&[&bytes[..], &[0]].concat(), "a byte too many");
    // Facts that ask for more than there is.
    let facts = |text: &str| [&bytes[..20], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    refuse(&facts("{}"), "no facts");
    refuse(&[&bytes[..20], &u32::MAX.to_le_bytes()].concat(), "endless facts");
    let own = std::str::from_utf8(&bytes[24..facts_end]).unwrap();
    for (field, value) in [("tokens", u64::MAX), ("pages", u64::MAX), ("page_bytes", 1), ("tokens", 257)] {
        let mut changed: serde_json::Value = serde_json::from_str(own).unwrap();
        changed[field] = value.into();
        refuse(&facts(&changed.to_string()), field);
    }
    // After all that, the session is as good as new.
    assert_eq!(say(&mut session, &prompt()), (text, 0));
}

#[test]
fn what_is_no_cache_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny::open(1, &options());
    let mut session = Session::new(&model).unwrap();
    say(&mut session, &prompt());
    let notes = folder.path().join("notes");
    for contents in ["notes of a year", "sai prompt", "sai prompt cachd of another kind"] {
        std::fs::write(&notes, contents).unwrap();
        let error = session.save(&notes).unwrap_err().to_string();
        assert!(error.contains("no prompt cache of sai; choose another name"), "{error}");
        assert_eq!(std::fs::read_to_string(&notes).unwrap(), contents);
    }
    assert!(session.save(folder.path()).is_err());
    // Nothing, and a cache of whatever version, give way.
    for contents in ["", "sai prompt cache of a later version"] {
        std::fs::write(&notes, contents).unwrap();
        session.save(&notes).unwrap();
        assert!(Session::new(&model).unwrap().load(&notes).is_ok());
    }
}
