//! Large pages for large buffers: 512 times fewer for the processor to look up, and for the system to fill.

/// Buffers from this many bytes on are asked large pages for.
const LARGE: usize = 4 << 20;

/// Asks the system to back what is reserved by large pages, before it is first written. A wish: where the system has
/// none, or is another, nothing changes.
pub(crate) fn ask_for_large<T>(reserved: &mut Vec<T>) {
    let bytes = reserved.capacity() * size_of::<T>();
    if bytes < LARGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let page = rustix::param::page_size();
        let start = reserved.as_mut_ptr().cast::<u8>();
        let skipped = start.align_offset(page);
        let Some(length) = bytes.checked_sub(skipped) else { return };
        // SAFETY: whole pages of an allocation of ours, whose contents the advice does not change.
        let _ = unsafe {
            rustix::mm::madvise(
                start.add(skipped).cast(),
                length / page * page,
                rustix::mm::Advice::LinuxHugepage,
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_stay() {
        for length in [0, 1, LARGE / 4, LARGE / 4 + 12_345] {
            let mut values = vec![7.0f32; length];
            ask_for_large(&mut values);
            assert!(values.len() == length && values.iter().all(|&x| x == 7.0));
        }
    }
}
