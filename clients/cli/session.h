#ifndef KILN_CLIENTS_CLI_SESSION_H_
#define KILN_CLIENTS_CLI_SESSION_H_

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "clients/cli/texts.h"
#include "kiln/v1/batches.grpc.pb.h"
#include "kiln/v1/boards.grpc.pb.h"
#include "kiln/v1/deployments.grpc.pb.h"
#include "kiln/v1/firmware.grpc.pb.h"
#include "kiln/v1/station.grpc.pb.h"

namespace kiln::cli {

// What every command needs: the connection to the station, the words, and where to write. One for
// the process, made by main after the command line is read; used on the main thread.
class Session {
 public:
  struct Options {
    std::string address;  // "unix:///run/kiln/kilnd.sock" or "host:port"
    Language language = Language::kEnglish;
    bool json = false;
    bool terminal = false;  // stdout is one
  };

  Session(const Options& options, std::ostream& out, std::ostream& err);

  const Options& options() const { return options_; }
  const Texts& texts() const { return texts_; }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }

  v1::Station::Stub& station() { return *station_; }
  v1::Boards::Stub& boards() { return *boards_; }
  v1::Deployments::Stub& deployments() { return *deployments_; }
  v1::Batches::Stub& batches() { return *batches_; }
  v1::Firmware::Stub& firmware() { return *firmware_; }

  // A context for one call; unary calls get `timeout`, streams pass InfiniteDuration.
  static std::unique_ptr<grpc::ClientContext> NewContext(
      absl::Duration timeout = absl::Seconds(30));

  // One message as one line of JSON, in the contract's field names.
  void PrintJson(const google::protobuf::Message& message);

  // Tells the person (or, with --json, the machine) what went wrong; the exit code for it.
  int Fail(const grpc::Status& status);
  int Fail(const v1::Failure& failure, int exit_code);

 private:
  const Options options_;
  const Texts texts_;
  std::ostream& out_;
  std::ostream& err_;
  std::unique_ptr<v1::Station::Stub> station_;
  std::unique_ptr<v1::Boards::Stub> boards_;
  std::unique_ptr<v1::Deployments::Stub> deployments_;
  std::unique_ptr<v1::Batches::Stub> batches_;
  std::unique_ptr<v1::Firmware::Stub> firmware_;
};

// The failure as lines for a person: icon and sentence, details, what to try.
std::string DescribeFailure(const v1::Failure& failure, const Texts& texts);
int ExitCodeOf(const grpc::Status& status);
// "deployments/x" for "x" and for "deployments/x".
std::string ResourceName(absl::string_view collection, absl::string_view name_or_id);
// "x" for "deployments/x".
std::string IdOf(absl::string_view name);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_SESSION_H_
