"""Prints the figures of docs/performance.md. A command, not a test: it judges nothing.

    scripts/bench build            or: make bench
"""

import datetime
import os
import pathlib
import socket
import statistics
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
from station import Station, await_true  # noqa: E402  (the path above comes first)

CHIPS = ["esp32", "esp32s3", "esp32c3", "esp32c6"]
BOARDS = [f"sim-{i}:{chip}" for i, chip in enumerate(CHIPS)]
BAUD = 921600


def seconds(duration):
    return float(duration.rstrip("s"))


def row(what, value, goal=""):
    print(f"{what:<58} {value:>22}   {goal}")
    sys.stdout.flush()


def first_byte_after(station, deployment, port):
    """Seconds from the order's acceptance to the first byte its board got."""
    accepted = datetime.datetime.fromisoformat(deployment["create_time"].replace("Z", "+00:00")).timestamp()
    return int(station.simulator.statistics(port)["first_byte_us"]) / 1e6 - accepted


def bench_start():
    """From exec to READY=1 (the server is SERVING before it says so)."""
    times = []
    for _ in range(5):
        station = Station([])
        path = str(station.home / "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            os.environ["NOTIFY_SOCKET"] = path
            begin = time.monotonic()
            starter = threading.Thread(target=station.start)
            starter.start()
            notify.settimeout(10)
            notify.recv(4096)
            times.append(time.monotonic() - begin)
            starter.join()
            os.environ.pop("NOTIFY_SOCKET")
        station.close()
    row("daemon start to SERVING, median of 5", f"{statistics.median(times) * 1000:.0f} ms", "< 300 ms")


def bench_free_running():
    station = Station(BOARDS)
    try:
        station.start()
        bundles = [station.make_bundle(chip, 1 << 20) for chip in CHIPS]
        for label in ("first", "second"):
            begin = time.monotonic()
            names = [station.order(bundle, f"sim-{i}")["name"] for i, bundle in enumerate(bundles)]
            ended = [station.await_end(name) for name in names]
            took = time.monotonic() - begin
            good = sum(d["state"] == "STATE_SUCCEEDED" for d in ended)
            written = max(int(d["flash"]["written_bytes"]) for d in ended)
            row(f"4 boards, 1 MiB, free-running wire, {label} deployment", f"{good} of 4, {took:.2f} s")
            first_byte = max(first_byte_after(station, d, f"sim-{i}") for i, d in enumerate(ended))
            row(f"  accepted to first byte, worst of the 4, {label} deployment", f"{first_byte * 1000:.0f} ms", "< 150 ms")
            row(f"  most bytes written to a board, {label} deployment", f"{written / 1024:.0f} KiB",
                "< 64 KiB" if label == "second" else "")
        await_true(lambda: all(b["state"] == "STATE_READY" for b in station.answers("boards")), 10, str)
        before, begin = station.cpu_seconds(), time.monotonic()
        time.sleep(20)
        idle = (station.cpu_seconds() - before) / (time.monotonic() - begin)
        row("idle CPU over 20 s, 4 boards plugged in", f"{idle * 100:.2f} % of a core", "< 0.5 %")
        latency = []
        for _ in range(5):
            for i, bundle in enumerate(bundles):
                deployment = station.await_end(station.order(bundle, f"sim-{i}")["name"])
                latency.append(first_byte_after(station, deployment, f"sim-{i}"))
        row("accepted to first byte, median / worst of 20",
            f"{statistics.median(latency) * 1000:.0f} / {max(latency) * 1000:.0f} ms", "< 150 ms")
    finally:
        station.close()


def bench_wire():
    """The wire modelled at 921 600 baud, flash chips at the speed of their data sheet."""
    station = Station(BOARDS, sim_options=["--pace"])
    try:
        station.start()
        bundles = [station.make_bundle(chip, 1 << 20, seed=2) for chip in CHIPS]
        names = [station.order(bundle, f"sim-{i}")["name"] for i, bundle in enumerate(bundles)]
        peak = 0
        pending = set(names)
        ended = {}
        while pending:
            peak = max(peak, station.memory_bytes())
            for name in list(pending):
                now = station.deployment(name)
                if now["state"] in ("STATE_SUCCEEDED", "STATE_FAILED", "STATE_NEEDS_ATTENTION"):
                    ended[name] = now
                    pending.remove(name)
            time.sleep(0.2)
        for name, chip in zip(names, CHIPS):
            flash = ended[name]["flash"]
            wire = int(flash["sent_bytes"]) * 10 / BAUD
            took = seconds(flash["elapsed"])
            row(f"{chip}: flash time / (compressed bytes × 10 / baud)",
                f"{took:.2f} s / {wire:.2f} s = {took / wire:.3f}", "<= 1.06")
        image = (station.home / "firmware-esp32c3-1048576-2" / "app.bin")
        if image.exists():
            raw = image.read_bytes()
            row("  zlib -9 ratio of the image", f"{len(zlib.compress(raw, 9)) / len(raw):.3f}")
        row("peak RSS of kilnd with 4 boards flashing", f"{peak / 2**20:.1f} MB", "< 60 MB")
    finally:
        station.close()


if __name__ == "__main__":
    bench_start()
    bench_free_running()
    bench_wire()
