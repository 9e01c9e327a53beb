//! A table of the processor's lines, looked up by hash, that doubles while it fills.

use bytemuck::Pod;
use memmap2::MmapMut;

/// Lines that a table begins with.
const FIRST: usize = 1 << 8;
/// Tables from this size on are mapped, in large pages where the system gives them: each look is at another place, and
/// small pages would have the processor look up where it is before.
const LARGE: usize = 4 << 20;

/// See the head of this file. A line of zeros is empty.
pub(crate) struct Lines<L> {
    memory: Memory<L>,
    /// Lines, a power of two.
    len: usize,
    /// Lines at most, a power of two.
    most: usize,
}

enum Memory<L> {
    Small(Vec<L>),
    Large(MmapMut),
}

impl<L: Pod> Lines<L> {
    /// An empty table of up to about `bytes`.
    pub(crate) fn new(bytes: usize) -> Lines<L> {
        let most = 1 << (bytes / size_of::<L>()).max(FIRST).ilog2();
        Lines { memory: Memory::zeroed(FIRST), len: FIRST, most }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn at(&self, hash: u64) -> &L {
        &self.memory.lines()[hash as usize & (self.len - 1)]
    }

    #[inline(always)]
    pub(crate) fn at_mut(&mut self, hash: u64) -> &mut L {
        let at = hash as usize & (self.len - 1);
        &mut self.memory.lines_mut()[at]
    }

    /// Doubles the table, empty, and hands each of its old lines to `put`, which finds them places. Does nothing to a table
    /// that is as large as it may be.
    pub(crate) fn double(&mut self, mut put: impl FnMut(&mut Lines<L>, &[L])) {
        if self.len >= self.most {
            return;
        }
        self.len *= 2;
        let old = std::mem::replace(&mut self.memory, Memory::zeroed(self.len));
        put(self, old.lines());
    }
}

impl<L: Pod> Memory<L> {
    fn zeroed(len: usize) -> Memory<L> {
        let bytes = len * size_of::<L>();
        // Without a map, or without large pages, it is only slower.
        match MmapMut::map_anon(bytes) {
            Ok(map) if bytes >= LARGE => {
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Memory::Large(map)
            }
            _ => Memory::Small(vec![L::zeroed(); len]),
        }
    }

    #[inline(always)]
    fn lines(&self) -> &[L] {
        match self {
            Memory::Small(lines) => lines,
            Memory::Large(map) => bytemuck::cast_slice(map),
        }
    }

    #[inline(always)]
    fn lines_mut(&mut self) -> &mut [L] {
        match self {
            Memory::Small(lines) => lines,
            Memory::Large(map) => bytemuck::cast_slice_mut(map),
        }
    }
}
