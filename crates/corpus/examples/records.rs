//! What a reader finds in files: `cargo run -p sai-corpus --example records -- FILE…` prints records and faults of each.

#![allow(clippy::print_stdout, reason = "an example for people")]

use sai_corpus::{Body, Faults, Reading, Settings, format_of};

fn main() -> Result<(), sai_corpus::Error> {
    for path in std::env::args_os().skip(1).map(std::path::PathBuf::from) {
        let Some(format) = format_of(&path)? else {
            println!("{}: nothing tells what it is", path.display());
            continue;
        };
        let settings = Settings { format, columns: sai_documents::Columns::default(), longest: 16 << 20 };
        let mut reading = match Reading::open(vec![path.clone()], settings) {
            Ok(reading) => reading,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let (mut records, mut bytes, mut pages, mut faults) = (0, 0, 0, Faults::default());
        while let Some(block) = reading.next_block() {
            let (found, broken) = match block.and_then(sai_corpus::Block::take) {
                Ok(taken) => taken,
                Err(error) => {
                    println!("{error}");
                    break;
                }
            };
            records += found.len();
            bytes += found.iter().map(|record| record.body.len()).sum::<usize>();
            pages += found.iter().filter(|record| matches!(record.body, Body::Html { .. })).count();
            for (into, from) in
                [(&mut faults.broken, broken.broken), (&mut faults.passed_over, broken.passed_over)]
            {
                from.into_iter().for_each(|(kind, count)| *into.entry(kind).or_default() += count);
            }
        }
        println!("{}: {format:?}, {records} records, {pages} of them pages, {bytes} bytes", path.display());
        for (kind, count) in faults.broken.iter().chain(&faults.passed_over) {
            println!("    {count} × {kind}");
        }
    }
    Ok(())
}
