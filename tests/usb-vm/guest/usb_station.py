"""A station whose boards are on the emulated machine's USB: kiln-sim plugs them in, the kernel takes them for real."""

import os
import pathlib
import threading

from station import CUSTOMER, Simulator, Station, await_true

SYS_USB = pathlib.Path("/sys/bus/usb/devices")


class UsbSimulator(Simulator):
    """kiln-sim on the virtual USB. `ports` gives the station's name of each board's port: "usb-3-1"."""

    def __init__(self, home, boards, *options):
        super().__init__(home, boards, "--vhci", *options)
        self.names = []  # ports are found, not configured
        lines = [line.split() for line in self.log.read_text().splitlines()]
        self.ports = {words[0]: words[-1] for words in lines if len(words) == 4}

    def devices(self, name):
        """The names below /dev that the kernel's drivers have made for a board."""
        place = self.ports[name].removeprefix("usb-")
        ttys = pathlib.Path("/sys/class/tty").glob("tty[UA][SC][BM]*")
        return sorted(tty.name for tty in ttys if f"/{place}/" in str(tty.resolve()))

    def driver(self, name):
        """The kernel's driver of a board's first interface; empty without one."""
        place = self.ports[name].removeprefix("usb-")
        link = SYS_USB / f"{place}:1.0" / "driver"
        return link.resolve().name if link.exists() else ""

    def await_tty(self, name, seconds=20):
        await_true(lambda: self.devices(name), seconds,
                   lambda: f"{name}: {self.statistics(name)} {self.devices(name)} {list(SYS_USB.iterdir())}")
        return self.devices(name)

    def node(self, name):
        """Tells one making of a board's tty from the next: devtmpfs gives each node an inode of its own. 0: none."""
        try:
            return os.stat("/dev/" + self.devices(name)[0]).st_ino
        except (FileNotFoundError, IndexError):
            return 0

    def await_gone(self, *names):
        """The kernel notices an unplug a moment later; until then the board before looks like the next one. Its terminal
        goes first, so that this is the one wait after which nothing is left of it."""
        places = [SYS_USB / self.ports[name].removeprefix("usb-") for name in names]
        await_true(lambda: not any(place.exists() for place in places), 20,
                   lambda: f"still on the bus: {[place.name for place in places if place.exists()]}")

    def unplug(self, name):
        self.control(f"unplug {name}")
        self.await_gone(name)

    def stop(self):
        super().stop()
        self.await_gone(*self.ports)


# What a slow machine needs beyond the defaults.
PIPELINE = """[pipeline]
connect_timeout = "3m"
identify_timeout = "3m"
confirm_timeout = "3m"
replug_window = "3m"
"""


class UsbStation(Station):
    """A station that finds its ports on the bus."""

    simulator_class = UsbSimulator

    def __init__(self, boards, sim_options=(), config="", baud=921600):
        self.baud = baud
        super().__init__(boards, sim_options, PIPELINE + config)

    def _write_config(self, *arguments):
        super()._write_config(*arguments)
        path = self.home / "kiln.toml"
        path.write_text(path.read_text().replace("[flash]", f"[flash]\nbaud_rate = {self.baud}"))

    def start_deploying(self, orders):
        """Orders deployments, pairs of a board's name and a bundle, all at once. The returned function waits for
        their ends and gives each board's deployment.

        The command line waits for their events: asking again and again costs an emulated processor too much.
        """
        order = []
        for name, bundle in orders:
            order += ["--port", self.simulator.ports[name], "--bundle", bundle]
        done = []
        waiting = threading.Thread(target=lambda: done.append(
            self.kiln("deploy", *CUSTOMER, *order, "--wait", check=False, timeout=60)))
        waiting.start()

        def ended():
            waiting.join()
            if not done:
                raise AssertionError(f"no end in time\n{self.log.read_text()[-5000:]}")
            # The newest comes first.
            by_port = {d["port"]: d for d in reversed(self.answers("deployments"))}
            return {name: by_port[self.simulator.ports[name]] for name, _ in orders}

        return ended

    def deploy(self, orders):
        return self.start_deploying(orders)()

    def deploy_through_unplugs(self, orders):
        """As deploy, with each board unplugged after 100 000 bytes of flash and plugged in again."""
        for name, _ in orders:
            self.simulator.control(f"fault {name} unplug-after=100000")
        ended = self.start_deploying(orders)
        for name, _ in orders:
            await_true(lambda name=name: self.simulator.statistics(name)["mode"] == "unplugged", 60,
                       lambda name=name: f"{name} was not unplugged: {self.simulator.statistics(name)}")
            self.simulator.await_gone(name)
            self.simulator.control(f"replug {name}")
        return ended()
