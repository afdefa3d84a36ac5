"""Judges a build of firmware/hello-c3.

judge.py WORK_FOLDER

WORK_FOLDER/firmware holds the build. Ends with "N passed, N failed".
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import types

from emulator import Chip, Trouble
from esp_idf_nvs_partition_gen import nvs_partition_gen as official

WORK = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
NVS_OFFSET, NVS_SIZE = 0x9000, 0x6000
MAC = bytes.fromhex("7cdfa1c0ffee")
RANDOM = random.Random(20261126)
TEXT = "abcXYZ 019_-.,;:\"'\\/ก๙โรงพ🌐é"
KILN = {"organization": "โรงพยาบาลกรุงเทพ", "customer_id": "BGK001", "application": "SMC_Cabinet_Ward_A",
        "ssid": "SMC_ESP32_BGK001_BE01", "password": "h7Kp2mQx9RtVwz",
        "deployment": "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11"}
NAMES = {"customer_id": "customer_id", "organization": "organization", "application": "application",
         "wifi_ssid": "ssid", "deployment": "deployment"}

passed = failed = 0


def check(name, good, seen=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {seen}")


def nvs_image(rows):
    """The partition as the official generator writes it."""
    with open(WORK / "in.csv", "w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["key", "type", "encoding", "value"])
        writer.writerows(rows)
    with contextlib.redirect_stdout(io.StringIO()):
        official.generate(types.SimpleNamespace(input=str(WORK / "in.csv"), output=str(WORK / "nvs.bin"),
                                                size=hex(NVS_SIZE), version=2, outdir=os.getcwd()))
    return (WORK / "nvs.bin").read_bytes()


def rows_of(values, namespace="kiln"):
    return [[namespace, "namespace", "", ""]] + [[key, "data", "string", text] for key, text in values.items()]


def flash_with(nvs):
    flash = bytearray(b"\xff" * 0x400000)
    arguments = json.loads((WORK / "firmware/flasher_args.json").read_text())
    for offset, name in arguments["flash_files"].items():
        data = (WORK / "firmware" / name).read_bytes()
        flash[int(offset, 16):int(offset, 16) + len(data)] = data
    flash[NVS_OFFSET:NVS_OFFSET + len(nvs)] = nvs
    return flash


def boot(flash, **options):
    chip = Chip(flash, MAC, **options)
    chip.run(2500)
    return chip


def lines_of(output):
    return output.decode("utf8", "replace").replace("\r", "").split("\n")


def reports_of(chip):
    return [json.loads(line) for line in lines_of(chip.uart) if line.startswith('{"kiln":1,')]


def expected(values):
    report = {"kiln": 1, "mac_address": MAC.hex(":"), "firmware": "hello-c3 1.0.0"}
    report.update({name: values[key] for name, key in NAMES.items() if values.get(key)})
    return report


def check_report(name, rows, values):
    try:
        reports = reports_of(boot(flash_with(nvs_image(rows))))
        check(name, len(reports) == 3 and all(r == expected(values) for r in reports),
              f"{reports[:1]}, expected {expected(values)}")
    except Trouble as trouble:
        check(name, False, trouble)


def random_values():
    values = {key: "".join(RANDOM.choice(TEXT) for _ in range(RANDOM.randint(1, 60))) for key in KILN}
    # A quoted field of the CSV may not begin with # or it would be a comment; it is not in TEXT.
    return {key: text.strip() or "x" for key, text in values.items()}


def check_esptool():
    for name in ("bootloader.bin", "hello-c3.bin"):
        done = subprocess.run([sys.executable, "-m", "esptool", "--chip", "esp32c3", "image-info", WORK / "firmware" / name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(f"esptool accepts {name}",
              done.returncode == 0 and "Chip ID: 5 (ESP32-C3)" in done.stdout and done.stdout.count("(valid)") == 2 and
              "invalid" not in done.stdout.lower(), done.stdout)


def check_reproducible():
    """The same source, elsewhere: the same bytes."""
    digests = set()
    for name in ("here", "a folder with another name/there"):
        folder = WORK / name
        shutil.copytree(ROOT / "firmware/hello-c3", folder / "firmware/hello-c3")
        subprocess.run([folder / "firmware/hello-c3/build", folder / "out"], check=True)
        digests.add(hashlib.sha256((folder / "out/hello-c3.bin").read_bytes()).hexdigest())
    check("two builds in two folders are the same", len(digests) == 1, digests)


def check_emulated():
    check_report("Kiln's own values", rows_of(KILN), KILN)
    few = {"customer_id": "ABC"}
    check_report("only what must be there", rows_of(few), few)
    other = {"customer_id": "WRONG", "ssid": "other"}
    check_report("another namespace first", rows_of(other, "wifi") + rows_of(KILN), KILN)
    noise = [["n" * 15, "namespace", "", ""]] + [[f"k{i}", "data", "u32", str(i)] for i in range(140)]
    check_report("values on the second page", noise + rows_of(KILN), KILN)
    quotes = dict(KILN, application="\"quoted\" \\ back\\\\slash ' ??/")
    check_report("quotes and backslashes", rows_of(quotes), quotes)
    for i in range(20):
        values = random_values()
        check_report(f"random values {i}", noise[:RANDOM.randint(2, 140)] + rows_of(values), values)

    chip = boot(flash_with(nvs_image(rows_of(KILN))))
    check("all watchdogs stopped", not chip.awake_watchdogs(), chip.awake_watchdogs())
    check("the password is not printed", KILN["password"].encode() not in chip.uart)
    check("nothing waits for a USB host that is not there", len(reports_of(chip)) == 3)
    chip = boot(flash_with(nvs_image(rows_of(KILN))), usb_host=True)
    check("the USB port says the same", chip.usb == chip.uart, chip.usb)

    long = dict(KILN, organization="ก" * 240)
    chip = boot(flash_with(nvs_image(rows_of(long))), usb_host=True)
    last = lines_of(chip.uart)[-2]
    check("a report of almost 1024 bytes leaves both ports whole",
          chip.usb == chip.uart and len(last.encode()) > 950 and last.endswith("}"), last)
    long = dict(KILN, organization="ก" * 300, application="a" * 900)
    reports = reports_of(boot(flash_with(nvs_image(rows_of(long)))))
    check("a report stays within 1024 bytes", reports and all(
        len(json.dumps(r, ensure_ascii=False, separators=(",", ":")).encode()) <= 1024 for r in reports) and
        reports[0]["wifi_ssid"] == KILN["ssid"] and reports[0]["deployment"] == KILN["deployment"], reports[:1])

    for name, flash in (("a blank NVS partition", flash_with(b"")),
                        ("NVS without the namespace", flash_with(nvs_image(rows_of(KILN, "other")))),
                        ("NVS of noise", flash_with(RANDOM.randbytes(NVS_SIZE)))):
        check(f"{name} is said", "no identity in NVS" in lines_of(boot(flash).uart))
    flash = flash_with(nvs_image(rows_of(KILN)))
    flash[0x8000:0x8C00] = b"\xff" * 0xC00
    check("no partition table is said", "no NVS partition" in lines_of(boot(flash).uart))
    flash = flash_with(nvs_image(rows_of(KILN)))
    flash[0x100] ^= 1
    try:
        boot(flash)
        check("a flipped bit does not start", False, "it started")
    except Trouble as trouble:
        check("a flipped bit does not start", "checksum" in str(trouble), trouble)


check_esptool()
check_reproducible()
check_emulated()
print(f"hello-c3: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
