"""Kiln's own drivers: they take an adapter from the kernel's, deploy, and give it back."""

import unittest

from station import await_true
from test_kernel_tty import BAUD, BOARDS, FAMILIES
from usb_station import UsbStation


class UserDriver(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.station = UsbStation(BOARDS, config='[usb]\nusb_driver = "user"\n')
        cls.addClassCleanup(cls.station.close)
        cls.simulator = cls.station.simulator
        for adapter in FAMILIES:
            cls.simulator.await_tty(adapter)
        cls.station.start()
        cls.bundles = {chip: cls.station.make_bundle(chip, 256 << 10) for _, _, chip in FAMILIES.values()}

    def orders(self):
        return [(adapter, self.bundles[chip]) for adapter, (_, _, chip) in FAMILIES.items()]

    def test_a_all_families_deploy_and_are_given_back_to_the_kernel(self):
        before = {adapter: self.simulator.node(adapter) for adapter in FAMILIES}
        ended = self.station.deploy(self.orders())
        for adapter, (driver, _, _) in FAMILIES.items():
            with self.subTest(adapter):
                statistics = self.simulator.statistics(adapter)
                self.assertEqual(ended[adapter]["state"], "STATE_SUCCEEDED", ended[adapter])
                self.assertGreater(int(statistics["swaps"]), 0, "DTR and RTS must change with one request")
                self.assertAlmostEqual(int(statistics["fastest_baud"]), BAUD, delta=BAUD * 0.03)
                # Made anew: the kernel's driver has let go, and has it again.
                await_true(lambda: self.simulator.node(adapter) not in (0, before[adapter]), 20,
                           lambda: f"{adapter}: {self.simulator.devices(adapter)}")
                self.assertEqual(self.simulator.driver(adapter), driver)

    def test_b_a_board_unplugged_in_mid_flash_is_finished_after_the_replug(self):
        self.bundles = {chip: self.station.make_bundle(chip, 256 << 10, seed=2) for chip in self.bundles}
        ended = self.station.deploy_through_unplugs(self.orders())
        for adapter in FAMILIES:
            with self.subTest(adapter):
                self.assertEqual(ended[adapter]["state"], "STATE_SUCCEEDED", ended[adapter])
                self.assertEqual(ended[adapter]["attempt"], 1, "the same attempt goes on")
