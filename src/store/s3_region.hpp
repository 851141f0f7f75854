#pragma once

#include <string>

#include "store/location.hpp"

namespace lifeboat::store {

// The region that requests are signed for, looked for where AWS's tools do ("Configuration and
// credential precedence" of the AWS CLI's user guide): the location's, $AWS_REGION,
// $AWS_DEFAULT_REGION, that of the profile in ~/.aws/config ($AWS_CONFIG_FILE). An endpoint of
// one's own has nothing to do with that profile's: us-east-1, which such servers take.
// Error(config) when there is none.
std::string region_of(const S3Location& place);

}  // namespace lifeboat::store
