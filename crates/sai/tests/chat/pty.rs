//! A pseudo-terminal with a screen that can be read back.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use super::Home;

/// Asks where the cursor is; whoever plays the terminal must answer.
const WHERE: &[u8] = b"\x1b[6n";
/// However slow the machine, nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// `sai chat` in a terminal of 80 by 24.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    screen: Arc<Mutex<vt100::Parser>>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::sai(home, &[&["chat"], arguments].concat())
    }

    /// Any command that becomes a chat.
    pub(crate) fn sai(home: &Home, arguments: &[&str]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_sai"));
        command.args(arguments);
        command.env_clear();
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        command.cwd(home.path(""));
        let child = pair.slave.spawn_command(command).expect("sai starts");
        let mut output = pair.master.try_clone_reader().expect("the terminal's output");
        let keys = Arc::new(Mutex::new(pair.master.take_writer().expect("the terminal's keys")));
        let cells = |n| NonZero::new(n).expect("not zero");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(24), cells(80), 1000)));

        let (answers, shown) = (Arc::clone(&keys), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut seen: Vec<u8> = Vec::new();
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                for &byte in &buffer[..read] {
                    seen.push(byte);
                    let mut shown = shown.lock().expect("the screen");
                    shown.process(&[byte]);
                    if seen.ends_with(WHERE) {
                        let (row, column) = shown.screen().cursor_position();
                        let answer = format!("\x1b[{};{}R", row + 1, column + 1);
                        let _ = answers.lock().expect("the keys").write_all(answer.as_bytes());
                    }
                }
            }
        });
        let mut terminal = Self { child, keys, screen, _master: pair.master };
        terminal.wait("the first prompt", |screen| screen.last_line() == "›");
        terminal
    }

    /// Presses keys.
    pub(crate) fn send(&mut self, keys: &str) {
        let mut writer = self.keys.lock().expect("the keys");
        writer.write_all(keys.as_bytes()).expect("sai reads its keys");
        writer.flush().expect("sai reads its keys");
    }

    pub(crate) fn now(&self) -> Shown {
        let parser = self.screen.lock().expect("the screen");
        let screen = parser.screen();
        Shown { text: screen.contents(), cursor: screen.cursor_position() }
    }

    /// Waits until the screen is as wanted, and gives it back.
    pub(crate) fn wait(&mut self, what: &str, holds: impl Fn(&Shown) -> bool) -> Shown {
        let start = Instant::now();
        loop {
            let shown = self.now();
            if holds(&shown) {
                return shown;
            }
            let ended = self.child.try_wait().expect("sai can be asked");
            assert!(
                start.elapsed() < PATIENCE && ended.is_none(),
                "{what} never came ({ended:?}); the screen shows\n{}",
                shown.text
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types a line and waits for what it says and the prompt after it.
    pub(crate) fn say(&mut self, line: &str, answer: &str) -> Shown {
        self.send(line);
        self.send("\r");
        self.wait(answer, |screen| screen.text.contains(answer) && screen.last_line() == "›")
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.process_id().expect("sai runs")
    }

    /// Waits for the end; the exit code and the last screen.
    pub(crate) fn end(mut self) -> (u32, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("sai can be asked") {
                // What it wrote last may still be on its way.
                std::thread::sleep(Duration::from_millis(50));
                return (status.exit_code(), self.now().text);
            }
            assert!(start.elapsed() < PATIENCE, "sai does not end; the screen shows\n{}", self.now().text);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// What the screen shows.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Row and column, from 0.
    pub(crate) cursor: (u16, u16),
}

impl Shown {
    /// The last line that is not empty, without the spaces at its end.
    pub(crate) fn last_line(&self) -> &str {
        self.text.trim_end().lines().next_back().unwrap_or("").trim_end()
    }

    /// The line on which the cursor stands.
    pub(crate) fn cursor_line(&self) -> &str {
        self.text.lines().nth(usize::from(self.cursor.0)).unwrap_or("").trim_end()
    }
}
