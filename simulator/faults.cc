#include "simulator/faults.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::simulator {
namespace {

enum class Argument { kNone, kCount, kMilliseconds, kText };

struct FaultForm {
  Argument argument;
  std::function<void(Faults&, uint64_t count, const std::string& text)> apply;
};

void AddLineForms(std::map<std::string, FaultForm>& forms, const std::string& direction,
                  LineFaults Faults::* line) {
  forms["lose-" + direction + "-every"] = {
      Argument::kCount,
      [line](Faults& f, uint64_t n, const std::string&) { (f.*line).lose_every = n; }};
  forms["lose-" + direction + "-at"] = {
      Argument::kCount,
      [line](Faults& f, uint64_t n, const std::string&) { (f.*line).lose_at.insert(n); }};
  forms["flip-" + direction + "-every"] = {
      Argument::kCount,
      [line](Faults& f, uint64_t n, const std::string&) { (f.*line).flip_every = n; }};
  forms["flip-" + direction + "-at"] = {
      Argument::kCount,
      [line](Faults& f, uint64_t n, const std::string&) { (f.*line).flip_at.insert(n); }};
  forms["late-" + direction + "-every"] = {
      Argument::kCount,
      [line](Faults& f, uint64_t n, const std::string&) { (f.*line).late_every = n; }};
  forms["late-" + direction + "-by"] = {
      Argument::kMilliseconds, [line](Faults& f, uint64_t n, const std::string&) {
        (f.*line).late_by = absl::Milliseconds(static_cast<int64_t>(n));
      }};
}

std::map<std::string, FaultForm> MakeForms() {
  std::map<std::string, FaultForm> forms;
  AddLineForms(forms, "to-board", &Faults::to_board);
  AddLineForms(forms, "to-host", &Faults::to_host);
  const auto count = [&](const char* name, auto set) {
    forms[name] = {Argument::kCount,
                   [set](Faults& f, uint64_t n, const std::string&) { set(f, n); }};
  };
  const auto flag = [&](const char* name, bool Faults::* field) {
    forms[name] = {Argument::kNone,
                   [field](Faults& f, uint64_t, const std::string&) { f.*field = true; }};
  };
  const auto text = [&](const char* name, std::string Faults::* field) {
    forms[name] = {Argument::kText,
                   [field](Faults& f, uint64_t, const std::string& t) { f.*field = t; }};
  };
  count("reset-after", [](Faults& f, uint64_t n) { f.reset_after_flash_bytes = n; });
  count("power-loss-after", [](Faults& f, uint64_t n) { f.power_loss_after_flash_bytes = n; });
  count("unplug-after", [](Faults& f, uint64_t n) { f.unplug_after_flash_bytes = n; });
  count("unplug-after-received", [](Faults& f, uint64_t n) { f.unplug_after_received_bytes = n; });
  count("wrong-md5", [](Faults& f, uint64_t n) { f.wrong_md5_answers = static_cast<int>(n); });
  forms["slow-erase"] = {Argument::kMilliseconds, [](Faults& f, uint64_t n, const std::string&) {
                           f.erase_extra = absl::Milliseconds(static_cast<int64_t>(n));
                         }};
  flag("stub-silent", &Faults::stub_silent);
  flag("no-identity-line", &Faults::no_identity_line);
  flag("dead-loader", &Faults::dead_loader);
  flag("boot-held", &Faults::boot_held);
  flag("dead-watchdog", &Faults::dead_watchdog);
  flag("secure-boot", &Faults::secure_boot);
  flag("flash-encryption", &Faults::flash_encryption);
  flag("secure-download", &Faults::secure_download);
  text("identity-mac", &Faults::identity_mac);
  text("identity-customer", &Faults::identity_customer);
  forms["none"] = {Argument::kNone, [](Faults& f, uint64_t, const std::string&) { f = Faults(); }};
  return forms;
}

}  // namespace

absl::Status ParseFault(absl::string_view text, Faults& faults) {
  const std::map<std::string, FaultForm> forms = MakeForms();
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  const auto form = forms.find(parts.first);
  if (form == forms.end()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown fault \"", parts.first, "\""));
  }
  uint64_t count = 0;
  switch (form->second.argument) {
    case Argument::kNone:
      if (!parts.second.empty()) {
        return absl::InvalidArgumentError(absl::StrCat("fault ", parts.first, " takes no value"));
      }
      break;
    case Argument::kCount:
    case Argument::kMilliseconds:
      // A day in milliseconds and a terabyte are both below this.
      if (!absl::SimpleAtoi(parts.second, &count) || count == 0 || count > (uint64_t{1} << 40)) {
        return absl::InvalidArgumentError(
            absl::StrCat("fault ", parts.first, " needs a positive number"));
      }
      break;
    case Argument::kText:
      if (parts.second.empty()) {
        return absl::InvalidArgumentError(absl::StrCat("fault ", parts.first, " needs a value"));
      }
      break;
  }
  form->second.apply(faults, count, parts.second);
  return absl::OkStatus();
}

std::vector<std::string> FaultNames() {
  std::vector<std::string> names;
  for (const auto& [name, form] : MakeForms()) {
    switch (form.argument) {
      case Argument::kNone:
        names.push_back(name);
        break;
      case Argument::kCount:
        names.push_back(name + "=N");
        break;
      case Argument::kMilliseconds:
        names.push_back(name + "=MILLISECONDS");
        break;
      case Argument::kText:
        names.push_back(name + "=TEXT");
        break;
    }
  }
  return names;
}

}  // namespace kiln::simulator
