#include "storage/ledger.h"

#include <cstdlib>

#include "base/fake_clock.h"
#include "gtest/gtest.h"
namespace kiln::storage {
namespace {
TEST(LedgerTest, X) {
  char dir[] = "/tmp/kiln-ledger-XXXXXX";
  ASSERT_NE(::mkdtemp(dir), nullptr);
  base::FakeClock clock;
  auto ledger = Ledger::Open(std::string(dir) + "/ledger.db", clock);
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  Deployment d;
  d.id = "a";
  d.request_id = "r";
  d.wifi_password = "verysecret";
  auto made = (*ledger)->CreateDeployment(d, [](const Deployment& d) { return d.id; });
  ASSERT_TRUE(made.ok()) << made.status();
  auto list = (*ledger)->ListDeployments({});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->size(), 1u);
  auto v = (*ledger)->Verify();
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_TRUE(v->ok) << v->problem;
}
}  // namespace
}  // namespace kiln::storage
