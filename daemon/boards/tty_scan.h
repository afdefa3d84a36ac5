#ifndef KILN_DAEMON_BOARDS_TTY_SCAN_H_
#define KILN_DAEMON_BOARDS_TTY_SCAN_H_

#include <memory>
#include <string>

#include "daemon/boards/port_source.h"

namespace kiln::boards {

// The source of the boards behind the kernel's USB serial drivers: every
// ttyUSB* and ttyACM* of an adapter that development boards use (Silicon Labs
// 10c4, WCH 1a86, FTDI 0403, Espressif 303a), named by its place on the bus:
// "usb-1-2.3". The further terminals of one adapter get their interface's
// number: "usb-1-2.3-if1". Only looks at file names and sysfs; opens no device,
// since opening moves the modem lines of whatever is plugged in.
//
// The roots are "/dev" and "/sys", except in tests.
std::unique_ptr<PortSource> MakeTtyScan(const std::string& dev_root = "/dev",
                                        const std::string& sysfs_root = "/sys");

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_TTY_SCAN_H_
