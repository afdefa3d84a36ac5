#ifndef KILN_DAEMON_ESP_CONNECTOR_H_
#define KILN_DAEMON_ESP_CONNECTOR_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/port_profile.h"
#include "daemon/esp/reset.h"

namespace kiln::esp {

// Finds a loader to talk to. Owned by a Flasher and used on its thread. Errors: BoardSilent,
// BoardWrongBootMode, those of the link.
class LoaderConnector {
 public:
  // `profile` (null: none) says what is known of the port and learns what works there.
  LoaderConnector(LoaderClient& loader, PortProfile* profile)
      : loader_(loader), profile_(profile) {}

  // Takes over a loader that answers at the rate of the first contact or at `usual_rate` (one that
  // an earlier conversation left behind); otherwise ResetIntoLoader.
  absl::Status Connect(uint32_t usual_rate);
  // Resets the chip into its ROM loader and synchronises at the rate of the first contact. Without
  // modem lines: waits for somebody else to do so.
  absl::Status ResetIntoLoader();
  // Synchronises again with a loader that lost the thread, at the present rate.
  absl::Status Resynchronise();

 private:
  absl::Status SyncUpTo(int tries);
  // The configured sequence alone, or the link's, what worked last time first.
  std::vector<ResetSequence> SequencesToTry() const;

  LoaderClient& loader_;
  PortProfile* const profile_;
};

// Why nobody answered, from what the board printed meanwhile.
absl::Status DiagnoseSilence(absl::string_view printed);

// Whether `status` is trouble on the line that another try may overcome: BoardSilent or
// ProtocolError.
bool IsLineTrouble(const absl::Status& status);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_CONNECTOR_H_
