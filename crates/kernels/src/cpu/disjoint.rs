//! A mutable slice that the tasks of one parallel region write in parts.

use std::marker::PhantomData;
use std::ops::Range;

/// Shares `&mut [T]` between tasks that each promise to touch their own elements only.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    length: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` handed out in parts; the callers of `part` keep the parts apart.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Disjoint { start: slice.as_mut_ptr(), length: slice.len(), slice: PhantomData }
    }

    /// The first element, for who keeps the same promise by pointers.
    #[inline(always)]
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// While the returned slice lives, no other may cover any of its elements.
    ///
    /// # Panics
    /// If the range leaves the slice.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "part outside of the slice");
        // SAFETY: within the slice by the assertion, unshared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}
