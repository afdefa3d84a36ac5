"""Builds a bare-metal program for the ESP32-C3 by the distribution's compiler, and packs it as hello-c3 is packed."""

import os
import sys

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
folder = env.PioPlatform().get_dir()
# pack.py and hello-c3.ld come from firmware/hello-c3; whoever installs this platform puts them beside platform.json.
sys.path.insert(0, folder)
import pack  # pylint: disable=import-error,wrong-import-position

PREFIX = "riscv64-unknown-elf-"
MACHINE = ["-march=rv32imc", "-mabi=ilp32"]
env.Replace(CC=PREFIX + "gcc", CXX=PREFIX + "g++", AS=PREFIX + "gcc", AR=PREFIX + "ar", RANLIB=PREFIX + "ranlib",
            LINK=PREFIX + "gcc", SIZETOOL=PREFIX + "size", PROGNAME="firmware", PROGSUFFIX=".elf")
env.Append(
    ASFLAGS=MACHINE,
    CCFLAGS=MACHINE + ["-Os", "-ffreestanding", "-fno-builtin", "-Wall"],
    LINKFLAGS=MACHINE + ["-nostdlib", "-static", "-Wl,-s", "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments",
                         "-Wl,-T," + os.path.join(folder, "hello-c3.ld")],
)
elf = env.BuildProgram()


def pack_images(target, source, env):
    with open(str(source[0]), "rb") as file:
        image = pack.image_of(file.read())
    for node, content in zip(target, (image, image, pack.partition_table())):
        with open(str(node), "wb") as file:
            file.write(content)


images = env.Command([os.path.join("$BUILD_DIR", name) for name in ("firmware.bin", "bootloader.bin", "partitions.bin")],
                     elf, env.VerboseAction(pack_images, "Packing $TARGETS"))
Default(images)
