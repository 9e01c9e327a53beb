//! At a terminal: what is typed, and what the screen then shows.

use super::Home;
use super::pty::Terminal;

/// Greedy and short, so that every run says the same and soon.
const SHORT: &[&str] =
    &["--temperature", "0", "--repetition-penalty", "1", "--max-new-tokens", "12", "--threads", "2"];

const BACKSPACE: &str = "\x7f";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const ALT_ENTER: &str = "\x1b\r";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";

#[test]
fn korean_is_typed_and_taken_back_by_the_syllable() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, SHORT);
    terminal.send("안녕하세욥");
    let screen = terminal.wait("five syllables", |s| s.cursor_line() == "› 안녕하세욥");
    assert_eq!(screen.cursor.1, 12, "two columns of mark, two a syllable");
    terminal.send(BACKSPACE);
    terminal.send("요");
    let screen = terminal.wait("the mended word", |s| s.cursor_line() == "› 안녕하세요");
    assert_eq!(screen.cursor.1, 12);
    // The cursor stands where an input method composes: in the middle of a word, too.
    terminal.send(&LEFT.repeat(2));
    let screen = terminal.wait("the cursor between syllables", |s| s.cursor.1 == 8);
    assert_eq!(screen.cursor_line(), "› 안녕하세요");
    terminal.send("히");
    terminal.wait("a syllable put in", |s| s.cursor_line() == "› 안녕하히세요" && s.cursor.1 == 10);
    terminal.send(BACKSPACE);
    terminal.wait("and taken out", |s| s.cursor_line() == "› 안녕하세요" && s.cursor.1 == 8);
    terminal.send(CTRL_C);
    terminal.wait("an empty line", |s| s.cursor_line() == "›" && s.cursor.1 == 2);
    // Syllables written as their letters, as macOS names files, and an emoji of five characters.
    terminal.send("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}");
    terminal.wait("two syllables of six letters", |s| s.cursor.1 == 6);
    terminal.send(BACKSPACE);
    terminal.wait("one syllable", |s| s.cursor.1 == 4);
    terminal.send(BACKSPACE);
    terminal.send("👩‍👩‍👧");
    terminal.send(BACKSPACE);
    terminal.send("끝");
    terminal.wait("nothing but the last syllable", |s| s.cursor_line() == "› 끝" && s.cursor.1 == 4);
    terminal.send(CTRL_C);
    terminal.wait("an empty line again", |s| s.cursor_line() == "›");
    terminal.send("안녕하세요\r");
    let screen =
        terminal.wait("an answer and its figures", |s| s.text.contains("tok/s") && s.last_line() == "›");
    assert!(screen.text.contains("› 안녕하세요\n"), "{}", screen.text);
    terminal.send(CTRL_D);
    let (code, last) = terminal.end();
    assert_eq!(code, 0, "{last}");
    assert!(last.contains("sai chat --resume"), "{last}");
    let talks = home.conversations();
    assert_eq!(talks.len(), 1);
    assert_eq!(talks[0][1]["content"], "안녕하세요");
    assert_eq!(talks[0][2]["role"], "assistant");
}

#[test]
fn many_lines_are_one_question() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, SHORT);
    terminal.send("\x1b[200~첫 줄\r둘째 줄\n셋째\x1b[201~");
    let screen = terminal.wait("the pasted lines", |s| s.cursor_line() == "· 셋째");
    assert!(screen.text.contains("› 첫 줄\n· 둘째 줄\n· 셋째"), "{}", screen.text);
    terminal.send(ALT_ENTER);
    terminal.send("넷째");
    terminal.wait("a line more", |s| s.cursor_line() == "· 넷째" && s.cursor.1 == 6);
    assert_eq!(home.conversations().len(), 0, "nothing was asked yet");
    terminal.send("\r");
    terminal.wait("an answer", |s| s.text.contains("tok/s") && s.last_line() == "›");
    assert_eq!(home.conversations()[0][1]["content"], "첫 줄\n둘째 줄\n셋째\n넷째");
}

#[test]
fn what_is_typed_during_an_answer_comes_next() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, &["--temperature", "0", "--max-new-tokens", "40"]);
    terminal.send("Tell me about the sea.\r");
    terminal.wait("the beginning of the answer", |s| {
        s.text.split_once("the sea.").is_some_and(|(_, said)| said.trim().len() > 10)
    });
    terminal.send("그리고 하늘욘");
    terminal.send(BACKSPACE);
    terminal.send("은?\r");
    let screen =
        terminal.wait("both answers", |s| s.text.matches("tok/s").count() == 2 && s.last_line() == "›");
    assert!(screen.text.contains("› 그리고 하늘은?\n"), "{}", screen.text);
    let talk = &home.conversations()[0];
    assert_eq!((talk.len(), talk[3]["content"].as_str()), (5, Some("그리고 하늘은?")));
}

#[test]
fn history_lasts() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, SHORT);
    terminal.say("/set top-k 7", "top-k 7");
    terminal.say("/set 온도 7", "no option `온도`");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    let mut terminal = Terminal::start(&home, SHORT);
    terminal.send(UP);
    terminal.wait("the last line of the other run", |s| s.cursor_line() == "› /set 온도 7");
    terminal.send(UP);
    terminal.wait("the line before", |s| s.cursor_line() == "› /set top-k 7");
    assert!(home.path(".local/share/sai/history.txt").exists());
}

#[test]
fn ctrl_c_stops_an_answer_and_then_leaves() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, &["--temperature", "0", "--max-new-tokens", "2000"]);
    terminal.send("Write a very long story about a fox and a river.\r");
    let begun =
        |s: &super::pty::Shown| s.text.split_once("river.").is_some_and(|(_, said)| said.trim().len() > 20);
    terminal.wait("the beginning of the answer", begun);
    terminal.send(CTRL_C);
    let screen = terminal
        .wait("the mark of a stopped answer", |s| s.text.contains("stopped · ") && s.last_line() == "›");
    assert!(begun(&screen), "what was said stays:\n{}", screen.text);
    let talk = &home.conversations()[0];
    assert_eq!(talk[2]["finish_reason"], "interrupted");
    let kept = talk[2]["content"].as_str().unwrap_or_default().to_owned();
    assert!(!kept.trim().is_empty());
    // A line that was begun is cleared; only on an empty line does Ctrl-C leave.
    terminal.send("half a line");
    terminal.wait("half a line", |s| s.last_line() == "› half a line");
    terminal.send(CTRL_C);
    terminal.wait("an empty line", |s| s.last_line() == "›");
    terminal.send(CTRL_C);
    terminal.wait("a word about leaving", |s| s.text.contains("Ctrl-C again leaves") && s.last_line() == "›");
    terminal.send(CTRL_C);
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn commands_do_what_they_say() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, SHORT);
    terminal.say("/hlep", "did you mean /help?");
    terminal.say("/help", "/regen");
    terminal.say("/set temperature hot", "`hot` is not a temperature");
    terminal.say("/system Answer in one word.", "system prompt set");
    terminal.say("/tokens 안녕 hello", "hello");
    terminal.say("/stats", "no answer yet");
    terminal.say("What is the capital of France?", "tok/s");
    terminal.say("/stats", "first token");
    terminal.say("/save trip", "saved as trip");
    terminal.send("/export ");
    terminal.say("talk.md", "written to talk.md");
    let exported = std::fs::read_to_string(home.path("talk.md")).expect("was written");
    assert!(exported.contains("What is the capital of France?") && exported.contains("Answer in one word."));
    let first = home.conversations()[0].clone();
    assert_eq!(first[0]["name"], "trip");
    terminal.say("/clear", "a new conversation");
    terminal.say("/regen", "no question to answer again");
    terminal.say("/load trip", "going on with trip, 1 turn");
    terminal.say("/regen", "tok/s");
    assert_eq!(home.conversations()[0].len(), 3, "still one exchange");
    // The question comes back to be changed.
    terminal.send("/edit\r");
    terminal.wait("the question", |s| s.cursor_line() == "› What is the capital of France?");
    terminal.send(&BACKSPACE.repeat(7));
    terminal.send("Korea?\r");
    terminal.wait("the changed question's answer", |s| {
        s.last_line() == "›" && s.text.split_once("of Korea?").is_some_and(|(_, said)| said.contains("tok/s"))
    });
    let talk = &home.conversations()[0];
    assert_eq!((talk.len(), talk[1]["content"].as_str()), (3, Some("What is the capital of Korea?")));
    terminal.say("/undo", "taken back: What is the capital of Korea?");
    assert_eq!(home.conversations()[0].len(), 1);
    terminal.say("/model nosuchmodel", "nosuchmodel");
    terminal.say("/model", "smollm2-135m");
    terminal.say("/debug", "debug on");
    terminal.say("Hi", "finish_reason");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_conversation_goes_on() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, SHORT);
    terminal.say("My name is Minji.", "tok/s");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().0, 0);
    let arguments = [SHORT, &["--resume"]].concat();
    let mut terminal = Terminal::start(&home, &arguments);
    let screen = terminal.now();
    assert!(screen.text.contains("1 turn") && screen.text.contains("My name is Minji."), "{}", screen.text);
    terminal.say("What is my name?", "tok/s");
    let talks = home.conversations();
    assert_eq!((talks.len(), talks[0].len()), (1, 5));
}

#[cfg(unix)]
#[test]
fn sigterm_leaves_with_everything_saved() {
    let Some(home) = Home::new() else { return };
    let mut terminal = Terminal::start(&home, &["--temperature", "0", "--max-new-tokens", "2000"]);
    terminal.send("Write a very long story about a fox and a river.\r");
    terminal.wait("the beginning of the answer", |s| {
        s.text.split_once("river.").is_some_and(|(_, said)| said.trim().len() > 20)
    });
    let killed = std::process::Command::new("kill").arg(terminal.process_id().to_string()).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let (code, last) = terminal.end();
    assert_eq!(code, 0, "{last}");
    assert_eq!(home.conversations()[0][2]["finish_reason"], "interrupted");
}

#[test]
fn without_a_word_it_is_a_chat_with_the_built_in_model() {
    let home = Home::bare();
    let mut terminal = Terminal::sai(&home, &[]);
    let begun = terminal.now().text;
    assert!(begun.contains("mini is the small built-in model"), "{begun}");
    terminal.say("안녕?", "tok/s");
    terminal.send("\x04");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
}

#[test]
fn without_saving_nothing_that_is_typed_is_kept() {
    let home = Home::bare();
    let history = home.path(".local/share/sai/history.txt");
    let talk = |arguments: &[&str]| {
        let mut terminal = Terminal::start(&home, &[SHORT, arguments].concat());
        terminal.send("secret words\r");
        terminal.wait("an answer", |s| s.text.contains("tok/s") && s.last_line() == "›");
        terminal.send("/tokens secret too\r");
        terminal.wait("its tokens", |s| s.text.contains("text\n") && s.last_line() == "›");
        terminal.send(CTRL_D);
        assert_eq!(terminal.end().0, 0);
    };
    talk(&["--no-save"]);
    assert_eq!(std::fs::read_dir(home.path("")).expect("the home").count(), 0, "the home is as it was");
    talk(&[]);
    let kept = std::fs::read_to_string(&history).expect("a history");
    assert!(kept.contains("secret words"), "{kept}");
    talk(&["--no-save"]);
    assert_eq!(std::fs::read_to_string(&history).expect("a history"), kept);
    assert_eq!(home.conversations().len(), 1);
}
