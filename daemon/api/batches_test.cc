// kiln.v1.Batches over a real server and ledger.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/api/testing/api_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {
namespace {

class BatchesServiceTest : public ApiTest {
 protected:
  BatchesServiceTest() {
    const auto imported = bundles_.Import("firmware", {.title = "demo"}, false);
    if (imported.ok()) bundle_ = imported->bundle.id;
  }

  v1::CreateBatchRequest BatchRequest(int count = 3) const {
    v1::CreateBatchRequest request;
    request.set_request_id(base::RandomUuid(base::SystemRandom()));
    *request.mutable_customer() = OrderRequest().customer();
    request.set_bundle(absl::StrCat("bundles/", bundle_));
    request.add_ports("usb-1-2.*");
    request.set_count(count);
    return request;
  }

  v1::Batch CreateBatch(const v1::CreateBatchRequest& request) {
    v1::Batch batch;
    const grpc::Status status = batch_stub_->CreateBatch(Context().get(), request, &batch);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return batch;
  }

  std::string Refusal(const v1::CreateBatchRequest& request) {
    v1::Batch batch;
    return Describe(batch_stub_->CreateBatch(Context().get(), request, &batch));
  }

  std::string bundle_;
};

TEST_F(BatchesServiceTest, ABatchIsThereOnceAnswered) {
  const v1::Batch made = CreateBatch(BatchRequest());
  EXPECT_EQ(made.state(), v1::Batch::STATE_ACTIVE);
  EXPECT_EQ(made.remaining(), 3);
  EXPECT_EQ(made.customer().customer_id(), "BGK001");
  EXPECT_EQ(batch_changes_, 1);

  v1::GetBatchRequest get;
  get.set_name(made.name());
  v1::Batch found;
  ASSERT_TRUE(batch_stub_->GetBatch(Context().get(), get, &found).ok());
  EXPECT_EQ(found.ShortDebugString(), made.ShortDebugString());
}

TEST_F(BatchesServiceTest, TheSameRequestAnswersTheFirst) {
  const v1::CreateBatchRequest request = BatchRequest();
  EXPECT_EQ(CreateBatch(request).name(), CreateBatch(request).name());
  v1::CreateBatchRequest other = request;
  other.set_count(4);
  EXPECT_EQ(Refusal(other), "ALREADY_EXISTS REQUEST_CONFLICT");
}

TEST_F(BatchesServiceTest, RefusesMalformedOrders) {
  v1::CreateBatchRequest request = BatchRequest();
  request.set_request_id("1");
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT REQUEST_INVALID request_id");

  request = BatchRequest();
  request.clear_customer();
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT REQUEST_INVALID customer");

  request = BatchRequest();
  *request.add_customers() = request.customer();
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT REQUEST_INVALID customers");

  request = BatchRequest();
  request.clear_customer();
  for (int i = 0; i < 1001; ++i) *request.add_customers() = OrderRequest().customer();
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT REQUEST_INVALID customers");

  request = BatchRequest();
  request.set_bundle("bundles/../x");
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT REQUEST_INVALID bundle");

  request = BatchRequest(0);
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT REQUEST_INVALID");

  request = BatchRequest();
  request.mutable_customer()->set_customer_id("low");
  EXPECT_EQ(Refusal(request), "INVALID_ARGUMENT CUSTOMER_INVALID");
}

TEST_F(BatchesServiceTest, AListOfCustomersIsOneSlotEach) {
  v1::CreateBatchRequest request = BatchRequest(0);
  request.clear_customer();
  for (const char* id : {"AAA001", "BBB002", "CCC003"}) {
    *request.add_customers() = OrderRequest().customer();
    request.mutable_customers(request.customers_size() - 1)->set_customer_id(id);
  }
  const v1::Batch batch = CreateBatch(request);
  EXPECT_FALSE(batch.has_customer());
  EXPECT_EQ(batch.count(), 3);

  v1::ListBatchSlotsRequest list;
  list.set_name(batch.name());
  list.set_page_size(2);
  v1::ListBatchSlotsResponse page;
  ASSERT_TRUE(batch_stub_->ListBatchSlots(Context().get(), list, &page).ok());
  ASSERT_EQ(page.slots_size(), 2);
  EXPECT_EQ(page.slots(1).customer().customer_id(), "BBB002");
  list.set_page_token(page.next_page_token());
  ASSERT_TRUE(batch_stub_->ListBatchSlots(Context().get(), list, &page).ok());
  ASSERT_EQ(page.slots_size(), 1);
  EXPECT_EQ(page.slots(0).slot(), 3);
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(BatchesServiceTest, PausesResumesAndEnds) {
  const std::string name = CreateBatch(BatchRequest()).name();
  v1::PauseBatchRequest pause;
  pause.set_name(name);
  v1::ResumeBatchRequest resume;
  resume.set_name(name);
  v1::EndBatchRequest end;
  end.set_name(name);
  v1::Batch batch;
  ASSERT_TRUE(batch_stub_->PauseBatch(Context().get(), pause, &batch).ok());
  EXPECT_EQ(batch.state(), v1::Batch::STATE_PAUSED);
  ASSERT_TRUE(batch_stub_->ResumeBatch(Context().get(), resume, &batch).ok());
  EXPECT_EQ(batch.state(), v1::Batch::STATE_ACTIVE);
  ASSERT_TRUE(batch_stub_->EndBatch(Context().get(), end, &batch).ok());
  EXPECT_EQ(batch.state(), v1::Batch::STATE_ENDED);
  EXPECT_TRUE(batch.has_end_time());
  EXPECT_EQ(Describe(batch_stub_->ResumeBatch(Context().get(), resume, &batch)),
            "FAILED_PRECONDITION BATCH_STATE_WRONG");
  v1::AllowBatchBoardRequest allow;
  allow.set_name(name);
  allow.set_mac("7c:df:a1:00:00:01");
  EXPECT_EQ(Describe(batch_stub_->AllowBatchBoard(Context().get(), allow, &batch)),
            "FAILED_PRECONDITION BATCH_STATE_WRONG");
  pause.set_name("batches/none");
  EXPECT_EQ(Describe(batch_stub_->PauseBatch(Context().get(), pause, &batch)),
            "NOT_FOUND BATCH_NOT_FOUND");
}

TEST_F(BatchesServiceTest, ListsNewestFirstPageByPage) {
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) names.push_back(CreateBatch(BatchRequest()).name());
  v1::ListBatchesRequest list;
  list.set_page_size(2);
  v1::ListBatchesResponse page;
  ASSERT_TRUE(batch_stub_->ListBatches(Context().get(), list, &page).ok());
  ASSERT_EQ(page.batches_size(), 2);
  EXPECT_EQ(page.batches(0).name(), names[2]);
  list.set_page_token(page.next_page_token());
  ASSERT_TRUE(batch_stub_->ListBatches(Context().get(), list, &page).ok());
  ASSERT_EQ(page.batches_size(), 1);
  EXPECT_EQ(page.batches(0).name(), names[0]);
  list.clear_page_token();
  list.add_states(v1::Batch::STATE_ENDED);
  ASSERT_TRUE(batch_stub_->ListBatches(Context().get(), list, &page).ok());
  EXPECT_EQ(page.batches_size(), 0);
}

TEST_F(BatchesServiceTest, ValidateOnlyKeepsNothing) {
  v1::CreateBatchRequest request = BatchRequest();
  request.set_validate_only(true);
  EXPECT_EQ(CreateBatch(request).name(), "");
  EXPECT_EQ(*ledger_->LastSequence(), 0);
}

TEST_F(BatchesServiceTest, WatchersSeeItInTheSnapshotAndInEvents) {
  const v1::Batch batch = CreateBatch(BatchRequest());
  v1::WatchEventsRequest watch;
  watch.mutable_filter()->add_kinds(v1::EVENT_KIND_BATCH);
  const auto context = Context();
  const auto reader = station_->WatchEvents(context.get(), watch);
  v1::WatchEventsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  ASSERT_EQ(message.snapshot().batches_size(), 1);
  EXPECT_EQ(message.snapshot().batches(0).name(), batch.name());

  v1::PauseBatchRequest pause;
  pause.set_name(batch.name());
  v1::Batch paused;
  ASSERT_TRUE(batch_stub_->PauseBatch(Context().get(), pause, &paused).ok());

  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.event().kind(), v1::EVENT_KIND_BATCH);
  EXPECT_EQ(message.event().batch().state(), v1::Batch::STATE_PAUSED);
  context->TryCancel();
}

}  // namespace
}  // namespace kiln::api::testing
