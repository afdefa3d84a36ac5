#ifndef KILN_CLIENTS_CLI_BOARD_TEXT_H_
#define KILN_CLIENTS_CLI_BOARD_TEXT_H_

#include <string>

#include "clients/cli/table.h"
#include "clients/cli/texts.h"
#include "kiln/v1/boards.pb.h"

namespace kiln::cli {

// A table of boards without rows; `verbose` adds what the USB bus says of them.
Table BoardTable(const Texts& texts, bool verbose);
void AddBoardRow(Table& table, const Texts& texts, const v1::Board& board, bool verbose);

// Everything that is known of one board, as lines for a person.
std::string DescribeBoard(const v1::Board& board, const Texts& texts);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_BOARD_TEXT_H_
