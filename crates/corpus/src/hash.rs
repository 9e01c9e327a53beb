//! Numbers that stand for bytes, and for places: the same on every machine.

use twox_hash::XxHash64;

/// Of bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// Of two numbers, in their order.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z = (z ^ (z >> 31)).wrapping_add(b.wrapping_mul(0xff51_afd7_ed55_8ccd));
    z ^ (z >> 29)
}

/// A share from 0 to below 1 that a number decides.
pub(crate) fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1u64 << 53) as f64
}
