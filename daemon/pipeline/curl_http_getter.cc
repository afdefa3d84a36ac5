#include "daemon/pipeline/curl_http_getter.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

// libcurl's write callback: returning less than offered ends the transfer.
size_t TakeBody(char* data, size_t size, size_t count, void* target) {
  auto* body = static_cast<std::string*>(target);
  const size_t bytes = size * count;
  if (body->size() + bytes > CurlHttpGetter::kMaxBodyBytes) return 0;
  body->append(data, bytes);
  return bytes;
}

absl::Status Unreachable(const std::string& url, absl::string_view why) {
  return errors::MakeError(errors::ErrorCode::kBoardNetworkUnreachable,
                           absl::StrCat("GET ", url, ": ", why));
}

}  // namespace

CurlHttpGetter::CurlHttpGetter() {
  // Once a process, and not thread-safe in older libcurl: a static makes it both.
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialised);
}

absl::StatusOr<std::string> CurlHttpGetter::Get(const std::string& url, absl::Duration timeout) {
  if (!absl::StartsWith(url, "http://")) return Unreachable(url, "not an http:// address");
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(),
                                                                   &curl_easy_cleanup);
  if (handle == nullptr) return Unreachable(url, "libcurl has no handle to give");
  CURL* const curl = handle.get();
  const long milliseconds =
      static_cast<long>(std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, 600'000));
  std::string body;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP));
#endif
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &TakeBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "kiln");
  const CURLcode result = curl_easy_perform(curl);
  if (result == CURLE_WRITE_ERROR) {
    return Unreachable(url, absl::StrCat("the answer is longer than ", kMaxBodyBytes, " bytes"));
  }
  if (result != CURLE_OK) return Unreachable(url, curl_easy_strerror(result));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return Unreachable(url, absl::StrCat("answered with status ", status));
  return body;
}

}  // namespace kiln::pipeline
