#ifndef KILN_TESTS_USB_USB_STATION_FIXTURE_H_
#define KILN_TESTS_USB_USB_STATION_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "daemon/boards/registry.h"
#include "daemon/esp/chip.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "daemon/ports/usb/usb_context.h"
#include "simulator/faults.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/mock/mocked_usb_bus.h"
#include "simulator/usb/usb_device_model.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// A kind of board, as a person plugs it in.
struct Family {
  std::string kind;  // of its USB: see simulator::MakeUsbModel
  std::string kernel_driver;
  esp::Chip chip = esp::Chip::kEsp32;
  // Of a chip on its own USB: a person holds BOOT whenever it is plugged in, as a blank one needs.
  bool boot_held = false;
};

void PrintTo(const Family& family, std::ostream* out);
// For the names of cases.
std::string NameOf(const Family& family);

inline const Family kBridge = {"cp2102", "cp210x"};
inline const Family kJtag = {"usb-serial-jtag", "cdc_acm", esp::Chip::kEsp32C3};
// Of a used product, whose program serves USB.
inline const Family kOtg = {"usb-otg", "cdc_acm", esp::Chip::kEsp32S3};
inline const Family kBlankOtg = {"usb-otg", "cdc_acm", esp::Chip::kEsp32S3, true};

// A station's whole way from the order to the record, on a mocked bus: registry, USB source, libusb
// with its events, Kiln's own drivers, scheduler and pipeline are the daemon's, only bus and boards
// are made of software. Programs that use it run under umockdev-wrapper.
class UsbStationTest : public PipelineFixture {
 protected:
  static constexpr char kPlace[] = "1-2.3";
  static constexpr char kPort[] = "usb-1-2.3";

  UsbStationTest();
  ~UsbStationTest() override;

  void Start();

  // A board with a product's older firmware in it, unless it is blank.
  static std::unique_ptr<simulator::UsbDeviceModel> MakeBoard(const Family& family, uint8_t number);
  static simulator::SimulatedBoard& BoardOf(simulator::UsbDeviceModel& model) {
    return *model.serial_port(0).peer().board();
  }
  // All at kPlace.
  void Plug(const Family& family, std::unique_ptr<simulator::UsbDeviceModel> model);
  void WithBoard(const std::function<void(simulator::SimulatedBoard&)>& function);
  void SetFaults(const simulator::Faults& faults);
  // Of board number 1, at its first attempt, with one record.
  void ExpectSuccess(const storage::Deployment& end);

  simulator::MockedUsbBus bus_;  // before libusb looks at it
  std::unique_ptr<ports::UsbContext> context_;
  std::unique_ptr<boards::Registry> usb_registry_;
};

}  // namespace kiln::pipeline

#endif  // KILN_TESTS_USB_USB_STATION_FIXTURE_H_
