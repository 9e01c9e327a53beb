//! A hash for tables whose collisions cost time and never a wrong answer.

/// Both numbers multiplied to 128 bits, the halves joined: every bit of the result depends on every bit given.
#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    // Digits of the golden ratio and of pi, so that a zero on one side does not swallow the other.
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0x2432_f6a8_885a_308d);
    product as u64 ^ (product >> 64) as u64
}
