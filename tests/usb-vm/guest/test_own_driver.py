"""Boards behind Kiln's own drivers on a real kernel: taken from the kernel's drivers, flashed, given back."""

import subprocess
import time
import unittest

import station
from station import await_true
from usb_station import UsbStation

BOARDS = {"cp2102": "esp32", "ch340": "esp32c3", "ft232r": "esp32s3", "ch9102": "esp32c6"}
BAUD = 921600


class OwnDriver(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Its daemon is never started: the probe is alone with the adapters.
        cls.station = UsbStation([f"{adapter}:{chip},adapter={adapter}" for adapter, chip in BOARDS.items()])
        cls.addClassCleanup(cls.station.close)
        cls.simulator = cls.station.simulator

    def place(self, adapter):
        return self.simulator.ports[adapter].removeprefix("usb-")

    def probe(self, adapter):
        return [station.BIN / "kiln-usb-probe", self.place(adapter)]

    def test_a_every_driver_deploys_and_gives_the_adapter_back(self):
        for adapter in BOARDS:
            with self.subTest(adapter):
                self.simulator.await_tty(adapter)
                done = subprocess.run(self.probe(adapter), capture_output=True, text=True, check=False, timeout=600)
                print(adapter, done.stdout, self.simulator.statistics(adapter), flush=True)
                self.assertEqual(done.returncode, 0, done.stdout)
                statistics = self.simulator.statistics(adapter)
                self.assertGreater(int(statistics["swaps"]), 0, "DTR and RTS must change with one request")
                self.assertAlmostEqual(int(statistics["fastest_baud"]), BAUD, delta=BAUD * 0.025)
                self.simulator.await_tty(adapter)  # the kernel's driver has it again

    def test_b_opens_right_after_arrival(self):
        for adapter in BOARDS:
            with self.subTest(adapter):
                self.simulator.unplug(adapter)
                self.simulator.control(f"replug {adapter}")
                place = station.pathlib.Path("/sys/bus/usb/devices") / self.simulator.ports[adapter].removeprefix("usb-")
                await_true(lambda: (place / "idVendor").exists(), 20, lambda: f"{adapter} does not arrive")
                done = subprocess.run(self.probe(adapter), capture_output=True, text=True, check=False, timeout=600)
                self.assertEqual(done.returncode, 0, done.stdout)

    def test_c_a_pulled_board_is_told_within_50_ms(self):
        for adapter in BOARDS:
            with self.subTest(adapter):
                self.simulator.await_tty(adapter)
                probe = subprocess.Popen([*self.probe(adapter), "unplug"], stdout=subprocess.PIPE, text=True)
                self.addCleanup(probe.kill)
                while "waiting" not in (line := probe.stdout.readline()):
                    self.assertTrue(line, "the probe ended early")
                pulled_at = time.monotonic()
                self.simulator.control(f"unplug {adapter}")
                words, _ = probe.communicate(timeout=60)
                self.assertEqual(probe.returncode, 0, words)
                self.assertIn("BOARD_UNPLUGGED", words)
                # The whole command to pull it is in that time, and the emulated machine's clock knows no other load.
                told_at = float(words.split()[0].removeprefix("told_at="))
                self.assertLess(told_at - pulled_at, 0.050)
                self.simulator.await_gone(adapter)
                self.simulator.control(f"replug {adapter}")

    def test_d_a_rate_that_the_adapter_cannot_make_is_named_by_both_drivers(self):
        (tty,) = self.simulator.await_tty("cp2102")
        for port in (f"/dev/{tty}", self.place("cp2102")):
            with self.subTest(port):
                # The CP2102 ends at 1 Mbaud, and the kernel's driver makes something slower of the wish.
                done = subprocess.run([station.BIN / "kiln-line-bench", port, "2000000"], capture_output=True, text=True,
                                      check=False, timeout=600)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("BAUD_RATE_UNSUPPORTED", done.stdout)
            self.simulator.await_tty("cp2102")


if __name__ == "__main__":
    unittest.main()
