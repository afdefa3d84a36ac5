#include "daemon/pipeline/messages.h"

#include <string>

#include "absl/time/time.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/step.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

storage::Deployment Row() {
  storage::Deployment row;
  row.id = "d1";
  row.request_id = "r1";
  row.organization = "โรงพยาบาล";
  row.customer_id = "BGK001";
  row.application_name = "Ward_A";
  row.bundle_id = "b1";
  row.requested_port = "any";
  row.port = "p1";
  row.state = storage::DeploymentState::kFailed;
  row.step = v1::STEP_VERIFY;
  row.attempt = 2;
  row.wifi_ssid = "SMC";
  row.wifi_password = "hunter2hunter2";
  row.error_code = "FLASH_VERIFY_FAILED";
  row.error_detail = "app differs";
  row.create_time = absl::FromUnixMicros(1'700'000'000'123'456);
  row.sequence = 42;
  DeploymentDetails details;
  ResetSteps(details);
  details.mutable_flash()->set_written_bytes(7);
  row.details = details.SerializeAsString();
  return row;
}

TEST(MessagesTest, DeploymentWithEverythingButThePassword) {
  const v1::Deployment message = ToMessage(Row());
  EXPECT_EQ(message.name(), "deployments/d1");
  EXPECT_EQ(message.bundle(), "bundles/b1");
  EXPECT_EQ(message.customer().organization(), "โรงพยาบาล");
  EXPECT_EQ(message.state(), v1::Deployment::STATE_FAILED);
  EXPECT_EQ(message.step(), v1::STEP_VERIFY);
  EXPECT_EQ(message.steps_size(), 8);
  EXPECT_EQ(message.flash().written_bytes(), 7u);
  EXPECT_TRUE(message.has_wifi_password());
  EXPECT_EQ(message.failure().code(), "FLASH_VERIFY_FAILED");
  EXPECT_EQ(message.failure().detail(), "app differs");
  EXPECT_EQ(message.create_time().seconds(), 1'700'000'000);
  EXPECT_EQ(message.create_time().nanos(), 123'456'000);
  EXPECT_FALSE(message.has_start_time()) << "InfinitePast is not a time";
  EXPECT_EQ(message.sequence(), 42);
  EXPECT_THAT(message.SerializeAsString(), Not(HasSubstr("hunter2")));
  EXPECT_THAT(DeploymentPayload(Row()), Not(HasSubstr("hunter2")));
}

TEST(MessagesTest, EveryStateHasItsMessage) {
  storage::Deployment row = Row();
  for (int state = 1; state <= 6; ++state) {
    row.state = static_cast<storage::DeploymentState>(state);
    EXPECT_EQ(ToMessage(row).state(), state);
  }
}

TEST(MessagesTest, AnUnknownErrorNameIsKept) {
  storage::Deployment row = Row();
  row.error_code = "FROM_THE_FUTURE";
  EXPECT_EQ(ToMessage(row).failure().code(), "FROM_THE_FUTURE");
  EXPECT_EQ(ToMessage(row).failure().texts_size(), 2);
}

TEST(MessagesTest, FailureSpeaksBothLanguages) {
  const v1::Failure failure = ToMessage(errors::ErrorCode::kBoardSilent, "no sync");
  EXPECT_EQ(failure.code(), "BOARD_SILENT");
  EXPECT_EQ(failure.error_class(), "BOARD");
  EXPECT_EQ(failure.legacy_type(), "ESP32_COMMUNICATION");
  EXPECT_TRUE(failure.retryable());
  ASSERT_EQ(failure.texts_size(), 2);
  EXPECT_EQ(failure.texts(0).language(), "en");
  EXPECT_EQ(failure.texts(1).message(), "ติดต่อ ESP32 ไม่ได้");
  EXPECT_GT(failure.texts(1).tips_size(), 0);
}

TEST(MessagesTest, BoardStates) {
  boards::BoardInfo board{.port = "p1"};
  EXPECT_EQ(ToMessage(board, "").state(), v1::Board::STATE_ABSENT);
  board.present = true;
  EXPECT_EQ(ToMessage(board, "").state(), v1::Board::STATE_READY);
  EXPECT_EQ(ToMessage(board, "d1").state(), v1::Board::STATE_BUSY);
  EXPECT_EQ(ToMessage(board, "d1").deployment(), "deployments/d1");
  board.usable = errors::MakeError(errors::ErrorCode::kPortPermission, "mode 0600");
  EXPECT_EQ(ToMessage(board, "").state(), v1::Board::STATE_UNUSABLE);
  EXPECT_EQ(ToMessage(board, "").failure().code(), "PORT_PERMISSION");
}

TEST(MessagesTest, BundlesTellTheirPartitionsAndValues) {
  firmware::Bundle bundle;
  bundle.id = "b1";
  bundle.chip = esp::Chip::kEsp32C3;
  bundle.images = {{.label = "app", .offset = 0x10000, .size = 5, .sha256 = "ab"}};
  bundle.partitions = {{.label = "nvs", .type = 1, .subtype = 2},
                       {.label = "app1", .type = 0, .subtype = 0x11},
                       {.label = "own", .type = 0x40, .subtype = 7}};
  bundle.nvs_values = {{"app", "ward", "A"}, {"app", "beeps", uint8_t{1}}};
  const v1::Bundle message = ToMessage(bundle);
  EXPECT_EQ(message.chip(), "ESP32-C3");
  EXPECT_EQ(message.total_bytes(), 5u);
  EXPECT_EQ(message.partitions(0).subtype(), "nvs");
  EXPECT_EQ(message.partitions(1).subtype(), "ota_1");
  EXPECT_EQ(message.partitions(2).type(), "0x40");
  EXPECT_EQ(message.partitions(2).subtype(), "0x07");
  EXPECT_EQ(message.state(), v1::Bundle::STATE_ACTIVE);
  ASSERT_EQ(message.nvs_values_size(), 2);
  EXPECT_EQ(message.nvs_values(0).namespace_(), "app");
  EXPECT_EQ(message.nvs_values(0).key(), "ward");
  EXPECT_EQ(message.nvs_values(0).value(), "A");
  EXPECT_EQ(message.nvs_values(1).type(), "u8");
  EXPECT_EQ(message.nvs_values(1).value(), "1");
}

TEST(MessagesTest, EventsKeepTheirBodyAndGetTheirNumber) {
  storage::EventRecord record;
  record.sequence = 9;
  record.time = absl::FromUnixMicros(-1'500'000);
  record.kind = v1::EVENT_KIND_DEPLOYMENT;
  record.payload = DeploymentPayload(Row());
  const auto event = ToMessage(record);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->sequence(), 9);
  EXPECT_EQ(event->time().seconds(), -2);
  EXPECT_EQ(event->time().nanos(), 500'000'000);
  EXPECT_EQ(event->deployment().name(), "deployments/d1");
  const storage::EventDraft draft = DraftOf(*event, "deployments/d1");
  EXPECT_EQ(draft.payload, record.payload) << "number and time are not part of what is hashed";
  EXPECT_EQ(draft.kind, v1::EVENT_KIND_DEPLOYMENT);
}

TEST(MessagesTest, AnEventThatDoesNotParseIsAnEventWithoutABody) {
  storage::EventRecord record;
  record.sequence = 9;
  record.time = absl::FromUnixMicros(1'000'000);
  record.kind = v1::EVENT_KIND_DEPLOYMENT;
  record.payload = "\xff\xff";
  const auto event = ToMessage(record);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->sequence(), 9);
  EXPECT_EQ(event->time().seconds(), 1);
  EXPECT_EQ(event->kind(), v1::EVENT_KIND_DEPLOYMENT);
  EXPECT_EQ(event->body_case(), v1::Event::BODY_NOT_SET);
}

TEST(MessagesTest, BytesThatABoardPrintedDoNotSpoilTheEvent) {
  storage::Deployment row = Row();
  row.error_detail = "the chip reports boot:0x13 \xf8\xff\xe0@\x01";
  v1::Event event;
  ASSERT_TRUE(event.ParseFromString(DeploymentPayload(row)));
  EXPECT_EQ(event.deployment().failure().detail(), "the chip reports boot:0x13 ???@?");
}

}  // namespace
}  // namespace kiln::pipeline
