//! Which instructions this processor has, asked once.

/// An instruction set that kernels are written or compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on aarch64.
    Baseline,
    /// AVX2 with FMA and F16C: every x86-64 server and laptop since about 2015.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX2, and its own form of VNNI: Intel's processors without AVX-512 since about 2021.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX2, and AVX-512 F, BW and VNNI: servers since about 2019, and AMD's processors since 2022.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// NEON with dot products of bytes: Apple's processors, and others since about 2018.
    #[cfg(target_arch = "aarch64")]
    NeonDotprod,
}

impl Isa {
    /// Whether the baseline multiplies and adds in one instruction.
    pub(crate) const BASELINE_FMA: bool = cfg!(target_arch = "aarch64");

    /// The best that this processor has.
    pub(crate) fn detect() -> Isa {
        Isa::available().pop().unwrap_or(Isa::Baseline)
    }

    /// All that this processor has, plainest first.
    pub(crate) fn available() -> Vec<Isa> {
        #[allow(unused_mut)]
        let mut sets = vec![Isa::Baseline];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            sets.push(Isa::Avx2);
            if is_x86_feature_detected!("avxvnni") {
                sets.push(Isa::AvxVnni);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                sets.push(Isa::Avx512Vnni);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            sets.push(Isa::NeonDotprod);
        }
        sets
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => "AVX2 with VNNI",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => "AVX-512 VNNI",
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDotprod => "NEON with dot products",
            #[cfg(target_arch = "aarch64")]
            Isa::Baseline => "NEON",
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Baseline => "baseline",
        }
    }
}
