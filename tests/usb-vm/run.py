"""Boots a real Linux kernel in an emulator and runs the cases of `guest/` in it, all in one boot.

    python3 tests/usb-vm/run.py BUILD_FOLDER [PATTERN…]             or: make test-usb
    python3 tests/usb-vm/run.py --bench BUILD_FOLDER [ADAPTER…]     or: make bench-usb

No KVM, no root, no USB hardware. What is slow is prepared once and kept in .cache/usb-vm.
"""

import argparse
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time

import initramfs
import kernel

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = TOP / ".cache" / "usb-vm"
# Boot, cases and power-off; far more than they take, less than a CI would wait.
DEFAULT_TIMEOUT = 1200
MEMORY_MB = 1536


class Guest:
    """One boot. `lines()` gives what the cases print; the kernel's own words are in `console`."""

    def __init__(self, folder, archive, work, program, arguments, timeout):
        self.console = work / "console.log"
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=single", "-M", "pc",
            # The guest's clock counts its instructions, 1 ns each, and jumps over idle times: what the cases see
            # does not depend on how busy this machine is, and no deadline passes because it is.
            "-icount", "shift=0,sleep=off", "-rtc", "clock=vm",
            "-m", str(MEMORY_MB), "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-chardev", "stdio,id=cases,signal=off", "-serial", "chardev:cases",
            "-kernel", folder / "vmlinux", "-initrd", archive,
            # Without KVM the mitigations cost half the speed, and guard nothing here.
            "-append", f"console=ttyS0 loglevel=6 panic=-1 mitigations=off nokaslr "
                       f"kiln.program={program} kiln.arguments={','.join(arguments)}",
        ]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        self.timed_out = False
        self.watchdog = threading.Timer(timeout, self._end)
        self.watchdog.start()

    def _end(self):
        self.timed_out = True
        self.process.kill()

    def end(self):
        self.watchdog.cancel()
        self.process.kill()
        self.process.wait()

    def lines(self):
        for line in self.process.stdout:
            yield line.rstrip()
        self.process.wait()
        self.watchdog.cancel()


def prepare(bin_folder):
    """The kernel's folder and a fresh archive of this build."""
    folder = kernel.fetch(CACHE)
    archive = CACHE / "initramfs.cpio"
    initramfs.build(CACHE, folder, bin_folder, os.environ.get("KILN_STUBS", ""), archive)
    return folder, archive


def run_cases(guest):
    """Shows the results as they come; returns the number of cases that failed or never ended."""
    planned, good, words = None, 0, []
    ended = False
    for line in guest.lines():
        parts = line.split()
        if parts[:1] == ["plan"]:
            planned = int(parts[1])
        elif parts[:1] == ["case"] and len(parts) == 4:
            print(f"{parts[2]:>7} {parts[3]:>6} s  {parts[1]}", flush=True)
            if parts[2] == "ok":
                good += 1
            else:
                print("\n".join(words), flush=True)
            words = []
        elif parts == ["end"]:
            ended = True
        else:
            words.append(line)
    if not ended:
        reason = "ran out of time" if guest.timed_out else "ended early"
        print("\n".join(words[-100:]))
        print(f"The emulated machine {reason}. Its kernel's last words:")
        print("\n".join(guest.console.read_text(errors="replace").splitlines()[-40:]))
    elif words:
        print("\n".join(words))
    bad = 1 if planned is None else planned - good
    return bad if ended else max(bad, 1)


def run_bench(guest):
    """Shows the rows as they come; returns 1 if the last never came."""
    ended, words = False, []
    for line in guest.lines():
        if line.startswith("row "):
            print(line.removeprefix("row "), flush=True)
        elif line == "end":
            ended = True
        else:
            words.append(line)
    if words or not ended:
        print("\n".join(words[-100:]))
    return 0 if ended else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", help="build folder with bin/kilnd, bin/kiln, bin/kiln-sim")
    parser.add_argument("patterns", nargs="*", help="only the cases with one of these in their name")
    parser.add_argument("--bench", action="store_true", help="measure; the patterns are adapters")
    parser.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT)
    arguments = parser.parse_args()
    begin = time.monotonic()
    try:
        folder, archive = prepare(TOP / arguments.build / "bin")
    except kernel.Missing as missing:
        sys.exit(f"make test-usb: {missing}")
    print(f"prepared in {time.monotonic() - begin:.0f} s; booting Linux {folder.name}", flush=True)
    program = "bench.py" if arguments.bench else "run_cases.py"
    guest = Guest(folder, archive, CACHE, program, arguments.patterns, arguments.timeout)
    # Whoever ends this program ends the machine with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bad = run_bench(guest) if arguments.bench else run_cases(guest)
    finally:
        guest.end()
    if arguments.bench:
        done = subprocess.run([TOP / arguments.build / "bin/kiln-line-bench", "processor"], check=False,
                              stdout=subprocess.PIPE, text=True)
        print(f"{done.stdout.strip()} on this machine (a wake-up and its answer, in nanoseconds of processor time)")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{bad} failed, {time.monotonic() - begin:.0f} s, {usage.ru_utime + usage.ru_stime:.0f} s of processor time")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
