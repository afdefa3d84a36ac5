"""An ESP32-C3 as far as a small program without interrupts sees it: its processor is Unicorn's, the rest stands here.

The mask ROM's part is played by Python: the image at flash offset 0 is loaded as the ROM loads it, and the ROM functions
that the program calls are answered. Registers it does not know are an error, so that a wrong address shows.
"""

import ctypes
import hashlib
import math
import struct

import unicorn
from unicorn import riscv_const as riscv

SRAM = 0x60000
SRAM_DATA = 0x3FC80000
SRAM_CODE = 0x40380000
ROM_KEEPS_FROM = 0x3FCCAE00
ROM = 0x40000000
ROM_DELAY_US = 0x40000050
ROM_FLASH_READ = 0x40000130

UART_FIFO, UART_STATUS = 0x60000000, 0x6000001C
UART_ROOM = 128
UART_BYTE_US = 10 / 115200 * 1e6
# A host that listens asks for the next packet after so long.
USB_PACKET_US = 1000
USB_FIFO, USB_CONFIG = 0x60043000, 0x60043004
MAC_LOW, MAC_HIGH = 0x60008844, 0x60008848
# Each watchdog: its configuration, the register that unlocks it, the key.
WATCHDOGS = {
    "RTC": (0x60008090, 0x600080A8, 0x50D83AA1),
    "super": (0x600080AC, 0x600080B0, 0x8F1D312A),
    "timer 0": (0x6001F048, 0x6001F064, 0x50D83AA1),
}


class Trouble(Exception):
    """The program did what a real chip would not forgive."""


class Chip:
    def __init__(self, flash, mac, usb_host=False):
        self.flash = flash
        self.mac = mac
        self.usb_host = usb_host
        self.uart = bytearray()
        self.uart_idle_us = 0  # when the last byte so far has left
        self.usb = bytearray()
        self.usb_ready_us = 0
        self.usb_packet = bytearray()
        self.elapsed_us = 0
        self.limit_us = 0
        self.trouble = None
        self.locks = {lock: 0 for _, lock, _ in WATCHDOGS.values()}
        # As the ROM leaves them: on, in the mode for starting from flash.
        self.registers = {0x60008090: 1 << 12, 0x600080AC: 0, 0x6001F048: 1 << 14}

        self.machine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self.memory = ctypes.create_string_buffer(SRAM)
        # One memory, seen at two places.
        for place in (SRAM_DATA, SRAM_CODE):
            self.machine.mem_map_ptr(place, SRAM, unicorn.UC_PROT_ALL, self.memory)
        self.machine.mem_map(ROM, 0x1000)
        # c.ret where the ROM's functions begin.
        for function in (ROM_DELAY_US, ROM_FLASH_READ):
            self.machine.mem_write(function, b"\x82\x80")
        self.machine.hook_add(unicorn.UC_HOOK_CODE, self._call_rom, begin=ROM, end=ROM + 0xFFF)
        self.machine.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._refuse)
        for page in (0x60000000, 0x60008000, 0x6001F000, 0x60043000):
            self.machine.mmio_map(page, 0x1000, self._read, page, self._write, page)

    def load(self):
        """The image at offset 0, as the ROM takes it; returns where to begin."""
        magic, count, _, _, entry = struct.unpack_from("<BBBBI", self.flash, 0)
        if magic != 0xE9:
            raise Trouble(f"invalid header: {magic:#x}")
        if struct.unpack_from("<H", self.flash, 12)[0] != 5:
            raise Trouble("not for this chip")
        at, checksum = 24, 0xEF
        for _ in range(count):
            address, size = struct.unpack_from("<II", self.flash, at)
            data = self.flash[at + 8:at + 8 + size]
            data_place = address - SRAM_CODE + SRAM_DATA if address >= SRAM_CODE else address
            if not SRAM_DATA <= data_place <= data_place + size <= ROM_KEEPS_FROM:
                raise Trouble(f"a segment at {address:#x} is not free memory")
            self.machine.mem_write(address, bytes(data))
            for byte in data:
                checksum ^= byte
            at += 8 + size
        at = at // 16 * 16 + 15
        if self.flash[at] != checksum:
            raise Trouble("checksum")
        if self.flash[23] == 1 and hashlib.sha256(self.flash[:at + 1]).digest() != self.flash[at + 1:at + 33]:
            raise Trouble("digest")
        return entry

    def run(self, milliseconds):
        """Starts from flash and runs until the program has waited for so long."""
        self.limit_us = milliseconds * 1000
        try:
            self.machine.emu_start(self.load(), 0, count=200_000_000)
        except unicorn.UcError as error:
            raise self.trouble or Trouble(f"{error} at {self.machine.reg_read(riscv.UC_RISCV_REG_PC):#x}") from error
        if self.trouble:
            raise self.trouble
        if self.elapsed_us < self.limit_us:
            raise Trouble("the program stopped or never waits")

    def awake_watchdogs(self):
        """The watchdogs that would still reset the chip."""
        awake = []
        if self.registers[0x60008090] & (1 << 31 | 1 << 12):
            awake.append("RTC")
        if not self.registers[0x600080AC] & 1 << 31:
            awake.append("super")
        if self.registers[0x6001F048] & (1 << 31 | 1 << 14) or not self.registers[0x6001F048] & 1 << 22:
            awake.append("timer 0")
        return awake

    def _fail(self, what):
        self.trouble = self.trouble or Trouble(what)
        self.machine.emu_stop()

    def _refuse(self, _machine, _kind, address, _size, _value, _user):
        self._fail(f"reached for {address:#x}, where nothing is")
        return False

    def _call_rom(self, machine, address, _size, _user):
        if address == ROM_DELAY_US:
            self.elapsed_us += machine.reg_read(riscv.UC_RISCV_REG_A0)
            if self.elapsed_us >= self.limit_us:
                machine.emu_stop()
        elif address == ROM_FLASH_READ:
            at, to, size = (machine.reg_read(register) for register in
                            (riscv.UC_RISCV_REG_A0, riscv.UC_RISCV_REG_A1, riscv.UC_RISCV_REG_A2))
            if at % 4 or to % 4 or size % 4 or at + size > len(self.flash):
                self._fail(f"the ROM cannot read {size:#x} bytes at {at:#x} to {to:#x}")
                return
            machine.mem_write(to, bytes(self.flash[at:at + size]))
            machine.reg_write(riscv.UC_RISCV_REG_A0, 0)
        else:
            self._fail(f"called the ROM at {address:#x}")

    def _read(self, _machine, offset, _size, page):
        address = page + offset
        if address == UART_STATUS:
            return self._uart_count() << 16
        if address == USB_CONFIG:
            # Without a host, the first packet fills the buffer for good.
            return 2 if self.elapsed_us >= self.usb_ready_us and len(self.usb_packet) < 64 else 0
        if address == MAC_LOW:
            return int.from_bytes(self.mac[2:], "big")
        if address == MAC_HIGH:
            return int.from_bytes(self.mac[:2], "big")
        if address in self.registers:
            return self.registers[address]
        self._fail(f"read the register {address:#x}")
        return 0

    def _write(self, _machine, offset, _size, value, page):
        address = page + offset
        if address == UART_FIFO:
            if self._uart_count() >= UART_ROOM:
                self._fail("wrote to a full UART")
            self.uart_idle_us = max(self.uart_idle_us, self.elapsed_us) + UART_BYTE_US
            self.uart.append(value & 0xFF)
        elif address == USB_FIFO:
            self.usb_packet.append(value & 0xFF)
            if self.usb_host and len(self.usb_packet) == 64:
                self._send_packet()
        elif address == USB_CONFIG and value == 1:
            if self.usb_host:
                self._send_packet()
        elif address in self.locks:
            self.locks[address] = value
        else:
            for name, (config, lock, key) in WATCHDOGS.items():
                if address == config:
                    if self.locks[lock] != key:
                        self._fail(f"wrote to the {name} watchdog while it was locked")
                    self.registers[address] = value
                    return
            self._fail(f"wrote to the register {address:#x}")

    def _uart_count(self):
        """The bytes in the UART that have not left yet."""
        return math.ceil(max(0, self.uart_idle_us - self.elapsed_us) / UART_BYTE_US)

    def _send_packet(self):
        self.usb += self.usb_packet
        self.usb_packet.clear()
        self.usb_ready_us = self.elapsed_us + USB_PACKET_US
