//! Whole builds on pages that are made: what stays, what goes, and that nothing depends on threads, shares or interruptions.

mod made;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sai_corpus::{Manifest, Options, Outcome, Plan, Recipe, Step};
use sai_documents::{Columns, Reader};

const SAMPLE: &str = include_str!("../../../recipes/corpus-sample.toml");

/// A folder with pages, and a recipe beside them.
struct Place(tempfile::TempDir);

impl Place {
    fn new(size: usize) -> Place {
        let folder = tempfile::tempdir().unwrap();
        made::pages(&folder.path().join("pages"), size);
        fs::create_dir(folder.path().join("recipes")).unwrap();
        Place(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self, recipe: &str, out: &str) -> Plan {
        let path = self.at("recipes/r.toml");
        let recipe = Recipe::parse(recipe, &path).unwrap();
        let none = &mut |_: &sai_corpus::Source| unreachable!("nothing is of the Hub");
        Plan::new(recipe, &self.at("recipes"), &self.at(out), none).unwrap()
    }

    fn build(&self, recipe: &str, out: &str) -> Manifest {
        whole(&self.plan(recipe, out), &options(2))
    }
}

fn options(threads: usize) -> Options {
    Options { threads, memory: 256 << 20, share: (0, 1), ..Options::default() }
}

fn whole(plan: &Plan, options: &Options) -> Manifest {
    match plan.build(options, &|_| ControlFlow::Continue(())).unwrap() {
        Outcome::Whole(manifest) => *manifest,
        other => panic!("{other:?}"),
    }
}

struct Read {
    text: String,
    url: String,
    lang: String,
    source: String,
    license: String,
}

fn read(folder: &Path) -> Vec<Read> {
    let files = sai_documents::find(&[folder.to_string_lossy()]).unwrap();
    let columns = Columns { license: Some("license".into()), url: Some("url".into()), ..Columns::default() };
    let own = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for batch in Reader::open(files, sai_documents::Options { columns, ..Default::default() }).unwrap() {
        for d in batch.unwrap().documents() {
            let (url, lang, source, license) = (own(d.url), own(d.lang), own(d.source), own(d.license));
            all.push(Read { text: d.text.to_owned(), url, lang, source, license });
        }
    }
    all
}

/// The bytes of all that a build gives away, by name.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file());
    files
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn the_sample_recipe_makes_a_clean_corpus_of_every_kind_of_source() {
    let place = Place::new(30);
    let manifest = place.build(SAMPLE, "corpus");
    let documents = read(&place.at("corpus"));
    assert_eq!(manifest.written.documents, documents.len() as u64);
    let dropped = |reason: &str| -> u64 {
        let all = manifest.flow.iter().flat_map(|flow| &flow.dropped);
        all.filter(|(name, _)| name == reason).map(|(_, count)| count.documents).sum()
    };
    // Every source is there, and says its licence.
    for (source, license) in
        [("crawl", ""), ("magazine", "CC-BY-4.0"), ("wiki", "CC-BY-SA-4.0"), ("made/notes", "CC-BY-4.0")]
    {
        let of = documents.iter().filter(|d| d.source == source);
        assert!(of.clone().count() > 5, "{source}: {}", of.count());
        assert!(of.into_iter().all(|d| d.license == license), "{source}");
    }
    // The mirror's pages and the site's are nearly those of the crawl and the magazine, which come first.
    assert!(documents.iter().all(|d| d.source != "site" && !d.url.contains("mirror.example")));
    assert!(manifest.duplicates.near.documents >= 15, "{:?}", manifest.duplicates);
    assert!(manifest.duplicates.largest[0].size >= 2);
    // What the host says on every page is cut, personal data is masked, spam and pages of the frame are gone.
    let text: String = documents.iter().map(|d| d.text.as_str()).collect();
    assert!(!text.contains("친구에게 보내려면"), "a line that the host repeats");
    assert!(!text.contains("test.person@mail.example") && text.contains("<EMAIL_ADDRESS>"));
    assert!(!text.contains("바카라") && !text.contains("All rights reserved"));
    assert!(documents.iter().any(|d| d.url == "https://wiki.example/wiki/문서_1"));
    assert_eq!(dropped("no article"), 2, "a redirect and a discussion");
    // Damage is counted and costs itself alone.
    let faults = &manifest.rules.faults;
    let of = |kind: &str| faults.broken.get(kind).copied().unwrap_or(0);
    let damaged = of("a compressed member ends before its end") + of("a compressed member is damaged");
    assert!(damaged > 0, "{faults:?}");
    assert_eq!(faults.passed_over["a document whose text is null"], 1);
    assert_eq!(faults.broken["a line or row that is no document"], 1);
    assert!(
        documents.iter().any(|d| d.url == "https://news.example/last"),
        "the record behind the damaged one"
    );
    // Counts fit together.
    let flow: Vec<u64> = manifest.flow.iter().map(|flow| flow.left.documents).collect();
    let gone = |at: usize| manifest.flow[at].dropped.iter().map(|(_, count)| count.documents).sum::<u64>();
    (1..flow.len()).for_each(|at| assert_eq!(flow[at] + gone(at), flow[at - 1], "{:?}", manifest.flow[at]));
    assert_eq!(flow[4], manifest.written.documents);
    assert!(documents.iter().all(|d| ["ko", "en"].contains(&d.lang.as_str())));
    let report = sai_corpus::report(&manifest, "sample <corpus>");
    assert!(
        report.contains("sample &lt;corpus&gt;") && report.contains("<svg") && !report.contains("<script")
    );
    // Nothing in it points anywhere, but as text of a page.
    assert!(!report.contains("src=") && !report.contains("href=") && !report.contains("url("));
}

#[test]
fn threads_shares_and_memory_change_no_bit() {
    let place = Place::new(12);
    let recipe = SAMPLE.replace("128MB", "64KiB");
    place.build(&recipe, "one");
    let wanted = bytes(&place.at("one"));
    assert!(wanted.len() > 3, "several shards: {:?}", wanted.keys());
    whole(&place.plan(&recipe, "many"), &Options { threads: 7, memory: 1 << 20, ..options(1) });
    assert_eq!(bytes(&place.at("many")), wanted);
    // As the tasks of a scheduler do it.
    let plan = place.plan(&recipe, "shares");
    let step = |only, share| {
        plan.build(&Options { only: Some(only), share, ..options(1) }, &|_| ControlFlow::Continue(()))
            .unwrap()
    };
    for share in [2, 0, 1] {
        let done = step(Step::Map, (share, 3));
        assert!(matches!(done, Outcome::Part { .. }), "{done:?}");
    }
    assert!(matches!(step(Step::Keys, (0, 1)), Outcome::Part { step: Step::Write, .. }));
    assert!(matches!(step(Step::Write, (1, 2)), Outcome::Part { step: Step::Write, .. }));
    assert!(matches!(step(Step::Write, (0, 2)), Outcome::Whole(_)));
    assert_eq!(bytes(&place.at("shares")), wanted);
}

#[test]
fn what_is_interrupted_goes_on_and_does_nothing_twice() {
    let place = Place::new(12);
    let recipe = SAMPLE.replace("128MB", "64KiB");
    place.build(&recipe, "one");
    let plan = place.plan(&recipe, "cut");
    let mut random = made::Random(7);
    let mut times = 0;
    loop {
        times += 1;
        // The second step begins anew each time, so that in the end there must be time for it.
        let left = AtomicU64::new(1 + random.below(4 + times) as u64);
        let watch = |_| match left.fetch_sub(1, Ordering::Relaxed) {
            0 | 1 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        match plan.build(&options(2), &watch).unwrap() {
            Outcome::Whole(_) => break,
            Outcome::Interrupted => assert!(times < 200, "it never ends"),
            other => panic!("{other:?}"),
        }
    }
    assert!(times > 3, "it was interrupted {times} times");
    assert_eq!(bytes(&place.at("cut")), bytes(&place.at("one")));
    // A whole build does nothing.
    let seen = AtomicU64::new(0);
    let watch = |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    assert!(matches!(plan.build(&options(1), &watch).unwrap(), Outcome::Whole(_)));
    assert_eq!(seen.into_inner(), 0);
}

/// The process that the test below starts and kills: SIGKILL ends the whole of one, so it cannot be that of the tests.
#[test]
// Ignored because it is no test by itself: `a_killed_build_goes_on` asks this program for it by name, with the folder to build in.
#[ignore = "a process for a_killed_build_goes_on, which starts it with --ignored; by itself it has no folder to build in"]
fn child() {
    let Some(folder) = std::env::var_os("SAI_CORPUS_TEST") else { return };
    let folder = PathBuf::from(folder);
    let recipe = Recipe::parse(&SAMPLE.replace("128MB", "64KiB"), &folder.join("r.toml")).unwrap();
    let plan =
        Plan::new(recipe, &folder.join("recipes"), &folder.join("killed"), &mut |_| unreachable!()).unwrap();
    whole(&plan, &options(2));
}

#[test]
fn a_killed_build_goes_on() {
    let place = Place::new(12);
    place.build(&SAMPLE.replace("128MB", "64KiB"), "one");
    let mut random = made::Random(11);
    let mut kills = 0;
    for round in 0.. {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored"])
            .env("SAI_CORPUS_TEST", place.0.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // At first it is killed soon, and in the end it is let alone.
        if round < 12 {
            std::thread::sleep(Duration::from_millis(5 + random.below(40 * (round + 1)) as u64));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
        }
        if child.wait().unwrap().success() {
            break;
        }
        assert!(round < 12, "it does not end by itself");
    }
    assert!(kills > 0);
    assert_eq!(bytes(&place.at("killed")), bytes(&place.at("one")));
}

/// A recipe of lines of documents in the folder `pages`.
fn of_lines(place: &Place, name: &str, documents: &[(&str, &str)], more: &str) -> String {
    let lines =
        documents.iter().map(|(text, lang)| format!("{}\n", serde_json::json!({"text": text, "lang": lang})));
    fs::write(place.at("pages").join(name), lines.collect::<String>()).unwrap();
    format!("[[source]]\nname = \"lines\"\ninput = [\"../pages/{name}\"]\n[[clean]]\n{more}")
}

/// Texts of sentences, a different one for each number.
fn texts(count: usize, korean: bool) -> Vec<String> {
    let mut random = made::Random(5 + u64::from(korean));
    (0..count).map(|_| made::article(&mut random, korean).join("\n")).collect()
}

#[test]
fn of_documents_that_are_alike_the_first_or_the_longest_stays_and_stands_for_all() {
    let place = Place::new(1);
    let texts = texts(3, false);
    let longer = format!("{} And so it was.", texts[0]);
    let twice = texts[1].to_uppercase();
    let documents = [
        (texts[0].as_str(), "en"),
        (&longer, "en"),
        (&texts[1], "en"),
        (&twice, "en"),
        (&texts[1], "en"),
        (&texts[2], "en"),
    ];
    let recipe = of_lines(&place, "alike.jsonl", &documents, "[mixture]\norder = \"source\"\n[duplicates]\n");
    let kept = |more: &str, out: &str| {
        let manifest = place.build(&format!("{recipe}{more}"), out);
        (read(&place.at(out)).into_iter().map(|d| d.text).collect::<Vec<_>>(), manifest)
    };
    let (first, manifest) = kept("", "first");
    assert_eq!(first, texts);
    assert_eq!((manifest.duplicates.exact.documents, manifest.duplicates.near.documents), (2, 1));
    assert_eq!(manifest.duplicates.sizes, BTreeMap::from([(2, 1), (3, 1)]));
    let (longest, _) = kept("keep = \"longest\"\n", "longest");
    assert_eq!(longest, [longer.as_str(), &texts[1], &texts[2]]);
    let (copies, _) = kept("rehydrate = [[1, 1], [2, 2], [3, 3]]\n", "copies");
    let count = |text: &str| copies.iter().filter(|other| *other == text).count();
    assert_eq!((count(&texts[0]), count(&texts[1]), count(&texts[2])), (2, 3, 1));
    let (exact, _) = kept("minhash = false\n", "exact");
    assert_eq!(exact.len(), 4);
    let (all, _) = kept("minhash = false\nexact = false\n", "all");
    assert_eq!(all.len(), 6);
}

#[test]
fn shares_are_met_by_bytes_and_the_scarcest_decides() {
    let place = Place::new(1);
    let (korean, english) = (texts(60, true), texts(60, false));
    let documents: Vec<(&str, &str)> =
        korean.iter().map(|t| (t.as_str(), "ko")).chain(english.iter().map(|t| (t.as_str(), "en"))).collect();
    let recipe = of_lines(&place, "mixed.jsonl", &documents, "");
    let mixed = |more: &str, out: &str| {
        let manifest = place.build(&format!("{recipe}{more}"), out);
        let mut bytes = BTreeMap::<String, usize>::new();
        read(&place.at(out)).iter().for_each(|d| *bytes.entry(d.lang.clone()).or_default() += d.text.len());
        (bytes, manifest)
    };
    let share = |lang: &str, share: f64, epochs: f64| {
        format!("[[mixture.share]]\nlang = \"{lang}\"\nshare = {share}\nepochs = {epochs}\n")
    };
    let (bytes, manifest) = mixed(&(share("ko", 3.0, 1.0) + &share("en", 1.0, 1.0)), "three");
    let ratio = bytes["ko"] as f64 / bytes["en"] as f64;
    assert!((2.4..3.6).contains(&ratio), "{bytes:?}");
    // All Korean is taken once, for it is the scarcer.
    assert_eq!(manifest.shares[0].epochs, 1.0);
    assert!(!manifest.shares[0].short && manifest.shares[1].epochs < 0.9);
    let (more, manifest) = mixed(&(share("ko", 3.0, 2.5) + &share("en", 1.0, 1.0)), "epochs");
    let times = more["ko"] as f64 / bytes["ko"] as f64;
    assert!(times > 1.2 && manifest.shares[1].epochs <= 1.0, "{times}");
    // A size that there is not enough for is said.
    let (_, manifest) = mixed(&("[mixture]\nsize = \"100MB\"\n".to_owned() + &share("ko", 1.0, 1.0)), "size");
    assert!(manifest.shares[0].short);
    assert!(read(&place.at("size")).iter().all(|d| d.lang == "ko"), "what no share names is left out");
}

#[test]
fn text_of_evaluation_sets_is_dropped_or_cut_and_listed() {
    let place = Place::new(1);
    let texts = texts(4, false);
    let question = "Which of the nine lighthouses along the northern coast was the first to be lit by gas instead of oil";
    let with = format!("{}\n{question}?\n{}", texts[0], texts[1]);
    fs::write(
        place.at("pages/eval.jsonl"),
        format!("{}\n", serde_json::json!({"question": question, "answer": "the seventh"})),
    )
    .unwrap();
    let documents: Vec<(&str, &str)> = vec![(&with, "en"), (&texts[2], "en"), (&texts[3], "en")];
    let recipe =
        of_lines(&place, "seen.jsonl", &documents, "[decontamination]\nsets = [\"../pages/eval.jsonl\"]\n");
    let manifest = place.build(&recipe, "dropped");
    assert_eq!((read(&place.at("dropped")).len(), manifest.contaminated), (2, 1));
    let listed = fs::read_to_string(place.at("dropped/contaminated.jsonl")).unwrap();
    assert!(listed.contains("nine lighthouses") && listed.contains("eval.jsonl"), "{listed}");
    place.build(&format!("{recipe}action = \"cut\"\n"), "cut");
    let documents = read(&place.at("cut"));
    assert_eq!(documents.len(), 3);
    assert!(documents.iter().all(|d| !d.text.contains("lighthouses")));
    assert!(documents.iter().any(|d| d.text.starts_with(&texts[0]) && d.text.ends_with(&texts[1])));
}

#[test]
fn a_changed_recipe_does_again_what_it_must_and_keeps_the_rest() {
    let place = Place::new(8);
    place.build(SAMPLE, "corpus");
    let map = |plan: &str| {
        let times = fs::read_dir(place.at(plan).join(".build/map")).unwrap().flatten();
        times
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
            .collect::<BTreeMap<_, _>>()
    };
    let before = map("corpus");
    // From another folder the files are the same.
    let recipe = Recipe::parse(SAMPLE, &place.at("r.toml")).unwrap();
    let plan = Plan::new(recipe, &place.at("pages/../recipes"), &place.at("corpus"), &mut |_| unreachable!())
        .unwrap();
    whole(&plan, &options(1));
    assert_eq!(map("corpus"), before);
    place.build(&SAMPLE.replace("jsonl.zst", "parquet"), "corpus");
    assert_eq!(map("corpus"), before, "the first step does not depend on what is written");
    let names: Vec<String> = bytes(&place.at("corpus")).into_keys().collect();
    assert_eq!(names, ["manifest.json", "shard-00000.parquet"], "the older shards are gone");
    place.build(&SAMPLE.replace("min_doc_words = 40", "min_doc_words = 41"), "corpus");
    assert_ne!(map("corpus"), before);
}

#[test]
fn recipes_that_cannot_be_followed_are_refused_in_one_line() {
    let source = "[[source]]\nname = \"a\"\ninput = [\"x\"]\n";
    for (recipe, said) in [
        ("", "missing field `source`"),
        ("source = []", "names no source"),
        ("[[source]]\nname = \"a\"", "has neither `input` nor `hub`"),
        ("[[source]]\nname = \"a/b\"\ninput = []", "names have letters"),
        ("[[source]]\nname = \"a\"\nhub = \"the-pile\"", "taken down in 2023"),
        ("[[source]]\nname = \"a\"\nhub = \"redpajama\"", "lists of addresses"),
        ("[[source]]\nname = \"a\"\nhub = \"nothing\"", "or one of mc4-ko"),
        ("[[source]]\nname = \"a\"\ninput = [\"x\"]\nlongest = \"16 cats\"", "no number of bytes"),
        (&format!("{source}[duplicates]\nminhash = {{ bands = 0 }}"), "minhash.bands is 0"),
        (&format!("{source}[mixture]\nsizes = 1"), "sizes"),
        (&format!("{source}[[mixture.share]]\nsource = \"b\"\nshare = 1"), "no source is called `b`"),
        (
            &format!("{source}[[clean]]\nlang = \"ko\"\n[[clean]]\nlang = \"ko\""),
            "two sets of rules are for ko",
        ),
        (&format!("{source}[output]\nformat = \"csv\""), "`csv` is not written"),
    ] {
        let error = Recipe::parse(recipe, Path::new("r.toml")).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.starts_with("r.toml: ") && !error.contains('\n'),
            "{recipe}: {error}"
        );
    }
}
