"""Boards behind the kernel's own drivers: they bind, and the station deploys through the ttys they make."""

import unittest

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
