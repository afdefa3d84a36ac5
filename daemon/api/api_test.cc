#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/api/listen_socket.h"
#include "daemon/api/testing/api_fixture.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {
namespace {

using ::testing::HasSubstr;

class ServicesTest : public ApiTest {
 protected:
  // One ImportBundle call with these messages; its outcome as Describe has it.
  std::string Import(const std::vector<v1::ImportBundleRequest>& messages,
                     v1::ImportBundleResponse* response) {
    const auto context = Context();
    const auto writer = firmware_->ImportBundle(context.get(), response);
    for (const v1::ImportBundleRequest& message : messages) {
      if (!writer->Write(message)) break;  // the server has answered already
    }
    writer->WritesDone();
    return Describe(writer->Finish());
  }

  static v1::ImportBundleRequest Header(const std::string& title = "") {
    v1::ImportBundleRequest message;
    message.mutable_header()->set_file_name("build.zip");
    message.mutable_header()->set_title(title);
    return message;
  }
  static v1::ImportBundleRequest Chunk(const std::string& bytes) {
    v1::ImportBundleRequest message;
    message.set_chunk(bytes);
    return message;
  }

  std::vector<v1::Event> Events(v1::EventKind kind) {
    v1::ListEventsRequest request;
    request.mutable_filter()->add_kinds(kind);
    v1::ListEventsResponse response;
    const grpc::Status status = station_->ListEvents(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.events().begin(), response.events().end()};
  }

  // grpc.health.v1.Health/Check: 1 is SERVING, 2 NOT_SERVING; -1 when the call fails.
  int HealthOf(const std::string& service) {
    std::string request;
    if (!service.empty())
      request = absl::StrCat("\x0a", std::string(1, char(service.size())), service);
    grpc::Slice slice(request);
    grpc::ByteBuffer out(&slice, 1);
    grpc::ByteBuffer in;
    grpc::CompletionQueue queue;
    grpc::GenericStub stub(channel_);
    const auto context = Context();
    const auto call =
        stub.PrepareUnaryCall(context.get(), "/grpc.health.v1.Health/Check", out, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&in, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    std::vector<grpc::Slice> slices;
    if (!status.ok() || !in.Dump(&slices).ok() || slices.empty() || slices[0].size() < 2) return -1;
    return slices[0].begin()[1];
  }
};

TEST_F(ServicesTest, DeploymentIsThereOnceAnswered) {
  v1::CreateDeploymentRequest request = OrderRequest();
  const v1::Deployment created = Create(request);
  EXPECT_EQ(created.state(), v1::Deployment::STATE_PENDING);
  EXPECT_EQ(created.customer().customer_id(), "BGK001");

  v1::GetDeploymentRequest get;
  get.set_name(created.name());
  v1::Deployment found;
  ASSERT_TRUE(deployments_->GetDeployment(Context().get(), get, &found).ok());
  EXPECT_EQ(found.name(), created.name());

  EXPECT_EQ(Create(request).name(), created.name()) << "the same request id, the same deployment";
  request.mutable_customer()->set_customer_id("OTHER1");
  EXPECT_EQ(Describe(deployments_->CreateDeployment(Context().get(), request, &found)),
            "ALREADY_EXISTS REQUEST_CONFLICT");
}

TEST_F(ServicesTest, ValidateOnlyKeepsNothing) {
  v1::CreateDeploymentRequest request = OrderRequest();
  request.set_validate_only(true);
  EXPECT_EQ(Create(request).name(), "");
  EXPECT_EQ(*ledger_->LastSequence(), 0);
}

TEST_F(ServicesTest, MalformedRequestsNameTheField) {
  struct Case {
    std::function<void(v1::CreateDeploymentRequest&)> spoil;
    std::string want;
  };
  const Case cases[] = {
      {[](auto& r) { r.set_request_id("1"); }, "INVALID_ARGUMENT REQUEST_INVALID request_id"},
      {[](auto& r) { r.set_port(""); }, "INVALID_ARGUMENT REQUEST_INVALID port"},
      {[](auto& r) { r.set_bundle(""); }, "INVALID_ARGUMENT REQUEST_INVALID bundle"},
      {[](auto& r) { r.set_bundle("boards/x"); }, "INVALID_ARGUMENT REQUEST_INVALID bundle"},
  };
  for (const Case& c : cases) {
    v1::CreateDeploymentRequest request = OrderRequest();
    c.spoil(request);
    v1::Deployment response;
    EXPECT_EQ(Describe(deployments_->CreateDeployment(Context().get(), request, &response)),
              c.want);
  }
  v1::GetDeploymentRequest get;
  v1::Deployment response;
  get.set_name("nonsense");
  EXPECT_EQ(Describe(deployments_->GetDeployment(Context().get(), get, &response)),
            "INVALID_ARGUMENT REQUEST_INVALID name");
  get.set_name("deployments/none");
  EXPECT_EQ(Describe(deployments_->GetDeployment(Context().get(), get, &response)),
            "NOT_FOUND DEPLOYMENT_NOT_FOUND");
}

TEST_F(ServicesTest, OversizedRequestIsRefusedAndTheServerLives) {
  v1::CreateDeploymentRequest request = OrderRequest();
  request.mutable_customer()->set_organization(std::string(10'000'000, 'x'));
  v1::Deployment response;
  EXPECT_EQ(deployments_->CreateDeployment(Context().get(), request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  Create();
}

TEST_F(ServicesTest, ListsDeploymentsPageByPageNewestFirst) {
  std::vector<std::string> created;
  for (int i = 0; i < 5; ++i) created.insert(created.begin(), Create().name());
  scheduler_.Move(created[0].substr(12), storage::DeploymentState::kFailed);

  v1::ListDeploymentsRequest request;
  request.set_page_size(2);
  std::vector<std::string> listed;
  v1::ListDeploymentsResponse response;
  int pages = 0;
  do {
    request.set_page_token(response.next_page_token());
    const grpc::Status status = deployments_->ListDeployments(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const v1::Deployment& deployment : response.deployments()) {
      listed.push_back(deployment.name());
    }
    ++pages;
  } while (!response.next_page_token().empty());
  EXPECT_EQ(listed, created);
  EXPECT_EQ(pages, 3);

  request.set_page_token("");
  ASSERT_TRUE(deployments_->ListDeployments(Context().get(), request, &response).ok());
  request.set_page_token(response.next_page_token());
  request.mutable_filter()->add_states(v1::Deployment::STATE_FAILED);
  EXPECT_EQ(Describe(deployments_->ListDeployments(Context().get(), request, &response)),
            "INVALID_ARGUMENT REQUEST_INVALID page_token");
  request.clear_page_token();
  ASSERT_TRUE(deployments_->ListDeployments(Context().get(), request, &response).ok());
  ASSERT_EQ(response.deployments_size(), 1);
  EXPECT_EQ(response.deployments(0).name(), created[0]);
}

TEST_F(ServicesTest, ListsEventsPageByPage) {
  for (int i = 0; i < 3; ++i) Create();
  v1::ListEventsRequest request;
  request.set_page_size(2);
  v1::ListEventsResponse response;
  ASSERT_TRUE(station_->ListEvents(Context().get(), request, &response).ok());
  ASSERT_EQ(response.events_size(), 2);
  EXPECT_EQ(response.events(1).sequence(), 2);
  request.set_page_token(response.next_page_token());
  ASSERT_TRUE(station_->ListEvents(Context().get(), request, &response).ok());
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).sequence(), 3);
  EXPECT_EQ(response.next_page_token(), "");
}

TEST_F(ServicesTest, PasswordIsRevealedOnlyAfterAnAuditEvent) {
  const v1::Deployment deployment = Create();
  v1::RevealCredentialsRequest request;
  request.set_name(deployment.name());
  request.set_reason("label lost");
  v1::RevealCredentialsResponse response;
  EXPECT_EQ(Describe(deployments_->RevealCredentials(Context().get(), request, &response)),
            "FAILED_PRECONDITION DEPLOYMENT_STATE_WRONG");
  EXPECT_TRUE(Events(v1::EVENT_KIND_AUDIT).empty());
  scheduler_.Move(IdOf(deployment), storage::DeploymentState::kSucceeded, "correcthorse42");

  ASSERT_TRUE(deployments_->RevealCredentials(Context().get(), request, &response).ok());

  EXPECT_EQ(response.wifi_password(), "correcthorse42");
  const std::vector<v1::Event> events = Events(v1::EVENT_KIND_AUDIT);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].audit().subject(), deployment.name());
  EXPECT_EQ(events[0].audit().actor(), "local");
  EXPECT_EQ(events[0].audit().reason(), "label lost");
  for (const v1::Event& event : Events(v1::EVENT_KIND_DEPLOYMENT)) {
    EXPECT_THAT(event.DebugString(), ::testing::Not(HasSubstr("correcthorse42")));
  }
}

TEST_F(ServicesTest, BoardsAreListedAndFound) {
  for (const char* port : {"p1", "p2", "p3"}) boards_.AddPort(port);
  boards_.AddPort("p2", "A2");
  v1::ListBoardsRequest request;
  request.set_page_size(2);
  v1::ListBoardsResponse response;
  ASSERT_TRUE(board_stub_->ListBoards(Context().get(), request, &response).ok());
  ASSERT_EQ(response.boards_size(), 2);
  request.set_page_token(response.next_page_token());
  ASSERT_TRUE(board_stub_->ListBoards(Context().get(), request, &response).ok());
  ASSERT_EQ(response.boards_size(), 1);
  EXPECT_EQ(response.boards(0).port(), "p3");

  v1::GetBoardRequest get;
  v1::Board board;
  get.set_name("boards/A2");
  ASSERT_TRUE(board_stub_->GetBoard(Context().get(), get, &board).ok());
  EXPECT_EQ(board.name(), "boards/p2");
  get.set_name("boards/p9");
  EXPECT_EQ(Describe(board_stub_->GetBoard(Context().get(), get, &board)),
            "NOT_FOUND PORT_NOT_FOUND");
}

// Never opened: the fixture identifies boards by a function of its own.
class NoOpener final : public ports::StreamOpener {
 public:
  absl::StatusOr<std::unique_ptr<ports::ByteStream>> Open() override {
    return absl::UnimplementedError("no stream");
  }
  std::string address() const override { return "none"; }
  bool Present() override { return true; }
};

TEST_F(ServicesTest, IdentifyRemembersWhatTheBoardSays) {
  NoOpener opener;
  boards_.AddPort("p1");
  v1::IdentifyBoardRequest request;
  request.set_name("boards/p1");
  v1::Board board;
  EXPECT_EQ(Describe(board_stub_->IdentifyBoard(Context().get(), request, &board)),
            "NOT_FOUND BOARD_NOT_FOUND");
  boards_.Plug("p1", &opener);

  const grpc::Status status = board_stub_->IdentifyBoard(Context().get(), request, &board);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(board.chip(), "ESP32-C3");
  EXPECT_EQ(board.mac(), "7c:df:a1:00:00:01");
  EXPECT_EQ(board.flash_size_bytes(), 4u << 20);
  facts_ = errors::MakeError(errors::ErrorCode::kBoardSilent, "no answer to SYNC");
  EXPECT_EQ(Describe(board_stub_->IdentifyBoard(Context().get(), request, &board)),
            "ABORTED BOARD_SILENT");
  scheduler_.SetBusy("p1");
  EXPECT_EQ(Describe(board_stub_->IdentifyBoard(Context().get(), request, &board)),
            "FAILED_PRECONDITION BOARD_IN_USE");
}

TEST_F(ServicesTest, PowerCycleSwitchesAnIdlePortOfAHub) {
  NoOpener opener;
  boards_.Plug("p1", &opener);
  v1::PowerCycleBoardRequest request;
  request.set_name("boards/p1");
  v1::Board board;
  const auto call = [&] {
    return Describe(board_stub_->PowerCycleBoard(Context().get(), request, &board));
  };
  EXPECT_EQ(call(), "FAILED_PRECONDITION PORT_POWER_UNSUPPORTED") << "it is not on the bus";
  boards_.SetUsb("p1", {.vendor = 0x10c4,
                        .product = 0xea60,
                        .topology = "1-2.3",
                        .hub = "1-2",
                        .hub_port = 3,
                        .speed_mbit = 12,
                        .own_driver = true});
  EXPECT_EQ(call(), "OK");
  EXPECT_EQ(board.port(), "p1");
  EXPECT_EQ(board.usb().vendor_id(), 0x10c4u);
  EXPECT_EQ(board.usb().product_id(), 0xea60u);
  EXPECT_EQ(board.usb().hub_port(), 3u);
  EXPECT_EQ(board.usb().driver(), v1::UsbConnection::DRIVER_KILN);
  request.mutable_off_time()->set_nanos(250'000'000);
  EXPECT_EQ(call(), "OK");
  EXPECT_THAT(power_cycles_, ::testing::ElementsAre("1-2.3 1s", "1-2.3 250ms"));

  request.mutable_off_time()->set_seconds(31);
  EXPECT_EQ(call(), "INVALID_ARGUMENT REQUEST_INVALID off_time");
  request.clear_off_time();
  power_result_ = errors::MakeError(errors::ErrorCode::kBoardNotFound, "it did not come back");
  EXPECT_EQ(call(), "NOT_FOUND BOARD_NOT_FOUND");
  scheduler_.SetBusy("p1");
  EXPECT_EQ(call(), "FAILED_PRECONDITION BOARD_IN_USE");
  request.set_name("boards/p9");
  EXPECT_EQ(call(), "NOT_FOUND PORT_NOT_FOUND");
}

TEST_F(ServicesTest, ImportStoresOnceAndTellsOnce) {
  v1::ImportBundleResponse response;
  EXPECT_EQ(Import({Header("demo"), Chunk("pack"), Chunk("age")}, &response), "OK");
  EXPECT_FALSE(response.already_existed());
  EXPECT_EQ(response.bundle().title(), "demo");
  EXPECT_EQ(Import({Header(), Chunk("package")}, &response), "OK");
  EXPECT_TRUE(response.already_existed());
  ASSERT_EQ(Events(v1::EVENT_KIND_BUNDLE).size(), 1u);
  EXPECT_EQ(Events(v1::EVENT_KIND_BUNDLE)[0].bundle().name(), response.bundle().name());
}

TEST_F(ServicesTest, SilentImportIsEndedAndMakesRoom) {
  server_->Stop(absl::Seconds(30));
  options_.import_idle_timeout = absl::ZeroDuration();
  options_.socket_path = folder_.Path("run/second.sock");
  EventHub hub({}, base::SystemClock(), *metrics_);
  parts_.hub = &hub;
  auto server = Server::Start(parts_, options_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub = v1::Firmware::NewStub(grpc::CreateChannel(
      absl::StrCat("unix:", options_.socket_path), grpc::InsecureChannelCredentials()));
  for (int i = 0; i < 4; ++i) {  // more than may run at once
    v1::ImportBundleResponse response;
    const auto context = Context();
    const auto writer = stub->ImportBundle(context.get(), &response);
    const grpc::Status status = writer->Finish();  // nothing was sent, nor the end
    EXPECT_THAT(status.error_message(), HasSubstr("stopped arriving")) << i;
  }
  (*server)->Stop(absl::Seconds(30));
}

TEST_F(ServicesTest, CancelledUploadStoresNothing) {
  v1::ImportBundleResponse response;
  const auto context = Context();
  const auto writer = firmware_->ImportBundle(context.get(), &response);
  v1::ImportBundleRequest header = Header();
  header.mutable_header()->set_size_bytes(22);
  ASSERT_TRUE(writer->Write(header));
  ASSERT_TRUE(writer->Write(Chunk("half a pack")));
  context->TryCancel();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  server_->Stop(absl::Seconds(30));  // after every call has ended
  EXPECT_TRUE(bundles_.List(/*include_retired=*/true).empty());
}

TEST_F(ServicesTest, ImportRefusesWhatBreaksItsRules) {
  const std::string mib(1 << 20, 'x');
  v1::ImportBundleRequest nameless;
  nameless.mutable_header();
  v1::ImportBundleResponse response;
  EXPECT_EQ(Import({}, &response), "INVALID_ARGUMENT REQUEST_INVALID header");
  EXPECT_EQ(Import({Chunk("x")}, &response), "INVALID_ARGUMENT REQUEST_INVALID header");
  EXPECT_EQ(Import({nameless}, &response), "INVALID_ARGUMENT REQUEST_INVALID header.file_name");
  EXPECT_EQ(Import({Header()}, &response), "INVALID_ARGUMENT REQUEST_INVALID chunk");
  EXPECT_EQ(Import({Header(), Header()}, &response), "INVALID_ARGUMENT REQUEST_INVALID chunk");
  EXPECT_EQ(Import({Header(), Chunk(mib + "x")}, &response),
            "INVALID_ARGUMENT REQUEST_INVALID chunk");
  EXPECT_EQ(Import({Header(), Chunk(mib), Chunk(mib), Chunk(mib), Chunk("x")}, &response),
            "RESOURCE_EXHAUSTED BUNDLE_TOO_LARGE");
  EXPECT_EQ(Import({Header(), Chunk("bad")}, &response), "INVALID_ARGUMENT BUNDLE_INVALID");
  v1::ImportBundleRequest sized = Header();
  sized.mutable_header()->set_size_bytes(3);
  EXPECT_EQ(Import({sized, Chunk("xx")}, &response), "INVALID_ARGUMENT BUNDLE_INVALID");
  EXPECT_EQ(Import({sized, Chunk("xx"), Chunk("xx")}, &response),
            "INVALID_ARGUMENT BUNDLE_INVALID");
  EXPECT_TRUE(Events(v1::EVENT_KIND_BUNDLE).empty());
  EXPECT_EQ(Import({Header(), Chunk(mib), Chunk(mib), Chunk(mib)}, &response), "OK")
      << "exactly the limit is fine";
}

TEST_F(ServicesTest, RetiredBundleLeavesTheListAndIsAnEvent) {
  v1::ImportBundleResponse imported;
  ASSERT_EQ(Import({Header(), Chunk("a")}, &imported), "OK");
  v1::RetireBundleRequest retire;
  retire.set_name(imported.bundle().name());
  v1::Bundle bundle;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(firmware_->RetireBundle(Context().get(), retire, &bundle).ok());
    EXPECT_EQ(bundle.state(), v1::Bundle::STATE_RETIRED);
  }
  v1::ListBundlesResponse list;
  ASSERT_TRUE(firmware_->ListBundles(Context().get(), {}, &list).ok());
  EXPECT_EQ(list.bundles_size(), 0);
  EXPECT_EQ(Events(v1::EVENT_KIND_BUNDLE).size(), 2u) << "import and one retirement";
}

TEST_F(ServicesTest, StationTellsOfItselfAndItsLedgerVerifies) {
  Create();
  v1::StationInfo info;
  ASSERT_TRUE(station_->GetStation(Context().get(), {}, &info).ok());
  EXPECT_EQ(info.station_id(), "test");
  EXPECT_EQ(info.last_sequence(), 1);
  EXPECT_EQ(info.deployments_pending(), 1);
  v1::VerifyLedgerResponse verified;
  ASSERT_TRUE(station_->VerifyLedger(Context().get(), {}, &verified).ok());
  EXPECT_TRUE(verified.ok()) << verified.problem();
  EXPECT_EQ(verified.events_checked(), 1);
  EXPECT_THAT(metrics_->Expose(),
              HasSubstr("kiln_grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"kiln.v1."
                        "Station/GetStation\"} 1\n"));
}

TEST_F(ServicesTest, HealthServiceSaysNotServingFirst) {
  EXPECT_EQ(HealthOf(""), 1);
  EXPECT_EQ(HealthOf("kiln.v1.Station"), 1);
  EXPECT_EQ(HealthOf("no.such.Service"), -1);
  server_->SetNotServing();
  EXPECT_EQ(HealthOf(""), 2);
  EXPECT_EQ(HealthOf("kiln.v1.Deployments"), 2);
  Create();  // calls still work
}

TEST_F(ServicesTest, SocketIsGuardedByItsPermissions) {
  struct stat status{};
  ASSERT_EQ(::stat(options_.socket_path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(ServicesTest, SecondServerOnTheSameSocketIsRefused) {
  const auto second = Server::Start(parts_, options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable) << second.status();
  Create();  // the first one goes on
}

TEST_F(ServicesTest, StopRemovesTheSocketAndTheNextServerStarts) {
  server_->Stop(absl::Seconds(10));
  struct stat status{};
  EXPECT_NE(::stat(options_.socket_path.c_str(), &status), 0);
}

TEST(ListenSocketTest, OnlySocketsAreRemoved) {
  storage::TemporaryFolder folder;
  std::ofstream(folder.Path("file")) << "precious";
  EXPECT_EQ(PrepareSocketPath(folder.Path("file")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(PrepareSocketPath(folder.Path("new/folder/sock")).ok());
  EXPECT_EQ(SetSocketAccess(folder.Path("file"), 0660, "no-such-group").code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace kiln::api::testing
