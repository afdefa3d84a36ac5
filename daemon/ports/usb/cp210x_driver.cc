#include "daemon/ports/usb/cp210x_driver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

// AN571, table 4 and chapter 5.
constexpr uint8_t kToInterface = 0x41;
constexpr uint8_t kFromInterface = 0xc1;
constexpr uint8_t kFromDevice = 0xc0;
constexpr uint8_t kIfcEnable = 0x00;
constexpr uint8_t kSetLineCtl = 0x03;
constexpr uint8_t kSetMhs = 0x07;
constexpr uint8_t kGetMdmSts = 0x08;
constexpr uint8_t kGetCommStatus = 0x10;
constexpr uint8_t kPurge = 0x12;
constexpr uint8_t kSetFlow = 0x13;
constexpr uint8_t kEmbedEvents = 0x15;
constexpr uint8_t kSetBaudRate = 0x1e;
constexpr uint8_t kVendorSpecific = 0xff;

constexpr uint16_t kEnable = 1;
constexpr uint16_t kEightNone1 = 0x0800;
constexpr uint16_t kPurgeAll = 0x000f;
constexpr uint16_t kGetPartNumber = 0x370b;
// SET_MHS: the lines in bits 0 and 1; bits 8 and 9 say which of them change. GET_MDMSTS has the
// lines in the same bits.
constexpr uint16_t kDtr = 0x0001;
constexpr uint16_t kRts = 0x0002;
constexpr uint16_t kBothMask = 0x0300;
// SET_FLOW: four words, of which the first says what DTR does, the second what RTS does, and the
// third when to send XON. All other bits turn something on.
constexpr size_t kFlowSize = 16;
constexpr size_t kControlHandshake = 0;
constexpr size_t kFlowReplace = 4;
constexpr size_t kXonLimit = 8;
constexpr uint8_t kDtrHeldActive = 0x01;
constexpr uint8_t kRtsHeldActive = 0x40;
// GET_COMM_STATUS: 19 bytes, of which the output queue's length stands at 12.
constexpr uint16_t kCommStatusSize = 0x13;
constexpr size_t kOutQueueOffset = 12;

// Part numbers, as the chips answer and Linux' driver lists them.
constexpr uint8_t kCp2101 = 0x01;
constexpr uint8_t kCp2102 = 0x02;
constexpr uint8_t kCp2103 = 0x03;
constexpr uint8_t kCp2104 = 0x04;
constexpr uint8_t kCp2105 = 0x05;
constexpr uint8_t kCp2108 = 0x08;
constexpr uint8_t kCp2109 = 0x09;
constexpr uint8_t kCp2102nFirst = 0x20;
constexpr uint8_t kCp2102nLast = 0x22;

struct Range {
  uint32_t min;
  uint32_t max;
  bool any_rate;  // a divider makes the rate; otherwise the chip's table does
};

// The data sheets of the parts. CP2105 has an enhanced interface, number 0, and a standard one.
Range RangeOf(uint8_t part_number, uint16_t interface) {
  switch (part_number) {
    case kCp2101:
    case kCp2102:
    case kCp2103:
    case kCp2109:
      return {300, 1'000'000, false};
    case kCp2104:
    case kCp2108:
      return {300, 2'000'000, true};
    case kCp2105:
      if (interface == 0) return {300, 2'000'000, true};
      return {2'400, 921'600, false};
    default:
      break;
  }
  if (part_number >= kCp2102nFirst && part_number <= kCp2102nLast) return {300, 3'000'000, true};
  // A part unknown, or a clone that refuses to tell: what every chip can.
  return {300, 1'000'000, false};
}

// AN205, table 1: a chip without a divider makes these rates, and any other as the nearest of them
// that its limits say.
struct TableRate {
  uint32_t made;
  uint32_t up_to;  // the highest rate asked for that becomes this one
};
constexpr TableRate kTable[] = {
    {300, 300},           {600, 600},         {1'200, 1'200},     {1'800, 1'800},
    {2'400, 2'400},       {4'000, 4'000},     {4'800, 4'803},     {7'200, 7'207},
    {9'600, 9'612},       {14'400, 14'428},   {16'000, 16'062},   {19'200, 19'250},
    {28'800, 28'912},     {38'400, 38'601},   {51'200, 51'558},   {56'000, 56'280},
    {57'600, 58'053},     {64'000, 64'111},   {76'800, 77'608},   {115'200, 117'028},
    {128'000, 129'347},   {153'600, 156'868}, {230'400, 237'832}, {250'000, 254'234},
    {256'000, 273'066},   {460'800, 491'520}, {500'000, 567'138}, {576'000, 670'254},
    {921'600, 1'000'000},
};

// AN571, 5.4: a 48 MHz clock through a prescaler (4 up to 365 baud) and twice a whole divider.
constexpr double kClock = 48'000'000;
constexpr uint32_t kPrescaledUpTo = 365;

}  // namespace

double Cp210xRate(uint8_t part_number, uint16_t interface, uint32_t baud) {
  const Range range = RangeOf(part_number, interface);
  if (baud < range.min || baud > range.max) return 0;
  if (range.any_rate) {
    const double clock = kClock / 2 / (baud <= kPrescaledUpTo ? 4 : 1);
    return clock / std::round(clock / baud);
  }
  const auto* const entry = std::find_if(std::begin(kTable), std::end(kTable),
                                         [baud](const TableRate& r) { return baud <= r.up_to; });
  return entry == std::end(kTable) ? 0 : entry->made;
}

Cp210xDriver::Cp210xDriver(const UsbAdapter& adapter, const UsbSerialLayout& layout,
                           UsbDeviceHandle& handle)
    : adapter_(adapter), interface_(layout.control_interface), handle_(handle) {}

absl::Status Cp210xDriver::Start() {
  const auto part = handle_.ControlIn({kFromDevice, kVendorSpecific, kGetPartNumber, interface_},
                                      sizeof(part_number_));
  if (part.ok() && !part->empty()) part_number_ = part->front();
  // Clones do not know the question.
  if (errors::Is(part.status(), errors::ErrorCode::kBoardUnplugged)) return part.status();
  RETURN_IF_ERROR(Send(kIfcEnable, kEnable)) << "enabling the UART";
  RETURN_IF_ERROR(Send(kSetLineCtl, kEightNone1)) << "setting 8N1";
  RETURN_IF_ERROR(SetBaudRate(kUsbInitialBaud));
  RETURN_IF_ERROR(SendIfKnown(kEmbedEvents, 0)) << "keeping events out of the data";
  RETURN_IF_ERROR(Send(kPurge, kPurgeAll)) << "emptying the buffers";
  // Last: what flow control has held back must not reach the board.
  RETURN_IF_ERROR(EndFlowControl()) << "ending flow control";
  return absl::OkStatus();
}

// The chip keeps it when whoever turned it on closes the port, and then waits for a CTS that no
// board gives.
absl::Status Cp210xDriver::EndFlowControl() {
  const auto lines = handle_.ControlIn({kFromInterface, kGetMdmSts, 0, interface_}, 1);
  if (errors::Is(lines.status(), errors::ErrorCode::kBoardUnplugged)) return lines.status();
  // The request cannot leave the lines out, so it sets them as they are. From a chip that does not
  // tell: both active, which runs a board in its normal mode.
  const uint8_t state =
      lines.ok() && !lines->empty() ? lines->front() : static_cast<uint8_t>(kDtr | kRts);
  std::array<uint8_t, kFlowSize> flow = {};
  flow[kControlHandshake] = (state & kDtr) != 0 ? kDtrHeldActive : 0;
  flow[kFlowReplace] = (state & kRts) != 0 ? kRtsHeldActive : 0;
  // Revision A01 of the CP2102N takes its RTS from here (erratum CP2102N_E104). As a limit it means
  // nothing, with XON off.
  flow[kXonLimit] = flow[kFlowReplace];
  return SendIfKnown(kSetFlow, 0, flow);
}

absl::Status Cp210xDriver::SetBaudRate(uint32_t baud) {
  RETURN_IF_ERROR(CheckBaudRate(adapter_.name, Cp210xRate(part_number_, interface_, baud), baud));
  uint8_t rate[4];
  base::StoreLe32(rate, baud);
  RETURN_IF_ERROR(Send(kSetBaudRate, 0, rate)) << "setting the rate";
  return absl::OkStatus();
}

absl::Status Cp210xDriver::SetLines(bool dtr, bool rts) {
  const auto value = static_cast<uint16_t>(kBothMask | (dtr ? kDtr : 0) | (rts ? kRts : 0));
  RETURN_IF_ERROR(Send(kSetMhs, value)) << "setting DTR and RTS";
  return absl::OkStatus();
}

absl::StatusOr<UsbOutput> Cp210xDriver::Output() {
  const auto status =
      handle_.ControlIn({kFromInterface, kGetCommStatus, 0, interface_}, kCommStatusSize);
  if (errors::Is(status.status(), errors::ErrorCode::kBoardUnplugged)) return status.status();
  if (!status.ok() || status->size() < kCommStatusSize) return UsbOutput::kUnknown;
  return base::LoadLe32(&(*status)[kOutQueueOffset]) == 0 ? UsbOutput::kEmpty : UsbOutput::kHolding;
}

absl::Status Cp210xDriver::Send(uint8_t request, uint16_t value, absl::Span<const uint8_t> data) {
  return handle_.ControlOut({kToInterface, request, value, interface_}, data);
}

absl::Status Cp210xDriver::SendIfKnown(uint8_t request, uint16_t value,
                                       absl::Span<const uint8_t> data) {
  const absl::Status sent = Send(request, value, data);
  return errors::Is(sent, errors::ErrorCode::kBoardUnplugged) ? sent : absl::OkStatus();
}

}  // namespace kiln::ports
