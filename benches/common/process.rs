//! Measures of a Linux process, and a limit on its CPU time.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The CPU time that the running threads of a process have used.
pub fn cpu_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// A figure of `/proc/<pid>/status`, in megabytes: `VmHWM` is the peak resident memory, `VmRSS` the current one.
pub fn megabytes(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

/// Finds a program in the `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Sends SIGTERM to a process.
pub fn terminate(pid: u32) {
    let ended = Command::new("kill").arg(pid.to_string()).status();
    assert!(ended.is_ok_and(|status| status.success()), "the process is still running");
}

/// The share of a core that Lambda assigns to a function by its memory, as a control group with a quota.
pub struct CpuShare {
    directory: PathBuf,
}

impl CpuShare {
    /// Creates the share of a function with this much memory; 1769 MB are a whole core (AWS Lambda developer guide,
    /// "Configure Lambda function memory").
    ///
    /// # Errors
    /// An error of the file system when control groups cannot be created, which needs root.
    pub fn of_memory(megabytes: u32) -> io::Result<Self> {
        const PERIOD_MICROS: u32 = 20_000;
        let quota = PERIOD_MICROS * megabytes / 1769;
        let name = format!("organization-invitations-{}", std::process::id());
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let root = Path::new(if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/cpu" });
        let share = Self { directory: root.join(name) };
        fs::create_dir(&share.directory)?;
        if unified {
            fs::write(share.directory.join("cpu.max"), format!("{quota} {PERIOD_MICROS}"))?;
        } else {
            fs::write(share.directory.join("cpu.cfs_period_us"), PERIOD_MICROS.to_string())?;
            fs::write(share.directory.join("cpu.cfs_quota_us"), quota.to_string())?;
        }
        Ok(share)
    }

    /// Puts a running process under the quota.
    pub fn admit(&self, pid: u32) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // The kernel needs some time to notice that the last process has ended.
        for _ in 0..100 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
