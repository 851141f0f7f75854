#pragma once

#include <stdlib.h>

#include <fstream>
#include <string>

#include "base/random.hpp"
#include "store/location.hpp"
#include "support/stack_fixture.hpp"

namespace lifeboat::store {

// What the stack says of an S3 server that lives until the end of the test program. Its keys are a
// profile with its name; the profile wrong-secret has SeaweedFS' access key, and writer, pruner and
// reader are others who may use it.
inline nlohmann::json s3_server(const std::string& name) {
  const auto& stack = test::StackProcess::shared({"seaweedfs", "s3proxy"});
  static const bool credentials_written = [&] {
    const auto file = stack.folder() / "credentials";
    std::ofstream out(file);
    for (const char* each : {"seaweedfs", "s3proxy"}) {
      const auto server = stack.info().at(each);
      out << "[" << each << "]\naws_access_key_id = " << server.at("access_key").get<std::string>()
          << "\naws_secret_access_key = " << server.at("secret_key").get<std::string>() << "\n";
    }
    const auto others = stack.info().at("seaweedfs").at("identities");
    for (const auto& [who, key] : others.items()) {
      out << "[" << who << "]\naws_access_key_id = " << key.at("access_key").get<std::string>()
          << "\naws_secret_access_key = " << key.at("secret_key").get<std::string>() << "\n";
    }
    out << "[wrong-secret]\naws_access_key_id = "
        << stack.info().at("seaweedfs").at("access_key").get<std::string>()
        << "\naws_secret_access_key = wrong\n";
    out.close();
    ::setenv("AWS_SHARED_CREDENTIALS_FILE", file.c_str(), 1);
    ::setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    return true;
  }();
  static_cast<void>(credentials_written);
  return stack.info().at(name);
}

// A prefix of its own on that server.
inline S3Location s3_place(const std::string& server_name) {
  const auto server = s3_server(server_name);
  S3Location place;
  place.bucket = server.at("bucket");
  place.prefix = "test-" + Random().hex(12);
  place.endpoint = server.at("endpoint");
  place.region = server.at("region");
  place.profile = server_name;
  return place;
}

// Likewise, in the bucket that locks objects.
inline S3Location locked_place(ObjectLock::Mode mode = ObjectLock::Mode::compliance) {
  auto place = s3_place("seaweedfs");
  place.bucket = s3_server("seaweedfs").at("locked_bucket");
  place.lock = ObjectLock{mode, Millis(60'000)};
  return place;
}

}  // namespace lifeboat::store
