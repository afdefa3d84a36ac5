#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/wait.h"

namespace kiln::cli {
namespace {

struct DeployOptions {
  std::string organization;
  std::string customer_id;
  std::string application;
  std::string expiry_date;
  std::vector<std::string> bundles;
  std::vector<std::string> ports = {"any"};
  std::string request_id;
  bool validate_only = false;
  bool no_wait = false;
  bool wait = false;
  bool watch = false;
};

v1::CreateDeploymentRequest RequestOf(const DeployOptions& options, size_t index) {
  v1::CreateDeploymentRequest request;
  std::string request_id = options.request_id;
  if (request_id.empty()) {
    request_id = base::RandomUuid(base::SystemRandom());
  } else if (options.ports.size() > 1) {
    // One id for several ports: each order gets its own, the same whenever the command is repeated.
    absl::StrAppend(&request_id, "-", index);
  }
  request.set_request_id(request_id);
  v1::Customer* customer = request.mutable_customer();
  customer->set_organization(options.organization);
  customer->set_customer_id(absl::AsciiStrToUpper(options.customer_id));
  customer->set_application_name(options.application);
  customer->set_expiry_date(options.expiry_date);
  request.set_bundle(
      ResourceName("bundles", options.bundles[std::min(index, options.bundles.size() - 1)]));
  request.set_port(options.ports[index]);
  request.set_validate_only(options.validate_only);
  return request;
}

int Deploy(Session& session, const DeployOptions& options) {
  std::vector<std::string> names;
  for (size_t i = 0; i < options.ports.size(); ++i) {
    const auto context = Session::NewContext();
    v1::Deployment deployment;
    const grpc::Status status =
        session.deployments().CreateDeployment(context.get(), RequestOf(options, i), &deployment);
    if (!status.ok()) return session.Fail(status);
    if (session.options().json && (options.no_wait || options.validate_only)) {
      session.PrintJson(deployment);
    } else if (!session.options().json) {
      if (options.validate_only) {
        session.out() << session.texts().Get(TextId::kOrderValid) << "\n";
      } else {
        session.out() << session.texts().Format(
                             TextId::kAccepted,
                             {IdOf(deployment.name()), deployment.customer().customer_id(),
                              deployment.requested_port()})
                      << "\n";
      }
    }
    names.push_back(deployment.name());
  }
  if (options.validate_only || options.no_wait) return kExitOk;
  return WaitForDeployments(session, names,
                            options.wait && !options.watch ? WaitMode::kQuiet : WaitMode::kShow);
}

}  // namespace

void AddDeployCommand(CLI::App& app, Run& run) {
  CLI::App* deploy = app.add_subcommand("deploy", "Put a bundle on a board for a customer");
  const auto options = std::make_shared<DeployOptions>();
  deploy->add_option("--organization,--org", options->organization, "Organization")->required();
  deploy->add_option("--customer-id,--id", options->customer_id, "3 to 10 letters A-Z and digits")
      ->required();
  deploy->add_option("--application,--app", options->application, "Application name")->required();
  deploy->add_option("--expiry", options->expiry_date, "Expiry date, YYYY-MM-DD");
  deploy
      ->add_option("--bundle", options->bundles,
                   "Bundle id or its first 8 or more digits; one for all ports, or one a port")
      ->required();
  deploy->add_option("--port", options->ports,
                     "Port, by name or alias; may be given several times; default: any free board");
  deploy->add_option("--request-id", options->request_id,
                     "Repeating a command with the same id never starts a second deployment");
  deploy->add_flag("--validate-only", options->validate_only, "Check the order, start nothing");
  deploy->add_flag("--no-wait", options->no_wait, "Return as soon as the order is accepted");
  deploy->add_flag("--wait", options->wait, "Wait without showing progress");
  deploy->add_flag("--watch", options->watch, "Show progress while waiting (the default)");
  deploy->callback([&run, options] {
    if (options->bundles.size() != 1 && options->bundles.size() != options->ports.size()) {
      throw CLI::ValidationError("--bundle", "give one bundle, or as many as ports");
    }
    run = [options](Session& session) { return Deploy(session, *options); };
  });
}

}  // namespace kiln::cli
