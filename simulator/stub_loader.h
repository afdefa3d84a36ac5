#ifndef KILN_SIMULATOR_STUB_LOADER_H_
#define KILN_SIMULATOR_STUB_LOADER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "simulator/loader.h"
#include "simulator/write_session.h"

namespace kiln::simulator {

// A flasher stub as uploaded by hosts, with the manners of esp-flasher-stub 1.x: two status bytes,
// raw MD5, a block is acknowledged before it is inflated and programmed, so its failure is the
// answer to the next command, which is then not carried out; END fails while bytes are missing.
// Owned by the board.
class StubLoader : public Loader {
 public:
  static constexpr size_t kMaxBlock = 0x4000;

  explicit StubLoader(LoaderPort& port);

  // Says OHAI; once, after the stub has started.
  void Greet();
  void Handle(absl::Span<const uint8_t> frame) override;
  bool streaming() const override { return read_ != nullptr; }

 private:
  // Errors of the stub (esptool documentation, "Serial Protocol", stub loader errors).
  enum Error : uint8_t {
    kOk = 0x00,
    kBadDataLength = 0xC0,
    kBadDataChecksum = 0xC1,
    kBadBlockSize = 0xC2,
    kInvalidCommand = 0xC3,
    kFailedSpiOperation = 0xC4,
    kNotInFlashMode = 0xC6,
    kInflateError = 0xC7,
    kNotEnoughData = 0xC8,
    kTooMuchData = 0xC9,
    kNotImplemented = 0xFF,
  };
  // A READ_FLASH on its way: one frame sent, its acknowledgement awaited.
  struct Reading {
    uint32_t position;
    uint32_t remaining;
    uint32_t block_size;
    uint32_t sent = 0;
    std::vector<uint8_t> all;
  };

  void Reply(const Request& request, Error error, uint32_t value = 0,
             absl::Span<const uint8_t> data = {});
  Error Begin(const Request& request, bool deflated);
  void Data(const Request& request, bool deflated);
  void End(const Request& request);
  void ChangeBaud(const Request& request);
  void Md5(const Request& request);
  void EraseAll(const Request& request);
  void EraseRegion(const Request& request);
  void ReadFlash(const Request& request);
  void SendNextRead();
  void SecurityInfo(const Request& request);
  bool InFlash(uint32_t offset, uint64_t size) const;

  LoaderPort& port_;
  std::unique_ptr<WriteSession> session_;
  Error deferred_ = kOk;  // of the last block, to be told with the next command
  std::unique_ptr<Reading> read_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_STUB_LOADER_H_
