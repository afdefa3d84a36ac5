#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"

namespace kiln::cli {
namespace {

void AddBoardRow(Table& table, const Texts& texts, const v1::Board& board) {
  table.AddRow(
      {board.port(), board.alias(), std::string(texts.Of(board.state())), board.chip(), board.mac(),
       board.flash_size_bytes() == 0 ? "" : HumanBytes(board.flash_size_bytes()), board.address()});
}

Table BoardTable(const Texts& texts) {
  const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
  return Table({word(TextId::kPort), word(TextId::kAlias), word(TextId::kState),
                word(TextId::kChip), word(TextId::kMac), word(TextId::kFlash),
                word(TextId::kAddress)});
}

int List(Session& session) {
  Table table = BoardTable(session.texts());
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
        AddBoardRow(table, session.texts(), board);
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
  Table table = BoardTable(session.texts());
  AddBoardRow(table, session.texts(), board);
  session.out() << table.Render();
  return kExitOk;
}

}  // namespace

void AddBoardsCommand(CLI::App& app, Run& run) {
  CLI::App* boards = app.add_subcommand("boards", "Ports and the boards at them");
  boards->require_subcommand(0, 1);
  CLI::App* list = boards->add_subcommand("list", "List all ports (the default)");
  list->callback([&run] { run = List; });
  CLI::App* identify = boards->add_subcommand(
      "identify", "Ask the board at a port for its chip, MAC and flash size");
  const auto port = std::make_shared<std::string>();
  identify->add_option("port", *port, "Port, by name or alias")->required();
  identify->callback(
      [&run, port] { run = [port](Session& session) { return Identify(session, *port); }; });
  boards->callback([&run, boards] {
    if (boards->get_subcommands().empty()) run = List;
  });
}

}  // namespace kiln::cli
