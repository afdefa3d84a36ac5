"""Boards behind the kernel's own drivers: they bind, and the station deploys through the ttys they make."""

import fcntl
import os
import pathlib
import struct
import subprocess
import termios
import unittest

import station
from usb_station import UsbStation

# adapter: the kernel's driver, what its tty is called, chip behind it
FAMILIES = {
    "cp2102": ("cp210x", "ttyUSB", "esp32"),
    "ch340": ("ch341", "ttyUSB", "esp32c3"),
    "ft232r": ("ftdi_sio", "ttyUSB", "esp32s3"),
    "ch9102": ("cdc_acm", "ttyACM", "esp32c6"),
}
BOARDS = [f"{adapter}:{chip},adapter={adapter}" for adapter, (_, _, chip) in FAMILIES.items()]
# The station's rate for flashing; adapters make something within a UART's tolerance of it.
BAUD = 921600
# Whether a terminal is held alone (Linux, asm-generic/ioctls.h); Python knows no name for it.
TIOCGEXCL = 0x80045440


class KernelTty(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.station = UsbStation(BOARDS)
        cls.addClassCleanup(cls.station.close)
        cls.simulator = cls.station.simulator
        for adapter in FAMILIES:
            cls.simulator.await_tty(adapter)
        cls.station.start()
        cls.bundles = {chip: cls.station.make_bundle(chip, 256 << 10) for _, _, chip in FAMILIES.values()}

    def test_a_the_kernels_drivers_bind(self):
        for adapter, (driver, tty, _) in FAMILIES.items():
            with self.subTest(adapter):
                self.assertEqual(self.simulator.driver(adapter), driver)
                (name,) = self.simulator.devices(adapter)
                self.assertTrue(name.startswith(tty), name)

    def orders(self, bundles):
        return [(adapter, bundles[chip]) for adapter, (_, _, chip) in FAMILIES.items()]

    def test_b_all_families_deploy_at_once(self):
        ended = self.station.deploy(self.orders(self.bundles))
        for adapter in FAMILIES:
            with self.subTest(adapter):
                statistics = self.simulator.statistics(adapter)
                print(adapter, statistics, flush=True)
                self.assertEqual(ended[adapter]["state"], "STATE_SUCCEEDED", ended[adapter])
                self.assertGreater(int(statistics["swaps"]), 0, "DTR and RTS must change with one request")
                self.assertAlmostEqual(int(statistics["fastest_baud"]), BAUD, delta=BAUD * 0.03)

    def test_c_a_board_unplugged_in_mid_flash_is_finished_after_the_replug(self):
        others = {chip: self.station.make_bundle(chip, 256 << 10, seed=2) for chip in self.bundles}
        ended = self.station.deploy_through_unplugs(self.orders(others))
        for adapter in FAMILIES:
            with self.subTest(adapter):
                self.assertEqual(ended[adapter]["state"], "STATE_SUCCEEDED", ended[adapter])
                self.assertEqual(ended[adapter]["attempt"], 1, "the same attempt goes on")

    def hold(self, name):
        """A process that has the terminal open until it is killed."""
        probe = subprocess.Popen([station.BIN / "kiln-usb-probe", f"/dev/{name}", "unplug"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(probe.kill)
        while "waiting" not in (line := probe.stdout.readline()):
            self.assertTrue(line, "the probe ended early")
        return probe

    def test_d_a_terminal_is_held_alone_answers_at_once_and_its_closing_leaves_the_lines(self):
        for adapter in FAMILIES:
            with self.subTest(adapter):
                (name,) = self.simulator.await_tty(adapter)
                probe = self.hold(name)
                terminal = os.open(f"/dev/{name}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)  # root may, in spite of TIOCEXCL
                try:
                    with self.assertRaises(BlockingIOError):
                        fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    (exclusive,) = struct.unpack("i", fcntl.ioctl(terminal, TIOCGEXCL, bytes(4)))
                    self.assertEqual(exclusive, 1)
                    self.assertFalse(termios.tcgetattr(terminal)[2] & termios.HUPCL)
                finally:
                    os.close(terminal)
                if adapter == "ft232r":
                    self.assertEqual(pathlib.Path(f"/sys/class/tty/{name}/device/latency_timer").read_text().strip(), "1")
                before = self.simulator.statistics(adapter)
                probe.kill()
                probe.wait()
                after = self.simulator.statistics(adapter)
                for word in ("dtr", "rts", "resets"):
                    self.assertEqual(after[word], before[word], word)
                self.assertEqual((after["dtr"], after["rts"]), ("1", "1"))

    def test_e_an_own_driver_does_not_take_a_terminal_from_a_process_that_it_cannot_see(self):
        for adapter in FAMILIES:
            with self.subTest(adapter):
                (name,) = self.simulator.await_tty(adapter)
                probe = self.hold(name)
                # A container: processes of its own, and the host's devices.
                place = self.simulator.ports[adapter].removeprefix("usb-")
                done = subprocess.run(["unshare", "-p", "-f", "-m", "sh", "-c", 'mount -t proc proc /proc && exec "$@"', "sh",
                                       station.BIN / "kiln-usb-probe", place], capture_output=True, text=True, check=False, timeout=600)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("PORT_BUSY", done.stdout)
                self.assertIsNone(probe.poll(), "it has lost its terminal")
                probe.kill()
                probe.wait()
                self.assertEqual(self.simulator.devices(adapter), [name])
