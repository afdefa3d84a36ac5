"""Prints how much of the wire each driver uses and what that costs. A command, not a test: it judges nothing.

    bench.py [ADAPTER…]

Boards that test the line, one after the other, each at every rate, by Kiln's own driver and by the kernel's terminal;
then whole deployments. CPU is that of the process alone: what the kernel does in threads of its own is in nobody's
account. The emulated processor runs one instruction in a nanosecond; how much quicker a real one is tells the row "a
wake-up and its answer", which the host prints of itself, too.
"""

import subprocess
import sys
import time

import station
from test_kernel_tty import FAMILIES
from usb_station import UsbSimulator, UsbStation

ADAPTERS = {"cp2102n": "esp32", **{adapter: chip for adapter, (_, _, chip) in FAMILIES.items() if adapter != "cp2102"}}
BAUDS = [115200, 921600, 2000000, 3000000]
DEPLOYMENT_BAUD = 921600
DEPLOYMENT_SIZE = 512 << 10
DRIVERS = ["user", "kernel"]


def row(*cells):
    print("row " + "".join(f"{cell:>12}" for cell in cells), flush=True)


def percent(share):
    return f"{share * 100:.1f} %"


def measure_line(simulator, adapter, driver, baud):
    """What kiln-line-bench says of one rate; None where the driver refuses it."""
    (tty,) = simulator.await_tty(adapter)
    port = f"/dev/{tty}" if driver == "kernel" else simulator.ports[adapter].removeprefix("usb-")
    done = subprocess.run([station.BIN / "kiln-line-bench", port, str(baud)], capture_output=True, text=True, check=False,
                          timeout=60 * station.PATIENCE)
    if done.returncode != 0:
        print(adapter, driver, baud, done.stdout, done.stderr, flush=True)
        return None
    return {key: float(value) for key, value in (word.split("=") for word in done.stdout.split())}


def bench_lines(adapters, home):
    boards = [f"{adapter}:{ADAPTERS[adapter]},adapter={adapter},line-test" for adapter in adapters]
    simulator = UsbSimulator(home, boards)
    try:
        row("adapter", "driver", "baud", "made", "to board", "from board", "answer", "CPU to", "CPU from", "CPU silent")
        for adapter in adapters:
            for baud in BAUDS:
                for driver in DRIVERS:
                    found = measure_line(simulator, adapter, driver, baud)
                    if found is None:
                        row(adapter, driver, baud, "failed")
                        continue
                    # The rates go up, so that the fastest so far is the one that was made.
                    made = int(simulator.statistics(adapter)["fastest_baud"])
                    wire = found["bytes"] * 10 / made
                    row(adapter, driver, baud, made, percent(wire / found["to"]), percent(wire / found["from"]),
                        f"{found['answer'] * 1000:.2f} ms", percent(found["to_cpu"]), percent(found["from_cpu"]), percent(found["silence_cpu"]))
    finally:
        simulator.stop()


def measure_deployment(adapter, driver):
    """The second deployment of a bundle, on a board of its own: its flash step's share of the wire, and kilnd's share
    of a processor from order to end. The first one has checked and compressed the bundle for both."""
    chip = ADAPTERS[adapter]
    boards = [f"{name}:{chip},adapter={adapter}" for name in ("first", "second")]
    here = UsbStation(boards, ["--pace"], f'[usb]\nusb_driver = "{driver}"\n', baud=DEPLOYMENT_BAUD)
    try:
        for name in ("first", "second"):
            here.simulator.await_tty(name)
        here.start()
        bundle = here.make_bundle(chip, DEPLOYMENT_SIZE)
        here.deploy([("first", bundle)])
        begin, before = time.monotonic(), here.cpu_seconds()
        ended = here.deploy([("second", bundle)])["second"]
        cpu = (here.cpu_seconds() - before) / (time.monotonic() - begin)
        made = int(here.simulator.statistics("second")["fastest_baud"])
        if ended["state"] != "STATE_SUCCEEDED":
            print(ended, flush=True)
            return "failed", "", ""
        elapsed = float(ended["flash"]["elapsed"].rstrip("s"))
        wire = int(ended["flash"]["sent_bytes"]) * 10 / made
        return made, percent(wire / elapsed), percent(cpu)
    finally:
        here.close()


def bench_deployments(adapters):
    row("deployment", "driver", "baud", "made", "flash/wire", "CPU")
    for adapter in adapters:
        for driver in DRIVERS:
            row(adapter, driver, DEPLOYMENT_BAUD, *measure_deployment(adapter, driver))


def main():
    adapters = [adapter for adapter in ADAPTERS if not sys.argv[1:] or adapter in sys.argv[1:]]
    home = station.pathlib.Path("/tmp/bench")
    home.mkdir()
    bench_lines(adapters, home)
    bench_deployments(adapters)
    done = subprocess.run([station.BIN / "kiln-line-bench", "processor"], capture_output=True, text=True, check=True)
    print(f"row {done.stdout.strip()} in the emulated machine", flush=True)
    print("end", flush=True)


if __name__ == "__main__":
    main()
