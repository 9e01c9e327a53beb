//! The same vocabularies through the `tokenizers` library and our own way, on texts made at random.

use std::path::Path;
use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;
use sai_tokenizer::{Encoder, Kind, Tokenizer};
use unicode_normalization::UnicodeNormalization;

struct Pair {
    name: &'static str,
    ours: Tokenizer,
    theirs: tokenizers::Tokenizer,
    theirs_plain: tokenizers::Tokenizer,
}

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    ["gpt2", "smollm", "llama3", "qwen2", OWN_EXPRESSION]
        .into_iter()
        .map(|name| {
            let file = if name == OWN_EXPRESSION { "gpt2" } else { name };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{file}.json"));
            let mut bytes = std::fs::read(&path).expect("a fixture");
            if name == OWN_EXPRESSION {
                bytes = splitting_by(&bytes, name);
            }
            let ours = Tokenizer::from_tokenizer_json(&bytes, None, &path).expect("a tokenizer");
            assert_eq!(ours.kind(), Kind::ByteLevelBpe);
            let theirs = tokenizers::Tokenizer::from_bytes(&bytes).expect("a tokenizer");
            let mut theirs_plain = theirs.clone();
            theirs_plain.set_encode_special_tokens(true);
            Pair { name, ours, theirs, theirs_plain }
        })
        .collect()
});

/// An expression that sai has no function for: numbers in groups of three from the right, marks with their letters.
const OWN_EXPRESSION: &str =
    r"[\p{L}\p{M}]+|\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The tokenizer of a file with its pre-tokeniser exchanged for an expression.
fn splitting_by(file: &[u8], expression: &str) -> Vec<u8> {
    let mut file: serde_json::Value = serde_json::from_slice(file).expect("JSON");
    file["pre_tokenizer"] = serde_json::json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": expression }, "behavior": "Isolated", "invert": false },
        { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
    ] });
    serde_json::to_vec(&file).expect("JSON")
}

/// Encoders that keep what all texts of a test left in their small caches.
static ENCODERS: LazyLock<Mutex<Vec<Encoder<'static>>>> =
    LazyLock::new(|| Mutex::new(PAIRS.iter().map(|pair| pair.ours.encoder_within(0)).collect()));

/// Text of what people write, what programs write, and what neither does.
fn text() -> impl Strategy<Value = String> {
    let words: Vec<&'static str> = vec![
        "안녕",
        "하세요",
        "값이",
        "닭갈비를",
        "뷁",
        "ㅋㅋㅋ",
        "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}",
        "\u{1100}\u{1161}",
        "각\u{11a8}",
        "The",
        " the",
        " quick",
        "it's",
        "IT'S",
        "we'LL",
        "'ſ",
        "don’t",
        "e\u{301}",
        "cafe\u{301}",
        "Å",
        "1234",
        "٣٤",
        "½",
        "fn main() {",
        "\n    ",
        "->",
        "::",
        "</div>",
        "\t\t",
        "0xFF",
        "👨‍👩‍👧",
        "👍🏽",
        "🇰🇷",
        "\u{200d}",
        " ",
        "  ",
        "      ",
        "\n",
        "\r\n",
        "\n\n\n",
        "\u{a0}",
        "\u{3000}",
        "\u{2028}",
        "\u{85}",
        "\0",
        "\u{7f}",
        "\u{feff}",
        "\u{378}",
        "\u{e000}",
        "\u{10ffff}",
        "<|im_end|>",
        "<|im_start|>",
        "<|endoftext|>",
        "<mask>",
        "[pad]",
        "word",
        "<tool>",
        "<|im_",
        "end|>",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(words).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => prop::char::range('가', '힣').prop_map(String::from),
        1 => "[a-zA-Z ]{1,12}",
        1 => (1..80usize, prop::sample::select(vec![' ', '\n', 'a', '가', '!', '7'])).prop_map(|(n, c)| c.to_string().repeat(n)),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(|b| String::from_utf8_lossy(&b).into_owned()),
        1 => "[가-힣]{1,12}".prop_map(|text| text.nfd().collect()),
        1 => "[a-zé]{20,60}|[-=#.]{20,60}|[a-z_]{1,8}\\(\\);\n {4,40}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn ids_are_those_of_the_library(text in text()) {
        for pair in PAIRS.iter() {
            let theirs = pair.theirs.encode(text.as_str(), false).expect("ids");
            prop_assert_eq!(pair.ours.encode(&text), theirs.get_ids(), "{} {:?}", pair.name, text);
            let plain = pair.theirs_plain.encode(text.as_str(), false).expect("ids");
            prop_assert_eq!(pair.ours.encode_plain(&text), plain.get_ids(), "plain {} {:?}", pair.name, text);
            let placed = pair.ours.encode_with_offsets(&text).expect("offsets");
            let slow: Vec<u32> = placed.into_iter().map(|(id, _)| id).collect();
            prop_assert_eq!(slow, theirs.get_ids(), "word by word {} {:?}", pair.name, text);
        }
    }

    #[test]
    fn a_cache_changes_no_id(text in text()) {
        let mut encoders = ENCODERS.lock().expect("encoders");
        for (pair, encoder) in PAIRS.iter().zip(encoders.iter_mut()) {
            // Long enough for several batches, and with every word twice.
            let text = text.repeat(3);
            let mut ids = vec![7];
            encoder.encode_into(&text, &mut ids);
            let theirs = pair.theirs.encode(text.as_str(), false).expect("ids");
            prop_assert_eq!(ids[0], 7);
            prop_assert_eq!(&ids[1..], theirs.get_ids(), "{} {:?}", pair.name, text);
            ids.clear();
            encoder.encode_plain_into(&text, &mut ids);
            let plain = pair.theirs_plain.encode(text.as_str(), false).expect("ids");
            prop_assert_eq!(&ids, plain.get_ids(), "plain {} {:?}", pair.name, text);
        }
    }

    #[test]
    fn a_stream_joins_to_the_decoded_text(ids in prop::collection::vec(0..1100u32, 0..60)) {
        for pair in PAIRS.iter() {
            let mut stream = pair.ours.stream();
            let mut joined = String::new();
            for &id in &ids {
                joined.push_str(&stream.push(id));
            }
            joined.push_str(&stream.finish());
            prop_assert_eq!(&joined, &pair.ours.decode(&ids), "{}", pair.name);
            let known: Vec<u32> = ids.iter().copied().filter(|&id| (id as usize) < pair.ours.vocab_size()).collect();
            prop_assert_eq!(joined, pair.theirs.decode(&known, true).expect("text"), "{}", pair.name);
        }
    }

    #[test]
    fn text_comes_back_and_offsets_spell_it(text in text()) {
        // GPT-2's vocabulary has every byte and normalises nothing.
        let tokenizer = &PAIRS[0].ours;
        let ids = tokenizer.encode(&text);
        prop_assert_eq!(tokenizer.decode_with_special(&ids), without_stripped(&text));
        let mut at = 0;
        for (id, range) in tokenizer.encode_with_offsets(&text).expect("offsets") {
            prop_assert_eq!(range.start, at);
            at = range.end;
            if !tokenizer.is_special(id) {
                prop_assert_eq!(&text.as_bytes()[range], &*tokenizer.token_bytes(id).expect("bytes"));
            }
        }
        prop_assert_eq!(at, text.len());
    }

    #[test]
    fn a_syllable_is_shown_whole(text in "[가-힣😀é ]{1,40}") {
        for pair in PAIRS.iter().filter(|p| p.name != "smollm") {
            let mut stream = pair.ours.stream();
            let mut shown = String::new();
            for id in pair.ours.encode(&text) {
                let new = stream.push(id);
                let whole = !new.contains('\u{fffd}');
                prop_assert!(whole, "{:?}", new);
                shown.push_str(&new);
            }
            prop_assert_eq!(stream.finish(), "");
            prop_assert_eq!(shown, text.as_str());
        }
    }
}

/// Threads that put words into the same tables and find each other's.
#[test]
fn encoders_that_share_words_change_no_id() {
    for pair in PAIRS.iter() {
        // Words of every length and many ids, each met by all, in another order by each.
        let word = |n: usize| match n % 5 {
            0 => format!(" 사용자{n}에게는"),
            1 => format!(" word{}", "x".repeat(n % 40)),
            2 => format!(" 데이터{}", "베이스".repeat(n % 7)),
            3 => format!("{n}번째 "),
            _ => format!(" 뷁{}쀍", n % 100),
        };
        let texts: Vec<String> =
            (0..60).map(|text| (0..200).map(|at| word((text * 37 + at * 11) % 3000)).collect()).collect();
        let expected: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| pair.theirs.encode(text.as_str(), false).expect("ids").get_ids().to_vec())
            .collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (texts, expected) = (&texts, &expected);
                scope.spawn(move || {
                    let (mut encoder, mut ids) = (pair.ours.encoder(), Vec::new());
                    for at in
                        (0..2 * texts.len()).map(|at| (at * [1, 7, 11, 13][thread] + thread) % texts.len())
                    {
                        ids.clear();
                        encoder.encode_into(&texts[at], &mut ids);
                        assert_eq!(ids, expected[at], "{} {:?}", pair.name, texts[at]);
                    }
                });
            }
        });
    }
}

/// `<mask>` takes the white space before it and `[pad]` what follows.
fn without_stripped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = [rest.find("<mask>"), rest.find("[pad]")].into_iter().flatten().min() {
        let mask = rest[at..].starts_with("<mask>");
        out.push_str(if mask { rest[..at].trim_end() } else { &rest[..at] });
        out.push_str(if mask { "<mask>" } else { "[pad]" });
        rest = &rest[at + if mask { 6 } else { 5 }..];
        if !mask {
            rest = rest.trim_start();
        }
    }
    out + rest
}
