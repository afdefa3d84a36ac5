#include "clients/cli/board_text.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"

namespace kiln::cli {
namespace {

constexpr int kLabelColumns = 16;

// "1-2 port 3 of 7"
std::string HubText(const v1::UsbConnection& usb, const Texts& texts) {
  if (usb.hub().empty()) return "";
  const std::string port = absl::StrCat(usb.hub_port());
  if (usb.hub_port_count() == 0) return texts.Format(TextId::kHubPort, {usb.hub(), port});
  return texts.Format(TextId::kHubPortOf, {usb.hub(), port, absl::StrCat(usb.hub_port_count())});
}

std::string SpeedText(const v1::UsbConnection& usb, const Texts& texts) {
  if (usb.speed_mbps() <= 0) return "";
  return texts.Format(TextId::kMegabits, {absl::StrFormat("%g", usb.speed_mbps())});
}

std::string PowerText(const v1::UsbConnection& usb, const Texts& texts) {
  if (usb.max_power_ma() == 0) return "";
  return texts.Format(TextId::kMilliamps, {absl::StrCat(usb.max_power_ma())});
}

std::string DriverText(const v1::UsbConnection& usb, const Texts& texts) {
  if (usb.driver() == v1::UsbConnection::DRIVER_KILN) {
    return std::string(texts.Get(TextId::kDriverKiln));
  }
  if (usb.kernel_driver().empty()) return "";
  return texts.Format(TextId::kDriverKernel, {usb.kernel_driver()});
}

}  // namespace

Table BoardTable(const Texts& texts, bool verbose) {
  std::vector<TextId> columns = {TextId::kPort, TextId::kAlias, TextId::kState,  TextId::kChip,
                                 TextId::kMac,  TextId::kFlash, TextId::kAddress};
  if (verbose) {
    columns.insert(columns.end(), {TextId::kAdapter, TextId::kHub, TextId::kSpeed, TextId::kPower,
                                   TextId::kDriver});
  }
  std::vector<std::string> heading;
  heading.reserve(columns.size());
  for (const TextId column : columns) heading.emplace_back(texts.Get(column));
  return Table(std::move(heading));
}

void AddBoardRow(Table& table, const Texts& texts, const v1::Board& board, bool verbose) {
  std::vector<std::string> cells = {
      board.port(),
      board.alias(),
      std::string(texts.Of(board.state())),
      board.chip(),
      board.mac(),
      board.flash_size_bytes() == 0 ? "" : HumanBytes(board.flash_size_bytes()),
      board.address()};
  if (verbose) {
    const v1::UsbConnection& usb = board.usb();
    cells.insert(cells.end(), {board.adapter(), HubText(usb, texts), SpeedText(usb, texts),
                               PowerText(usb, texts), DriverText(usb, texts)});
  }
  table.AddRow(std::move(cells));
}

std::string DescribeBoard(const v1::Board& board, const Texts& texts) {
  std::string result = absl::StrCat(board.port(), "\n");
  const auto line = [&result, &texts](TextId label, absl::string_view value) {
    if (value.empty()) return;
    // The words are those of the tables' headings, which are in capitals.
    absl::StrAppend(&result, "  ", Padded(absl::AsciiStrToLower(texts.Get(label)), kLabelColumns),
                    value, "\n");
  };
  line(TextId::kAlias, board.alias());
  line(TextId::kState, texts.Of(board.state()));
  line(TextId::kChip, board.chip());
  line(TextId::kMac, board.mac());
  line(TextId::kFlash, board.flash_size_bytes() == 0 ? "" : HumanBytes(board.flash_size_bytes()));
  line(TextId::kAddress, board.address());
  line(TextId::kAdapter, board.adapter());
  if (board.has_change_time()) {
    line(TextId::kTime, HumanTime(absl::FromUnixSeconds(board.change_time().seconds())));
  }
  if (board.has_usb()) {
    const v1::UsbConnection& usb = board.usb();
    line(TextId::kUsbIds, absl::StrFormat("%04x:%04x", usb.vendor_id(), usb.product_id()));
    line(TextId::kHub, HubText(usb, texts));
    line(TextId::kHubsBetween, absl::StrCat(usb.depth()));
    line(TextId::kSpeed, SpeedText(usb, texts));
    line(TextId::kPower, PowerText(usb, texts));
    line(TextId::kPowerSwitch, texts.Get(usb.power_switch() ? TextId::kYes : TextId::kNo));
    const std::string driver = DriverText(usb, texts);
    line(TextId::kDriver, driver.empty() || usb.driver_reason().empty()
                              ? driver
                              : absl::StrCat(driver, ": ", usb.driver_reason()));
  }
  if (board.has_failure()) {
    absl::StrAppend(&result, "\n", DescribeFailure(board.failure(), texts));
  }
  return result;
}

}  // namespace kiln::cli
