#ifndef KILN_DAEMON_ESP_CUSTOM_RESET_H_
#define KILN_DAEMON_ESP_CUSTOM_RESET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/esp/reset.h"

namespace kiln::esp {

// A way into the loader that a station's configuration describes, for boards
// whose circuit none of the usual sequences fits. The text is esptool's, so
// that sequences can be taken over:
//
//   D0|R1|W0.1|D1|R0|W0.05|D0
//
// D and R release (0) or assert (1) DTR and RTS; U sets both in one operation
// ("U1,0" is DTR asserted, RTS released); W waits so many seconds. Both lines
// count as released at the beginning. Immutable.
class CustomReset {
 public:
  // INVALID_ARGUMENT with the place of what is wrong: "character 8: …". At most
  // 64 steps and, all together, 10 s of waiting.
  static absl::StatusOr<CustomReset> Parse(absl::string_view text);

  // Valid as long as this object is.
  ResetSequence sequence() const { return {"custom", steps_}; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<LineStep> steps_;
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_CUSTOM_RESET_H_
