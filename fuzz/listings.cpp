#include "fuzz/targets.hpp"
#include "store/s3_answers.hpp"

// What S3 answers, read by AWS's XML parser: the first byte chooses what is looked for.
namespace lifeboat::fuzz {

void listings(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string answer(bytes.substr(1));
  const auto kind = static_cast<unsigned char>(bytes[0]) % 3;
  if (kind == 0) {
    for (const auto& each : store::parse_listing(answer, "s3").objects) {
      if (each.name.empty()) broken("an object without a name");
    }
  }
  if (kind == 1) store::parse_versions(answer, "s3");
  if (kind == 2) {
    store::S3Response response;
    response.status = 400;
    response.body = answer;
    throw store::s3_error(response, "s3", "cannot");
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(listings)
