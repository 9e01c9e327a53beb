//! Shows what rules make: `cargo run -p sai-samples --example talk -- data/talk/*.toml`, conversations first, then documents.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use sai_samples::Rules;

/// How many of each are shown.
const SHOWN: usize = 40;

fn main() -> Result<(), sai_samples::Error> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let rules = Rules::open(&files)?;
    for lang in rules.languages() {
        println!("{lang}: {} topics, {} kinds of documents", rules.topics(lang), rules.stories(lang));
    }
    for talk in rules.conversations(1).take(SHOWN) {
        println!();
        talk.messages.iter().for_each(|turn| println!("{:>9}  {}", turn.role, turn.content));
    }
    for made in rules.documents(1).take(SHOWN) {
        println!("\n{}", made.text);
    }
    Ok(())
}
