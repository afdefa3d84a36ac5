#include "daemon/boards/registry.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/fake_registry.h"
#include "daemon/ports/fake_byte_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// "usb-1#2+ C3" for a present second arrival known to be a C3.
std::string Say(const BoardInfo& board) {
  return absl::StrCat(board.port, "#", board.arrival, board.present ? "+" : "-",
                      board.chip.empty() ? "" : " ", board.chip);
}

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    registry_.SetObserver([this](const BoardInfo& board) { seen_.push_back(Say(board)); });
  }
  std::vector<std::string> TakeSeen() { return std::exchange(seen_, {}); }

  base::FakeClock clock_;
  ports::FakeWire wire_;
  ports::FakeStreamOpener opener_{wire_, "fake://one"};
  std::vector<std::string> seen_;
  FakeRegistry registry_{clock_};
};

TEST_F(RegistryTest, CountsArrivalsAndTellsEachChangeOnce) {
  registry_.Plug("usb-1", &opener_);
  registry_.ScanNow();
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#1+"));
  registry_.Unplug("usb-1");
  registry_.ScanNow();
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#1-"));
  registry_.Plug("usb-1", &opener_);
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#2+"));
}

TEST_F(RegistryTest, SeesAReplugBetweenTwoScansAsLeavingAndArriving) {
  registry_.Plug("usb-1", &opener_);
  registry_.SetFacts("usb-1", 1, "ESP32-C3", "7c:df:a1:00:00:01", 4 << 20);
  registry_.Plug("usb-1", &opener_);
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#1+", "usb-1#1+ ESP32-C3", "usb-1#1-", "usb-1#2+"));
}

TEST_F(RegistryTest, BoardsOfOneAddressTextAreStillTwoBoards) {
  ports::FakeWire other_wire;
  ports::FakeStreamOpener other(other_wire, opener_.address());
  registry_.Plug("usb-1", &opener_);
  registry_.Plug("usb-2", &other);
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#1+", "usb-2#1+"));
}

TEST_F(RegistryTest, TimesChangesByTheClock) {
  registry_.Plug("usb-1", &opener_);
  const absl::Time plugged = clock_.Now();
  clock_.Advance(absl::Minutes(5));
  registry_.ScanNow();
  EXPECT_EQ(registry_.Get("usb-1")->change_time, plugged);
  registry_.Unplug("usb-1");
  EXPECT_EQ(registry_.Get("usb-1")->change_time, plugged + absl::Minutes(5));
}

TEST_F(RegistryTest, ListsAllPortsByName) {
  registry_.Plug("usb-2", &opener_);
  registry_.AddPort("usb-1", "A1");
  const std::vector<BoardInfo> boards = registry_.List();
  ASSERT_EQ(boards.size(), 2u);
  EXPECT_EQ(Say(boards[0]), "usb-1#0-");
  EXPECT_EQ(boards[0].alias, "A1");
  EXPECT_EQ(Say(boards[1]), "usb-2#1+");
  EXPECT_EQ(boards[1].address, "fake://one");
}

TEST_F(RegistryTest, FindsByNameFirstAndThenByAlias) {
  registry_.AddPort("a", "b");
  registry_.AddPort("b", "c");
  registry_.AddPort("d");
  EXPECT_EQ(registry_.Get("b")->port, "b");
  EXPECT_EQ(registry_.Get("c")->port, "b");
  for (const char* unknown : {"e", "", "A"}) {
    EXPECT_TRUE(errors::Is(registry_.Get(unknown).status(), ErrorCode::kPortNotFound)) << unknown;
  }
}

TEST_F(RegistryTest, KeepsFactsOnlyForTheArrivalTheyWereReadFrom) {
  registry_.Plug("usb-1", &opener_);
  registry_.SetFacts("usb-1", 1, "ESP32-C3", "7c:df:a1:00:00:01", 4 << 20);
  EXPECT_EQ(registry_.Get("usb-1")->mac, "7c:df:a1:00:00:01");
  EXPECT_EQ(registry_.Get("usb-1")->flash_size_bytes, 4u << 20);

  registry_.Unplug("usb-1");
  EXPECT_EQ(registry_.Get("usb-1")->chip, "");
  EXPECT_EQ(registry_.Get("usb-1")->mac, "");
  registry_.SetFacts("usb-1", 1, "ESP32", "late", 1);
  EXPECT_EQ(registry_.Get("usb-1")->chip, "") << "nothing is plugged in";

  registry_.Plug("usb-1", &opener_);
  registry_.SetFacts("usb-1", 1, "ESP32", "late", 1);
  EXPECT_EQ(registry_.Get("usb-1")->chip, "") << "those were the last board's facts";
  registry_.SetFacts("usb-9", 1, "ESP32", "nowhere", 1);
}

TEST_F(RegistryTest, OpenerStaysTheSameOverReplugs) {
  registry_.AddPort("usb-1");
  ports::StreamOpener* opener = registry_.OpenerOf("usb-1").value();
  EXPECT_TRUE(errors::Is(opener->Open().status(), ErrorCode::kBoardNotFound));
  EXPECT_FALSE(opener->Present());
  registry_.Plug("usb-1", &opener_);
  EXPECT_EQ(registry_.OpenerOf("usb-1").value(), opener);
  EXPECT_EQ(opener->address(), "fake://one");
  EXPECT_TRUE(opener->Open().ok());
  registry_.Unplug("usb-1");
  EXPECT_TRUE(errors::Is(opener->Open().status(), ErrorCode::kBoardNotFound));
  EXPECT_TRUE(errors::Is(registry_.OpenerOf("usb-2").status(), ErrorCode::kPortNotFound));
}

TEST_F(RegistryTest, TellsWhenABoardBecomesUsable) {
  registry_.Plug("usb-1", &opener_);
  TakeSeen();
  registry_.SetUsable("usb-1", errors::MakeError(ErrorCode::kPortPermission, "udev is slow"));
  EXPECT_TRUE(errors::Is(registry_.Get("usb-1")->usable, ErrorCode::kPortPermission));
  registry_.SetUsable("usb-1", absl::OkStatus());
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#1+", "usb-1#1+"));
  EXPECT_TRUE(registry_.Get("usb-1")->usable.ok());
}

TEST_F(RegistryTest, ObserverMayUseTheRegistry) {
  std::string seen_inside;
  registry_.SetObserver([&](const BoardInfo& board) {
    seen_inside += Say(*registry_.Get(board.port)) + ";";
    registry_.SetFacts(board.port, board.arrival, "ESP32", "m", 1);
  });
  registry_.Plug("usb-1", &opener_);
  EXPECT_EQ(seen_inside, "usb-1#1+;usb-1#1+ ESP32;");
}

class TwoSourcesTest : public ::testing::Test {
 protected:
  TwoSourcesTest() {
    std::vector<std::unique_ptr<PortSource>> sources;
    sources.push_back(first_.MakeSource());
    sources.push_back(second_.MakeSource());
    registry_ = CreateRegistry(std::move(sources), clock_);
  }

  base::FakeClock clock_;
  ports::FakeWire wire_;
  ports::FakeStreamOpener opener_{wire_, "fake://one"};
  FakePorts first_;
  FakePorts second_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(TwoSourcesTest, GivesAConfiguredAliasToAPortThatAnotherSourceFinds) {
  first_.AddPort("usb-1", "A1");
  second_.Plug("usb-1", &opener_);
  registry_->ScanNow();
  ASSERT_EQ(registry_->List().size(), 1u);
  EXPECT_EQ(Say(*registry_->Get("A1")), "usb-1#1+");
  EXPECT_TRUE(registry_->OpenerOf("usb-1").value()->Present());
}

TEST_F(TwoSourcesTest, NamesOneDeviceOnlyOnce) {
  first_.Plug("bench", &opener_);
  second_.Plug("usb-1", &opener_);
  registry_->ScanNow();
  ASSERT_EQ(registry_->List().size(), 1u);
  EXPECT_EQ(registry_->List()[0].port, "bench");
}

TEST_F(TwoSourcesTest, RemembersAPortThatItsSourceNoLongerNames) {
  second_.Plug("usb-1", &opener_);
  registry_->ScanNow();
  ports::StreamOpener* opener = registry_->OpenerOf("usb-1").value();
  second_.RemovePort("usb-1");
  registry_->ScanNow();
  EXPECT_EQ(Say(*registry_->Get("usb-1")), "usb-1#1-");
  EXPECT_TRUE(errors::Is(opener->Open().status(), ErrorCode::kBoardNotFound));
  second_.Plug("usb-1", &opener_);
  registry_->ScanNow();
  EXPECT_EQ(Say(*registry_->Get("usb-1")), "usb-1#2+");
  EXPECT_TRUE(opener->Open().ok());
}

TEST_F(TwoSourcesTest, SaysOfAConfiguredPortWhatTheBusSaysOfItsDevice) {
  first_.Plug("bench", &opener_);
  second_.Plug("usb-1", &opener_);
  second_.SetUsb("usb-1", {.vendor = 0x10c4, .topology = "1"});
  registry_->ScanNow();
  ASSERT_TRUE(registry_->Get("bench")->usb.has_value());
  EXPECT_EQ(registry_->Get("bench")->usb->vendor, 0x10c4);
}

TEST_F(RegistryTest, SaysWhatFoundABoard) {
  registry_.Plug("usb-1", &opener_);
  EXPECT_EQ(registry_.Get("usb-1")->found_by, FoundBy::kScan);
  registry_.Wake();
  registry_.Plug("usb-1", &opener_);
  EXPECT_EQ(registry_.Get("usb-1")->found_by, FoundBy::kEvent);
  // Long after the event, nothing came of it.
  clock_.Advance(absl::Seconds(2));
  registry_.Plug("usb-1", &opener_);
  EXPECT_EQ(registry_.Get("usb-1")->found_by, FoundBy::kScan);
}

TEST_F(RegistryTest, TellsWhenTheBusSaysSomethingElse) {
  registry_.Plug("usb-1", &opener_);
  TakeSeen();
  registry_.SetUsb("usb-1", {.vendor = 0x10c4});
  EXPECT_THAT(TakeSeen(), ElementsAre("usb-1#1+"));
  registry_.ScanNow();
  EXPECT_THAT(TakeSeen(), IsEmpty());
  registry_.Unplug("usb-1");
  EXPECT_EQ(registry_.Get("usb-1")->usb->vendor, 0x10c4) << "the port is still where it was";
}

// A source that tells when it has looked.
class WatchedSource final : public PortSource {
 public:
  WatchedSource(std::unique_ptr<PortSource> source, std::function<void()> looked)
      : source_(std::move(source)), looked_(std::move(looked)) {}
  std::vector<FoundPort> Scan() override {
    std::vector<FoundPort> ports = source_->Scan();
    looked_();
    return ports;
  }

 private:
  const std::unique_ptr<PortSource> source_;
  const std::function<void()> looked_;
};

// The registry's own thread over fake ports, on the real clock.
class WokenRegistryTest : public ::testing::Test {
 protected:
  WokenRegistryTest() {
    std::vector<std::unique_ptr<PortSource>> sources;
    sources.push_back(std::make_unique<WatchedSource>(ports_.MakeSource(), [this] {
      absl::MutexLock lock(&mutex_);
      ++looks_;
    }));
    registry_ = CreateRegistry(std::move(sources), base::SystemClock());
    registry_->SetObserver([this](const BoardInfo& board) {
      absl::MutexLock lock(&mutex_);
      seen_[board.port].push_back(board);
    });
    EXPECT_TRUE(registry_->Start().ok());
    // The look at the start is no answer to an event, however late the thread begins.
    absl::MutexLock lock(&mutex_);
    const auto looked = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return looks_ > 0; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&looked), absl::Seconds(30)));
  }
  ~WokenRegistryTest() override { registry_->Stop(); }

  // The changes of a port once there are `count`.
  std::vector<BoardInfo> Await(const std::string& port, size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return seen_[port].size() >= count;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(30))) << port;
    return seen_[port];
  }

  int looks() {
    absl::MutexLock lock(&mutex_);
    return looks_;
  }

  ports::FakeWire wire_;
  ports::FakeStreamOpener opener_{wire_};
  FakePorts ports_;
  absl::Mutex mutex_;
  int looks_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::vector<BoardInfo>> seen_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Registry> registry_;
};

TEST_F(WokenRegistryTest, AnEventFindsABoardAndItsLeaving) {
  ports_.Plug("usb-1", &opener_);
  registry_->Wake();
  EXPECT_EQ(Await("usb-1", 1)[0].found_by, FoundBy::kEvent);
  ports_.Unplug("usb-1");
  registry_->Wake();
  EXPECT_FALSE(Await("usb-1", 2)[1].present);
}

TEST_F(WokenRegistryTest, ALostEventCostsNoBoard) {
  ports_.Plug("usb-1", nullptr);
  registry_->Wake();
  Await("usb-1", 1);
  // The buffer overflowed: of a whole hub's boards, no event came through.
  for (int i = 2; i < 34; ++i) ports_.Plug(absl::StrCat("usb-", i), nullptr);
  for (int i = 2; i < 34; ++i) EXPECT_TRUE(Await(absl::StrCat("usb-", i), 1)[0].present) << i;
}

TEST_F(WokenRegistryTest, AStormOfEventsIsAnsweredWithFewLooks) {
  constexpr int kEvents = 5000;
  const int before = looks();
  const absl::Time start = absl::Now();
  for (int i = 0; i < kEvents; ++i) registry_->Wake();
  ports_.Plug("usb-1", nullptr);
  registry_->Wake();
  Await("usb-1", 1);
  // One a kWakeInterval at most, and the ordinary ones, for as long as it took.
  const int allowed = static_cast<int>((absl::Now() - start) / kWakeInterval) + 5;
  EXPECT_LE(looks() - before, allowed);
}

TEST(RegistryThreadTest, LooksByItselfDeliversFactsAtOnceAndStopsAtOnce) {
  ports::FakeWire wire;
  ports::FakeStreamOpener opener(wire);
  FakePorts ports;
  ports.Plug("usb-1", &opener);
  std::vector<std::unique_ptr<PortSource>> sources;
  sources.push_back(ports.MakeSource());
  std::unique_ptr<Registry> registry = CreateRegistry(std::move(sources), base::SystemClock());
  absl::Notification arrived, identified;
  registry->SetObserver([&](const BoardInfo& board) {
    if (board.chip.empty()) {
      arrived.Notify();
    } else {
      identified.Notify();
    }
  });

  ASSERT_TRUE(registry->Start().ok());
  EXPECT_FALSE(registry->Start().ok()) << "it runs already";
  ASSERT_TRUE(arrived.WaitForNotificationWithTimeout(absl::Seconds(20)));
  registry->SetFacts("usb-1", 1, "ESP32", "7c:df:a1:00:00:01", 4 << 20);
  ASSERT_TRUE(identified.WaitForNotificationWithTimeout(absl::Seconds(20)));
  registry->Stop();
  ports.Unplug("usb-1");
  EXPECT_TRUE(registry->Get("usb-1")->present) << "nobody looks any more";
  registry->Stop();
}

}  // namespace
}  // namespace kiln::boards
