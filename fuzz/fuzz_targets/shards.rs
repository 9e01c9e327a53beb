//! Any bytes as a token shard: refused with one line, or every document can be read.
//!
//! Checksums would keep nearly all inputs out, so those of the header and the index are mended in a second try.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_formats::Bytes;
use sai_shards::Shard;
use sha2::{Digest, Sha256};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if let Some(mended) = mend(bytes) {
        read(&mended);
    }
});

fn read(bytes: &[u8]) {
    match Shard::from_bytes(Bytes::from_vec(bytes.to_vec()), "s.tokens".as_ref()) {
        Ok(shard) => {
            let mut tokens = 0;
            for number in 0..shard.ends().len() {
                let document = shard.document(number).expect("a document for each end");
                tokens += document.tokens.iter().count() as u64;
            }
            assert_eq!(tokens, shard.header().tokens);
            assert!(shard.document(shard.ends().len()).is_none());
            let _ = shard.verify();
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("s.tokens: ") && !line.contains('\n'), "{line}");
        }
    }
}

/// The same bytes with the checksums that they should have.
fn mend(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    bytes.get_mut(..12)?.copy_from_slice(b"saitoken\x01\0\0\0");
    let word = |at: usize| Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
    let tokens = word(32)?.checked_mul(word(12)?)?.checked_next_multiple_of(8)?;
    let index = usize::try_from(tokens.checked_add(256)?).ok()?;
    let sum = Sha256::digest(bytes.get(index..)?);
    bytes.get_mut(160..192)?.copy_from_slice(&sum);
    let sum = Sha256::digest(&bytes[..224]);
    bytes.get_mut(224..256)?.copy_from_slice(&sum);
    Some(bytes)
}
