//! How much memory there is for a model, and how much was taken.

use std::fs;

/// Bytes that this process can still take without being ended for it: what the machine has available, or
/// what its control group leaves where that is less. `None` where the system does not say.
pub(crate) fn available() -> Option<u64> {
    let machine = meminfo_available(&fs::read_to_string("/proc/meminfo").ok()?);
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group_room(&text));
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

/// Bytes of memory that the machine has. `None` where the system does not say.
pub(crate) fn total() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// Bytes that this process has held at most since it began, or since [`forget_peak`]. `None` where the system does
/// not say.
pub(crate) fn peak() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Lets [`peak`] begin anew, where the system can.
pub(crate) fn forget_peak() {
    // Where it cannot, the peak is what came before, too: an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn meminfo_available(text: &str) -> Option<u64> {
    kilobytes(text, "MemAvailable:")
}

/// The field `name` of a file of /proc, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The least room that this process's control group, or one above it, leaves. Version 2 has one line
/// `0::/path`; version 1 names its controllers.
fn group_room(cgroup: &str) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, limit, usage, cache) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
        } else if controllers.split(',').any(|c| c == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        } else {
            continue;
        };
        // Limits nest: each folder on the way up may have its own. In a container the path is often not
        // mounted and the root holds the limit.
        let mut folder = std::path::PathBuf::from(format!("{root}{path}"));
        while folder.starts_with(root) {
            let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
            if let (Some(limit), Some(used)) = (number(limit), number(usage)) {
                // Cached files count as used but go when asked.
                let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
                let room = limit.saturating_sub(used.saturating_sub(stat_field(&stat, cache)));
                least = Some(least.map_or(room, |least| least.min(room)));
            }
            if !folder.pop() {
                break;
            }
        }
    }
    least
}

fn stat_field(stat: &str, name: &str) -> u64 {
    stat.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(field, _)| *field == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let text = "MemTotal:       24000 kB\nMemAvailable:      12 kB\n";
        assert_eq!(meminfo_available(text), Some(12 * 1024));
        assert_eq!(meminfo_available("MemTotal: 1 kB\n"), None);
        assert_eq!(meminfo_available("MemAvailable: many kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_says_what_it_has() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
        assert!(total() >= available());
        assert!(peak().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn a_field_of_memory_stat_is_found() {
        assert_eq!(stat_field("anon 5\ninactive_file 77\n", "inactive_file"), 77);
        assert_eq!(stat_field("anon 5\n", "inactive_file"), 0);
    }
}
