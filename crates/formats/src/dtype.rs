//! Element types: those sai computes with, and those it can only name.

use std::fmt;

/// How the elements of a tensor are stored.
///
/// A tensor is a sequence of blocks, each [`block_len`](DType::block_len) neighbouring elements of one row in
/// [`block_bytes`](DType::block_bytes) bytes. For plain numbers a block is one element. Layouts are in
/// [`blocks`](crate::blocks).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)] // the names that everyone knows these types by
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `F32`.
    BF16,
    /// 32 signed bytes and an f16 scale.
    Q8_0,
    /// 32 four-bit values about 8, and an f16 scale.
    Q4_0,
    /// 32 four-bit values, an f16 scale and an f16 minimum.
    Q4_1,
    /// 32 five-bit values about 16, and an f16 scale.
    Q5_0,
    /// 32 five-bit values, an f16 scale and an f16 minimum.
    Q5_1,
    /// 256 two-bit values in 16 groups with four-bit scales and minima.
    Q2_K,
    /// 256 three-bit values in 16 groups with six-bit scales.
    Q3_K,
    /// 256 four-bit values in 8 groups with six-bit scales and minima.
    Q4_K,
    /// 256 five-bit values in 8 groups with six-bit scales and minima.
    Q5_K,
    /// 256 six-bit values in 16 groups with eight-bit scales.
    Q6_K,
    /// A type that sai can name and measure, but not compute with.
    Other(UnsupportedType),
}

/// A row of the table of types that sai names but does not run: integers, eight-bit floats, the IQ family.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnsupportedType {
    name: &'static str,
    ggml: Option<u32>,
    block_len: u16,
    block_bytes: u16,
}

const fn ggml(name: &'static str, id: u32, block_len: u16, block_bytes: u16) -> UnsupportedType {
    UnsupportedType { name, ggml: Some(id), block_len, block_bytes }
}

const fn plain(name: &'static str, block_len: u16, block_bytes: u16) -> UnsupportedType {
    UnsupportedType { name, ggml: None, block_len, block_bytes }
}

/// Types of GGUF files (with their number there) and of safetensors files (without).
const FOREIGN: &[UnsupportedType] = &[
    ggml("Q8_1", 9, 32, 40),
    ggml("Q8_K", 15, 256, 292),
    ggml("IQ2_XXS", 16, 256, 66),
    ggml("IQ2_XS", 17, 256, 74),
    ggml("IQ3_XXS", 18, 256, 98),
    ggml("IQ1_S", 19, 256, 50),
    ggml("IQ4_NL", 20, 32, 18),
    ggml("IQ3_S", 21, 256, 110),
    ggml("IQ2_S", 22, 256, 82),
    ggml("IQ4_XS", 23, 256, 136),
    ggml("I8", 24, 1, 1),
    ggml("I16", 25, 1, 2),
    ggml("I32", 26, 1, 4),
    ggml("I64", 27, 1, 8),
    ggml("F64", 28, 1, 8),
    ggml("IQ1_M", 29, 256, 56),
    ggml("TQ1_0", 34, 256, 54),
    ggml("TQ2_0", 35, 256, 66),
    ggml("MXFP4", 39, 32, 17),
    ggml("NVFP4", 40, 64, 36),
    ggml("Q1_0", 41, 128, 18),
    plain("BOOL", 1, 1),
    plain("U8", 1, 1),
    plain("U16", 1, 2),
    plain("U32", 1, 4),
    plain("U64", 1, 8),
    plain("C64", 1, 8),
    plain("F8_E4M3", 1, 1),
    plain("F8_E5M2", 1, 1),
    plain("F8_E8M0", 1, 1),
    plain("F8_E4M3FNUZ", 1, 1),
    plain("F8_E5M2FNUZ", 1, 1),
    plain("F6_E2M3", 4, 3),
    plain("F6_E3M2", 4, 3),
    plain("F4", 2, 1),
];

impl DType {
    /// The types that sai computes with, in order of their GGML numbers.
    pub const KNOWN: [DType; 13] = [
        DType::F32,
        DType::F16,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q2_K,
        DType::Q3_K,
        DType::Q4_K,
        DType::Q5_K,
        DType::Q6_K,
        DType::BF16,
    ];

    /// Name, GGML number, elements and bytes of a block: the one table behind the methods below.
    const fn facts(self) -> UnsupportedType {
        match self {
            DType::F32 => ggml("F32", 0, 1, 4),
            DType::F16 => ggml("F16", 1, 1, 2),
            DType::Q4_0 => ggml("Q4_0", 2, 32, 18),
            DType::Q4_1 => ggml("Q4_1", 3, 32, 20),
            DType::Q5_0 => ggml("Q5_0", 6, 32, 22),
            DType::Q5_1 => ggml("Q5_1", 7, 32, 24),
            DType::Q8_0 => ggml("Q8_0", 8, 32, 34),
            DType::Q2_K => ggml("Q2_K", 10, 256, 84),
            DType::Q3_K => ggml("Q3_K", 11, 256, 110),
            DType::Q4_K => ggml("Q4_K", 12, 256, 144),
            DType::Q5_K => ggml("Q5_K", 13, 256, 176),
            DType::Q6_K => ggml("Q6_K", 14, 256, 210),
            DType::BF16 => ggml("BF16", 30, 1, 2),
            DType::Other(foreign) => foreign,
        }
    }

    /// The type that GGUF files write as `id`; `None` where no type has that number, or had it and was withdrawn.
    pub fn from_ggml(id: u32) -> Option<DType> {
        let known = DType::KNOWN.into_iter().find(|t| t.ggml_id() == Some(id));
        known.or_else(|| FOREIGN.iter().find(|t| t.ggml == Some(id)).map(|t| DType::Other(*t)))
    }

    /// The number of this type in GGUF files; `None` for types that only safetensors has.
    pub const fn ggml_id(self) -> Option<u32> {
        self.facts().ggml
    }

    /// The type of this name, as [`name`](DType::name) writes it.
    pub fn from_name(name: &str) -> Option<DType> {
        let known = DType::KNOWN.into_iter().find(|t| t.name() == name);
        known.or_else(|| FOREIGN.iter().find(|t| t.name == name).map(|t| DType::Other(*t)))
    }

    /// The name as files and people write it: `Q4_K`, `BF16`, `I64`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Elements a block.
    pub const fn block_len(self) -> usize {
        self.facts().block_len as usize
    }

    /// Bytes a block.
    pub const fn block_bytes(self) -> usize {
        self.facts().block_bytes as usize
    }

    /// Whether this is one of the three plain float types that sai computes with: F32, F16, BF16.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16 | DType::BF16)
    }

    /// Whether sai can compute with this type.
    pub const fn is_known(self) -> bool {
        !matches!(self, DType::Other(_))
    }

    /// Bytes that `elements` take; `None` where they do not fill whole blocks or the count overflows.
    pub const fn bytes_for(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for UnsupportedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back() {
        for id in 0..64 {
            if let Some(dtype) = DType::from_ggml(id) {
                assert_eq!(dtype.ggml_id(), Some(id), "{dtype}");
            }
        }
        for dtype in DType::KNOWN.into_iter().chain(FOREIGN.iter().map(|t| DType::Other(*t))) {
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
        }
        assert_eq!(DType::from_ggml(4), None);
        assert_eq!(DType::from_ggml(u32::MAX), None);
    }

    #[test]
    fn bytes_for_whole_blocks_only() {
        assert_eq!(DType::F32.bytes_for(3), Some(12));
        assert_eq!(DType::Q4_0.bytes_for(64), Some(36));
        assert_eq!(DType::Q4_0.bytes_for(33), None);
        assert_eq!(DType::Q6_K.bytes_for(0), Some(0));
        assert_eq!(DType::F32.bytes_for(usize::MAX), None);
    }
}
