#include "clients/cli/wait.h"

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "clients/cli/deployment_text.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/progress_display.h"
#include "clients/cli/progress_view.h"
#include "clients/cli/watcher.h"

namespace kiln::cli {
namespace {

// A station that restarts is back within seconds; a machine that reboots within minutes.
constexpr absl::Duration kPatience = absl::Minutes(5);

// A deployment that ended long ago is not in the stream's snapshot.
grpc::Status ApplyEnded(Session& session, const std::vector<std::string>& names,
                        ProgressView& view) {
  v1::WatchEventsResponse message;
  for (const std::string& name : names) {
    v1::GetDeploymentRequest request;
    request.set_name(name);
    const auto context = Session::NewContext();
    grpc::Status status = session.deployments().GetDeployment(
        context.get(), request, message.mutable_snapshot()->add_deployments());
    if (!status.ok()) return status;
  }
  view.Apply(message);
  return grpc::Status::OK;
}

}  // namespace

int WaitForDeployments(Session& session, const std::vector<std::string>& names, WaitMode mode) {
  ProgressView view(names);
  if (const grpc::Status status = ApplyEnded(session, names, view); !status.ok()) {
    return session.Fail(status);
  }
  const bool show = mode == WaitMode::kShow && !session.options().json;
  ProgressDisplay display(session.texts(), session.out(), session.options().terminal);
  if (show) display.Draw(view);

  v1::WatchEventsRequest request;
  request.mutable_filter()->add_kinds(v1::EVENT_KIND_DEPLOYMENT);
  const grpc::Status status =
      Watch(session, request, kPatience, [&](const v1::WatchEventsResponse& message) {
        if (session.options().json && mode == WaitMode::kShow) session.PrintJson(message);
        if (view.Apply(message) && show) display.Draw(view);
        return !view.AllEnded();
      });
  if (!status.ok()) return session.Fail(status);

  for (const v1::Deployment* deployment : view.deployments()) {
    if (session.options().json) {
      session.PrintJson(*deployment);
    } else {
      session.out() << DescribeDeployment(*deployment, session.texts());
    }
  }
  return view.AllSucceeded() ? kExitOk : kExitDeploymentFailed;
}

}  // namespace kiln::cli
