"""Boards whose USB is the chip's own: no adapter stays on the bus while the chip resets."""

import unittest

from station import await_true
from usb_station import UsbStation

JTAG = "jtag:esp32c3,adapter=usb-serial-jtag"
OTG = "otg:esp32s3,adapter=usb-otg,download"
OTG_LOADER = "303a:0009"
OTG_PROGRAM = "303a:4001"


class NativeUsb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.station = UsbStation([JTAG, OTG])
        cls.addClassCleanup(cls.station.close)
        cls.simulator = cls.station.simulator
        for name in ("jtag", "otg"):
            cls.simulator.await_tty(name)
        cls.station.start()

    def test_a_usb_serial_jtag_deploys_through_cdc_acm(self):
        self.assertEqual(self.simulator.driver("jtag"), "cdc_acm")
        ended = self.station.deploy([("jtag", self.station.make_bundle("esp32c3", 256 << 10))])["jtag"]
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertEqual(self.simulator.statistics("jtag")["plugs"], "1", "the peripheral stays while the chip resets")

    def test_b_a_chip_that_leaves_the_bus_as_it_resets_comes_back_at_its_port(self):
        self.assertEqual(self.simulator.driver("otg"), "cdc_acm")
        before = self.simulator.node("otg")
        self.simulator.control("reset otg")
        await_true(lambda: self.simulator.statistics("otg")["plugs"] == "2", 20,
                   lambda: str(self.simulator.statistics("otg")))
        await_true(lambda: self.simulator.node("otg") not in (0, before), 20, lambda: "no new tty")
        await_true(lambda: any(board["port"] == self.simulator.ports["otg"] and board["state"] == "STATE_READY"
                               for board in self.station.answers("boards")), 20, self.station.log.read_text)


class UsbOtg:
    """Whole deployments to a chip on its own USB-OTG, whose port leaves with every reset. `DRIVER` says by what."""

    DRIVER = ""

    @classmethod
    def setUpClass(cls):
        cls.station = UsbStation([OTG], config=f'[usb]\nusb_driver = "{cls.DRIVER}"\n')
        cls.addClassCleanup(cls.station.close)
        cls.simulator = cls.station.simulator
        cls.simulator.await_tty("otg")
        cls.station.start()

    def assert_deployed(self, ended):
        statistics = self.simulator.statistics("otg")
        print(self.DRIVER, statistics, flush=True)
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertEqual(ended["attempt"], 1, "the same attempt goes on")
        self.assertEqual(statistics["usb"], OTG_PROGRAM, "the program has the port now")
        return int(statistics["plugs"])

    def test_a_a_blank_board_deploys_from_its_loader_into_its_program(self):
        self.assertEqual(self.simulator.statistics("otg")["usb"], OTG_LOADER)
        ended = self.station.deploy([("otg", self.station.make_bundle("esp32s3", 256 << 10))])["otg"]
        self.assertEqual(self.assert_deployed(ended), 2)

    def test_b_a_used_board_is_taken_from_its_program_into_its_loader_and_back(self):
        ended = self.station.deploy([("otg", self.station.make_bundle("esp32s3", 256 << 10, seed=2))])["otg"]
        self.assertEqual(self.assert_deployed(ended), 4)

    def test_c_a_board_unplugged_in_mid_flash_is_finished_after_the_replug(self):
        ended = self.station.deploy_through_unplugs([("otg", self.station.make_bundle("esp32s3", 256 << 10, seed=3))])
        self.assert_deployed(ended["otg"])


class UsbOtgByKernelTty(UsbOtg, unittest.TestCase):
    DRIVER = "kernel"


class UsbOtgByOwnDriver(UsbOtg, unittest.TestCase):
    DRIVER = "user"
