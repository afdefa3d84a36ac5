"""Boards whose USB is the chip's own: no adapter stays on the bus while the chip resets."""

import unittest

from station import await_true
from usb_station import UsbStation

JTAG = "jtag:esp32c3,adapter=usb-serial-jtag"
OTG = "otg:esp32s3,adapter=usb-otg,download"


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
