// Reads one report on standard input as a station does, and prints what it understood as JSON.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "daemon/identity/board_report.h"
#include "nlohmann/json.hpp"

int main() {
  const std::string line{std::istreambuf_iterator<char>(std::cin), {}};
  const auto report = kiln::identity::ParseBoardReport(line);
  if (!report.ok()) {
    std::fprintf(stderr, "%s\n", std::string(report.status().message()).c_str());
    return 1;
  }
  const nlohmann::json read = {{"mac_address", report->mac_address},
                               {"customer_id", report->customer_id},
                               {"application", report->application},
                               {"wifi_ssid", report->wifi_ssid},
                               {"deployment", report->deployment}};
  std::printf("%s\n", read.dump().c_str());
  return 0;
}
