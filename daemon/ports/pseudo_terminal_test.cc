#include "daemon/ports/pseudo_terminal.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/ports/test_terminal.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;

class PseudoTerminalTest : public ::testing::Test {
 protected:
  TestTerminal terminal_;
  TestControlServer control_{terminal_.path() + ".ctl"};
  PseudoTerminalOpener opener_{terminal_.path()};
};

TEST_F(PseudoTerminalTest, SendsBothLinesAsOneAcknowledgedByte) {
  auto stream = opener_.Open().value();
  EXPECT_EQ(stream->traits().kind, LinkKind::kPseudoTerminal);
  EXPECT_TRUE(stream->traits().has_modem_lines);
  for (const auto& [dtr, rts] :
       {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
    ASSERT_TRUE(stream->SetLines(dtr, rts).ok());
  }
  EXPECT_THAT(control_.messages(), ElementsAre(0, 1, 2, 3));
}

TEST_F(PseudoTerminalTest, WaitsForTheRightAnswer) {
  auto stream = opener_.Open().value();
  control_.set_stray_answer(3);
  EXPECT_TRUE(stream->SetLines(true, false).ok());
  EXPECT_TRUE(stream->SetLines(false, false).ok());
  EXPECT_THAT(control_.messages(), ElementsAre(1, 0));
}

TEST_F(PseudoTerminalTest, GivesUpOnASilentSimulator) {
  auto stream = PseudoTerminal::Open(terminal_.path(), absl::Milliseconds(5)).value();
  control_.set_silent(true);
  const absl::Status status = stream->SetLines(true, false);
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortFailed)) << status;
}

TEST_F(PseudoTerminalTest, ClosedControlSocketIsAnUnplug) {
  auto stream = opener_.Open().value();
  ASSERT_TRUE(stream->SetLines(false, false).ok());
  control_.Stop();
  EXPECT_TRUE(errors::Is(stream->SetLines(true, false), ErrorCode::kBoardUnplugged));
  std::vector<uint8_t> buffer(1);
  EXPECT_TRUE(errors::Is(stream->Read(absl::MakeSpan(buffer), absl::ZeroDuration()).status(),
                         ErrorCode::kBoardUnplugged));
}

TEST_F(PseudoTerminalTest, LeavesTheTerminalOfADeadSimulatorAlone) {
  {
    auto stream = opener_.Open().value();
    ASSERT_TRUE(stream->SetBaudRate(9600).ok());
  }
  control_.Stop();
  EXPECT_TRUE(errors::Is(opener_.Open().status(), ErrorCode::kBoardNotFound));
  EXPECT_EQ(terminal_.BaudRate(), 9600u) << "its number may be somebody else's by now";
}

TEST_F(PseudoTerminalTest, BusyPortKeepsItsLines) {
  auto stream = opener_.Open().value();
  ASSERT_TRUE(stream->SetLines(true, false).ok());
  EXPECT_TRUE(errors::Is(opener_.Open().status(), ErrorCode::kPortBusy));
  EXPECT_TRUE(stream->SetLines(false, true).ok()) << "the connection was not replaced";
}

TEST_F(PseudoTerminalTest, InstanceChangesWithEachPlugging) {
  const std::string first = opener_.Instance();
  EXPECT_NE(first, "");
  EXPECT_EQ(opener_.Instance(), first);
  terminal_.Unplug();
  terminal_.Replug();
  EXPECT_NE(opener_.Instance(), first);
  EXPECT_EQ(opener_.address(), "pty://" + terminal_.path());
}

TEST(PseudoTerminalPathTest, RefusesAPathTooLongForItsControlSocket) {
  TestTerminal terminal;
  const std::string path = terminal.folder() + "/" + std::string(120, 'x');
  ASSERT_EQ(::symlink(terminal.slave_path().c_str(), path.c_str()), 0);
  ASSERT_EQ(::symlink("/dev/null", (path + ".ctl").c_str()), 0);
  const absl::Status status = PseudoTerminal::Open(path).status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortFailed)) << status;
}

}  // namespace
}  // namespace kiln::ports
