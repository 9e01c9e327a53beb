//! Makes the pages that `recipes/corpus-sample.toml` builds a corpus from: `cargo run -p sai-corpus --example pages -- target/pages`.

#[path = "../tests/made/mod.rs"]
mod made;

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder to make the pages in");
    made::pages(std::path::Path::new(&folder), 60);
}
