#ifndef KILN_DAEMON_ESP_LOADER_CLIENT_H_
#define KILN_DAEMON_ESP_LOADER_CLIENT_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "daemon/esp/loader_link.h"
#include "daemon/esp/stub_store.h"

namespace kiln::esp {

// Answer of GET_SECURITY_INFO.
struct SecurityInfo {
  uint32_t flags = 0;
  uint8_t crypt_count = 0;
  // The ESP32-S2 answers without one.
  std::optional<uint32_t> chip_id;

  bool secure_boot() const { return (flags & 1u) != 0; }
  bool secure_download() const { return (flags & 4u) != 0; }
  bool flash_encryption() const;
};

// The loader's commands as functions. Knows which of the two loaders answers, since they differ in
// details. Owned by a Flasher and used on its thread. Errors are the link's.
class LoaderClient {
 public:
  explicit LoaderClient(LoaderLink& link) : link_(link) {}

  LoaderLink& link() { return link_; }
  // Whether a stub answers; found by Sync, set by RunStub.
  bool stub() const { return stub_; }

  // One SYNC. Whatever else the loader was told before is forgotten.
  absl::Status Sync(absl::Duration timeout);
  absl::StatusOr<uint32_t> ReadRegister(uint32_t address, absl::Duration timeout = kDefaultTimeout);
  absl::Status WriteRegister(uint32_t address, uint32_t value, uint32_t mask = 0xFFFFFFFF);
  absl::StatusOr<SecurityInfo> GetSecurityInfo();

  // Tells the loader to change to `loader_rate` and follows with our side at `rate`. The two differ
  // where a ROM is wrong about its crystal. The caller proves that it worked.
  absl::Status ChangeBaudRate(uint32_t loader_rate, uint32_t rate);

  // Uploads `stub` through the ROM loader, starts it and waits for its greeting.
  absl::Status RunStub(const StubImage& stub, uint32_t block_bytes);

  // `pins`: pad configuration of the flash, 0 for the default pins.
  absl::Status SpiAttach(uint32_t pins);
  absl::Status SpiSetParameters(uint32_t flash_size_bytes);

  // MD5 of flash content. `patience` is added to the time hashing may take.
  absl::StatusOr<base::Md5Digest> FlashMd5(uint32_t offset, uint32_t size,
                                           absl::Duration patience = absl::ZeroDuration());
  // Stub only; whole sectors.
  absl::Status EraseRegion(uint32_t offset, uint32_t size);
  // Announces a compressed write of `blocks` blocks that inflate to `plain_bytes`.
  // `extra_word`: LoaderTraits::begin_has_extra_word.
  absl::Status BeginCompressedWrite(uint32_t plain_bytes, uint32_t blocks, uint32_t block_bytes,
                                    uint32_t offset, bool extra_word);
  // Asks the loader to leave and start the program, for links that cannot reset the chip. Answers
  // are not waited for: the loader may be gone before it sends one.
  absl::Status LeaveLoader(bool extra_word);

 private:
  absl::Status UploadToMemory(absl::Span<const uint8_t> bytes, uint32_t address,
                              uint32_t block_bytes);

  LoaderLink& link_;
  bool stub_ = false;
};

// Timeouts per MiB: esptool's, raised where its users' flash parts proved slower.
inline constexpr absl::Duration kErasePerMebibyte = absl::Seconds(40);
inline constexpr absl::Duration kMd5PerMebibyte = absl::Seconds(8);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_LOADER_CLIENT_H_
