//! Languages in Latin letters: their commonest words, and `whichlang`.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use whichlang::Lang;

use super::Language;

/// Commonest words of languages, those first that no other of them has. Small, so that a person sees why an answer is given.
const WORDS: &[(&str, &[&str])] = &[
    (
        "en",
        &[
            "the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "with", "as",
            "his", "they", "be", "at", "this", "have", "from", "or", "had", "by", "but", "not", "what",
            "were", "we", "when", "your", "can", "there", "an", "which", "their", "will", "would", "she",
            "he", "has", "been", "its", "who", "you", "more", "about", "than", "into", "could", "other",
            "these", "some", "after", "also", "people", "our", "all", "only", "how", "if", "out", "so", "up",
            "them", "him", "her", "my", "do", "did", "may", "most", "such", "any",
        ],
    ),
    (
        "de",
        &[
            "der", "die", "und", "das", "ist", "nicht", "ein", "eine", "den", "von", "zu", "mit", "sich",
            "auf", "für", "dem", "im", "auch", "des", "wird", "sind", "als", "bei", "aus", "nach", "wie",
            "einen", "einem", "einer", "oder", "sie", "er", "es", "dass", "wurde", "über", "zum", "war",
        ],
    ),
    (
        "fr",
        &[
            "le", "la", "les", "et", "des", "est", "une", "du", "dans", "que", "qui", "pour", "sur", "pas",
            "au", "avec", "ce", "sont", "par", "plus", "aux", "cette", "ont", "été", "ne", "se", "il",
            "elle", "en", "de", "un", "mais", "ou", "leur", "comme", "être", "ses", "son",
        ],
    ),
    (
        "es",
        &[
            "el", "los", "las", "y", "que", "en", "de", "un", "una", "es", "por", "con", "para", "del", "al",
            "se", "su", "como", "más", "pero", "sus", "lo", "fue", "son", "la", "este", "ha", "también",
            "entre", "está", "ser", "desde", "muy", "hay", "sobre", "sin", "cuando",
        ],
    ),
    (
        "it",
        &[
            "il", "di", "che", "è", "per", "un", "una", "del", "della", "gli", "con", "non", "sono", "nel",
            "alla", "dei", "le", "da", "al", "più", "si", "anche", "dal", "delle", "la", "e", "in", "come",
            "ma", "ha", "questo", "nella", "i", "lo", "essere", "era", "su",
        ],
    ),
    (
        "pt",
        &[
            "o", "os", "as", "que", "em", "de", "um", "uma", "é", "por", "com", "para", "do", "da", "dos",
            "das", "no", "na", "não", "se", "ao", "mais", "foi", "são", "como", "mas", "sua", "seu", "e",
            "a", "pelo", "pela", "também", "ou", "ser", "nos", "até", "está",
        ],
    ),
    (
        "nl",
        &[
            "de", "het", "een", "en", "van", "is", "dat", "op", "te", "zijn", "met", "voor", "niet", "aan",
            "er", "om", "ook", "als", "maar", "dan", "bij", "nog", "naar", "door", "werd", "deze", "uit",
            "wordt", "ze", "heeft", "of", "hij", "kan", "die", "over", "hun", "was",
        ],
    ),
    (
        "sv",
        &[
            "och", "att", "det", "som", "en", "på", "är", "av", "för", "med", "den", "till", "inte", "om",
            "ett", "har", "de", "från", "var", "men", "kan", "han", "så", "vid", "eller", "under", "efter",
            "också", "sig", "när", "skulle", "mycket", "i",
        ],
    ),
    (
        "da",
        &[
            "og", "at", "det", "som", "en", "på", "er", "af", "for", "med", "den", "til", "ikke", "om", "et",
            "har", "de", "fra", "var", "men", "kan", "han", "eller", "efter", "også", "sig", "når", "blev",
            "være", "i",
        ],
    ),
    (
        "fi",
        &[
            "ja", "on", "ei", "että", "se", "oli", "joka", "kun", "mutta", "myös", "ovat", "hän", "tai",
            "sen", "jotka", "kuin", "jos", "mukaan", "olla", "niin", "voi", "vain", "hänen", "ole", "sekä",
            "jonka", "siitä", "koska", "tämä", "noin", "jälkeen", "joita",
        ],
    ),
    (
        "pl",
        &[
            "i", "w", "na", "z", "się", "nie", "jest", "do", "że", "to", "o", "po", "od", "za", "jak",
            "przez", "dla", "ale", "są", "który", "oraz", "które", "być", "lub", "ich", "był", "była",
            "jego", "tym", "może", "która", "tego",
        ],
    ),
    (
        "cs",
        &[
            "a", "v", "na", "se", "je", "že", "z", "s", "do", "o", "ve", "k", "jako", "které", "který",
            "nebo", "ale", "jsou", "byl", "po", "pro", "od", "za", "však", "která", "není", "také", "by",
            "bylo", "při",
        ],
    ),
    (
        "tr",
        &[
            "ve",
            "bir",
            "bu",
            "için",
            "ile",
            "da",
            "de",
            "olarak",
            "olan",
            "daha",
            "çok",
            "gibi",
            "sonra",
            "kadar",
            "en",
            "ise",
            "ama",
            "veya",
            "var",
            "olduğu",
            "tarafından",
            "değil",
            "her",
            "ne",
            "o",
            "olduğunu",
            "şekilde",
            "oldu",
            "iki",
        ],
    ),
    (
        "id",
        &[
            "yang", "dan", "di", "untuk", "dengan", "ini", "itu", "dari", "pada", "dalam", "adalah", "tidak",
            "akan", "ke", "oleh", "juga", "atau", "sebagai", "dapat", "lebih", "bisa", "ada", "telah",
            "mereka", "karena", "saat", "anda", "orang", "menjadi", "banyak",
        ],
    ),
    (
        "vi",
        &[
            "của", "và", "là", "có", "được", "trong", "cho", "không", "các", "những", "một", "người", "với",
            "này", "đã", "đến", "để", "khi", "từ", "năm", "ở", "cũng", "như", "về", "ra", "đó", "vào", "tại",
            "trên", "bị", "sẽ", "nhiều",
        ],
    ),
    (
        "ro",
        &[
            "și", "de", "în", "la", "cu", "este", "că", "pe", "nu", "din", "un", "o", "pentru", "care",
            "mai", "sunt", "se", "a", "au", "prin", "fost", "sau",
        ],
    ),
    (
        "hu",
        &[
            "a", "az", "és", "hogy", "nem", "egy", "is", "van", "volt", "de", "meg", "mint", "csak", "még",
            "ez", "vagy", "ki", "már", "el", "után",
        ],
    ),
    (
        "ca",
        &[
            "el", "els", "les", "i", "que", "de", "la", "amb", "per", "una", "un", "és", "en", "del", "al",
            "dels", "no", "va", "com", "més",
        ],
    ),
];

/// Letters that one of the languages has and hardly another.
const LETTERS: &[(&str, &str)] = &[
    ("de", "ß"),
    ("es", "ñ¿¡"),
    ("pt", "ãõ"),
    ("fr", "œ"),
    ("pl", "łśźżąęńć"),
    ("cs", "ěřůž"),
    ("tr", "ğışİ"),
    ("sv", "å"),
    ("da", "øæ"),
    ("vi", "ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđơư"),
    ("ro", "țșă"),
    ("hu", "őű"),
];

fn code(language: Lang) -> &'static str {
    match language {
        Lang::Eng => "en",
        Lang::Deu => "de",
        Lang::Fra => "fr",
        Lang::Spa => "es",
        Lang::Ita => "it",
        Lang::Por => "pt",
        Lang::Nld => "nl",
        Lang::Swe => "sv",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
        _ => super::UNKNOWN,
    }
}

/// The languages of each of the words, a bit for each.
static WORD_LANGUAGES: LazyLock<FxHashMap<&str, u32>> = LazyLock::new(|| {
    let mut languages = FxHashMap::default();
    for (at, (_, list)) in WORDS.iter().enumerate() {
        for word in *list {
            *languages.entry(*word).or_default() |= 1 << at;
        }
    }
    languages
});

/// The language of a text in Latin letters.
pub(super) fn detect(text: &str) -> Language {
    // Words beyond these tell nothing new.
    const MOST: usize = 120;
    let mut scores = [0.0f32; WORDS.len()];
    let (mut words, mut vowelless, mut plain) = (0usize, 0usize, true);
    let known = &*WORD_LANGUAGES;
    let mut lower = String::new();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).take(MOST) {
        words += 1;
        lower.clear();
        if word.is_ascii() {
            lower.push_str(word);
            lower.make_ascii_lowercase();
            vowelless += usize::from(word.len() > 3 && !lower.contains(['a', 'e', 'i', 'o', 'u', 'y']));
        } else {
            lower.extend(word.chars().flat_map(char::to_lowercase));
            plain = false;
            for (language, letters) in LETTERS {
                if lower.contains(|c| letters.contains(c))
                    && let Some(at) = WORDS.iter().position(|(code, _)| code == language)
                {
                    scores[at] += 0.7;
                }
            }
        }
        let Some(&languages) = known.get(lower.as_str()) else { continue };
        // A word of many languages tells less.
        let each = 1.0 / languages.count_ones() as f32;
        for (at, score) in scores.iter_mut().enumerate() {
            if languages & 1 << at != 0 {
                *score += each;
            }
        }
    }
    let (mut best, mut second) = ((0.0, super::UNKNOWN), 0.0f32);
    for (&score, &(code, _)) in scores.iter().zip(WORDS) {
        if score > best.0 {
            second = best.0;
            best = (score, code);
        } else {
            second = second.max(score);
        }
    }
    let share = best.0 / words.max(1) as f32;
    // Many words of one language and few of any other: the model is not asked.
    if best.0 >= 4.0 && share > 0.2 && best.0 > second * 3.0 {
        return Language::new(best.1, 1.0);
    }
    let guess = code(whichlang::detect_language(text));
    // Words and letters agree with the model: sure. They say another language plainly: theirs. Nothing is said by words: a short text may
    // be the model's, a long one without a single common word is no language of ours.
    if best.1 == guess && best.0 > 0.0 {
        let margin = (best.0 - second) / best.0;
        return Language::new(best.1, (0.6 + 0.25 * margin + share).min(1.0));
    }
    if best.0 >= 1.5 && share > 0.1 && best.0 > second * 1.3 {
        return Language::new(best.1, (0.4 + share).min(0.95));
    }
    let words_of_english = scores[0] > 0.0 && scores[0] >= second;
    if words == 0 || vowelless * 3 > words {
        return Language::unknown();
    }
    // A few words in plain letters, which no other language claims by its own: English, and not sure. Below one half, so that a rule that asks
    // for a probability does not take it.
    let claimed = best.0 >= 1.0 && best.1 != "en";
    if words <= FEW && plain && !claimed {
        let sure = if words_of_english { 0.6 } else { 0.4 };
        return Language::new("en", sure);
    }
    if words <= FEW && best.0 >= 1.0 {
        return Language::new(best.1, 0.5);
    }
    Language::unknown()
}

/// Words of a text that is too short for statistics.
const FEW: usize = 5;
