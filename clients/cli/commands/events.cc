#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "clients/cli/batch_view.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"
#include "clients/cli/watcher.h"

namespace kiln::cli {
namespace {

struct EventsOptions {
  int64_t after = 0;
  int limit = 100;
  std::string deployment;
  bool follow = false;
};

// A follower waits for a station however long it takes.
constexpr absl::Duration kPatience = absl::InfiniteDuration();

std::string Subject(const v1::Event& event, const Texts& texts) {
  switch (event.body_case()) {
    case v1::Event::kDeployment:
      return absl::StrCat(event.deployment().name(), "  ", texts.Of(event.deployment().state()),
                          "  ", texts.Of(event.deployment().step()), "  ",
                          event.deployment().progress_percent(), "%");
    case v1::Event::kBoard:
      return absl::StrCat(event.board().name(), "  ", texts.Of(event.board().state()));
    case v1::Event::kBundle:
      return absl::StrCat(event.bundle().name(), "  ", event.bundle().title());
    case v1::Event::kHealth:
      return absl::StrCat("health  ", texts.Of(event.health().level()));
    case v1::Event::kStation:
      return absl::StrCat("station  ", v1::StationEvent::Type_Name(event.station().type()));
    case v1::Event::kBatch:
      return absl::StrCat(event.batch().name(), "  ", texts.Of(event.batch().state()), "  ",
                          CountsOf(event.batch(), texts));
    case v1::Event::kAudit:
      return absl::StrCat("audit  ", event.audit().action(), "  ", event.audit().subject(), "  ",
                          event.audit().actor());
    default:
      return "?";
  }
}

void Print(Session& session, const v1::Event& event) {
  if (session.options().json) {
    session.PrintJson(event);
    return;
  }
  session.out() << absl::StrCat(event.sequence(), "  ",
                                HumanTime(absl::FromUnixSeconds(event.time().seconds())), "  ",
                                Subject(event, session.texts()), "\n");
  session.out().flush();
}

int List(Session& session, const EventsOptions& options) {
  v1::ListEventsRequest request;
  request.set_after_sequence(options.after);
  if (!options.deployment.empty()) {
    request.mutable_filter()->set_deployment(ResourceName("deployments", options.deployment));
  }
  int left = options.limit;
  v1::ListEventsResponse response;
  do {
    request.set_page_size(std::min(left, 1000));
    const auto context = Session::NewContext();
    const grpc::Status status = session.station().ListEvents(context.get(), request, &response);
    if (!status.ok()) return session.Fail(status);
    for (const v1::Event& event : response.events()) Print(session, event);
    left -= response.events_size();
    request.set_page_token(response.next_page_token());
  } while (left > 0 && !request.page_token().empty());
  return kExitOk;
}

int Follow(Session& session, const EventsOptions& options) {
  v1::WatchEventsRequest request;
  if (options.after > 0) request.set_after_sequence(options.after);
  if (!options.deployment.empty()) {
    request.mutable_filter()->set_deployment(ResourceName("deployments", options.deployment));
  }
  const grpc::Status status =
      Watch(session, request, kPatience, [&session](const v1::WatchEventsResponse& message) {
        if (message.has_event()) Print(session, message.event());
        return true;
      });
  return status.ok() ? kExitOk : session.Fail(status);
}

}  // namespace

void AddEventsCommand(CLI::App& app, Run& run) {
  CLI::App* events = app.add_subcommand("events", "What happened, event by event");
  const auto options = std::make_shared<EventsOptions>();
  events->add_option("--after", options->after, "Only events behind this sequence number")
      ->check(CLI::NonNegativeNumber);
  events->add_option("--limit", options->limit, "At most this many")->check(CLI::Range(1, 1000000));
  events->add_option("--deployment", options->deployment, "Only this deployment");
  events->add_flag("--follow,-f", options->follow, "Stay and print new events as they come");
  events->callback([&run, options] {
    run = [options](Session& session) {
      return options->follow ? Follow(session, *options) : List(session, *options);
    };
  });
}

}  // namespace kiln::cli
