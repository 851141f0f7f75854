#include "store/s3_region.hpp"

#include <aws/common/string.h>
#include <aws/sdkutils/aws_profile.h>

#include <cstdlib>
#include <memory>

#include "base/error.hpp"

namespace lifeboat::store {
namespace {

struct Release {
  void operator()(aws_string* text) const { aws_string_destroy(text); }
  void operator()(aws_profile_collection* profiles) const {
    aws_profile_collection_release(profiles);
  }
};
using Text = std::unique_ptr<aws_string, Release>;
using Profiles = std::unique_ptr<aws_profile_collection, Release>;

std::string region_in(const aws_string* file, aws_profile_source_type kind,
                      const aws_string* profile_name) {
  auto* allocator = aws_default_allocator();
  if (file == nullptr || profile_name == nullptr) return {};
  const Profiles profiles(aws_profile_collection_new_from_file(allocator, file, kind));
  if (!profiles) return {};  // there is no such file
  const auto* profile = aws_profile_collection_get_profile(profiles.get(), profile_name);
  const Text key(aws_string_new_from_c_str(allocator, "region"));
  const auto* region = profile == nullptr ? nullptr : aws_profile_get_property(profile, key.get());
  return region == nullptr ? "" : aws_string_c_str(aws_profile_property_get_value(region));
}

std::string region_of_profile(const std::string& profile) {
  auto* allocator = aws_default_allocator();
  const auto given = aws_byte_cursor_from_array(profile.data(), profile.size());
  const Text name(aws_get_profile_name(allocator, profile.empty() ? nullptr : &given));
  const Text credentials(aws_get_credentials_file_path(allocator, nullptr));
  const Text config(aws_get_config_file_path(allocator, nullptr));
  auto region = region_in(credentials.get(), AWS_PST_CREDENTIALS, name.get());
  return region.empty() ? region_in(config.get(), AWS_PST_CONFIG, name.get()) : region;
}

}  // namespace

std::string region_of(const S3Location& place) {
  if (!place.region.empty()) return place.region;
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  if (!place.endpoint.empty()) return "us-east-1";
  if (auto region = region_of_profile(place.profile); !region.empty()) return region;
  throw Error(Code::config, Location(place).shown(), "has no region",
              "write `s3: {region: eu-central-1}` (the bucket's) into lifeboat.yaml, or set "
              "AWS_REGION, or `region` of the profile in ~/.aws/config");
}

}  // namespace lifeboat::store
