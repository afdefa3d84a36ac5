#include "simulator/usb/usb_models.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "daemon/esp/chip.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/cdc_acm_model.h"
#include "simulator/usb/ch340_model.h"
#include "simulator/usb/cp210x_model.h"
#include "simulator/usb/ftdi_model.h"
#include "simulator/usb/line_test_peer.h"
#include "simulator/usb/native_usb_models.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {
namespace {

std::unique_ptr<SerialPeer> Board(const BoardConfig& config) {
  if (config.line_test) return std::make_unique<LineTestPeer>(config);
  return std::make_unique<BoardPeer>(config);
}

std::unique_ptr<UsbDeviceModel> MakeFt2232h(const BoardConfig& config) {
  BoardConfig second = config;
  ++second.mac.back();
  return std::make_unique<FtdiModel>(Board(config), Board(second));
}

bool HasOtg(esp::Chip chip) {
  return chip == esp::Chip::kEsp32S2 || chip == esp::Chip::kEsp32S3 || chip == esp::Chip::kEsp32P4;
}

// All chips of the family but the first two.
bool HasSerialJtag(esp::Chip chip) {
  return chip != esp::Chip::kEsp32 && chip != esp::Chip::kEsp32S2;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UsbDeviceModel>> MakeUsbModel(absl::string_view kind,
                                                             const BoardConfig& board) {
  std::unique_ptr<UsbDeviceModel> model;
  // A line test needs a UART, which the chips' own USB has not.
  if (kind == "cp2102") {
    model = std::make_unique<Cp210xModel>(Cp210xModel::Part::kCp2102, Board(board));
  } else if (kind == "cp2102n") {
    model = std::make_unique<Cp210xModel>(Cp210xModel::Part::kCp2102N, Board(board));
  } else if (kind == "ch340") {
    model = std::make_unique<Ch340Model>(Board(board));
  } else if (kind == "ch9102") {
    model = std::make_unique<CdcAcmModel>(Board(board));
  } else if (kind == "ft232r") {
    model = std::make_unique<FtdiModel>(Board(board));
  } else if (kind == "ft2232h") {
    model = MakeFt2232h(board);
  } else if (kind == "usb-serial-jtag" && HasSerialJtag(board.chip) && !board.line_test) {
    model = std::make_unique<UsbSerialJtagModel>(board);
  } else if (kind == "usb-otg" && HasOtg(board.chip) && !board.line_test) {
    model = std::make_unique<UsbOtgModel>(board);
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("no \"", kind, "\" for an ", esp::TraitsOf(board.chip).name,
                     "; kinds: ", absl::StrJoin(UsbModelKinds(), " ")));
  }
  return model;
}

std::vector<std::string> UsbModelKinds() {
  return {"cp2102", "cp2102n", "ch340",           "ch9102",
          "ft232r", "ft2232h", "usb-serial-jtag", "usb-otg"};
}

}  // namespace kiln::simulator
