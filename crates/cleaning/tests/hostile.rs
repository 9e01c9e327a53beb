//! Inputs that are made to take long, to take much, or to break a parser.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sai_cleaning::html::{Extract, text};
use sai_cleaning::{Cleaner, Resources, Rules, charset, wiki};

/// Runs `work` on a thread with as little stack as a thread pool may give it, and says how long it took.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) -> Duration {
    let start = Instant::now();
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work).expect("a thread");
    thread.join().expect("no panic");
    start.elapsed()
}

/// Long for a test, short beside the minutes that these take otherwise.
const LONG: Duration = Duration::from_secs(40);

#[test]
fn html_nested_without_end_neither_aborts_nor_takes_minutes() {
    for unit in [
        "<div>",
        "<span>",
        "<font color=red>",
        "<div><b x=1></div>",
        "<table><tr><td>",
        "<ul><li>",
        "<svg><g>",
        "<a href=x>",
        "<i></b>",
        "<select><option>",
        "<button><p>",
        "<ruby><rt>",
        "<custom-a>",
        "<p><table>",
    ] {
        let page = format!("<html><body>{}The text in the middle.", unit.repeat(30_000));
        let took = on_a_small_stack(move || {
            text(&page, &Extract::default());
        });
        assert!(took < LONG, "{unit}: {took:?}");
    }
}

#[test]
fn one_long_line_of_anything_is_read_in_time() {
    let million = 1 << 18;
    for page in [
        "가".repeat(million),
        "a ".repeat(million),
        "<".repeat(million),
        "&".repeat(million),
        "&#x41".repeat(million / 4),
        format!("<p {}>text", "a ".repeat(million / 2)),
        format!("<!--{}", "-".repeat(million)),
        format!("<script>{}", "</scrip".repeat(million / 8)),
        "<p>a<br>".repeat(million / 16),
        "<td>1".repeat(million / 16),
        "@".repeat(million),
        "a@b.".repeat(million / 4),
        "010-".repeat(million / 4),
        "1.".repeat(million / 2),
        "골뱅이".repeat(million / 8),
        ":".repeat(million),
        "[".repeat(million),
        "ㅋ".repeat(million),
        "ㄱㅏ".repeat(million / 2),
        "%EA".repeat(million / 4),
        "\\u".repeat(million / 2),
        "ë°”".repeat(million / 4),
        "\n".repeat(million),
        "x.\n".repeat(million / 4),
    ] {
        let head: String = page.chars().take(12).collect();
        let took = on_a_small_stack(move || {
            let page = text(&page, &Extract::default()).text + &page;
            for preset in ["korean", "english"] {
                Cleaner::new(Rules::preset(preset).expect("a preset"), Resources::default())
                    .clean(&page, None);
            }
            wiki::text(&page);
        });
        assert!(took < LONG, "{head}: {took:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(decoded) = charset::decode(&bytes, Some("euc-kr")) {
            text(&decoded.text, &Extract::default());
            wiki::text(&decoded.text);
        }
    }

    #[test]
    fn random_markup_goes_through(page in "(<[a-z]{1,6}( [a-z]+=\"[^\"]{0,4}\")?>|</[a-z]{1,6}>|[가-힣a-z .\\[\\]{}|=*'\\n&;#]{0,12}){0,60}") {
        let found = text(&page, &Extract::default());
        prop_assert!(found.text.len() <= page.len() * 4 + 64);
        wiki::text(&page);
        wiki::kind(&page);
    }
}
