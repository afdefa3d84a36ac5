"""Runs the official esptool against kiln-sim: chips x loaders x commands.

Each case is one kiln-sim with one board in download mode and a sequence of esptool commands. What esptool says
(chip, MAC, flash size) and what it leaves in the flash is checked; the flash also behind esptool's back, in the file
kiln-sim writes when it ends.
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# name for esptool, name for people, bootloader offset, flash part and its size as esptool prints it
CHIPS = [
    ("esp32", "ESP32", 0x1000, "GD25Q32C", "4MB"),
    ("esp32s2", "ESP32-S2", 0x1000, "W25Q32", "4MB"),
    ("esp32s3", "ESP32-S3", 0x0, "GD25Q64C", "8MB"),
    ("esp32c2", "ESP32-C2", 0x0, "W25Q16", "2MB"),
    ("esp32c3", "ESP32-C3", 0x0, "GD25Q32C", "4MB"),
    ("esp32c5", "ESP32-C5", 0x2000, "GD25Q32C", "4MB"),
    ("esp32c6", "ESP32-C6", 0x0, "GD25Q64C", "8MB"),
    ("esp32c61", "ESP32-C61", 0x0, "W25Q32", "4MB"),
    ("esp32h2", "ESP32-H2", 0x0, "W25Q32", "4MB"),
    ("esp32p4", "ESP32-P4", 0x2000, "GD25Q128", "16MB"),
]
# The chips whose simulation has the RTC watchdog.
WATCHDOG_RESET = {"ESP32-S2", "ESP32-S3", "ESP32-C3", "ESP32-P4"}
# What esptool answers when a command needs the stub.
ROM_CANNOT = r"ROM does not support function erase_flash"


class Failure(Exception):
    """A check that did not hold; its text says what was seen."""


class Bench:
    """One kiln-sim with one board, and esptool to use on it."""

    def __init__(self, tools, chip, part, stub):
        self.tools = tools
        self.chip = chip
        self.stub = stub
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="kiln-esptool-"))
        self.mac = "7c:df:a1:" + ":".join(f"{random.randrange(256):02x}" for _ in range(3))
        log = (self.home / "sim.log").open("w")
        self.sim = subprocess.Popen(
            [tools.sim, "run", "--dir", self.home / "boards", "--state", self.home / "state", "--download-mode",
             "--board", f"dut:{chip},mac={self.mac},part={part}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 10
        while "ready" not in (self.home / "sim.log").read_text():
            if self.sim.poll() is not None or time.monotonic() > deadline:
                raise Failure("kiln-sim did not start: " + (self.home / "sim.log").read_text())
            time.sleep(0.01)

    def close(self):
        if self.sim.poll() is None:
            self.sim.send_signal(signal.SIGTERM)
            self.sim.wait(timeout=10)
        shutil.rmtree(self.home, ignore_errors=True)

    def esptool(self, *arguments, baud=460800, after="no-reset", expect_failure=False):
        """Presses reset (the board is strapped for download), runs one command and returns what it printed."""
        subprocess.run([self.tools.sim, "ctl", "--dir", self.home / "boards", "reset dut"], check=True,
                       stdout=subprocess.DEVNULL)
        command = [self.tools.esptool, "--port", self.home / "boards" / "dut", "--baud", str(baud),
                   "--before", "no-reset", "--after", after]
        command += [] if self.stub else ["--no-stub"]
        result = subprocess.run([*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=120, check=False,
                                env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"})
        if expect_failure is not None and (result.returncode == 0) == expect_failure:
            raise Failure(f"esptool {' '.join(map(str, arguments))} ended with {result.returncode}:\n{result.stdout}")
        return result.stdout

    def statistics(self):
        """What `kiln-sim ctl stats` says of the board."""
        done = subprocess.run([self.tools.sim, "ctl", "--dir", self.home / "boards", "stats dut"], check=True,
                              stdout=subprocess.PIPE, text=True)
        return dict(word.split("=", 1) for word in done.stdout.split())

    def stop_and_read_flash(self):
        """Ends kiln-sim and returns the flash as it was."""
        self.sim.send_signal(signal.SIGTERM)
        if self.sim.wait(timeout=10) != 0:
            raise Failure(f"kiln-sim ended with {self.sim.returncode}: " + (self.home / "sim.log").read_text())
        return (self.home / "state" / "dut.flash").read_bytes()


def check_says(output, *patterns):
    for pattern in patterns:
        if not re.search(pattern, output):
            raise Failure(f"esptool did not say {pattern!r}:\n{output}")


def check_same(what, seen, wanted):
    if seen == wanted:
        return
    first = next((i for i, (a, b) in enumerate(zip(seen, wanted)) if a != b), min(len(seen), len(wanted)))
    raise Failure(f"{what}: {len(seen)} bytes, wanted {len(wanted)}; first difference at {first:#x}")


def run_case(tools, chip_row, stub, report):
    """All commands on one chip through one loader; each reported step is one result."""
    chip, name, bootloader, part, flash_size = chip_row
    bench = Bench(tools, chip, part, stub)
    label = f"{name} {'stub' if stub else 'rom'}"

    def step(title, action):
        started = time.monotonic()
        try:
            action()
            report(label, title, None, time.monotonic() - started)
        except (Failure, subprocess.TimeoutExpired, OSError) as error:
            report(label, title, str(error), time.monotonic() - started)

    home = bench.home
    bundle = home / "bundle"
    subprocess.run([tools.sim, "make-bundle", "--chip", chip, "--size", "200000", "--seed", str(bootloader + 1), bundle],
                   check=True)
    noise = home / "noise.bin"
    noise.write_bytes(random.Random(chip).randbytes(20001))
    parts = {bootloader: (bundle / "bootloader/bootloader.bin").read_bytes(),
             0x8000: (bundle / "partition_table/partition-table.bin").read_bytes(),
             0x10000: (bundle / "app.bin").read_bytes()}
    plan = [hex(bootloader), bundle / "bootloader/bootloader.bin",
            "0x8000", bundle / "partition_table/partition-table.bin", "0x10000", bundle / "app.bin"]

    def flash_id():
        output = bench.esptool("flash-id", baud=115200)
        check_says(output, rf"Detecting chip type\.+ {name}\n", rf"Detected flash size: {flash_size}\n",
                   rf"MAC: +{bench.mac}")
        # "Flash type" and the like are no concern; that the flash could be reached is.
        if "Failed to communicate with the flash chip" in output or "WARN" in output.upper():
            raise Failure(f"esptool warns:\n{output}")

    def read_mac():
        check_says(bench.esptool("read-mac"), bench.mac)

    def write_flash():
        # The second file's hash line comes from comparing MD5s with the board.
        output = bench.esptool("write-flash", *plan)
        if output.count("Hash of data verified") != 3:
            raise Failure(f"not every file was verified:\n{output}")

    def verify_flash():
        if bench.esptool("verify-flash", *plan).lower().count("verification successful") < 1:
            raise Failure("no successful verification")

    def verify_finds_difference():
        check_says(bench.esptool("verify-flash", "0x10000", noise, expect_failure=True), r"(?i)verif\w+ failed")

    def read_flash():
        # The ROM reads 64 bytes a command: less of it.
        size = len(parts[0x10000]) if stub else 5000
        bench.esptool("read-flash", "0x10000", size, home / "read.bin")
        check_same("read-flash", (home / "read.bin").read_bytes(), parts[0x10000][:size])

    def write_raw():
        bench.esptool("write-flash", "--no-compress", "0x1f1000", noise)
        bench.esptool("read-flash", "0x1f1000", 4100, home / "read.bin")
        check_same("raw write", (home / "read.bin").read_bytes(), noise.read_bytes()[:4100])

    def erase_region():
        bench.esptool("erase-region", "0x1f1000", "0x1000")
        bench.esptool("read-flash", "0x1f1000", "0x1010", home / "read.bin")
        check_same("erased", (home / "read.bin").read_bytes(), b"\xff" * 0x1000 + noise.read_bytes()[0x1000:0x1010])

    def erase_flash():
        if stub:
            bench.esptool("erase-flash")
        else:
            # A ROM has no such command; esptool says so itself.
            check_says(bench.esptool("erase-flash", expect_failure=True), ROM_CANNOT)
            bench.esptool("erase-region", "0", "ALL")
        bench.esptool("read-flash", "0x10000", "0x2000", home / "read.bin")
        check_same("erased", (home / "read.bin").read_bytes(), b"\xff" * 0x2000)
        bench.esptool("write-flash", *plan)

    def watchdog_reset():
        # On a busy machine the chip may be gone before esptool's last write, which it then calls a failure; what
        # counts is the board.
        bench.esptool("read-mac", after="watchdog-reset", expect_failure=None)
        deadline = time.monotonic() + 20
        while bench.statistics()["boots"] == "0":
            if time.monotonic() > deadline:
                raise Failure(f"the program does not run: {bench.statistics()}")
            time.sleep(0.01)

    def contents():
        flash = bench.stop_and_read_flash()
        if len(flash) != int(flash_size[:-2]) << 20:
            raise Failure(f"the flash file has {len(flash)} bytes")
        for offset, data in parts.items():
            check_same(f"flash at {offset:#x}", flash[offset:offset + len(data)], data)
        end = 0x10000 + len(parts[0x10000])
        check_same("after the application", flash[end + 0x1000:end + 0x2000], b"\xff" * 0x1000)

    try:
        for title, action in [
                ("flash-id", flash_id), ("read-mac", read_mac), ("write-flash", write_flash),
                ("verify-flash", verify_flash), ("verify-flash of something else", verify_finds_difference),
                ("read-flash", read_flash), ("write-flash --no-compress", write_raw),
                ("erase-region", erase_region), ("erase-flash", erase_flash),
                *([("watchdog-reset", watchdog_reset)] if name in WATCHDOG_RESET else []),
                ("flash contents", contents)]:
            step(title, action)
    finally:
        bench.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sim", type=pathlib.Path, required=True)
    parser.add_argument("--esptool", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--loader", choices=["stub", "rom"])
    parser.add_argument("chips", nargs="*")
    tools = parser.parse_args()
    unknown = set(tools.chips) - {row[0] for row in CHIPS}
    if unknown:
        parser.error(f"unknown chips: {' '.join(sorted(unknown))}")

    results = []

    def report(label, title, error, seconds):
        results.append(error is None)
        print(f"{'ok  ' if error is None else 'FAIL'} {label}: {title} ({seconds:.1f} s)", flush=True)
        if error is not None:
            print("     " + error.replace("\n", "\n     "), flush=True)

    with concurrent.futures.ThreadPoolExecutor(tools.jobs) as pool:
        cases = {
            pool.submit(run_case, tools, row, stub, report): f"{row[1]} {'stub' if stub else 'rom'}"
            for row in CHIPS if not tools.chips or row[0] in tools.chips
            for stub in (True, False) if tools.loader in (None, "stub" if stub else "rom")}
        for case in concurrent.futures.as_completed(cases):
            if case.exception() is not None:
                report(cases[case], "set-up", repr(case.exception()), 0)

    failed = results.count(False)
    print(f"{results.count(True)} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
