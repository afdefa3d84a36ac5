#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "clients/cli/batch_view.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/customer_list.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/progress_display.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"
#include "clients/cli/watcher.h"
#include "daemon/api/wire/rpc_wire.h"

namespace kiln::cli {
namespace {

// As for deployments: a machine that reboots is back within minutes.
constexpr absl::Duration kPatience = absl::Minutes(5);

struct CreateOptions {
  std::string organization;
  std::string customer_id;
  std::string application;
  std::string expiry_date;
  std::string customers;  // a file
  std::string bundle;
  std::vector<std::string> ports;
  int count = 0;
  std::string request_id;
  bool validate_only = false;
  bool watch = false;
};

absl::StatusOr<std::string> ReadList(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  // One byte more than allowed shows that there are too many.
  text.resize(kMaxCustomerListBytes + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  return text;
}

// The daemon counts a list's entries from 0 and knows no lines: "customers[2]: …".
v1::Failure NameTheLine(v1::Failure failure, const CreateOptions& options,
                        const std::vector<ListedCustomer>& list) {
  absl::string_view detail = failure.detail();
  size_t index = 0;
  if (!absl::ConsumePrefix(&detail, "customers[")) return failure;
  const size_t close = detail.find(']');
  if (close == absl::string_view::npos || !absl::SimpleAtoi(detail.substr(0, close), &index) ||
      index >= list.size()) {
    return failure;
  }
  failure.set_detail(
      absl::StrCat(options.customers, ", line ", list[index].line, detail.substr(close + 1)));
  return failure;
}

int Watch(Session& session, const std::string& name);

int Create(Session& session, const CreateOptions& options) {
  v1::CreateBatchRequest request;
  request.set_request_id(options.request_id.empty() ? base::RandomUuid(base::SystemRandom())
                                                    : options.request_id);
  std::vector<ListedCustomer> list;
  if (options.customers.empty()) {
    v1::Customer* customer = request.mutable_customer();
    customer->set_organization(options.organization);
    customer->set_customer_id(absl::AsciiStrToUpper(options.customer_id));
    customer->set_application_name(options.application);
    customer->set_expiry_date(options.expiry_date);
  } else {
    const absl::StatusOr<std::string> text = ReadList(options.customers);
    absl::Status problem = text.status();
    if (text.ok()) {
      auto parsed = ParseCustomerList(*text, options.customers);
      problem = parsed.status();
      if (parsed.ok()) list = *std::move(parsed);
    }
    if (!problem.ok()) {
      return session.Fail(rpc::FailureFrom(errors::ErrorCode::kCustomerInvalid, problem.message()),
                          kExitUsage);
    }
    for (const ListedCustomer& one : list) *request.add_customers() = one.customer;
  }
  request.set_bundle(ResourceName("bundles", options.bundle));
  for (const std::string& port : options.ports) request.add_ports(port);
  request.set_count(options.count);
  request.set_validate_only(options.validate_only);

  v1::Batch batch;
  const auto context = Session::NewContext();
  const grpc::Status status = session.batches().CreateBatch(context.get(), request, &batch);
  if (!status.ok()) {
    const auto failure = rpc::FailureOf(status);
    if (!failure.ok() || list.empty()) return session.Fail(status);
    return session.Fail(NameTheLine(*failure, options, list), ExitCodeOf(status));
  }
  if (session.options().json) {
    session.PrintJson(batch);
  } else if (options.validate_only) {
    session.out() << session.texts().Get(TextId::kOrderValid) << "\n";
  } else {
    session.out() << session.texts().Format(TextId::kBatchAccepted,
                                            {IdOf(batch.name()), absl::StrCat(batch.count()),
                                             absl::StrJoin(batch.ports(), " ")})
                  << "\n";
  }
  if (options.validate_only || !options.watch) return kExitOk;
  return Watch(session, batch.name());
}

int List(Session& session, int limit) {
  v1::ListBatchesRequest request;
  v1::ListBatchesResponse response;
  std::vector<v1::Batch> batches;
  do {
    request.set_page_size(std::min(limit - static_cast<int>(batches.size()), 1000));
    const auto context = Session::NewContext();
    const grpc::Status status = session.batches().ListBatches(context.get(), request, &response);
    if (!status.ok()) return session.Fail(status);
    batches.insert(batches.end(), response.batches().begin(), response.batches().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty() && static_cast<int>(batches.size()) < limit);
  if (session.options().json) {
    for (const v1::Batch& batch : batches) session.PrintJson(batch);
  } else if (batches.empty()) {
    session.out() << session.texts().Get(TextId::kNoBatches) << "\n";
  } else {
    Table table = BatchTable(session.texts());
    for (const v1::Batch& batch : batches) AddBatchRow(table, session.texts(), batch);
    session.out() << table.Render();
  }
  return kExitOk;
}

int Show(Session& session, const std::string& id) {
  v1::GetBatchRequest request;
  request.set_name(ResourceName("batches", id));
  v1::Batch batch;
  const auto context = Session::NewContext();
  grpc::Status status = session.batches().GetBatch(context.get(), request, &batch);
  if (!status.ok()) return session.Fail(status);
  v1::ListBatchSlotsRequest slots_request;
  slots_request.set_name(request.name());
  v1::ListBatchSlotsResponse slots;
  const auto slots_context = Session::NewContext();
  status = session.batches().ListBatchSlots(slots_context.get(), slots_request, &slots);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(batch);
    for (const v1::BatchSlot& slot : slots.slots()) session.PrintJson(slot);
    return kExitOk;
  }
  session.out() << DescribeBatch(batch, session.texts()) << "\n";
  Table table = SlotTable(session.texts());
  for (const v1::BatchSlot& slot : slots.slots()) AddSlotRow(table, session.texts(), slot);
  session.out() << table.Render();
  return kExitOk;
}

// One of the calls that answer the batch as it is then.
template <typename Request>
int Change(Session& session, const Request& request,
           grpc::Status (v1::Batches::Stub::*call)(grpc::ClientContext*, const Request&,
                                                   v1::Batch*)) {
  v1::Batch batch;
  const auto context = Session::NewContext();
  const grpc::Status status = (session.batches().*call)(context.get(), request, &batch);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(batch);
  } else {
    session.out() << DescribeBatch(batch, session.texts());
  }
  return kExitOk;
}

// Shows a BatchView: in place on a terminal, elsewhere a line for each end.
void Show(Session& session, BatchView& view, LiveLines& screen) {
  if (session.options().terminal) {
    screen.Draw(view.Render(session.texts(), ScreenColumns()));
  } else {
    for (const std::string& line : view.TakeNews(session.texts())) session.out() << line << "\n";
  }
  session.out().flush();
}

int Watch(Session& session, const std::string& name) {
  v1::GetBatchRequest request;
  request.set_name(name);
  v1::Batch batch;
  const auto get = [&session, &request, &batch] {
    const auto context = Session::NewContext();
    return session.batches().GetBatch(context.get(), request, &batch);
  };
  grpc::Status status = get();
  if (!status.ok()) return session.Fail(status);
  BatchView view(batch);
  LiveLines screen(session.out());
  const bool show = !session.options().json;

  v1::WatchEventsRequest watch;
  watch.mutable_filter()->add_kinds(v1::EVENT_KIND_BATCH);
  watch.mutable_filter()->add_kinds(v1::EVENT_KIND_DEPLOYMENT);
  status = Watch(session, watch, kPatience, [&](const v1::WatchEventsResponse& message) {
    bool changed = view.Apply(message);
    if (message.has_snapshot() && get().ok()) {
      // One that ended long ago is not in a snapshot.
      v1::WatchEventsResponse present;
      *present.mutable_snapshot()->add_batches() = batch;
      view.Apply(present);
      changed = true;
    }
    if (changed && show) Show(session, view, screen);
    if (changed && !show) session.PrintJson(message);
    return !view.Ended();
  });
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(view.batch());
  } else {
    session.out() << DescribeBatch(view.batch(), session.texts());
  }
  return view.batch().state() == v1::Batch::STATE_COMPLETED ? kExitOk : kExitDeploymentFailed;
}

void AddCreate(CLI::App& batch, Run& run) {
  CLI::App* create = batch.add_subcommand("create", "Order the next boards at some ports");
  const auto options = std::make_shared<CreateOptions>();
  create->add_option("--organization,--org", options->organization, "Organization");
  create->add_option("--customer-id,--customer,--id", options->customer_id,
                     "3 to 10 letters A-Z and digits");
  create->add_option("--application,--app", options->application, "Application name");
  create->add_option("--expiry", options->expiry_date, "Expiry date, YYYY-MM-DD");
  create->add_option("--customers", options->customers,
                     "Table of customers (CSV), one board for each line: organization, "
                     "customer_id, application_name, expiry_date");
  create->add_option("--bundle", options->bundle, "Bundle id or its first 8 or more digits")
      ->required();
  create
      ->add_option("--ports", options->ports,
                   "Names or aliases of ports, '*' for any characters; may be given several times")
      ->required();
  create->add_option("--count", options->count, "How many boards; 1 to 1000");
  create->add_option("--request-id", options->request_id,
                     "Repeating a command with the same id never starts a second batch");
  create->add_flag("--validate-only", options->validate_only, "Check the order, start nothing");
  create->add_flag("--watch", options->watch, "Show progress until the batch is over");
  create->callback([&run, options] {
    const bool list = !options->customers.empty();
    if (list && !(options->organization.empty() && options->customer_id.empty() &&
                  options->application.empty() && options->expiry_date.empty())) {
      throw CLI::ValidationError("--customers", "a list has its own customers");
    }
    if (!list && (options->organization.empty() || options->customer_id.empty() ||
                  options->application.empty() || options->count == 0)) {
      throw CLI::ValidationError(
          "create",
          "give --organization, --customer-id, --application and --count, or --customers");
    }
    run = [options](Session& session) { return Create(session, *options); };
  });
}

}  // namespace

void AddBatchCommand(CLI::App& app, Run& run) {
  CLI::App* batch = app.add_subcommand("batch", "Standing orders: the next boards at some ports");
  batch->require_subcommand(0, 1);
  AddCreate(*batch, run);

  CLI::App* list = batch->add_subcommand("list", "List batches, newest first (the default)");
  const auto limit = std::make_shared<int>(50);
  list->add_option("--limit", *limit, "At most this many")->check(CLI::Range(1, 100000));
  list->callback(
      [&run, limit] { run = [limit](Session& session) { return List(session, *limit); }; });

  const auto id = std::make_shared<std::string>();
  const auto add = [&](const char* name, const char* help,
                       const std::function<int(Session&, const std::string&)>& act) {
    CLI::App* command = batch->add_subcommand(name, help);
    command->add_option("id", *id, "Batch")->required();
    command->callback([&run, id, act] {
      run = [id, act](Session& session) { return act(session, ResourceName("batches", *id)); };
    });
    return command;
  };
  add("show", "One batch with its slots",
      [](Session& session, const std::string& name) { return Show(session, name); });
  add("watch", "Show progress until the batch is over",
      [](Session& session, const std::string& name) { return Watch(session, name); });
  add("pause", "Take no boards until it is resumed", [](Session& session, const std::string& name) {
    v1::PauseBatchRequest request;
    request.set_name(name);
    return Change(session, request, &v1::Batches::Stub::PauseBatch);
  });
  add("resume", "Take boards again", [](Session& session, const std::string& name) {
    v1::ResumeBatchRequest request;
    request.set_name(name);
    return Change(session, request, &v1::Batches::Stub::ResumeBatch);
  });
  add("end", "Take no boards any more", [](Session& session, const std::string& name) {
    v1::EndBatchRequest request;
    request.set_name(name);
    return Change(session, request, &v1::Batches::Stub::EndBatch);
  });
  const auto mac = std::make_shared<std::string>();
  CLI::App* allow = add("allow", "Let a board that was made be made once more",
                        [mac](Session& session, const std::string& name) {
                          v1::AllowBatchBoardRequest request;
                          request.set_name(name);
                          request.set_mac(*mac);
                          return Change(session, request, &v1::Batches::Stub::AllowBatchBoard);
                        });
  allow->add_option("mac", *mac, "The board's MAC: 7c:df:a1:00:00:01")->required();

  batch->callback([&run, batch] {
    if (batch->get_subcommands().empty()) {
      run = [](Session& session) { return List(session, 50); };
    }
  });
}

}  // namespace kiln::cli
