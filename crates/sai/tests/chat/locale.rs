//! sai speaks Korean where the locale does and English elsewhere; flags, commands and JSON are English in both.

use super::Home;
use super::piped::{chat, json_lines, text};
use super::pty::Terminal;

fn home(locale: &'static str) -> Home {
    Home { locale, ..Home::bare() }
}

const KOREAN: &str = "ko_KR.UTF-8";
const ENGLISH: &str = "en_US.UTF-8";

#[test]
fn a_first_run_is_in_the_language_of_the_locale() {
    for (locale, opening, keys, leave, saved) in [
        (
            KOREAN,
            "mini: sai에 들어 있는 작은 모델",
            "Ctrl-D 나가기",
            "한 번 더",
            "이어 가려면: sai chat --resume",
        ),
        (
            ENGLISH,
            "mini is the small built-in model",
            "Ctrl-D leaves",
            "Ctrl-C again leaves",
            "saved; sai chat --resume",
        ),
    ] {
        let mut terminal = Terminal::sai(&home(locale), &[]);
        let shown = terminal.now().text;
        assert!(shown.contains(opening) && shown.contains(keys), "{shown}");
        terminal.say("안녕?", if locale == KOREAN { "첫 토큰" } else { "first after" });
        terminal.send("\u{3}");
        terminal.wait(leave, |screen| screen.text.contains(leave));
        terminal.send("\u{4}");
        let (code, shown) = terminal.end();
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains(saved), "{shown}");
    }
}

#[test]
fn commands_keep_their_names_and_explain_themselves_in_korean() {
    let mut terminal = Terminal::sai(&home(KOREAN), &["chat"]);
    let shown = terminal.say("/help", "나갑니다 (Ctrl-D도 같습니다)");
    assert!(shown.text.contains("/regen") && shown.text.contains("/system [TEXT|none]"), "{}", shown.text);
    terminal.say("/hlep", "/help 말인가요?");
    terminal.say("/undo", "되돌릴 것이 없습니다");
    terminal.say("/export", ".md, .json 또는 .txt");
    terminal.say("/stats", "아직 답이 없습니다");
    terminal.say("안녕?", "컨텍스트");
    terminal.say("/stats", "끝난 까닭");
    terminal.say("/save 인사", "이름을 붙여 저장했습니다: 인사");
    terminal.send("\u{4}");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn what_a_newcomer_is_refused_is_said_in_korean() {
    for (arguments, said) in [
        (&["-m", "./없는.gguf"][..], "./없는.gguf: 그런 파일이나 폴더가 없습니다"),
        (&["-m", "minni"], "`mini` 말인가요?"),
        (&["--device", "cuda"], "이 빌드는 CPU로만 계산합니다"),
        (&["--context", "4096"], "512토큰보다 깁니다"),
        (&["--resume"], "아직 저장된 대화가 없습니다"),
    ] {
        let output = chat(&home(KOREAN), arguments, b"");
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(
            err.lines().last().is_some_and(|line| line.starts_with("sai: ") && line.contains(said)),
            "{err}"
        );
    }
}

#[test]
fn a_server_is_refused_in_korean_where_others_could_reach_it() {
    let home = home(KOREAN);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sai"));
    command.args(["serve", "--host", "0.0.0.0", "--port", "0"]).env_clear().envs(home.environment());
    let output = command.output().expect("sai ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--no-keys를 주세요"), "{}", text(&output.stderr));
}

#[test]
fn json_is_english_everywhere() {
    let long = "가나다라 ".repeat(2000) + "\n안녕?\n";
    let output = chat(&home(KOREAN), &["--json"], long.as_bytes());
    let err = text(&output.stderr);
    assert!(
        err.contains("표준 입력 1번째 줄: 프롬프트가") && err.contains("1줄에 답하지 못했습니다"),
        "{err}"
    );
    let lines = json_lines(&output);
    let error = lines[0]["error"].as_str().expect("the first line failed");
    assert!(error.starts_with("standard input, line 1: the prompt has "), "{error}");
    assert_eq!(lines[1]["finish_reason"], "stop");
}
