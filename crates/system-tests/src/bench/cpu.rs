//! The CPU time of a stack's processes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Stack;

/// By process, such as `orders` or `mongod`.
pub struct CpuTimes(BTreeMap<String, Duration>);

impl CpuTimes {
    /// What each process has used since it was started.
    pub fn of(stack: &Stack) -> CpuTimes {
        let processes = stack.processes();
        let times = processes.names().into_iter().filter_map(|name| {
            let process = processes.get(&name)?;
            Some((name, process.cpu_time()))
        });
        CpuTimes(times.collect())
    }

    /// What each has used since an earlier moment, for one of so many.
    pub fn since(&self, before: &CpuTimes, number: usize) -> BTreeMap<String, Duration> {
        let number = u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        let used = self.0.iter().map(|(name, time)| {
            let used = time.saturating_sub(before.0.get(name).copied().unwrap_or_default());
            (name.clone(), used / number)
        });
        used.collect()
    }
}
