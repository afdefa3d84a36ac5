#!/usr/bin/env python3
"""Packs a linked program into what an ESP32-C3 loads, and writes it as a build folder.

pack.py ELF FOLDER

FOLDER gets hello-c3.bin, partition-table.bin and flasher_args.json, as a build of ESP-IDF leaves them, so that Kiln,
esptool and others read it. The same image stands where the mask ROM looks (offset 0) and in the application's
partition, where a second-stage bootloader would look.

Formats: ESP-IDF Programming Guide, "App Image Format" and "Partition Tables"; ELF: System V ABI.
"""

import hashlib
import json
import os
import struct
import sys

CHIP_ID = 5
MODE_DIO = 2
FLASH_4MB_40MHZ = 0x20
NO_WRITE_PROTECT_PIN = 0xEE
CHECKSUM_SEED = 0xEF

APPLICATION_OFFSET = 0x10000
PARTITION_TABLE_OFFSET = 0x8000
# Name, type, subtype, offset, size.
PARTITIONS = (
    ("nvs", 1, 0x02, 0x9000, 0x6000),
    ("phy_init", 1, 0x01, 0xF000, 0x1000),
    ("factory", 0, 0x00, APPLICATION_OFFSET, 0x100000),
)


def segments_of(elf):
    """The program's entry and its loadable contents: (address, bytes), by program header."""
    if elf[:7] != b"\x7fELF\x01\x01\x01":
        raise ValueError("not a 32-bit little-endian ELF file")
    entry, table_at = struct.unpack_from("<II", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 42)
    segments = []
    for i in range(count):
        kind, at, address, _, length, _ = struct.unpack_from("<6I", elf, table_at + i * size)
        if kind == 1 and length > 0:
            data = elf[at:at + length]
            segments.append((address, data + bytes(-len(data) % 4)))
    return entry, segments


def image_of(elf):
    entry, segments = segments_of(elf)
    # Data first: its first bytes are the application's description.
    segments.sort(key=lambda segment: segment[0])
    image = struct.pack("<BBBBI", 0xE9, len(segments), MODE_DIO, FLASH_4MB_40MHZ, entry)
    # Pins, drive strengths; chip; revisions from 0 to any; SHA-256 appended.
    image += struct.pack("<B3xHBHH4xB", NO_WRITE_PROTECT_PIN, CHIP_ID, 0, 0, 0xFFFF, 1)
    checksum = CHECKSUM_SEED
    for address, data in segments:
        image += struct.pack("<II", address, len(data)) + data
        for byte in data:
            checksum ^= byte
    image += bytes(-(len(image) + 1) % 16) + bytes([checksum])
    return image + hashlib.sha256(image).digest()


def partition_table():
    table = b"".join(
        struct.pack("<HBBII16sI", 0x50AA, kind, subtype, offset, size, name.encode(), 0)
        for name, kind, subtype, offset, size in PARTITIONS)
    table += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest()
    return table.ljust(0xC00, b"\xff")


def main():
    elf_path, folder = sys.argv[1:]
    with open(elf_path, "rb") as file:
        image = image_of(file.read())
    if len(image) > PARTITION_TABLE_OFFSET:
        raise ValueError(f"{len(image)} bytes would reach the partition table")
    arguments = {
        "flash_settings": {"flash_mode": "dio", "flash_size": "4MB", "flash_freq": "40m"},
        "flash_files": {
            "0x0": "bootloader.bin",
            f"{PARTITION_TABLE_OFFSET:#x}": "partition-table.bin",
            f"{APPLICATION_OFFSET:#x}": "hello-c3.bin",
        },
        "bootloader": {"offset": "0x0", "file": "bootloader.bin"},
        "partition-table": {"offset": f"{PARTITION_TABLE_OFFSET:#x}", "file": "partition-table.bin"},
        "app": {"offset": f"{APPLICATION_OFFSET:#x}", "file": "hello-c3.bin"},
        "extra_esptool_args": {"chip": "esp32c3"},
    }
    files = {
        "bootloader.bin": image,
        "hello-c3.bin": image,
        "partition-table.bin": partition_table(),
        "flasher_args.json": (json.dumps(arguments, indent=2) + "\n").encode(),
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
