#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "clients/cli/board_text.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"

namespace kiln::cli {
namespace {

int List(Session& session, bool verbose) {
  Table table = BoardTable(session.texts(), verbose);
  v1::ListBoardsRequest request;
  v1::ListBoardsResponse response;
  do {
    const auto context = Session::NewContext();
    const grpc::Status status = session.boards().ListBoards(context.get(), request, &response);
    if (!status.ok()) return session.Fail(status);
    for (const v1::Board& board : response.boards()) {
      if (session.options().json) {
        session.PrintJson(board);
      } else {
        AddBoardRow(table, session.texts(), board, verbose);
      }
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  if (session.options().json) return kExitOk;
  if (table.empty()) {
    session.out() << session.texts().Get(TextId::kNoBoards) << "\n";
  } else {
    session.out() << table.Render();
  }
  return kExitOk;
}

int Identify(Session& session, const std::string& port) {
  v1::IdentifyBoardRequest request;
  request.set_name(ResourceName("boards", port));
  v1::Board board;
  // Connecting to a silent board takes its time.
  const auto context = Session::NewContext(absl::Minutes(2));
  const grpc::Status status = session.boards().IdentifyBoard(context.get(), request, &board);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(board);
    return kExitOk;
  }
  Table table = BoardTable(session.texts(), /*verbose=*/false);
  AddBoardRow(table, session.texts(), board, /*verbose=*/false);
  session.out() << table.Render();
  return kExitOk;
}

int Show(Session& session, const std::string& port) {
  v1::GetBoardRequest request;
  request.set_name(ResourceName("boards", port));
  v1::Board board;
  const auto context = Session::NewContext();
  const grpc::Status status = session.boards().GetBoard(context.get(), request, &board);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(board);
  } else {
    session.out() << DescribeBoard(board, session.texts());
  }
  return kExitOk;
}

int PowerCycle(Session& session, const std::string& port, int off_milliseconds) {
  v1::PowerCycleBoardRequest request;
  request.set_name(ResourceName("boards", port));
  request.mutable_off_time()->set_seconds(off_milliseconds / 1000);
  request.mutable_off_time()->set_nanos(off_milliseconds % 1000 * 1'000'000);
  v1::Board board;
  // Off, on, and until the board is back.
  const auto context = Session::NewContext(absl::Minutes(2));
  const grpc::Status status = session.boards().PowerCycleBoard(context.get(), request, &board);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(board);
  } else {
    session.out() << session.texts().Format(TextId::kPowerCycled, {board.port()}) << "\n";
  }
  return kExitOk;
}

}  // namespace

void AddBoardsCommand(CLI::App& app, Run& run) {
  CLI::App* boards = app.add_subcommand("boards", "Ports and the boards at them");
  boards->require_subcommand(0, 1);
  const auto verbose = std::make_shared<bool>(false);
  const auto list_boards = [verbose](Session& session) { return List(session, *verbose); };
  CLI::App* list = boards->add_subcommand("list", "List all ports (the default)");
  for (CLI::App* command : {boards, list}) {
    command->add_flag("-v,--verbose", *verbose, "Also what the USB bus says of each board");
  }
  list->callback([&run, list_boards] { run = list_boards; });
  CLI::App* identify = boards->add_subcommand(
      "identify", "Ask the board at a port for its chip, MAC and flash size");
  const auto port = std::make_shared<std::string>();
  identify->add_option("port", *port, "Port, by name or alias")->required();
  identify->callback(
      [&run, port] { run = [port](Session& session) { return Identify(session, *port); }; });
  CLI::App* show = boards->add_subcommand("show", "Show all that is known of one board");
  show->add_option("port", *port, "Port, by name or alias")->required();
  show->callback([&run, port] { run = [port](Session& session) { return Show(session, *port); }; });
  CLI::App* power_cycle = boards->add_subcommand(
      "power-cycle", "Switch the board's USB hub port off and on again, where the hub can");
  power_cycle->add_option("port", *port, "Port, by name or alias")->required();
  const auto off_time = std::make_shared<int>(1000);
  power_cycle->add_option("--off-ms", *off_time, "How long it stays off, in milliseconds")
      ->check(CLI::Range(100, 30000))
      ->capture_default_str();
  power_cycle->callback([&run, port, off_time] {
    run = [port, off_time](Session& session) { return PowerCycle(session, *port, *off_time); };
  });
  boards->callback([&run, boards, list_boards] {
    if (boards->get_subcommands().empty()) run = list_boards;
  });
}

}  // namespace kiln::cli
