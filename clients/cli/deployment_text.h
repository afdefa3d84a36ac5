#ifndef KILN_CLIENTS_CLI_DEPLOYMENT_TEXT_H_
#define KILN_CLIENTS_CLI_DEPLOYMENT_TEXT_H_

#include <string>

#include "clients/cli/texts.h"
#include "kiln/v1/deployments.pb.h"

namespace kiln::cli {

// A deployment in full, as lines for a person; the password only when it is passed.
std::string DescribeDeployment(const v1::Deployment& deployment, const Texts& texts,
                               const std::string& password = "");

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_DEPLOYMENT_TEXT_H_
