#ifndef KILN_DAEMON_API_BOARDS_SERVICE_H_
#define KILN_DAEMON_API_BOARDS_SERVICE_H_

#include "daemon/api/api_parts.h"
#include "kiln/v1/boards.grpc.pb.h"

namespace kiln::api {

// kiln.v1.Boards. Rejections: RequestInvalid for malformed names and tokens, PortNotFound;
// Identify: also BoardNotFound, BoardInUse, and the loader's errors; PowerCycle: BoardInUse and
// those of boards::PowerCyclePort. Owned by the API server.
class BoardsService final : public v1::Boards::CallbackService {
 public:
  explicit BoardsService(const ApiParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* ListBoards(grpc::CallbackServerContext* context,
                                       const v1::ListBoardsRequest* request,
                                       v1::ListBoardsResponse* response) override;
  grpc::ServerUnaryReactor* GetBoard(grpc::CallbackServerContext* context,
                                     const v1::GetBoardRequest* request,
                                     v1::Board* response) override;
  grpc::ServerUnaryReactor* IdentifyBoard(grpc::CallbackServerContext* context,
                                          const v1::IdentifyBoardRequest* request,
                                          v1::Board* response) override;
  grpc::ServerUnaryReactor* PowerCycleBoard(grpc::CallbackServerContext* context,
                                            const v1::PowerCycleBoardRequest* request,
                                            v1::Board* response) override;

 private:
  absl::StatusOr<v1::ListBoardsResponse> List(const v1::ListBoardsRequest& request) const;

  const ApiParts& parts_;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_BOARDS_SERVICE_H_
