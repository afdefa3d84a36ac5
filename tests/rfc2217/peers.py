"""RFC 2217 between Kiln and its peers, over simulated boards whose reset circuit must be driven.

Runs under the Python that has esptool and pyserial. The boards start their program when powered: whoever wants the
loader must get the reset sequence across the wire, and the simulated circuit has no capacitor that forgives a detour.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import serial  # noqa: E402
from share import Share, free_port  # noqa: E402
from station import BIN, Simulator, Station, await_true  # noqa: E402

TOOLS = pathlib.Path(os.environ["KILN_ESPTOOL_BIN"])
LINES = os.environ["KILN_MODEM_LINES_LIBRARY"]
# chip, bootloader offset, loader: each kind of core, each kind of loader. All chips are tests/esptool's matter.
CASES = [("esp32", 0x1000, "stub"), ("esp32", 0x1000, "rom"), ("esp32c3", 0x0, "stub")]
# esptool's own patience is short, and a busy machine may exceed it; what it cannot do twice is a failure.
TRIES = 2

results = []


def check(title, action):
    started = time.monotonic()
    try:
        action()
        error = None
    except Exception as problem:  # whatever a peer throws is a result
        error = f"{type(problem).__name__}: {problem}"
    results.append(error is None)
    print(f"{'ok  ' if error is None else 'FAIL'} {title} ({time.monotonic() - started:.1f} s)", flush=True)
    if error is not None:
        print("     " + error.replace("\n", "\n     "), flush=True)


def says(output, pattern):
    if not re.search(pattern, output):
        raise AssertionError(f"no {pattern!r} in:\n{output}")


class Bench(Station):
    """A folder with simulated boards, without a daemon until one is wanted."""

    def __init__(self, boards, config="", sim_options=()):
        super().__init__([], config=config)
        self.simulator = Simulator(self.home, boards, *sim_options)

    def share(self, name, port=None):
        return Share(self.home, f"pty://{self.simulator.folder}/{name}", port)

    def resets(self, name):
        return int(self.simulator.statistics(name)["resets"])


def esptool(url, *arguments, baud=460800):
    for attempt in range(1, TRIES + 1):
        done = subprocess.run(
            [TOOLS / "esptool", "--port", url, "--baud", str(baud), *map(str, arguments)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"})
        if done.returncode == 0:
            return done.stdout
        print(f"     try {attempt} of esptool {arguments[-1]}: {done.stdout.strip().splitlines()[-2:]}", flush=True)
    raise AssertionError(f"esptool {arguments} ended with {done.returncode}:\n{done.stdout}")


def esptool_at_a_share(chip, bootloader, loader):
    no_stub = [] if loader == "stub" else ["--no-stub"]
    bench = Bench([f"dut:{chip},part=GD25Q32C"])
    try:
        with bench.share("dut") as share:
            bundle = bench.home / "bundle"
            subprocess.run([BIN / "kiln-sim", "make-bundle", "--chip", chip, "--size", "60000", bundle], check=True,
                           stdout=subprocess.DEVNULL)
            plan = [hex(bootloader), bundle / "bootloader/bootloader.bin",
                    "0x8000", bundle / "partition_table/partition-table.bin", "0x10000", bundle / "app.bin"]

            def flash_id():
                output = esptool(share.url, *no_stub, "flash-id", baud=115200)
                says(output, r"Detected flash size: 4MB\n")
                if "not reset" in output.lower():
                    raise AssertionError(output)

            def write_flash():
                output = esptool(share.url, *no_stub, "write-flash", *plan)
                if output.count("Hash of data verified") != 3:
                    raise AssertionError(f"not every file was verified:\n{output}")

            def verify_flash():
                says(esptool(share.url, *no_stub, "verify-flash", *plan), r"(?i)verification successful")

            def starts():
                # A reset without GPIO0: the program in flash starts.
                with serial.serial_for_url(share.url, baudrate=115200, timeout=20) as port:
                    port.dtr = False
                    port.rts = True
                    port.rts = False
                    says(port.read_until(b"boot:0x", 4096).decode(errors="replace"), "boot:0x")

            check(f"esptool, {chip} {loader}: flash-id", flash_id)
            check(f"esptool, {chip} {loader}: write-flash", write_flash)
            check(f"esptool, {chip} {loader}: verify-flash", verify_flash)
            check(f"esptool, {chip} {loader}: the program starts", starts)
    finally:
        bench.close()


def pyserial_at_a_share():
    bench = Bench(["dut:esp32c3"])
    try:
        with bench.share("dut") as share:

            def lines():
                with serial.serial_for_url(share.url, baudrate=115200, timeout=20) as port:
                    before = bench.resets("dut")
                    # Classic, one line after the other, with a pause where it hurts.
                    port.dtr = False
                    port.rts = True
                    port.dtr = True
                    time.sleep(0.2)
                    port.rts = False
                    time.sleep(0.05)
                    port.dtr = False
                    says(port.read_until(b"waiting for download", 4096).decode(errors="replace"), "waiting for download")
                    port.rts = True
                    port.rts = False
                    says(port.read_until(b"boot:0x", 4096).decode(errors="replace"), "boot:0x")
                    if bench.resets("dut") != before + 2:
                        raise AssertionError(f"{bench.resets('dut') - before} resets rather than 2")

            def rates():
                with serial.serial_for_url(share.url, baudrate=115200, timeout=20) as port:
                    for rate in (9600, 230400, 921600, 2000000, 115200):
                        port.baudrate = rate  # waits for the acknowledgement
                    try:
                        port.baudrate = 20_000_000
                    except (ValueError, serial.SerialException):
                        return
                    raise AssertionError("a rate no adapter has was acknowledged")

            def every_byte():
                with serial.serial_for_url(share.url, baudrate=115200, timeout=20) as port:
                    port.dtr = False
                    port.rts = True
                    port.dtr = True
                    port.rts = False
                    port.dtr = False
                    port.read_until(b"waiting for download", 4096)
                    # SYNC as the serial protocol has it; all of 0x55 and 0xC0 and 0xDB must pass.
                    sync = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20" + b"\x55" * 32 + b"\xc0"
                    port.write(sync)
                    says(port.read_until(b"\xc0\x01\x08", 4096).hex(), "c00108")
                    # READ_REG of an address full of 0xff: the answer is a refusal or a value, but an answer.
                    port.write(b"\xc0\x00\x0a\x04\x00\x00\x00\x00\x00\xff\xff\xff\xff\xc0")
                    says(port.read_until(b"\xc0\x01\x0a", 4096).hex(), "c0010a")

            def modem_state():
                with serial.serial_for_url(share.url, baudrate=115200, timeout=20) as port:
                    await_true(lambda: port._modemstate is not None, 10, lambda: "no modem state was told")
                    if port.cts or port.dsr or port.ri or port.cd:
                        raise AssertionError("inputs that nobody knows are on")

            check("pyserial: lines, with the pause that an auto-reset circuit does not forgive", lines)
            check("pyserial: changes of the rate, and one that is refused", rates)
            check("pyserial: every byte passes", every_byte)
            check("pyserial: the modem state is told", modem_state)
    finally:
        bench.close()


def station_at_espressifs_server(chip):
    """kilnd with a port of address rfc2217://, the official server between it and the board."""
    port = free_port()
    config = "\n".join(["[[port]]", 'name = "far"', f'address = "rfc2217://127.0.0.1:{port}"'])
    bench = Bench([f"dut:{chip}"], config=config)
    log = bench.home / "server.log"
    board = bench.simulator.folder / "dut"
    with log.open("w") as output:
        server = subprocess.Popen(
            [TOOLS / "esp_rfc2217_server", "-v", "-p", str(port), board], stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, env={**os.environ, "LD_PRELOAD": LINES, "KILN_MODEM_LINES": f"{board}.ctl",
                                           "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"})
    try:
        await_true(lambda: "TCP/IP port" in log.read_text() or server.poll() is not None, 30, log.read_text)
        bench.start()
        bundle = bench.make_bundle(chip, 200 << 10)

        def deploy(most, least):
            ended = bench.await_end(bench.order(bundle, "far")["name"], 240)
            if ended["state"] != "STATE_SUCCEEDED":
                raise AssertionError(f"{ended}\n{log.read_text()[-2000:]}")
            written = int(ended["flash"]["written_bytes"])
            if not least <= written <= most:
                raise AssertionError(f"{written} bytes were written")

        check(f"esp_rfc2217_server, {chip}: a deployment", lambda: deploy(400 << 10, 200 << 10))
        check(f"esp_rfc2217_server, {chip}: the next one writes the identity alone", lambda: deploy(64 << 10, 0))
        check(f"esp_rfc2217_server, {chip}: it ran the resets itself",
              lambda: says(log.read_text(), "Activating reset in thread"))
    finally:
        bench.close()
        server.terminate()
        server.wait(timeout=20)


def main():
    pyserial_at_a_share()
    station_at_espressifs_server("esp32c3")
    for case in CASES:
        esptool_at_a_share(*case)
    failed = results.count(False)
    print(f"{results.count(True)} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
