"""Compares images of Kiln's NVS writer with those of the official generator.

compare.py NVS_IMAGE WORK_FOLDER

Each case is a list of rows; both programs get the same CSV file and must write the same bytes, or
both refuse. Where the two differ on purpose, the case says so. Ends with "N passed, N failed".
"""

import base64
import contextlib
import csv
import io
import os
import random
import struct
import subprocess
import sys
import types

from esp_idf_nvs_partition_gen import nvs_partition_gen as official

PAGE = 4096
ENTRIES = 126
SEED = 20261121


def generated(path, out, size):
    """The official image, or None when the generator refuses."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            official.generate(
                types.SimpleNamespace(input=[path], output=out, size=hex(size), version=2,
                                      outdir=os.getcwd()))
    except (Exception, SystemExit):  # it has no one way of refusing
        return None
    with open(out, "rb") as file:
        return file.read()


def generated_by_command(path, out, size):
    """The same through the generator's command line."""
    done = subprocess.run(
        [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate", path, out, hex(size)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        return None
    with open(out, "rb") as file:
        return file.read()


def first_difference(ours, theirs):
    if ours is None or theirs is None:
        return f"Kiln {'wrote' if ours else 'refused'}, the generator {'wrote' if theirs else 'refused'}"
    if len(ours) != len(theirs):
        return f"Kiln wrote {len(ours)} bytes, the generator {len(theirs)}"
    at = next(i for i in range(len(ours)) if ours[i] != theirs[i])
    page, inside = divmod(at, PAGE)
    where = f"page {page}, " + (f"header byte {inside}" if inside < 64 else
                                f"entry {(inside - 64) // 32}, byte {inside % 32}")
    return f"{where}: Kiln {ours[at:at + 16].hex()}, the generator {theirs[at:at + 16].hex()}"


class Comparison:
    def __init__(self, binary):
        self.binary = binary
        self.passed = 0
        self.failed = 0

    def check(self, name, good, seen=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: {seen}")

    def written(self, rows, size):
        with open("in.csv", "w", encoding="utf8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["key", "type", "encoding", "value"])
            writer.writerows(rows)
        done = subprocess.run([self.binary, "in.csv", "ours.bin", hex(size)], text=True,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"nvs-image ended with {done.returncode}: {done.stderr}")
        if done.returncode == 1:
            return None
        with open("ours.bin", "rb") as file:
            return file.read()

    def same(self, name, rows, size=0x6000, command=False, refused=False):
        ours = self.written(rows, size)
        theirs = (generated_by_command if command else generated)("in.csv", "theirs.bin", size)
        if refused:
            self.check(name, ours is None and theirs is None,
                       "should be refused: " + ("Kiln wrote" if ours else "the generator wrote"))
        else:
            self.check(name, ours is not None and ours == theirs,
                       "both refused" if ours is None and theirs is None
                       else ours == theirs or first_difference(ours, theirs))


def namespace(name):
    return [name, "namespace", "", ""]


def number(key, encoding, value):
    return [key, "data", encoding, str(value)]


def string(key, text):
    return [key, "data", "string", text]


def blob(key, data):
    return [key, "data", "hex2bin", data.hex()]


LIMITS = {f"{sign}{bits}": (0 if sign == "u" else -(1 << (bits - 1)),
                            (1 << (bits if sign == "u" else bits - 1)) - 1)
          for bits in (8, 16, 32, 64) for sign in "ui"}


def fixed_cases(compare):
    kiln = [namespace("kiln"), string("organization", "โรงพยาบาลกรุงเทพ"),
            string("customer_id", "BGK001"), string("application", "SMC_Cabinet_Ward_A"),
            string("ssid", "SMC_ESP32_BGK001_BE01"), string("password", "h7Kp2mQx9RtVwz"),
            string("deployment", "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11")]
    for size in (0x3000, 0x4000, 0x5000, 0x6000, 0x10000):
        compare.same(f"Kiln's own values in {size:#x} bytes", kiln, size)
    compare.same("Kiln's own values, by command line", kiln, command=True)

    for encoding, (low, high) in LIMITS.items():
        values = sorted({low, low + 1, -1 if low else 0, 0, 1, 42, high - 1, high})
        compare.same(f"{encoding} at its limits", [namespace("n")] + [
            number(f"k{i}", encoding, value) for i, value in enumerate(values)])
        for value in (low - 1, high + 1):
            compare.same(f"{encoding} {value} is refused",
                         [namespace("n"), number("k", encoding, value)], refused=True)

    everything = [namespace("all")] + [number(encoding, encoding, high)
                                       for encoding, (_, high) in LIMITS.items()]
    everything += [string("text", "héllo, \"world\"\nsecond line"), string("empty", ""),
                   blob("hex", bytes(range(256))), blob("hex0", b""),
                   ["b64", "data", "base64", base64.b64encode(b"\0\1\2kiln\xff").decode()],
                   ["comma", "data", "string", "a,b,,c"]]
    compare.same("all types together", everything)
    compare.same("all types together, by command line", everything, command=True)

    compare.same("names of 15 characters",
                 [namespace("n" * 15), string("k" * 15, "v"), number("i" * 15, "u8", 1)])
    for size in (1, 30, 31, 32, 33, 63, 64, 65, 4000):
        compare.same(f"blob of {size} bytes", [namespace("n"), blob("b", os_bytes(size))])
        if size < 3968:
            compare.same(f"string of {size} bytes", [namespace("n"), string("s", "x" * size)])
    compare.same("string of 3967 bytes", [namespace("n"), string("s", "x" * 3967)])
    compare.same("string of 3968 bytes is refused", [namespace("n"), string("s", "x" * 3968)],
                 refused=True)
    compare.same("string of 4000 bytes is refused", [namespace("n"), string("s", "x" * 4000)],
                 refused=True)

    for count in (1, 2, 3, 60, 254):
        rows = []
        for i in range(count):
            rows += [namespace(f"space{i}"), number("key", "u8", i % 256), string("name", f"{i}")]
        compare.same(f"{count} namespaces", rows, 0x10000)

    # Every fill of a page before a value that may not fit: where the page turns.
    for used in range(110, 130):
        fill = [namespace("n")] + [number(f"k{i}", "u32", i) for i in range(used)]
        compare.same(f"a number behind {used + 1} entries", fill + [number("x", "i64", -5)])
        compare.same(f"a namespace behind {used + 1} entries",
                     fill + [namespace("m"), number("x", "u8", 5)])
        for size in (0, 1, 32, 33, 200, 3900):
            compare.same(f"blob of {size} bytes behind {used + 1} entries",
                         fill + [blob("x", os_bytes(size)), number("y", "u8", 1)])
            compare.same(f"string of {size} bytes behind {used + 1} entries",
                         fill + [string("x", "s" * size), number("y", "u8", 1)])

    for size in (3935, 3936, 3937, 3967, 3968, 3969, 4001, 7936, 7967, 7968, 8000, 12000, 16000):
        compare.same(f"blob of {size} bytes over pages", [namespace("n"), blob("b", os_bytes(size)),
                                                          string("after", "end")], 0x8000)
    with open("large.bin", "wb") as file:
        file.write(os_bytes(508_000))
    large = [namespace("n"), ["b", "file", "binary", "large.bin"], string("after", "end")]
    compare.same("the largest blob", large, 0x90000)
    compare.same("the largest blob, partition too small", large, 0x70000, refused=True)

    # The last page stays free: what fits exactly, and one entry more.
    exact = ENTRIES * 2
    for count, refused in ((exact - 1, False), (exact, True)):
        compare.same(f"{count} numbers in three pages", [namespace("n")] + [
            number(f"k{i}", "u16", i) for i in range(count)], 0x3000, refused=refused)
    compare.same("partition of no full pages is refused", kiln, 0x3800, refused=True)


RANDOM = random.Random(SEED)


def os_bytes(size):
    return RANDOM.randbytes(size)


TEXT = "abcXYZ 019_-.,;:\"'\\/ก๙โรงพ🌐é\t\n"


def random_text(size):
    # A line that begins with # would be a comment to the CSV reader; it is not in TEXT.
    return "".join(RANDOM.choice(TEXT) for _ in range(size))


def random_case():
    rows = []
    for space in range(RANDOM.randint(1, 6)):
        rows.append(namespace(f"space{space}"))
        for i in range(RANDOM.randint(1, 40)):
            key = f"{RANDOM.choice('abcdefgh')}{i}".ljust(RANDOM.randint(3, 15), "_")[:15]
            kind = RANDOM.choice(["number"] * 4 + ["string", "blob", "base64", "long"])
            if kind == "number":
                encoding = RANDOM.choice(sorted(LIMITS))
                rows.append(number(key, encoding, RANDOM.randint(*LIMITS[encoding])))
            elif kind == "string":
                rows.append(string(key, random_text(RANDOM.randint(0, 120))))
            elif kind == "blob":
                rows.append(blob(key, os_bytes(RANDOM.randint(0, 300))))
            elif kind == "base64":
                data = base64.b64encode(os_bytes(RANDOM.randint(1, 300))).decode()
                rows.append([key, "data", "base64", data])
            elif RANDOM.random() < 0.3:
                rows.append(blob(key, os_bytes(RANDOM.randint(1000, 9000))))
            else:
                rows.append(string(key, random_text(RANDOM.randint(300, 1000))))
    return rows


def reopened_namespaces(compare):
    """A namespace used, left and used again. The generator's CSV reader puts the later keys into
    the newest namespace instead; so its writer is asked directly, with the right number."""
    rows = [namespace("a"), number("k1", "u8", 1), namespace("b"), number("k1", "u8", 2),
            namespace("a"), number("k2", "u8", 3), string("k3", "x"), namespace("b"),
            blob("k2", b"abc")]
    out = io.BytesIO()
    nvs = official.nvs_open(out, 0x6000 - PAGE, official.Page.VERSION2)
    for key, kind, encoding, value in rows:
        official.write_entry(nvs, key, kind, encoding, value, official.get_namespace_idx(nvs))
    official.nvs_close(nvs)
    ours = compare.written(rows, 0x6000)
    theirs = out.getvalue()
    compare.check("a namespace used again", ours == theirs,
                  ours == theirs or first_difference(ours, theirs))


def main():
    compare = Comparison(sys.argv[1])
    os.chdir(sys.argv[2])
    fixed_cases(compare)
    reopened_namespaces(compare)
    refused = 0
    for i in range(200):
        rows = random_case()
        size = RANDOM.choice([0x3000, 0x6000, 0x10000, 0x20000])
        ours = compare.written(rows, size)
        theirs = generated("in.csv", "theirs.bin", size)
        refused += ours is None
        compare.check(f"random case {i} in {size:#x} bytes", ours == theirs,
                      ours == theirs or first_difference(ours, theirs))
    # The comparison means something only while most cases write an image.
    compare.check("most random cases fit", refused < 100, f"{refused} of 200 were refused by both")
    # And the comparer can tell images apart.
    image = compare.written([namespace("n"), number("k", "u8", 1)], 0x3000)
    other = compare.written([namespace("n"), number("k", "u8", 2)], 0x3000)
    compare.check("different values give different images", image != other)
    state, sequence = struct.unpack_from("<II", image)
    compare.check("the first page is active, number 0", (state, sequence) == (0xfffffffe, 0),
                  f"state {state:#x}, sequence {sequence}")
    print(f"{compare.passed} passed, {compare.failed} failed")
    return 1 if compare.failed else 0


if __name__ == "__main__":
    sys.exit(main())
