"""What the numbers were measured on: cores, processor, load, memory of a process."""

from __future__ import annotations

import os
from pathlib import Path

# Every engine gets so many threads, and so many cores to run them on.
THREADS = 2


def pin_to_measured_cores() -> None:
    """Leaves this process and its children the first `THREADS` of the cores it may use."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[:THREADS])


def processor() -> str:
    """The model and the number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores ({model})"


def load() -> float:
    """Processes that ran or waited for a core, averaged over the last minute."""
    return os.getloadavg()[0]


def peak_memory_bytes(pid: int) -> int:
    """Most resident memory the process ever had (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no VmHWM")


def cpu_seconds(pid: int) -> float:
    """User and system seconds the process has used: fields 14 and 15 of `/proc/PID/stat` (proc(5))."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
