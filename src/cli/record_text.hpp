#pragma once

#include <string>
#include <string_view>

#include "kafka/records.hpp"

// Records as text; appends, so that a caller can use one buffer again and again.
namespace lifeboat::cli {

// One line of JSON with "\n": {"topic","partition","offset","timestamp","timestamp_type","key",
// "value","headers"}. The timestamp in milliseconds since 1970, null when there is none; headers as
// [{"key","value"}, …], as they may come again. Bytes that are UTF-8 are strings, others
// {"base64": "…"}.
void append_json(std::string& out, const kafka::TopicPartition& partition,
                 const kafka::BatchView& batch, const kafka::Record& record);

void append_json_bytes(std::string& out, std::string_view bytes);

bool is_utf8(std::string_view bytes);  // RFC 3629: no surrogates, nothing overlong

// "\n", "\t", "\0", "\\" and "\xHH" become their bytes. Error(usage) for another escape.
std::string unescape(std::string_view text);

}  // namespace lifeboat::cli
