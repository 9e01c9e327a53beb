//! Prints `src/unicode_ranges.rs`: the character classes of the regex engine that `tokenizers` uses.
//!
//! `cargo run -p sai-tokenizer --example unicode_ranges > crates/tokenizer/src/unicode_ranges.rs`

#![allow(clippy::print_stdout)]

use regex_syntax::hir::{Class, HirKind};

fn main() {
    println!("// Made by `cargo run -p sai-tokenizer --example unicode_ranges`; do not edit.");
    println!("// Unicode 16.0.0, as regex-syntax 0.8 has it, which `tokenizers` splits with.");
    for (name, pattern, meaning) in [
        ("LETTER", r"\p{L}", "`\\p{L}`, first and last code points."),
        ("NUMBER", r"\p{N}", "`\\p{N}`, first and last code points."),
        ("SPACE", r"\s", "`\\s`, first and last code points."),
        ("WORD", r"\w", "`\\w`, first and last code points."),
    ] {
        let hir = regex_syntax::parse(pattern).expect("a class of its own parses");
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{pattern} is a class") };
        println!("\n/// {meaning}\n#[rustfmt::skip]\npub(crate) static {name}: &[(u32, u32)] = &[");
        let pairs: Vec<String> =
            class.iter().map(|r| format!("(0x{:x}, 0x{:x}),", r.start() as u32, r.end() as u32)).collect();
        for line in pairs.chunks(6) {
            println!("    {}", line.join(" "));
        }
        println!("];");
    }
}
