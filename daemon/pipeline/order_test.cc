#include "daemon/pipeline/order.h"

#include <string>

#include "daemon/pipeline/pipeline_fixture.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;

class OrderTest : public PipelineFixture {
 protected:
  OrderTest() { registry_.AddPort("usb-1-2.3", "A1"); }
  absl::StatusOr<ResolvedOrder> Resolve(const Order& order) {
    return ResolveOrder(order, *bundles_, registry_);
  }
};

TEST(RequestIdTest, IsAUuidOrSomethingLikeIt) {
  EXPECT_TRUE(CheckRequestId("0190a3c2-1111-7abc-8def-0123456789ab").ok());
  EXPECT_TRUE(CheckRequestId("form_7.2:1").ok());
  EXPECT_TRUE(CheckRequestId(std::string(64, 'a')).ok());
  for (const std::string& bad :
       {std::string(), std::string(65, 'a'), std::string("with space"), std::string("a\0b", 3),
        std::string("a\nb"), std::string("คำขอ")}) {
    EXPECT_TRUE(errors::Is(CheckRequestId(bad), ErrorCode::kRequestInvalid)) << bad;
  }
}

TEST_F(OrderTest, NamesAreResolved) {
  Order order = MakeOrder("A1");
  order.bundle = bundle_.substr(0, 8);
  const auto resolved = Resolve(order);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->port, "usb-1-2.3");
  EXPECT_EQ(resolved->bundle.id, bundle_);
  EXPECT_EQ(resolved->digest, Resolve(MakeOrder("usb-1-2.3"))->digest);
}

TEST_F(OrderTest, UnknownNamesAreRefused) {
  EXPECT_TRUE(errors::Is(Resolve(MakeOrder("B7")).status(), ErrorCode::kPortNotFound));
  Order order = MakeOrder("A1");
  order.bundle = "ffffffff00";
  EXPECT_TRUE(errors::Is(Resolve(order).status(), ErrorCode::kBundleNotFound));
  order.bundle.clear();
  EXPECT_TRUE(errors::Is(Resolve(order).status(), ErrorCode::kRequestInvalid));
  EXPECT_TRUE(errors::Is(Resolve(MakeOrder("")).status(), ErrorCode::kRequestInvalid));
}

TEST_F(OrderTest, EveryFieldCountsInTheDigest) {
  const Order order = MakeOrder("A1");
  const std::string digest = Resolve(order)->digest;
  Order other = order;
  other.customer.organization = "X";
  EXPECT_NE(Resolve(other)->digest, digest);
  other = order;
  other.customer.customer_id = "X";
  EXPECT_NE(Resolve(other)->digest, digest);
  other = order;
  other.customer.application_name = "X";
  EXPECT_NE(Resolve(other)->digest, digest);
  other = order;
  other.customer.expiry_date = "2099-01-01";
  EXPECT_NE(Resolve(other)->digest, digest);
  other = order;
  other.port = "any";
  EXPECT_NE(Resolve(other)->digest, digest);
  // Text that moves from one field to the next is another order.
  Order left = order;
  left.customer.organization = "ab";
  left.customer.customer_id = "c";
  Order right = order;
  right.customer.organization = "a";
  right.customer.customer_id = "bc";
  EXPECT_NE(Resolve(left)->digest, Resolve(right)->digest);
}

TEST_F(OrderTest, NewOrdersNeedAValidCustomerAndABundleInUse) {
  Order order = MakeOrder("A1");
  ASSERT_TRUE(CheckNewOrder(order, *Resolve(order), "2026-11-21").ok());
  order.customer.customer_id = "๑๒๓๔";  // Thai digits
  EXPECT_TRUE(
      errors::Is(CheckNewOrder(order, *Resolve(order), "2026-11-21"), ErrorCode::kCustomerInvalid));
  order = MakeOrder("A1");
  ASSERT_TRUE(bundles_->Retire(bundle_).ok());
  EXPECT_TRUE(
      errors::Is(CheckNewOrder(order, *Resolve(order), "2026-11-21"), ErrorCode::kBundleRetired));
}

TEST_F(OrderTest, ABundleWithoutAPlaceForTheIdentityIsRefused) {
  const Order order = MakeOrder("A1");
  ResolvedOrder resolved = *Resolve(order);
  resolved.bundle.partitions.clear();
  EXPECT_TRUE(
      errors::Is(CheckNewOrder(order, resolved, "2026-11-21"), ErrorCode::kIdentityDoesNotFit));
}

}  // namespace
}  // namespace kiln::pipeline
