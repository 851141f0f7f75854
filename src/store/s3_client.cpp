#include "store/s3_client.hpp"

#include <aws/auth/credentials.h>
#include <aws/auth/signing_config.h>
#include <aws/cal/hash.h>
#include <aws/common/encoding.h>
#include <aws/common/error.h>
#include <aws/http/request_response.h>
#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/host_resolver.h>
#include <aws/io/tls_channel_handler.h>
#include <aws/io/uri.h>
#include <aws/s3/s3.h>
#include <aws/s3/s3_client.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/cancel.hpp"
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "base/thread.hpp"
#include "store/s3_region.hpp"

namespace lifeboat::store {
namespace {

// How long one request may take: four times what calls are tried again for (30 s by default).
constexpr Millis kLeastForRequest{10'000}, kMostForRequest{120'000};
constexpr std::uint16_t kThreads = 2;
// With as many for bodies and for files, the resolver, and one for each of the three that ends
// them.
constexpr std::size_t kThreadsInAll = 3 * kThreads + 1 + 3;
constexpr std::uint64_t kLibraryMemory = 256ull << 20;  // its least; our requests use none of it
constexpr std::size_t kTries = 4;
constexpr std::uint32_t kFirstWaitMs = 50;

aws_byte_cursor cursor(std::string_view text) {
  return aws_byte_cursor_from_array(text.data(), text.size());
}
std::string text_of(aws_byte_cursor c) {
  return {reinterpret_cast<const char*>(c.ptr), c.len};
}
std::string error_text(int code) {
  return std::string(aws_error_str(code)) + " (" + aws_error_name(code) + ")";
}

// Releases what the library counts references of.
template <typename T, auto kRelease>
struct Release {
  void operator()(T* object) const { kRelease(object); }
};
template <typename T, auto kRelease>
using Owned = std::unique_ptr<T, Release<T, kRelease>>;

struct TlsOptions {
  aws_tls_ctx_options value{};
  explicit TlsOptions(aws_allocator* allocator) {
    aws_tls_ctx_options_init_default_client(&value, allocator);
  }
  ~TlsOptions() { aws_tls_ctx_options_clean_up(&value); }
  TlsOptions(const TlsOptions&) = delete;
  TlsOptions& operator=(const TlsOptions&) = delete;
};

// Where the requests go: scheme, host for the header, and what stands before the key in the path.
struct Address {
  bool tls = true;
  std::string url;
  std::string host;
  std::string path;  // "/" or "/bucket/"

  Address(const S3Location& place, const std::string& region) {
    tls = !place.endpoint.starts_with("http://");
    host = place.endpoint.empty() ? "s3." + region + ".amazonaws.com"
                                  : place.endpoint.substr(tls ? 8 : 7);
    // A dot in the bucket's name does not go with the wildcard of AWS's certificate.
    const bool dotted = place.bucket.find('.') != std::string::npos;
    const bool path_style = place.path_style.value_or(!place.endpoint.empty() || dotted);
    path = path_style ? "/" + place.bucket + "/" : "/";
    if (!path_style) host = place.bucket + "." + host;
    url = std::string(tls ? "https://" : "http://") + host;
  }
};

std::string path_and_query(const std::string& base, const S3Request& request) {
  std::string out = base + percent_encode(request.key, true);
  if (request.key.empty() && out.size() > 1) out.pop_back();
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    out += separator + percent_encode(name) + "=" + percent_encode(value);
    separator = '&';
  }
  return out;
}

std::string base64_md5(std::string_view bytes) {
  std::array<unsigned char, AWS_MD5_LEN> digest{};
  auto raw = aws_byte_buf_from_empty_array(digest.data(), digest.size());
  auto in = cursor(bytes);
  aws_md5_compute(aws_default_allocator(), &in, &raw, 0);
  std::array<char, 32> text{};
  auto out = aws_byte_buf_from_empty_array(text.data(), text.size());
  const auto digest_cursor = aws_byte_cursor_from_buf(&raw);
  aws_base64_encode(&digest_cursor, &out);
  return text_of(aws_byte_cursor_from_buf(&out));
}

void init_library() {
  static const bool done = [] {
    aws_s3_library_init(aws_default_allocator());
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

// In the order in which they need each other; the client ends first.
struct S3Client::Library {
  std::string region;
  Address address;
  std::size_t parallel;
  Millis request_limit;
  aws_allocator* allocator = aws_default_allocator();
  Owned<aws_event_loop_group, aws_event_loop_group_release> loops;
  Owned<aws_host_resolver, aws_host_resolver_release> resolver;
  Owned<aws_client_bootstrap, aws_client_bootstrap_release> bootstrap;
  Owned<aws_tls_ctx, aws_tls_ctx_release> tls;
  Owned<aws_credentials_provider, aws_credentials_provider_release> credentials;
  aws_s3_client* client = nullptr;

  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;

  explicit Library(const S3Location& place)
      : region(region_of(place)),
        address(place, region),
        parallel(std::clamp<std::size_t>(place.memory.value / kS3Part.value, 2, 32)),
        request_limit(std::clamp(place.retry_for * 4, kLeastForRequest, kMostForRequest)) {
    make_network();
    make_tls(place);
    make_credentials(place);
    make_client();
  }
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void make_network();
  void make_tls(const S3Location& place);
  void make_credentials(const S3Location& place);
  void make_client();
  // A signature over this body's SHA-256 (hex).
  aws_signing_config_aws signing(std::string_view digest) const;
  [[noreturn]] void failed(const char* what) const {
    throw Error(Code::failed, address.url,
                std::string("cannot prepare ") + what + ": " + error_text(aws_last_error()));
  }
};

void S3Client::Library::make_network() {
  require_threads(kThreadsInAll, "talking to " + address.url);
  loops.reset(aws_event_loop_group_new_default(allocator, kThreads, nullptr));
  if (!loops) failed("its threads");
  aws_host_resolver_default_options resolving{};
  resolving.max_entries = 16;
  resolving.el_group = loops.get();
  resolver.reset(aws_host_resolver_new_default(allocator, &resolving));
  aws_client_bootstrap_options options{};
  options.event_loop_group = loops.get();
  options.host_resolver = resolver.get();
  bootstrap.reset(aws_client_bootstrap_new(allocator, &options));
  if (!bootstrap) failed("the network");
}

void S3Client::Library::make_tls(const S3Location& place) {
  if (!address.tls && place.ca.empty()) return;
  TlsOptions trust(allocator);
  if (!place.ca.empty() && aws_tls_ctx_options_override_default_trust_store_from_path(
                               &trust.value, nullptr, place.ca.c_str()) != AWS_OP_SUCCESS) {
    throw Error(Code::config, place.ca,
                "is no file of certificates: " + error_text(aws_last_error()),
                "correct `s3: {ca: …}` in lifeboat.yaml");
  }
  tls.reset(aws_tls_client_ctx_new(allocator, &trust.value));
  if (!tls) failed("TLS");
}

void S3Client::Library::make_credentials(const S3Location& place) {
  aws_credentials_provider_chain_default_options chain{};
  chain.bootstrap = bootstrap.get();
  // AWS's services are not signed by `ca`; else certificates are read once, which takes a while.
  chain.tls_ctx = place.ca.empty() ? tls.get() : nullptr;
  chain.profile_name_override = cursor(place.profile);
  chain.skip_environment_credentials_provider = !place.profile.empty();
  credentials.reset(aws_credentials_provider_new_chain_default(allocator, &chain));
  if (credentials) return;
  throw Error(Code::denied, Location(place).shown(),
              "there are no credentials: " + error_text(aws_last_error()), kNoCredentialsHint);
}

void S3Client::Library::make_client() {
  aws_tls_connection_options connection{};
  if (address.tls) aws_tls_connection_options_init_from_ctx(&connection, tls.get());
  auto sign = signing("");
  aws_s3_client_config config{};
  config.region = cursor(region);
  config.client_bootstrap = bootstrap.get();
  config.tls_mode = address.tls ? AWS_MR_TLS_ENABLED : AWS_MR_TLS_DISABLED;
  config.tls_connection_options = address.tls ? &connection : nullptr;
  config.signing_config = &sign;
  config.part_size = kS3Part.value;
  config.throughput_target_gbps = 1;
  config.memory_limit_in_bytes = kLibraryMemory;
  config.max_active_connections_override = static_cast<std::uint32_t>(parallel);
  config.connect_timeout_ms = 10'000;
  config.retry_config.max_retries = kTries;
  config.retry_config.backoff_scale_factor_ms = kFirstWaitMs;
  config.retry_config.retry_mode = AWS_S3_RETRY_MODE_EXPONENTIAL_BACKOFF;
  config.shutdown_callback_user_data = this;
  config.shutdown_callback = [](void* data) {
    auto& self = *static_cast<Library*>(data);
    std::lock_guard lock(self.mutex);
    self.ended = true;
    self.changed.notify_all();
  };
  client = aws_s3_client_new(allocator, &config);
  aws_tls_connection_options_clean_up(&connection);
  if (client == nullptr) failed("the client");
}

S3Client::Library::~Library() {
  if (client == nullptr) return;
  aws_s3_client_release(client);
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return ended; });
}

aws_signing_config_aws S3Client::Library::signing(std::string_view digest) const {
  aws_signing_config_aws config{};
  aws_s3_init_default_signing_config(&config, cursor(region), credentials.get());
  config.flags.use_double_uri_encode = false;
  config.flags.should_normalize_uri_path = false;
  if (!digest.empty()) config.signed_body_value = cursor(digest);
  config.signed_body_header = AWS_SBHT_X_AMZ_CONTENT_SHA256;
  return config;
}

// One request under way. The library's threads write into it until `gone`.
struct S3Client::Pending {
  Library& library;
  S3Request request;
  S3Response response;
  Deadline deadline;
  aws_s3_meta_request* meta = nullptr;
  bool finished = false;  // under library.mutex, as `gone`
  bool gone = false;

  Pending(Library& its, S3Request what)
      : library(its), request(std::move(what)), deadline(Deadline::after(its.request_limit)) {}

  static int on_headers(aws_s3_meta_request*, const aws_http_headers* headers, int status,
                        void* data) {
    auto& self = *static_cast<Pending*>(data);
    self.take(headers);
    self.response.status = status;
    self.make_room();
    return AWS_OP_SUCCESS;
  }
  static int on_body(aws_s3_meta_request*, const aws_byte_cursor* body, std::uint64_t, void* data) {
    static_cast<Pending*>(data)->response.body += text_of(*body);
    return AWS_OP_SUCCESS;
  }
  static void on_finish(aws_s3_meta_request*, const aws_s3_meta_request_result* result,
                        void* data) {
    auto& self = *static_cast<Pending*>(data);
    auto& r = self.response;
    if (result->error_code != 0) {
      r.status = result->response_status;
      if (result->error_response_headers != nullptr) self.take(result->error_response_headers);
      if (result->error_response_body != nullptr) {
        r.body = text_of(aws_byte_cursor_from_buf(result->error_response_body));
      }
      // A status that says no is an answer.
      if (r.status < 300) r.failure = error_text(result->error_code);
    }
    self.set(self.finished);
  }
  static void on_gone(void* data) {
    auto& self = *static_cast<Pending*>(data);
    self.set(self.gone);
  }

  // A body that grows step by step is copied as often.
  void make_room() {
    const auto said = response.header("content-length");
    std::uint64_t size = 0;
    const auto [at, error] = std::from_chars(said.data(), said.data() + said.size(), size);
    if (error == std::errc()) response.body.reserve(std::min(size, request.most.value));
  }
  void take(const aws_http_headers* headers) {
    response.headers.clear();
    for (std::size_t i = 0; i < aws_http_headers_count(headers); ++i) {
      aws_http_header header{};
      aws_http_headers_get_index(headers, i, &header);
      std::string name = text_of(header.name);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      response.headers[name] = text_of(header.value);
    }
  }
  void set(bool& flag) {
    auto& its = library;  // this object may be deleted as soon as the flag is seen
    std::lock_guard lock(its.mutex);
    flag = true;
    its.changed.notify_all();
  }
};

std::unique_ptr<S3Client::Pending> S3Client::start(S3Request request) {
  auto pending = std::make_unique<Pending>(*library_, std::move(request));
  const auto& r = pending->request;
  Owned<aws_http_message, aws_http_message_release> message(
      aws_http_message_new_request(library_->allocator));
  aws_http_message_set_request_method(message.get(), cursor(r.method));
  const auto path = path_and_query(library_->address.path, r);
  aws_http_message_set_request_path(message.get(), cursor(path));
  auto add = [&](std::string_view name, std::string_view value) {
    aws_http_header header{};
    header.name = cursor(name);
    header.value = cursor(value);
    aws_http_message_add_header(message.get(), header);
  };
  add("Host", library_->address.host);
  const auto length = std::to_string(r.body.size());
  if (r.method == "PUT" || r.method == "POST") add("Content-Length", length);
  for (const auto& [name, value] : r.headers) add(name, value);
  const auto md5 = r.with_md5 ? base64_md5(r.body) : "";
  if (r.with_md5) add("Content-MD5", md5);

  const auto digest = sha256(r.body).hex();
  const auto sign = library_->signing(digest);
  aws_uri endpoint{};
  auto url = cursor(library_->address.url);
  if (aws_uri_init_parse(&endpoint, library_->allocator, &url) != AWS_OP_SUCCESS) {
    library_->failed("the endpoint");
  }
  aws_s3_meta_request_options options{};
  options.type = AWS_S3_META_REQUEST_TYPE_DEFAULT;
  options.operation_name = cursor(r.operation);
  options.signing_config = &sign;
  options.message = message.get();
  options.request_body = cursor(r.body);
  options.endpoint = &endpoint;
  options.user_data = pending.get();
  options.headers_callback = Pending::on_headers;
  options.body_callback = Pending::on_body;
  options.finish_callback = Pending::on_finish;
  options.shutdown_callback = Pending::on_gone;
  pending->meta = aws_s3_client_make_meta_request(library_->client, &options);
  aws_uri_clean_up(&endpoint);
  if (pending->meta == nullptr) library_->failed(r.operation.c_str());
  return pending;
}

S3Response S3Client::finish(Pending& pending) {
  std::unique_lock lock(library_->mutex);
  while (!pending.finished && !pending.deadline.passed()) {
    library_->changed.wait_for(lock, pending.deadline.left(), [&] { return pending.finished; });
  }
  if (!pending.finished) {
    pending.response.timed_out = true;
    lock.unlock();
    aws_s3_meta_request_cancel(pending.meta);
    lock.lock();
    library_->changed.wait(lock, [&] { return pending.finished; });
  }
  lock.unlock();
  aws_s3_meta_request_release(pending.meta);
  lock.lock();
  library_->changed.wait(lock, [&] { return pending.gone; });
  if (pending.response.timed_out) {
    pending.response.failure =
        fmt::format("it takes longer than {} s", library_->request_limit.count() / 1000);
  }
  return std::move(pending.response);
}

S3Client::S3Client(const S3Location& place) {
  init_library();
  library_ = std::make_unique<Library>(place);
}
S3Client::~S3Client() = default;

std::size_t S3Client::parallel() const {
  return library_->parallel;
}

const std::string& S3Client::region() const {
  return library_->region;
}

S3Response S3Client::send(S3Request request) {
  return finish(*start(std::move(request)));
}

void S3Client::send_all(std::size_t count, const std::function<S3Request(std::size_t)>& make,
                        const std::function<void(std::size_t, S3Response)>& take) {
  // All that was started is waited for, whatever happens.
  struct Window {
    S3Client& client;
    std::deque<std::pair<std::size_t, std::unique_ptr<Pending>>> under_way;
    ~Window() {
      for (auto& [index, pending] : under_way) client.finish(*pending);
    }
  } window{*this, {}};
  auto take_first = [&] {
    auto [index, pending] = std::move(window.under_way.front());
    window.under_way.pop_front();
    take(index, finish(*pending));
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (window.under_way.size() >= parallel()) take_first();
    window.under_way.emplace_back(i, start(make(i)));
  }
  while (!window.under_way.empty()) take_first();
}

}  // namespace lifeboat::store
