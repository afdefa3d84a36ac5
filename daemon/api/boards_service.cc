#include "daemon/api/boards_service.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/status_macros.h"
#include "daemon/api/caller.h"
#include "daemon/api/lookup.h"
#include "daemon/api/methods.h"
#include "daemon/api/page_token.h"
#include "daemon/api/rpc_error.h"
#include "daemon/api/unary.h"
#include "errors/error.h"

namespace kiln::api {
namespace {

// Identifies the board at the port of `name` while nobody else uses it, and remembers what it said.
absl::StatusOr<v1::Board> Identify(const ApiParts& parts, const std::string& name,
                                   const base::Cancellation& cancellation) {
  ASSIGN_OR_RETURN(const boards::BoardInfo known, FindBoard(parts, name));
  RETURN_IF_ERROR(parts.scheduler->WithIdlePort(known.port, [&]() -> absl::Status {
    // Read again: the board may have changed while we waited for the port.
    ASSIGN_OR_RETURN(const boards::BoardInfo board, parts.boards->Get(known.port));
    if (!board.present) {
      return errors::MakeError(errors::ErrorCode::kBoardNotFound,
                               absl::StrCat("no board at ", board.port));
    }
    ASSIGN_OR_RETURN(ports::StreamOpener* const opener, parts.boards->OpenerOf(board.port));
    const absl::Duration start = parts.clock->Monotonic();
    ASSIGN_OR_RETURN(const esp::BoardFacts facts,
                     parts.identify(board.port, *opener, cancellation));
    parts.metrics->BoardIdentified(parts.clock->Monotonic() - start);
    parts.boards->SetFacts(board.port, board.arrival, std::string(esp::TraitsOf(facts.chip).name),
                           esp::FormatMac(facts.mac), facts.flash_size_bytes);
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(const boards::BoardInfo board, parts.boards->Get(known.port));
  return BoardMessage(parts, board);
}

// Switches the power of the port of `name` off and on again while nobody uses it.
absl::StatusOr<v1::Board> PowerCycle(const ApiParts& parts,
                                     const v1::PowerCycleBoardRequest& request,
                                     const base::Cancellation& cancellation) {
  // Long enough for capacitors to empty, and no longer than a person waits.
  constexpr absl::Duration kShortest = absl::Milliseconds(100);
  constexpr absl::Duration kLongest = absl::Seconds(30);
  absl::Duration off_time = absl::Seconds(1);
  if (request.has_off_time()) {
    off_time =
        absl::Seconds(request.off_time().seconds()) + absl::Nanoseconds(request.off_time().nanos());
    if (off_time < kShortest || off_time > kLongest) {
      return FieldError("off_time", "must be 100ms to 30s");
    }
  }
  ASSIGN_OR_RETURN(const boards::BoardInfo known, FindBoard(parts, request.name()));
  if (!known.usb.has_value()) {
    return errors::MakeError(errors::ErrorCode::kPortPowerUnsupported,
                             absl::StrCat(known.port, " is no port of a USB hub"));
  }
  RETURN_IF_ERROR(parts.scheduler->WithIdlePort(known.port, [&]() -> absl::Status {
    absl::Status status = parts.power_cycle(*known.usb, off_time, cancellation);
    parts.boards->ScanNow();  // however it ended, the board left
    return status;
  }));
  ASSIGN_OR_RETURN(const boards::BoardInfo board, parts.boards->Get(known.port));
  return BoardMessage(parts, board);
}

// A call that keeps one board busy for seconds, and stops when the client goes away.
class BoardCall final : public grpc::ServerUnaryReactor,
                        public std::enable_shared_from_this<BoardCall> {
 public:
  using Work = std::function<absl::StatusOr<v1::Board>(const ApiParts& parts,
                                                       const base::Cancellation& cancellation)>;

  static grpc::ServerUnaryReactor* Start(const ApiParts& parts, const char* method, Work work,
                                         v1::Board* response) {
    const std::shared_ptr<BoardCall> call(new BoardCall(parts, method));
    call->self_ = call;
    const bool posted = parts.slow->Post([call, work = std::move(work), response] {
      absl::StatusOr<v1::Board> board = work(call->parts_, call->cancellation_);
      if (board.ok()) *response = std::move(*board);
      call->End(board.status());
    });
    if (!posted) {
      call->End(errors::MakeError(errors::ErrorCode::kStationBusy, "too many calls at once"));
    }
    return call.get();
  }

  void OnCancel() override { cancellation_.Cancel("the client went away"); }
  void OnDone() override { self_.reset(); }

 private:
  BoardCall(const ApiParts& parts, const char* method)
      : parts_(parts), method_(method), start_(parts.clock->Monotonic()) {}

  void End(const absl::Status& status) {
    const grpc::Status answer = ToRpcStatus(status);
    parts_.metrics->RpcHandled(method_, RpcCodeName(answer.error_code()),
                               parts_.clock->Monotonic() - start_);
    Finish(answer);
  }

  const ApiParts& parts_;
  const char* const method_;
  const absl::Duration start_;
  base::Cancellation cancellation_;
  std::shared_ptr<BoardCall> self_;
};

}  // namespace

grpc::ServerUnaryReactor* BoardsService::ListBoards(grpc::CallbackServerContext* context,
                                                    const v1::ListBoardsRequest* request,
                                                    v1::ListBoardsResponse* response) {
  return Answer<v1::ListBoardsResponse>(parts_, *parts_.quick, context, kListBoards, response,
                                        [this, request] { return List(*request); });
}

absl::StatusOr<v1::ListBoardsResponse> BoardsService::List(
    const v1::ListBoardsRequest& request) const {
  constexpr char kQuery[] = "boards";
  ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), 100));
  ASSIGN_OR_RETURN(const std::string after, ParsePageToken(request.page_token(), kQuery));
  v1::ListBoardsResponse response;
  for (const boards::BoardInfo& board : parts_.boards->List()) {  // sorted by port
    if (!after.empty() && board.port <= after) continue;
    if (response.boards_size() == size) {
      response.set_next_page_token(
          MakePageToken(kQuery, response.boards(response.boards_size() - 1).port()));
      break;
    }
    *response.add_boards() = BoardMessage(parts_, board);
  }
  return response;
}

grpc::ServerUnaryReactor* BoardsService::GetBoard(grpc::CallbackServerContext* context,
                                                  const v1::GetBoardRequest* request,
                                                  v1::Board* response) {
  return Answer<v1::Board>(parts_, *parts_.quick, context, kGetBoard, response,
                           [this, request]() -> absl::StatusOr<v1::Board> {
                             ASSIGN_OR_RETURN(const boards::BoardInfo board,
                                              FindBoard(parts_, request->name()));
                             return BoardMessage(parts_, board);
                           });
}

grpc::ServerUnaryReactor* BoardsService::IdentifyBoard(grpc::CallbackServerContext* context,
                                                       const v1::IdentifyBoardRequest* request,
                                                       v1::Board* response) {
  if (const absl::Status allowed = CheckAllowed(*context, kIdentifyBoard); !allowed.ok()) {
    return Refuse(parts_, context, kIdentifyBoard, allowed);
  }
  return BoardCall::Start(
      parts_, kIdentifyBoard,
      [name = request->name()](const ApiParts& parts, const base::Cancellation& cancellation) {
        return Identify(parts, name, cancellation);
      },
      response);
}

grpc::ServerUnaryReactor* BoardsService::PowerCycleBoard(grpc::CallbackServerContext* context,
                                                         const v1::PowerCycleBoardRequest* request,
                                                         v1::Board* response) {
  if (const absl::Status allowed = CheckAllowed(*context, kPowerCycleBoard); !allowed.ok()) {
    return Refuse(parts_, context, kPowerCycleBoard, allowed);
  }
  return BoardCall::Start(
      parts_, kPowerCycleBoard,
      [request = *request](const ApiParts& parts, const base::Cancellation& cancellation) {
        return PowerCycle(parts, request, cancellation);
      },
      response);
}

}  // namespace kiln::api
