#include "daemon/ports/usb/libusb_errors.h"

#include <libusb.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

absl::Status LibusbError(const std::string& what, int error) {
  const ErrorCode code =
      error == LIBUSB_ERROR_NO_DEVICE ? ErrorCode::kBoardUnplugged : ErrorCode::kPortFailed;
  return MakeError(code, absl::StrCat(what, ": ", std::string(LibusbErrorCode(error))));
}

absl::string_view LibusbErrorCode(int error) {
  switch (error) {
    case LIBUSB_ERROR_NO_DEVICE:
      return "no_device";
    case LIBUSB_ERROR_PIPE:
      return "stalled";
    case LIBUSB_ERROR_TIMEOUT:
      return "timed_out";
    case LIBUSB_ERROR_OVERFLOW:
      return "overflow";
    case LIBUSB_ERROR_IO:
      return "io";
    case LIBUSB_ERROR_ACCESS:
      return "access";
    case LIBUSB_ERROR_BUSY:
      return "busy";
    case LIBUSB_ERROR_NOT_FOUND:
      return "not_found";
    case LIBUSB_ERROR_INVALID_PARAM:
      return "invalid";
    case LIBUSB_ERROR_NO_MEM:
      return "no_memory";
    case LIBUSB_ERROR_INTERRUPTED:
      return "interrupted";
    default:
      return "other";
  }
}

UsbOutcome OutcomeOf(libusb_transfer_status status) {
  switch (status) {
    case LIBUSB_TRANSFER_COMPLETED:
      return UsbOutcome::kCompleted;
    case LIBUSB_TRANSFER_CANCELLED:
      return UsbOutcome::kCancelled;
    case LIBUSB_TRANSFER_STALL:
      return UsbOutcome::kStalled;
    case LIBUSB_TRANSFER_NO_DEVICE:
      return UsbOutcome::kGone;
    case LIBUSB_TRANSFER_ERROR:
    case LIBUSB_TRANSFER_TIMED_OUT:
    case LIBUSB_TRANSFER_OVERFLOW:
      break;
  }
  return UsbOutcome::kFailed;
}

int ErrorOf(libusb_transfer_status status) {
  switch (status) {
    case LIBUSB_TRANSFER_COMPLETED:
      return LIBUSB_SUCCESS;
    case LIBUSB_TRANSFER_CANCELLED:
      return LIBUSB_ERROR_INTERRUPTED;
    case LIBUSB_TRANSFER_STALL:
      return LIBUSB_ERROR_PIPE;
    case LIBUSB_TRANSFER_NO_DEVICE:
      return LIBUSB_ERROR_NO_DEVICE;
    case LIBUSB_TRANSFER_TIMED_OUT:
      return LIBUSB_ERROR_TIMEOUT;
    case LIBUSB_TRANSFER_OVERFLOW:
      return LIBUSB_ERROR_OVERFLOW;
    case LIBUSB_TRANSFER_ERROR:
      break;
  }
  return LIBUSB_ERROR_IO;
}

}  // namespace kiln::ports
