#ifndef KILN_DAEMON_PIPELINE_CURL_HTTP_GETTER_H_
#define KILN_DAEMON_PIPELINE_CURL_HTTP_GETTER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/pipeline/scheduler.h"

namespace kiln::pipeline {

// HttpGetter through libcurl: plain http only, no redirects, no proxy from the environment, bounded
// in time and size, so that a hostile answer costs nothing. Thread-safe: one transfer has one
// handle of its own. Made by main.
class CurlHttpGetter final : public HttpGetter {
 public:
  static constexpr size_t kMaxBodyBytes = size_t{64} * 1024;

  CurlHttpGetter();
  absl::StatusOr<std::string> Get(const std::string& url, absl::Duration timeout) override;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_CURL_HTTP_GETTER_H_
