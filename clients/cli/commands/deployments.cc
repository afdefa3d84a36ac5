#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/deployment_text.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/progress_view.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"
#include "clients/cli/wait.h"

namespace kiln::cli {
namespace {

struct ListOptions {
  std::string customer_id;
  std::string mac;
  std::string port;
  std::string bundle;
  std::string batch;
  std::vector<std::string> states;
  int limit = 50;
};

const std::map<std::string, v1::Deployment::State>& StateNames() {
  static const auto* const names = new std::map<std::string, v1::Deployment::State>{
      {"pending", v1::Deployment::STATE_PENDING},
      {"running", v1::Deployment::STATE_RUNNING},
      {"succeeded", v1::Deployment::STATE_SUCCEEDED},
      {"failed", v1::Deployment::STATE_FAILED},
      {"canceled", v1::Deployment::STATE_CANCELED},
      {"needs-attention", v1::Deployment::STATE_NEEDS_ATTENTION},
  };
  return *names;
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

void PrintTable(Session& session, const std::vector<v1::Deployment>& deployments) {
  const Texts& texts = session.texts();
  if (deployments.empty()) {
    session.out() << texts.Get(TextId::kNoDeployments) << "\n";
    return;
  }
  const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
  Table table({word(TextId::kId), word(TextId::kCreated), word(TextId::kCustomer),
               word(TextId::kPort), word(TextId::kState), word(TextId::kStepColumn),
               word(TextId::kChip), word(TextId::kMac)});
  for (const v1::Deployment& deployment : deployments) {
    table.AddRow(
        {IdOf(deployment.name()), HumanTime(ToTime(deployment.create_time())),
         deployment.customer().customer_id(),
         deployment.port().empty() ? deployment.requested_port() : deployment.port(),
         std::string(texts.Of(deployment.state())),
         absl::StrCat(texts.Of(deployment.step()), " ", deployment.progress_percent(), "%"),
         deployment.chip(), deployment.mac()});
  }
  session.out() << table.Render();
}

int List(Session& session, const ListOptions& options) {
  v1::ListDeploymentsRequest request;
  v1::DeploymentFilter* filter = request.mutable_filter();
  for (const std::string& state : options.states) filter->add_states(StateNames().at(state));
  filter->set_customer_id(options.customer_id);
  filter->set_mac(options.mac);
  filter->set_port(options.port);
  if (!options.bundle.empty()) filter->set_bundle(ResourceName("bundles", options.bundle));

  if (!options.batch.empty()) filter->set_batch(ResourceName("batches", options.batch));

  std::vector<v1::Deployment> deployments;
  v1::ListDeploymentsResponse response;
  do {
    const int left = options.limit - static_cast<int>(deployments.size());
    request.set_page_size(std::min(left, 1000));
    const auto context = Session::NewContext();
    const grpc::Status status =
        session.deployments().ListDeployments(context.get(), request, &response);
    if (!status.ok()) return session.Fail(status);
    deployments.insert(deployments.end(), response.deployments().begin(),
                       response.deployments().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty() && static_cast<int>(deployments.size()) < options.limit);

  if (session.options().json) {
    for (const v1::Deployment& deployment : deployments) session.PrintJson(deployment);
  } else {
    PrintTable(session, deployments);
  }
  return kExitOk;
}

int Show(Session& session, const std::string& id, bool reveal) {
  v1::GetDeploymentRequest request;
  request.set_name(ResourceName("deployments", id));
  v1::Deployment deployment;
  const auto context = Session::NewContext();
  grpc::Status status = session.deployments().GetDeployment(context.get(), request, &deployment);
  if (!status.ok()) return session.Fail(status);

  v1::RevealCredentialsResponse credentials;
  if (reveal) {
    v1::RevealCredentialsRequest reveal_request;
    reveal_request.set_name(request.name());
    reveal_request.set_reason("kiln deployments show --reveal");
    const auto reveal_context = Session::NewContext();
    status =
        session.deployments().RevealCredentials(reveal_context.get(), reveal_request, &credentials);
    if (!status.ok()) return session.Fail(status);
  }
  if (session.options().json) {
    session.PrintJson(deployment);
    if (reveal) session.PrintJson(credentials);
  } else {
    session.out() << DescribeDeployment(deployment, session.texts(), credentials.wifi_password());
  }
  return kExitOk;
}

int Cancel(Session& session, const std::string& id) {
  v1::CancelDeploymentRequest request;
  request.set_name(ResourceName("deployments", id));
  v1::Deployment deployment;
  const auto context = Session::NewContext();
  const grpc::Status status =
      session.deployments().CancelDeployment(context.get(), request, &deployment);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(deployment);
  } else {
    session.out() << session.texts().Format(TextId::kCancelAsked, {IdOf(deployment.name())})
                  << "\n";
  }
  return kExitOk;
}

int Retry(Session& session, const std::string& id, const std::string& request_id, bool no_wait) {
  v1::RetryDeploymentRequest request;
  request.set_name(ResourceName("deployments", id));
  request.set_request_id(request_id.empty() ? base::RandomUuid(base::SystemRandom()) : request_id);
  v1::Deployment deployment;
  const auto context = Session::NewContext();
  const grpc::Status status =
      session.deployments().RetryDeployment(context.get(), request, &deployment);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(deployment);
  } else {
    session.out() << session.texts().Format(
                         TextId::kRetryStarted,
                         {IdOf(deployment.name()), absl::StrCat(deployment.attempt())})
                  << "\n";
  }
  return no_wait ? kExitOk : WaitForDeployments(session, {deployment.name()}, WaitMode::kShow);
}

void AddList(CLI::App& deployments, Run& run) {
  CLI::App* list =
      deployments.add_subcommand("list", "List deployments, newest first (the default)");
  const auto options = std::make_shared<ListOptions>();
  list->add_option("--customer-id,--id", options->customer_id, "Only this customer");
  list->add_option("--mac", options->mac, "Only this board");
  list->add_option("--port", options->port, "Only this port");
  list->add_option("--bundle", options->bundle, "Only this bundle");
  list->add_option("--batch", options->batch, "Only this batch");
  std::vector<std::string> names;
  for (const auto& [name, state] : StateNames()) names.push_back(name);
  list->add_option("--state", options->states, "Only these states")->check(CLI::IsMember(names));
  list->add_option("--limit", options->limit, "At most this many")->check(CLI::Range(1, 100000));
  list->callback(
      [&run, options] { run = [options](Session& session) { return List(session, *options); }; });
}

}  // namespace

void AddDeploymentsCommand(CLI::App& app, Run& run) {
  CLI::App* deployments =
      app.add_subcommand("deployments", "Look at, wait for, cancel and retry deployments");
  deployments->require_subcommand(0, 1);
  AddList(*deployments, run);

  CLI::App* show = deployments->add_subcommand("show", "One deployment in full");
  const auto id = std::make_shared<std::string>();
  const auto reveal = std::make_shared<bool>(false);
  show->add_option("id", *id, "Deployment")->required();
  show->add_flag("--reveal", *reveal, "Also show the WiFi password (the ledger notes it)");
  show->callback([&run, id, reveal] {
    run = [id, reveal](Session& session) { return Show(session, *id, *reveal); };
  });

  CLI::App* watch = deployments->add_subcommand(
      "watch", "Show progress until the given deployments, or all active ones, have ended");
  const auto ids = std::make_shared<std::vector<std::string>>();
  watch->add_option("ids", *ids, "Deployments; none: all active ones");
  watch->callback([&run, ids] {
    run = [ids](Session& session) {
      std::vector<std::string> names;
      for (const std::string& one : *ids) names.push_back(ResourceName("deployments", one));
      return WaitForDeployments(session, names, WaitMode::kShow);
    };
  });

  CLI::App* cancel =
      deployments->add_subcommand("cancel", "Stop a deployment at its next safe point");
  cancel->add_option("id", *id, "Deployment")->required();
  cancel->callback([&run, id] { run = [id](Session& session) { return Cancel(session, *id); }; });

  CLI::App* retry =
      deployments->add_subcommand("retry", "Run an ended deployment again, with the same identity");
  const auto request_id = std::make_shared<std::string>();
  const auto no_wait = std::make_shared<bool>(false);
  retry->add_option("id", *id, "Deployment")->required();
  retry->add_option("--request-id", *request_id,
                    "Repeating a command with the same id never starts a second attempt");
  retry->add_flag("--no-wait", *no_wait, "Return at once");
  retry->callback([&run, id, request_id, no_wait] {
    run = [id, request_id, no_wait](Session& session) {
      return Retry(session, *id, *request_id, *no_wait);
    };
  });

  deployments->callback([&run, deployments] {
    if (deployments->get_subcommands().empty()) {
      run = [](Session& session) { return List(session, ListOptions()); };
    }
  });
}

}  // namespace kiln::cli
